"""The scripts of the guides run as printed; a killed sweep and a shared one end complete."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "gain"), [("converge", 0.2), ("transfer", 0.1)])
def test_guide_runs_as_printed(
    guide: str,
    gain: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """AReLU leads ReLU, and fine-tuning leads training from scratch, by far at these rates."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(block, guide, "exec"), names)
    assert names["gain"] > gain  # type: ignore[operator]
    assert "arelu" in capsys.readouterr().out


def command(pack: Path, out: Path) -> list[str]:
    options = ["--dataset", str(pack), "--activation", "rrelu,arelu", "--lr", "0.01"]
    options += ["--epochs", "10", "--seeds", "2", "--batch-size", "32", "--out", str(out)]
    return [sys.executable, "-m", "metaact.cli", "converge", *options]


def metrics(out: Path) -> dict[str, str]:
    """Metrics of every run, and proof that it is complete."""
    found = {}
    for folder in (out / "converge").iterdir():
        assert json.loads((folder / "result.json").read_text())["outcome"] == "complete"
        found[folder.name] = (folder / "metrics.jsonl").read_text()
    return found


@pytest.mark.slow
def test_killed_and_shared_sweeps_end_as_the_uninterrupted_one(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    subprocess.run(command(pack, tmp_path / "whole"), check=True, capture_output=True)
    whole = metrics(tmp_path / "whole")
    assert len(whole) == 4

    killed = tmp_path / "killed"
    draw = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(
            command(pack, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = time.monotonic()
        while not (killed / "converge").exists() and time.monotonic() - begun < 60:
            time.sleep(0.05)
        time.sleep(draw.uniform(0.1, 1.0))
        process.kill()
        process.wait()
    subprocess.run(command(pack, killed), check=True, capture_output=True)
    assert metrics(killed) == whole

    shared = tmp_path / "shared"
    both = [
        subprocess.Popen(command(pack, shared), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0 or b"another process is working on it" in err
    assert metrics(shared) == whole
