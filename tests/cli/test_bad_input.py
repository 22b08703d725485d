"""What bad input gets: one line that names option, allowed, why and seen; nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metaact.cli import main

Run = Callable[..., tuple[int, str, str]]

QUICK = ["--iterations", "2", "--tasks", "2", "--test-episodes", "4"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the program in-process; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["metaact", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


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
    (["--steps", "0"], "--steps must be an int >= 1"),
    (["--tasks", "0"], "--tasks"),
    (["--iterations", "0"], "--iterations"),
    (["--seeds", "0"], "--seeds"),
    (["--inner-lr", "nan"], "--inner-lr must be a finite number > 0"),
    (["--inner-lr", "fast"], "--inner-lr"),
    (["--inner-lr", "0.1,-1"], "--inner-lr"),
    (["--lr", "inf"], "--lr must be a finite number > 0"),
    (["--lr", "0"], "--lr"),
    (["--model", "conv5"], "conv4"),
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
]


@pytest.mark.parametrize(("arguments", "word"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_wrong_usage(arguments: list[str], word: str, run: Run, pack: Path, tmp_path: Path) -> None:
    code, out, err = run("maml", "--dataset", str(pack), *QUICK, *arguments)
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


def test_output_path_is_a_file(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    arguments = ("maml", "--dataset", str(pack), *QUICK)
    _expect_failure(run(*arguments, "--out", "taken"), "--out", "taken is a file")
    _expect_failure(run(*arguments, "--out", "taken/runs"), "--out", "taken is a file")
    assert (tmp_path / "taken").read_text() == "mine"


def test_output_path_is_a_run_or_inside_one(run: Run, pack: Path, tmp_path: Path) -> None:
    arguments = ("maml", "--dataset", str(pack), *QUICK)
    assert run(*arguments)[0] == 0
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    _expect_failure(run(*arguments, "--out", str(directory)), "--out", "itself one run")
    _expect_failure(run(*arguments, "--out", str(directory / "x")), "--out", "inside one run")


def test_data_root_is_a_file(run: Run, pack: Path) -> None:
    _expect_failure(run("data", "get", "glyphs", "--data-root", str(pack)), "--data-root", "a file")


@pytest.mark.parametrize("arguments", [["activations", "plot"], ["data", "show", "glyphs"]])
@pytest.mark.parametrize("out", ["", ".", "/", ".."])
def test_pictures_need_a_name(arguments: list[str], out: str, run: Run) -> None:
    _expect_failure(run(*arguments, "--out", out), "'--out': expected a")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "show", "glyfs"], "NAME must be one of"),
        (["data", "get", "glyfs"], "NAME... must be one of"),
        (["data", "get"], "NAME..."),
        (["table"], "Missing argument 'NUMBER'"),
        (["mamll"], "Did you mean 'maml'?"),
    ],
)
def test_wrong_arguments(arguments: list[str], words: str, run: Run) -> None:
    result = run(*arguments)
    assert result[0] == 2
    _expect_failure(result, words)


def test_truncated_pack(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.npz").write_bytes(pack.read_bytes()[:5000])
    _expect_failure(run("maml", "--dataset", "cut.npz", *QUICK), "cut.npz")
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
    changes: dict[str, np.ndarray], word: str, run: Run, pack: Path, tmp_path: Path
) -> None:
    with np.load(pack) as content:
        np.savez(tmp_path / "wrong.npz", **{**content, **changes})
    _expect_failure(run("maml", "--dataset", "wrong.npz", *QUICK), word, "wrong.npz")


def test_folders_without_images(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _expect_failure(run("maml", "--dataset", "empty", *QUICK), "empty")
    _expect_failure(run("maml", "--dataset", "not/there", *QUICK), "not/there")


def test_one_broken_image(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "a"
    folder.mkdir(parents=True)
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    _expect_failure(run("maml", "--dataset", "pictures", *QUICK), "broken.png")


def test_no_network(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "none"))
    _expect_failure(run("maml", "--dataset", "mnist", *QUICK), "mnist", "glyphs")


def test_image_that_is_not_square(run: Run, pack: Path, tmp_path: Path) -> None:
    with np.load(pack) as content:
        np.savez(
            tmp_path / "half.npz", images=content["images"][:, :, :14], labels=content["labels"]
        )
    _expect_failure(run("maml", "--dataset", "half.npz", *QUICK), "28x28", "got 14")


CONFIGS = [
    ('ways = "five"', "'ways' must be a whole number; got 'five'"),
    ("ways = 5.5", "'ways' must be a whole number; got 5.5"),
    ("ways = true", "'ways' must be a whole number; got True"),
    ("seeds = [1]", "'seeds' must be a whole number; got [1]"),
    ('inner_lr = "fast"', "--inner-lr"),
    ("inner-lr = [true]", "'inner-lr' must be a number or a list of them; got [True]"),
    ("inner-lr = [[0.1]]", "'inner-lr' must be a number or a list of them"),
    ("inner-lr = 2020-01-01", "'inner-lr' must be a number or a list of them"),
    ("lr = true", "'lr' must be a number; got True"),
    ("lr = nan", "--lr must be a finite number > 0; got nan"),
    ("first_order = 1", "'first_order' must be true or false; got 1"),
    ("activation = [5]", "'activation' must be text or a list of texts; got [5]"),
    ("dataset = 5", "'dataset' must be text; got 5"),
    ("out = 5", "'out' must be text; got 5"),
    ("[out]\nx = 1", "'out' must be text"),
    ("inner-lr = 0.1\ninner_lr = 0.2", "given twice"),
    ('config = "other.toml"', "unknown key 'config'"),
    ("[maml]\nways = 5", "unknown key 'maml'"),
]


@pytest.mark.parametrize(("text", "words"), CONFIGS, ids=[text for text, _ in CONFIGS])
def test_wrong_values_in_a_config_file(
    text: str, words: str, run: Run, pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "file.toml").write_text(text + "\n")
    code, out, err = run("maml", "--dataset", str(pack), *QUICK, "--config", "file.toml")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["", ".", "nowhere.toml"])
def test_no_config_file(name: str, run: Run) -> None:
    code, _, err = run("maml", "--config", name)
    assert (code, err.count("\n"), "--config" in err) == (2, 1, True)


def test_the_command_line_wins_over_the_config_file(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "file.toml").write_text(
        f'dataset = "{pack}"\nactivation = ["relu"]\nways = 4\nshots = 2\n'
        'out = "kept"\njson = true\n'
    )
    code, out, err = run("maml", *QUICK, "--config", "file.toml", "--ways", "3")
    assert code == 0, err
    summary = json.loads(out)
    assert (summary["settings"]["ways"], summary["settings"]["shots"]) == (3, 2)
    assert summary["arms"][0]["activation"] == "relu"
    assert (tmp_path / "kept" / "maml").is_dir()


OWN = """
from torch import nn

class Late(nn.Module):
    def forward(self, x):
        if x.shape[-1] == 12:
            raise KeyError("first line\\nsecond line")
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
def test_own_activation_that_cannot_be_used(spec: str, words: str, run: Run, pack: Path) -> None:
    result = run("maml", "--dataset", str(pack), *QUICK, "--activation", spec)
    _expect_failure(result, "--activation", words)


@pytest.mark.usefixtures("own")
def test_an_arm_that_fails_or_diverges_is_named_and_the_others_stay(run: Run, pack: Path) -> None:
    arms = "relu,own_activations:Late,own_activations:Nan"
    code, out, err = run("maml", "--dataset", str(pack), *QUICK, "--activation", arms, "--json")
    summary = json.loads(out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert code == 1
    assert [arm["complete"] for arm in summary["arms"]] == [1, 0, 1]
    assert [arm["diverged"] for arm in summary["arms"]] == [[], [], [0]]
    (complaint,) = [line for line in err.splitlines() if line.startswith("metaact: ")]
    assert "failed: own_activations:Late" in complaint
    assert "KeyError" in complaint
    assert "Traceback" not in err


def test_figures_that_cannot_be_written_do_not_hide_the_result(
    run: Run, pack: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "figures").write_text("in the way")
    code, out, err = run("maml", "--dataset", str(pack), *QUICK, "--json")
    assert code == 1
    assert json.loads(out)["arms"][0]["complete"] == 1
    assert err.startswith("metaact: no figures: ")
    assert err.count("\n") == 1


def test_ctrl_c_is_one_line_and_130(run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from metaact.experiments import sweep

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "_attempt", stop)
    code, out, err = run("maml", "--dataset", str(pack), *QUICK)
    assert (code, out) == (130, "")
    assert err == "metaact: stopped; the same command continues where it was.\n"


@pytest.mark.parametrize("words", [(), ("data",), ("activations",)])
def test_no_command_shows_the_help(words: tuple[str, ...], run: Run) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Commands:" in err
    assert err.count("\n") > 5


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "episodes.jsonl"])
@pytest.mark.parametrize("content", [b"", b"{}\n", b"{", b"\xff"])
def test_a_damaged_record_is_made_again(
    name: str,
    content: bytes,
    run: Run,
    pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On a slow machine there would be a checkpoint, which is not thrown away for lost metrics.
    monkeypatch.setattr("metaact.experiments.maml.CHECKPOINT_SECONDS", float("inf"))
    arguments = ("maml", "--dataset", str(pack), *QUICK, "--activation", "relu", "--json")
    _, first, _ = run(*arguments)
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    (directory / name).write_bytes(content)
    code, out, err = run(*arguments)
    assert code == 0, err
    assert json.loads(out)["arms"] == json.loads(first)["arms"]
    assert "reused" not in err


def test_config_file(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(f'dataset = "{pack}"\ninner_lr = [0.01]\nshots = 0\n')
    code, _, err = run("maml", *QUICK, "--config", "good.toml")
    assert (code, "--shots" in err) == (2, True)
    (tmp_path / "unknown.toml").write_text("shotts = 1\n")
    code, _, err = run("maml", *QUICK, "--config", "unknown.toml")
    assert (code, "shotts" in err, len(err.strip().splitlines())) == (2, True, 1)
    (tmp_path / "broken.toml").write_text("shots = = 1\n")
    code, _, err = run("maml", *QUICK, "--config", "broken.toml")
    assert (code, "TOML" in err) == (2, True)


def test_damaged_checkpoint_and_foreign_config(run: Run, pack: Path, tmp_path: Path) -> None:
    code, _, _ = run("maml", "--dataset", str(pack), *QUICK)
    assert code == 0
    (directory,) = (tmp_path / "runs" / "maml").iterdir()
    (directory / "result.json").unlink()
    (directory / "checkpoint.pt").write_bytes(b"not a checkpoint")
    code, _, err = run("maml", "--dataset", str(pack), *QUICK)
    assert code == 1
    assert "checkpoint" in err
    assert "Traceback" not in err
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "seed": 5}))
    code, _, err = run("maml", "--dataset", str(pack), *QUICK)
    assert code == 1
    assert "config" in err


def test_no_traceback_from_the_real_program(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "metaact.cli", "maml", "--ways", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert result.stderr == "metaact: --ways must be an int >= 2; got 0.\n"
