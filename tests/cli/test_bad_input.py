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
    (["--model", "mnist-conv", "--batch-norm", "batch"], "--batch-norm"),
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
    _expect_failure(run("maml", "--dataset", str(pack), *QUICK, "--out", "taken"), "taken")
    assert (tmp_path / "taken").read_text() == "mine"


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
