"""converge, transfer, table and figure on the command line: documents, continuing, bad input."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

SMALL = ["--epochs", "1", "--batch-size", "64"]


def test_converge_prints_one_document_and_continues(cli: Cli, pack: Path) -> None:
    words = ["converge", "--dataset", pack, *SMALL, "--lr", "0.02,1e-3"]
    words += ["--activation", "arelu,relu"]
    ended = cli(*words, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert [(a["value"], a["rates"]["lr"]) for a in study["arms"]] == [
        ("arelu", 1e-3),
        ("arelu", 0.02),
        ("relu", 1e-3),
        ("relu", 0.02),
    ]
    assert study["reference"] == "arelu"
    assert ended.json["figures"]
    assert all(Path(name).stat().st_size > 1000 for name in ended.json["figures"])
    assert ended.err.count("wrote ") == len(ended.json["figures"])
    again = cli(*words)
    assert again.code == 0
    assert again.err.count("complete already, reused") == 4
    assert "stuck α" in again.out
    assert again.out.startswith("Training from scratch on blobs.npz: mnist-conv")


def test_a_verb_says_what_compare_says(cli: Cli, pack: Path) -> None:
    words = ["converge", "--dataset", pack, *SMALL, "--lr", "0.02", "--seeds", "2"]
    verb = cli(*words, "--activation", "arelu,relu,tanh", "--margin", "3", "--json").json
    found = cli("compare", "runs", "--reference", "arelu", "--margin", "3", "--json").json
    (ours,), (other,) = verb["studies"], found["studies"]
    by_name = {arm["name"]: arm for arm in other["arms"]}
    assert {arm["name"]: arm for arm in ours["arms"]} == by_name
    assert ours["comparisons"] == other["comparisons"]
    for name in set(ours) - {"arms", "commands"}:
        assert ours[name] == other[name], name
    (again,), (command,) = ours["commands"], other["commands"]  # each in its order of the arms
    assert again.replace("arelu,relu,tanh", "relu,tanh,arelu") == command
    # A store has no first arm: there it is relu, unless another is named.
    (other,) = cli("compare", "runs", "--json").json["studies"]
    assert other["reference"] == "relu"
    verb = cli(*words, "--activation", "arelu,relu,tanh", "--reference", "relu", "--json").json
    assert verb["studies"][0]["reference"] == "relu"
    assert verb["studies"][0]["ranks"] == other["ranks"]


def test_transfer_reports_baselines_and_reading(cli: Cli, pack: Path) -> None:
    ended = cli("transfer", pack, pack, *SMALL, "--pretrain-epochs", "1", "--lr", "1e-3")
    assert ended.code == 0, ended.err
    assert "target only" in ended.out
    assert "never fine-tuned" in ended.out
    assert "source" in ended.out.splitlines()[2]
    assert "caption: pre-trained for 1 epoch," in ended.out
    words = ("transfer", pack, pack, *SMALL, "--protocol", "paper-text", "--text-epochs", "1")
    ended = cli(*words, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    notes = "Reading of the paper: text: pre-trained for 1 epoch, then fine-tuned for 1."
    assert notes in study["data_notes"]
    assert set(study["arms"][0]["columns"]) == {"source", "target only", "never fine-tuned"}


def test_config_file_may_hold_the_options(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        f'dataset = "{pack}"\nlr = [0.02]\nepochs = 1\nactivation = ["relu"]\nbatch_size = 64\n'
        "seed = [3]\n[layer-lrs]\nhead = 0.001\n",
        encoding="utf-8",
    )
    ended = cli("converge", "--config", "study.toml", "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert study["settings"]["layer_lrs"] == [["head", 0.001]]
    assert study["settings"]["batch_size"] == 64
    assert study["arms"][0]["seeds"] == [3]
    assert study["measure"]["chance"] == pytest.approx(1 / 30)


USAGE = [
    (["converge", "--activation", "arleu"], "arelu"),
    (["converge", "--lr", "nan"], "--lr must be a finite number > 0"),
    (["converge", "--lr", "1e-3,0"], "--lr"),
    (["converge", "--optimizer", "sdg"], "--optimizer must be one of sgd, adam; got 'sdg'"),
    (["converge", "--optimizer", "sgd,adm"], "Did you mean 'adam'?"),
    (["converge", "--by", "epoch"], "--by must be one of"),
    (["converge", "--by", "lr"], "--by must be one of"),
    (["converge", "--stack", "1,2"], "--stack must be one value"),
    (["converge", "--reference", "relu"], "--reference must be arelu"),
    (["converge", "--level", "1"], "--level must be"),
    (["converge", "--epochs", "0"], "--epochs must be an int >= 1"),
    (["converge", "--batch-size", "-1"], "--batch-size"),
    (["converge", "--momentum", "1"], "--momentum must be a number in [0, 1)"),
    (["converge", "--weight-decay", "-0.1"], "--weight-decay"),
    (["converge", "--decay", "none"], "--decay"),
    (["converge", "--first-epoch-points", "-1"], "--first-epoch-points"),
    (["converge", "--train-layers", "hed"], "'head'"),
    (["converge", "--train-layers", ","], "--train-layers"),
    (["converge", "--layer-lrs", "head"], "layer=rate"),
    (["converge", "--layer-lrs", "head=0"], "--layer-lrs"),
    (["converge", "--layer-lrs", "tail=0.1"], "--layer-lrs"),
    (["converge", "--train-layers", "activations", "--freeze-activations"], "leave something"),
    (["converge", "--activation", "relu", "--alpha", "0.5"], "--alpha and --beta need an arm"),
    (["converge", "--alpha", "7"], "--alpha must be a number in [0.01, 0.99]"),
    (["converge", "--alpha", "nan"], "--alpha must be finite numbers; got nan"),
    (["converge", "--beta", "1,inf"], "--beta must be finite numbers; got inf"),
    (["converge", "--activation", "arelu(alpha=0.5)", "--alpha", "0.2"], "need an arm"),
    (["converge", "--dataset", ""], "--dataset must be one of"),
    (["converge", "--epochs", str(10**20)], "--epochs must be an int in"),
    (["converge", "--epochs", str(10**12)], "--epochs must be an int in [1, 10000000]"),
    (["converge", "--batch-size", str(10**12)], "--batch-size must be an int in [1, "),
    (["transfer", "--epochs", str(10**12)], "--epochs must be an int in [1, 10000000]"),
    (["transfer", "--pretrain-epochs", str(10**12)], "--pretrain-epochs must be an int in"),
    (["transfer", "--text-epochs", str(10**12)], "--text-epochs must be an int in"),
    (["converge", "--to", "0"], "--to"),
    (["converge", "--to", "101"], "--to"),
    (["converge", "--stack", "0"], "--stack"),
    (["converge", "--protocol", "paper-text"], "--protocol"),
    (["converge", "--model", "resnet"], "conv4"),
    (["converge", "--dataset", "svhnn"], "svhn"),
    (["converge", "--seeds", "0"], "--seeds"),
    (["transfer", "printed-digits", "street-digit"], "TARGET must be one of"),
    (["transfer", "", "street-digits"], "SOURCE must be one of"),
    (["transfer", "--epochs", "5,0"], "--epochs must be an int >= 1"),
    (["transfer", "--pretrain-epochs", "0"], "--pretrain-epochs"),
    (["transfer", "--pretrain-lr", "inf"], "--pretrain-lr"),
    (["transfer", "--text-epochs", "0"], "--text-epochs"),
    (["transfer", "--lr", "-1"], "--lr"),
    (["transfer", "--protocol", "text"], "paper-text"),
    (["table", "9"], "'NUMBER': '9'"),
    (["table", "1", "--shots", "1"], "--shots must be left out (it is for table 3)"),
    (["table", "7", "--shots", "1"], "--shots must be left out (it is for table 3)"),
    (["table", "3", "--shots", "2"], "--shots must be of 1,5 (the table's columns); got 2."),
    (["table", "3", "--lr", "0.1"], "--lr must be left out (table 3 has one)"),
    (["table", "1", "--reading", "text"], "--reading must be left out"),
    (["table", "1", "--lr", "0.5"], "--lr must be of 0.01, 0.001"),
    (["table", "1", "--optimizer", "rmsprop"], "--optimizer"),
    (["table", "2", "--optimizer", "sgd"], "--optimizer"),
    (["table", "1", "--activation", "rellu"], "relu"),
    (["figure", "6"], "'6'"),
    (["figure", "3", "--lr", "1e-2"], "--lr must be of 0.0001, 1e-05"),
    (["figure", "2", "--lr", "1e-2,1e-3"], "--lr"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=lambda v: " ".join(v)[:40])
def test_bad_usage_is_one_line_and_exit_2(
    cli: Cli, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, out, err = cli(*arguments)
    assert code == 2, err
    assert out == ""
    assert words in err
    assert err.startswith("metaact: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_batches_larger_than_the_data_are_refused(cli: Cli, pack: Path) -> None:
    code, out, err = cli("transfer", pack, pack, "--batch-size", 10**6)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert "--batch-size must be an int in [1, " in err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfer", "nowhere/a.npz", "street-digits"], "metaact transfer printed-digits"),
        (["converge", "--dataset", "./nowhere"], "does not exist"),
    ],
)
def test_missing_data_is_one_line_and_exit_1(cli: Cli, arguments: list[str], words: str) -> None:
    code, _, err = cli(*arguments)
    assert code == 1
    assert words in err
    assert err.count("\n") == 1


def test_output_path_that_is_a_file(cli: Cli, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = cli("converge", "--dataset", str(pack), "--out", str(tmp_path / "file"))
    assert code == 2
    assert "is a file" in err


VERBS = ["maml", "converge", "transfer", "table", "figure", "compare", "report"]


@pytest.mark.parametrize("words", [[], *([verb] for verb in VERBS), ["runs", "list"]], ids=" ".join)
def test_help_is_light_and_shows_defaults(words: list[str]) -> None:
    code = (
        "import sys, time\n"
        "begun = time.process_time()\n"
        "from metaact.cli import cli\n"
        f"cli.main([*{words!r}, '--help'], standalone_mode=False)\n"
        "used = time.process_time() - begun\n"
        "heavy = {'torch', 'torchvision', 'scipy', 'numpy', 'matplotlib', 'tqdm', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert used < 1, used"  # 0.1 s where nothing else runs
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\\b" not in done.stdout
    if words:
        assert "default" in done.stdout
    else:
        assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


def test_python_m_metaact_is_the_command() -> None:
    words = [sys.executable, "-m", "metaact", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("metaact, version ")


def test_the_help_names_the_aliases(cli: Cli) -> None:
    shown = cli("maml", "--help").out
    for names in (
        "--meta-lr, --lr ",
        "--inner-steps, --steps ",
        "--test-inner-steps, --test-steps ",
    ):
        assert names in shown
