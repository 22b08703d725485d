"""`benchmarks/gpu.py`, as it is run where there is no GPU, and its way with one, emulated."""

from __future__ import annotations

import importlib
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from metaact.adaptation.supervised import optimizers

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("gpu")


def test_it_runs_on_a_cpu_and_says_what_needs_cuda() -> None:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all checks passed" in done.stdout
    rows = done.stdout.splitlines()
    assert sum(row.endswith("ok") for row in rows) >= 24
    assert sum(row.endswith("needs CUDA") for row in rows) >= 30
    assert sum(row.endswith("x") for row in rows) >= 12


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_it_refuses_a_gpu_that_is_not_there(
    gpu: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "--device cpu" in capsys.readouterr().err


def test_what_needs_cuda_runs_where_it_is_emulated(
    gpu: ModuleType,
    emulated: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts, checks = (importlib.import_module(f"gpu_{name}") for name in ("parts", "checks"))
    monkeypatch.setattr(checks, "unwaited", nullcontext)
    monkeypatch.setattr(optimizers, "_check_precision", lambda model, recipe: None)
    table, data = parts.Table(torch.device("cpu")), parts.images(parts.QUICK)
    table.cuda = True
    for part in (checks.waiting, checks.graphs, checks.precision):
        part(table, data, parts.QUICK)
    printed = capsys.readouterr().out
    assert table.failed == 0, printed
    assert "needs CUDA" not in printed
    assert emulated.replays > 20


def test_a_check_that_fails_is_counted_and_the_others_go_on(
    gpu: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    table = gpu.Table(torch.device("cpu"))
    table.check("too much", lambda: 2.0, 1.0)
    table.check("not a number", lambda: float("nan"), 1.0)
    table.check("an error", lambda: 1 / 0, 1.0)
    table.check("good", lambda: 0.5, 1.0)
    table.check("elsewhere", lambda: 2.0, 1.0, cuda=True)
    assert table.failed == 3
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in rows] == ["FAILED", "FAILED", "zero", "ok", "CUDA"]
