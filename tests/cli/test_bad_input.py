"""What bad input gets: one line that names option, allowed, why and seen; nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metaact.cli

Cli = Callable[..., Any]

QUICK = (
    *("--iterations", "2", "--tasks", "2", "--test-episodes", "4", "--validation-episodes", "2"),
    *("--ways", "2", "--queries", "2", "--test-queries", "2"),
)


USAGE = [
    (["--activation", "arleu"], "arelu"),
    (["--activation", ""], "--activation"),
    (["--activation", "os:getcwd"], "nn.Module"),
    (["--activation", "nowhere.at.all:factory"], "nowhere"),
    (["--ways", "0"], "--ways must be an int >= 2"),
    (["--ways", "99"], "99"),
    (["--shots", "-1"], "--shots must be an int >= 1"),
    (["--shots", "15", "--test-queries", "15"], "20"),
    (["--queries", "0"], "--queries"),
    (["--inner-steps", "0"], "--inner-steps must be an int >= 1"),
    (["--tasks", "0"], "--tasks"),
    (["--iterations", "0"], "--iterations"),
    (["--seeds", "0"], "--seeds"),
    (["--plan-seeds", "0"], "--plan-seeds must be an int in [1, 10000]"),
    (["--inner-lr", "nan"], "--inner-lr must be a finite number > 0"),
    (["--inner-lr", "fast"], "--inner-lr"),
    (["--inner-lr", "0.1,-1"], "--inner-lr"),
    (["--lr", "inf"], "--lr must be a finite number > 0"),
    (["--lr", "0"], "--lr must be a finite number > 0"),
    (["--meta-lr=0"], "--meta-lr must be a finite number > 0"),
    (["--steps", "0"], "--steps must be an int >= 1"),
    (["--test-steps=0"], "--test-steps must be an int >= 1"),
    (["--shots", "1,0"], "--shots must be an int >= 1"),
    (["--shots", "one"], "--shots"),
    (["--by", "moddel"], "--by must be one of"),
    (["--by", "inner-lr"], "--by must be one of"),
    (["--by", "seed"], "--by must be one of"),
    (["--seed", "-1"], "--seed must be an int >= 0"),
    (["--seed", "0,x"], "--seed"),
    (["--chunk-size", "1,2"], "--chunk-size must be one value"),
    (["--level", "2"], "--level must be"),
    (["--margin", "0"], "--margin must be"),
    (["--reference", "relu"], "--reference must be arelu"),
    (["--to", "0"], "--to must be"),
    (["--model", "conv5"], "conv4"),
    (["--model", "vgg11"], "vgg11 halves the image 5 times); got 28"),
    (["--model", "resnet18", "--batch-norm", "running"], "would leak from task to task"),
    (["--model", "nowhere.at.all:net"], "No module named 'nowhere'"),
    (["--model", "torchvision:resnet81"], "Did you mean torchvision:resnet"),
    (["--model", "torchvision:"], "a name on both sides of its colon"),
    (["--model", "os:getcwd"], "takes the keywords classes, channels and size"),
    (["--model", "torchvision:resnet18", "--activation", "maxout"], "--activation must keep"),
    (["--protocol", "best"], "held-out"),
    (["--engine", "fast"], "vectorised"),
    (["--device", "tpu"], "--device"),
    (["--actvation", "relu"], "--activation"),
    (["--test-episodes", "1"], "--test-episodes"),
    (["--test-episodes", "5000", "--without-replacement"], "5000"),
    (["--dataset", "glyfs"], "glyphs"),
    (["--model", "mnist-conv", "--batch-norm", "batch"], "--batch-norm must be off"),
    (["--activation", "sys:exit"], "SystemExit"),
    (["--dataset", ""], "--dataset must be one of"),
    (["--test-queries", "100"], "--shots + --test-queries must be at most 20"),
    (["--test-episodes", "5000", "--without-replacement"], "--test-episodes must be an int in"),
    (["--steps", str(10**20)], "--steps must be an int in [1, 10000]"),
    (["--test-steps", str(10**12)], "--test-steps must be an int in [1, 10000]"),
    (["--iterations", str(10**12)], "--iterations must be an int in [1, 10000000]"),
    (["--tasks", str(10**12)], "--tasks must be an int in [1, "),
    (["--test-episodes", str(10**12)], "--test-episodes must be an int in [1, "),
    (["--test-episodes", str(10**9)], "the list of them must fit into memory"),
    (["--task-pool", str(10**12)], "--task-pool must be an int in [1, "),
    (["--ways", str(10**9)], "--ways must be an int in [2, "),
    (["--shots", str(10**12)], "--shots + --test-queries must be at most 20"),
    (["--seeds", str(10**9)], "--seeds must be an int in [1, 10000]"),
    (["--out", ""], "expected a path; got ''"),
    (["--data-root", ""], "expected a path; got ''"),
    (["--out", "a" * 300], "'--out': expected a path of at most 4095 bytes"),
    (["--dataset", "a/" * 2100], "'--dataset': expected a path of at most 4095 bytes"),
    (["--lr", "1e300"], "--lr must be a finite number in (0, 3.4e+38]"),
    (["--chunk-size", str(10**20)], "--chunk-size must be an int in [1, "),
    (["--seed", "1", "--seeds", "2"], "--seed must be given without --seeds"),
    (["--out", "/proc/nothing"], "--out must be a folder for results that can be written"),
]


@pytest.mark.parametrize(("arguments", "word"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_wrong_usage(arguments: list[str], word: str, cli: Cli, pack: Path, tmp_path: Path) -> None:
    code, out, err = cli("maml", "--dataset", str(pack), *QUICK, *arguments)
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert word in err
    assert list(tmp_path.iterdir()) == []


def _expect_failure(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert code in (1, 2)
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    for word in words:
        assert word in err, err


def test_output_path_is_a_file(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    arguments = ("maml", "--dataset", str(pack), *QUICK)
    _expect_failure(cli(*arguments, "--out", "taken"), "--out", "taken is a file")
    _expect_failure(cli(*arguments, "--out", "taken/runs"), "--out", "taken is a file")
    assert (tmp_path / "taken").read_text() == "mine"


def test_output_path_is_a_run_or_inside_one(cli: Cli, pack: Path, tmp_path: Path) -> None:
    arguments = ("maml", "--dataset", str(pack), *QUICK)
    assert cli(*arguments)[0] == 0
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    _expect_failure(cli(*arguments, "--out", str(directory)), "--out", "itself one run")
    _expect_failure(cli(*arguments, "--out", str(directory / "x")), "--out", "inside one run")


def test_data_root_is_a_file(cli: Cli, pack: Path) -> None:
    _expect_failure(cli("data", "get", "glyphs", "--data-root", str(pack)), "--data-root", "a file")


@pytest.mark.parametrize("arguments", [["activations", "plot"], ["data", "show", "glyphs"]])
@pytest.mark.parametrize("out", ["", ".", "/", ".."])
def test_pictures_need_a_name(arguments: list[str], out: str, cli: Cli) -> None:
    _expect_failure(cli(*arguments, "--out", out), "'--out': expected a")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "show", "glyfs"], "NAME must be one of"),
        (["data", "get", "glyfs"], "NAME must be one of"),
        (["data", "get"], "NAME..."),
        (["table"], "Missing argument 'NUMBER'"),
        (["table", "1", "--model", "vgg11"], "--model must be left out (it is for tables 7 and 8)"),
        (["table", "8", "--lr", "0.1"], "--lr must be left out (table 8 has one)"),
        (["table", "8", "--reading", "text"], "--reading must be 100-epochs"),
        (["table", "2", "--reading", "200-epochs"], "--reading must be caption or text"),
        (["figure", "3", "--dataset", "svhn"], "--dataset must be left out (it is for figure 4)"),
        (["converge", "--milestones", "5"], "--milestones must be left out unless --schedule is"),
        (["converge", "--nesterov", "--optimizer", "adam"], "--nesterov must be left out"),
        (["converge", "--schedule", "cosine", "--warmup-epochs", "20"], "--warmup-epochs must be"),
        (["transfer", "--schedule", "cosine"], "--epochs must be one number with a cosine"),
        (["mamll"], "Did you mean 'maml'?"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, cli: Cli) -> None:
    result = cli(*arguments)
    assert result[0] == 2
    _expect_failure(result, words)


def test_truncated_pack(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(pack.read_bytes()[:5000])
    _expect_failure(cli("maml", "--dataset", "cut.npz", *QUICK), "cut.npz")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"images": np.zeros((600, 28, 28), np.float32)}, "uint8"),
        ({"labels": np.repeat(np.arange(30) * 2, 20)}, "labels"),
        ({"labels": np.zeros(600, np.float32)}, "labels"),
        ({"labels": np.zeros(7, np.int64)}, "labels"),
        ({"class_names": np.array(["a"] * 30)}, "class_names"),
        ({"images": np.array([print] * 600)}, "Python objects, which may run code"),
    ],
)
def test_wrong_pack(
    changes: dict[str, np.ndarray], word: str, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    with np.load(pack) as content:
        np.savez(tmp_path / "wrong.npz", **{**content, **changes})
    _expect_failure(cli("maml", "--dataset", "wrong.npz", *QUICK), word, "wrong.npz")


def test_folders_without_images(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _expect_failure(cli("maml", "--dataset", "empty", *QUICK), "empty")
    _expect_failure(cli("maml", "--dataset", "not/there", *QUICK), "not/there")


def test_one_broken_image(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    _expect_failure(cli("maml", "--dataset", "pictures", *QUICK), "broken.png")


def test_no_network(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "none"))
    _expect_failure(cli("maml", "--dataset", "mnist", *QUICK), "mnist", "glyphs")


def test_image_that_is_too_small_for_a_network(cli: Cli, pack: Path, tmp_path: Path) -> None:
    with np.load(pack) as content:
        np.savez(
            tmp_path / "half.npz", images=content["images"][:, :, :14], labels=content["labels"]
        )
    ended = cli("maml", "--dataset", "half.npz", "--model", "conv4", *QUICK)
    _expect_failure(ended, "conv4 halves", "got 14")


CONFIGS = [
    ('ways = "five"', "'--ways': expected whole numbers separated by commas; got 'five'"),
    ("ways = 5.5", "'ways' must be a whole number or a list of them; got 5.5"),
    (
        f"ways = {2**70}",
        f"'ways' must be at most 64 bits long, as whole numbers of TOML are; got {2**70}",
    ),
    ("ways = true", "'ways' must be a whole number or a list of them; got True"),
    ("seeds = [1]", "'seeds' must be a whole number; got [1]"),
    ('inner_lr = "fast"', "--inner-lr"),
    ("inner-lr = [true]", "'inner-lr' must be a number or a list of them; got [True]"),
    ("inner-lr = [[0.1]]", "'inner-lr' must be a number or a list of them"),
    ("inner-lr = 2020-01-01", "'inner-lr' must be a number or a list of them"),
    ("lr = true", "'lr' must be a number or a list of them; got True"),
    ("lr = nan", "lr in file.toml must be a finite number > 0; got nan"),
    ("meta_lr = inf", "meta_lr in file.toml must be a finite number > 0; got inf"),
    ("steps = 0", "steps in file.toml must be an int >= 1; got 0"),
    ("shots = [1, 1.5]", "'shots' must be a whole number or a list of them; got [1, 1.5]"),
    ("seed = [0, true]", "'seed' must be a whole number or a list of them; got [0, True]"),
    ("level = [0.9]", "'level' must be a number; got [0.9]"),
    ("without-replacement = true", "unknown key 'without-replacement'"),
    ("meta-lr = 0.1\nlr = 0.2", "'lr' is given twice"),
    ("shotts = 1", "unknown key 'shotts'; allowed: activation, algorithm"),
    ("first_order = 1", "'first_order' must be true or false; got 1"),
    ("activation = [5]", "'activation' must be text or a list of texts; got [5]"),
    ("dataset = 5", "'dataset' must be text; got 5"),
    ("out = 5", "'out' must be text; got 5"),
    ("[out]\nx = 1", "'out' must be text"),
    ("inner-lr = 0.1\ninner_lr = 0.2", "given twice"),
    ('config = "other.toml"', "unknown key 'config'"),
    ("[maml]\nways = 5", "unknown key 'maml'"),
    ("ways = 99", "ways in file.toml must be an int in [2, 6]"),
    ('over = "all"', "(in file.toml)"),
    ('device = "tpu"', "device in file.toml must be"),
    (f"ways = {'[' * 3000}", "cannot be read as TOML"),
    (
        f"ways = 0x{'f' * 5000}",
        "at most 64 bits long, as whole numbers of TOML are; got a number of",
    ),
    (f"tune = {{lr = 0x{'f' * 5000}}}", "a table of rate = numbers, or text; got a number of"),
    (
        f"inner-lr = {10**400}",
        "'inner-lr' must be at most 64 bits long, as whole numbers of TOML are; got 1",
    ),
]


@pytest.mark.parametrize(("text", "words"), CONFIGS, ids=[text[:40] for text, _ in CONFIGS])
def test_wrong_values_in_a_config_file(
    text: str, words: str, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "file.toml").write_text(text + "\n")
    code, out, err = cli("maml", "--dataset", str(pack), "--config", "file.toml")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["", ".", "nowhere.toml"])
def test_no_config_file(name: str, cli: Cli) -> None:
    code, _, err = cli("maml", "--config", name)
    assert (code, err.count("\n"), "--config" in err) == (2, 1, True)


def test_the_command_line_wins_over_the_config_file(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(
        f'dataset = "{pack}"\nactivation = ["relu"]\nways = 4\nshots = 2\n'
        'out = "kept"\njson = true\n'
    )
    code, out, err = cli("maml", *QUICK, "--config", "file.toml", "--ways", "3")
    assert code == 0, err
    (study,) = json.loads(out)["studies"]
    assert (study["settings"]["ways"], study["settings"]["shots"]) == (3, 2)
    assert [arm["value"] for arm in study["arms"]] == ["relu"]
    assert (tmp_path / "kept" / "maml").is_dir()


OWN = """
import warnings

from torch import nn

class Late(nn.Module):
    def forward(self, x):
        if x.shape[-1] == 12:
            raise KeyError("first line\\nsecond line")
        return x

class Interrupted(nn.Module):
    def forward(self, x):
        if x.shape[-1] == 12:
            raise KeyboardInterrupt
        return x

class Nan(nn.Module):
    def forward(self, x):
        return x * float("nan")

class Double(nn.Module):
    def forward(self, x):
        return x.double()

class Exits(nn.Module):
    def forward(self, x):
        raise SystemExit(3)

class Warns(nn.Module):
    calls = 0

    def forward(self, x):
        Warns.calls += 1
        warnings.warn(f"first line\\nof call {Warns.calls}")
        return x.relu()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_activations.py").write_text(OWN)
    (tmp_path / "own_exit.py").write_text("raise SystemExit(5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_activations", raising=False)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("own_exit:x", "SystemExit: 5"),
        ("own_activations:Exits", "SystemExit: 3"),
        ("own_activations:Double", "torch.float64"),
        ("own_activations:Nowhere", "no attribute 'Nowhere'"),
    ],
)
def test_own_activation_that_cannot_be_used(spec: str, words: str, cli: Cli, pack: Path) -> None:
    result = cli("maml", "--dataset", str(pack), *QUICK, "--activation", spec)
    _expect_failure(result, "--activation", words)


@pytest.mark.usefixtures("own")
def test_an_arm_that_fails_or_diverges_is_named_and_the_others_stay(cli: Cli, pack: Path) -> None:
    arms = "relu,own_activations:Late,own_activations:Nan"
    ended = cli("maml", "--dataset", pack, *QUICK, "--activation", arms, "--json")
    err = ended.err
    assert ended.code == 1
    (study,) = ended.json["studies"]
    assert {arm["value"]: (arm["seeds"], arm["failed"]) for arm in study["arms"]} == {
        "relu": ([0], []),
        "own_activations:Nan": ([], [0]),
    }
    assert study["reference"] == "relu"
    assert ended.json["missing"] == [err.splitlines()[-1].removeprefix("metaact: ")]
    (complaint,) = [line for line in err.splitlines() if line.startswith("metaact: ")]
    assert "failed: own_activations:Late" in complaint
    assert "KeyError" in complaint
    assert "Traceback" not in err


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("workers", ["1", "3"])
def test_what_an_activation_warns_of_at_each_call_is_said_once(
    workers: str, pack: Path, tmp_path: Path
) -> None:
    words = [
        sys.executable,
        "-m",
        "metaact",
        "maml",
        "--dataset",
        str(pack),
        *QUICK,
        "--seeds",
        "2",
    ]
    words += ["--activation", "own_activations:Warns", "--workers", workers]
    done = subprocess.run(words, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "first line" in line]
    # The process that looks at the activation warns, and so do those that run it.
    assert 1 <= len(told) <= min(int(workers), 2)
    assert all(line.startswith("metaact: warning: first line of call") for line in told)
    assert "warnings.warn(" not in done.stderr


def test_figures_that_cannot_be_written_do_not_hide_the_result(
    cli: Cli, pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "figures").write_text("in the way")
    ended = cli("maml", "--dataset", pack, *QUICK, "--json")
    assert ended.code == 1
    assert ended.json["studies"][0]["arms"][0]["seeds"] == [0]
    assert ended.json["figures"] == []
    _, line = ended.err.splitlines()  # the first is about the run
    assert line.startswith("metaact: no pictures: ")


@pytest.mark.usefixtures("own")
def test_ctrl_c_is_one_line_and_130(cli: Cli, pack: Path) -> None:
    words = ("--activation", "own_activations:Interrupted")
    code, out, err = cli("maml", "--dataset", pack, *QUICK, *words)
    assert (code, out) == (130, "")
    assert err == "metaact: stopped; the same command continues where it was.\n"


@pytest.mark.parametrize("words", [(), ("data",), ("activations",)])
def test_no_command_shows_the_help(words: tuple[str, ...], cli: Cli) -> None:
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert "Commands:" in err
    assert err.count("\n") > 5


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "scores.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{}\n", b"{", b"\xff"])
def test_a_damaged_record_is_named_and_made_again_when_it_is_deleted(
    name: str, content: bytes, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    """To go on from the checkpoint would seal what was changed."""
    words = ("maml", "--dataset", pack, *QUICK, "--activation", "relu", "--json")
    first = cli(*words).json
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    (directory / name).write_bytes(content)
    ended = cli(*words)
    assert "reused" not in ended.err
    assert (ended.code, ended.err.count("metaact: ")) == (1, 1)
    assert f"delete the directory `{directory.relative_to(tmp_path)}`" in ended.err
    shutil.rmtree(directory)
    ended = cli(*words)
    assert ended.code == 0, ended.err
    assert ended.json["studies"] == first["studies"]


def test_config_file(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(f'dataset = "{pack}"\ninner_lr = [0.01]\nshots = 0\n')
    code, _, err = cli("maml", *QUICK, "--config", "good.toml")
    assert (code, "shots in good.toml must be" in err) == (2, True)
    (tmp_path / "unknown.toml").write_text("shotts = 1\n")
    code, _, err = cli("maml", *QUICK, "--config", "unknown.toml")
    assert (code, "shotts" in err, len(err.strip().splitlines())) == (2, True, 1)
    (tmp_path / "broken.toml").write_text("shots = = 1\n")
    code, _, err = cli("maml", *QUICK, "--config", "broken.toml")
    assert (code, "TOML" in err) == (2, True)


def test_damaged_checkpoint_and_foreign_config(cli: Cli, pack: Path, tmp_path: Path) -> None:
    code, _, _ = cli("maml", "--dataset", str(pack), *QUICK)
    assert code == 0
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    (directory / "result.json").unlink()
    (directory / "checkpoint.pt").write_bytes(b"not a checkpoint")
    code, _, err = cli("maml", "--dataset", str(pack), *QUICK)
    assert code == 1
    assert "checkpoint" in err
    assert "Traceback" not in err
    config = json.loads((directory / "config.json").read_text())
    edited = {**config, "config": {**config["config"], "seed": 5}}
    (directory / "config.json").write_text(json.dumps(edited))
    code, _, err = cli("maml", "--dataset", str(pack), *QUICK)
    assert code == 1
    assert "config" in err


def test_no_traceback_from_the_real_program(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "metaact", "maml", "--ways", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert result.stderr == "metaact: --ways must be an int >= 2; got 0.\n"


def test_one_class_is_named_before_anything_runs(cli: Cli, pack: Path, tmp_path: Path) -> None:
    with np.load(pack) as whole:
        one = whole["labels"] == 0
        np.savez("one.npz", images=whole["images"][one], labels=whole["labels"][one])
    for words, name in (
        (["converge", "--dataset", "one.npz"], "--dataset"),
        (["transfer", "one.npz", str(pack)], "SOURCE"),
        (["transfer", str(pack), "one.npz"], "TARGET"),
    ):
        _expect_failure(
            cli(*words, "--activation", "relu"), f"{name} must have at least 2", "one.npz"
        )
    _expect_failure(cli("maml", "--dataset", "one.npz", *QUICK), "one.npz", "3 classes")
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_contradictions_are_refused(cli: Cli, pack: Path, tmp_path: Path) -> None:
    _expect_failure(cli("compare", ".", "--json", "--csv"), "--json must be given without --csv")
    _expect_failure(cli("transfer", str(pack)), "TARGET must be given with the others")
    converge = ("converge", "--dataset", str(pack), "--layer-lrs", "")
    _expect_failure(cli(*converge), "'--layer-lrs': expected layer=rate")
    _expect_failure(cli("data", "get", "printed-digits", "nope"), "NAME must be one of")
    adam = ("converge", "--dataset", str(pack), "--optimizer", "adam", "--momentum", "0.5")
    _expect_failure(cli(*adam), "--momentum must be left out without optimizer sgd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["compare"], ["report"], ["runs", "list"]])
def test_where_nothing_was_run_it_is_said_how_to_begin(words: list[str], cli: Cli) -> None:
    _expect_failure(cli(*words), "no runs in runs yet; begin with `metaact maml")
    Path("runs").mkdir()
    again = cli(*words)
    assert again[0] == (0 if words[0] == "runs" else 2)
    assert "no runs in runs yet; begin with `metaact maml" in again[1] + again[2]


def test_names_of_strangers_are_shown_and_not_obeyed(cli: Cli, pack: Path, tmp_path: Path) -> None:
    name = "=1+1\x1b[31m.npz"
    (tmp_path / name).write_bytes(pack.read_bytes())
    ended = cli("maml", "--dataset", f"./{name}", *QUICK, "--activation", "relu")
    assert ended[0] == 0
    assert "=1+1\\x1b[31m.npz" in ended[1]
    assert "\x1b" not in ended[1] + ended[2]
    rows = cli("compare", "--csv", "--by", "dataset")[1].splitlines()
    assert "'=1+1" in rows[1]
    assert not any(cell.startswith(("=", '"=')) for cell in rows[1].split(","))
    shown = cli("data", "show", f"./{name}", "--ways", "2")
    assert shown[1].splitlines()[0] == "1+1-31m-sheet.png"
    drawn = {path.name for path in (tmp_path / "runs" / "figures").iterdir()}
    assert drawn
    assert all(name.startswith("maml-1+1-31m-") for name in drawn)


def test_no_command_prints_past_the_cleaning() -> None:
    folder = Path(metaact.cli.__file__).parent
    calls = [f.name for f in folder.glob("*.py") if "click.echo(" in f.read_text(encoding="utf-8")]
    assert sorted(calls) == ["output.py", "reference.py"]


def _in_a_shell(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-c", script.replace("metaact ", f"'{sys.executable}' -m metaact ")]
    root = str(Path(metaact.cli.__file__).parents[2])
    here = {**os.environ, "PYTHONPATH": root, **environment}
    return subprocess.run(words, check=False, capture_output=True, text=True, env=here)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("metaact activations list | true", ""),
        ("metaact activations list > /dev/full", "metaact: No space left on device.\n"),
        ("mkdir gone; cd gone; rmdir ../gone; metaact runs list", "metaact: no runs in runs yet"),
        ("PYTHONIOENCODING=latin-1 metaact maml --help", ""),
    ],
)
def test_an_odd_shell_gets_one_line_at_most(
    script: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No reader, a full disk, a working folder that is gone, an encoding without Greek letters."""
    if "/dev/full" in script and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.chdir(tmp_path)
    done = _in_a_shell(script)
    lines = [line for line in done.stderr.splitlines(keepends=True) if "Any of them" not in line]
    assert "".join(lines).startswith(said)
    assert len(lines) == bool(said), done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebook_s_backend_does_no_harm(tmp_path: Path, pack: Path) -> None:
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    words = [sys.executable, "-m", "metaact", "data", "show", str(pack), "--out", "x"]
    done = subprocess.run(
        words,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "note: made by a test\n"
