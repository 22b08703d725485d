"""converge, transfer, table and figure on the command line: documents, continuing, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metaact.cli import main

Run = Callable[..., tuple[int, str, str]]

SMALL = ["--epochs", "1", "--batch-size", "64"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the program in-process; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "empty"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["metaact", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


def test_converge_prints_one_document_and_continues(run: Run, pack: Path) -> None:
    arguments = ["converge", "--dataset", str(pack), *SMALL, "--lr", "0.02,1e-3", "--seeds", "2"]
    code, out, err = run(*arguments, "--activation", "arelu,relu", "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert [(a["activation"], a["lr"]) for a in summary["arms"]] == [
        ("arelu", 0.02),
        ("relu", 0.02),
        ("arelu", 1e-3),
        ("relu", 1e-3),
    ]
    assert all(Path(name).exists() for name in summary["figures"])
    code, out, err = run(*arguments, "--activation", "arelu,relu")
    assert code == 0
    assert err.count("complete already, reused") == 8
    assert "stuck α" in out
    assert out.startswith("mnist-conv on blobs.npz")


def test_transfer_reports_baselines_and_reading(run: Run, pack: Path) -> None:
    code, out, err = run(
        *("transfer", str(pack), str(pack), *SMALL, "--pretrain-epochs", "1", "--lr", "1e-3")
    )
    assert code == 0, err
    assert "target only" in out
    assert "never fine-tuned" in out
    assert "caption: pre-trained for 1 epochs" in out
    code, out, err = run(
        *("transfer", str(pack), str(pack), *SMALL, "--protocol", "paper-text"),
        *("--text-epochs", "1", "--json"),
    )
    assert code == 0, err
    assert json.loads(out)["reading"].startswith("text: ")


def test_config_file_may_hold_the_options(run: Run, pack: Path, tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        f'dataset = "{pack}"\nlr = [0.02]\nepochs = 1\nactivation = ["relu"]\n'
        "[layer-lrs]\nhead = 0.001\n",
        encoding="utf-8",
    )
    code, out, err = run("converge", "--config", str(file), "--json")
    assert code == 0, err
    assert json.loads(out)["settings"]["layer_lrs"] == [["head", 0.001]]


USAGE = [
    (["converge", "--activation", "arleu"], "arelu"),
    (["converge", "--lr", "nan"], "--lr must be a finite number > 0"),
    (["converge", "--lr", "1e-3,0"], "--lr"),
    (["converge", "--optimizer", "sdg"], "'sgd'"),
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
    (["transfer", "--batch-size", str(10**6)], "--batch-size must be an int in [1, "),
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
    (["table", "3"], "'NUMBER': '3'"),
    (["table", "1", "--reading", "text"], "--reading must be left out"),
    (["table", "1", "--lr", "0.5"], "--lr must be of 0.01, 0.001"),
    (["table", "1", "--optimizer", "rmsprop"], "--optimizer"),
    (["table", "2", "--optimizer", "sgd"], "--optimizer"),
    (["table", "1", "--activation", "rellu"], "relu"),
    (["figure", "4"], "'4'"),
    (["figure", "3", "--lr", "1e-2"], "--lr must be of 0.0001, 1e-05"),
    (["figure", "2", "--lr", "1e-2,1e-3"], "--lr"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=lambda v: " ".join(v)[:40])
def test_bad_usage_is_one_line_and_exit_2(
    run: Run, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, out, err = run(*arguments)
    assert code == 2, err
    assert out == ""
    assert words in err
    assert err.startswith("metaact: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["transfer", "nowhere/a.npz", "street-digits"], "metaact transfer printed-digits"),
        (["converge", "--dataset", "./nowhere"], "does not exist"),
    ],
)
def test_missing_data_is_one_line_and_exit_1(run: Run, arguments: list[str], words: str) -> None:
    code, _, err = run(*arguments)
    assert code == 1
    assert words in err
    assert err.count("\n") == 1


def test_output_path_that_is_a_file(run: Run, pack: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("converge", "--dataset", str(pack), "--out", str(tmp_path / "file"))
    assert code == 2
    assert "is a file" in err


@pytest.mark.parametrize("verb", ["converge", "transfer", "table", "figure"])
def test_help_is_light_and_shows_defaults(verb: str) -> None:
    code = (
        "import sys\n"
        "from metaact.cli import cli\n"
        f"cli.main([{verb!r}, '--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'torchvision', 'scipy', 'numpy', 'matplotlib', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "default" in done.stdout
    assert "\\b" not in done.stdout
