"""Worker processes: the same runs to the bit, also killed; none is left behind.

A worker takes seconds to start (it imports PyTorch), so few tests start some.
"""

from __future__ import annotations

import os
import random
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import metaact
from metaact import experiments
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, MAML, TRANSFER, ConvergeConfig, TransferConfig, loop
from metaact.runs import RunStore
from metaact.settings import Config

Content = Callable[[Path], dict[str, bytes]]
TOY = Path(__file__).resolve().parents[1] / "toy_experiment.py"
KILLING = Path(metaact.__file__).parents[1] / "benchmarks" / "killed_workers.py"
children: Callable[[int], list[int]] = runpy.run_path(str(KILLING))["children"]

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


def is_alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An activation of the user's own, in a folder that only this program knows."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "of_mine.py").write_text(
        "from torch import nn\n\n\n"
        "def leaky():\n    print('printed')\n    return nn.LeakyReLU(0.1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "code")
    return "of_mine:leaky"


@linux
@pytest.mark.slow
def test_killed_at_random_three_times_ends_as_one_process_would(
    transfer_config: TransferConfig,
    mine: str,
    tmp_path: Path,
    content: Content,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`benchmarks/killed_workers.py` does it twenty times on a longer sweep."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    base = replace(transfer_config, pretrain_epochs=6, epochs=(6,), pretrain_lr=0.01)
    configs = [replace(base, activation=name) for name in ("rrelu", mine)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what workers have, too
    try:
        assert experiments.run(TRANSFER, configs, tmp_path / "whole").report.is_complete
    finally:
        torch.set_num_threads(threads)
    ready = experiments.prepare(TRANSFER, configs, tmp_path / "killed")
    capfd.readouterr()
    draw = random.Random(1)
    moments = sorted(draw.sample(range(1, 30), 3))
    ticks = 0

    def tick(steps: int) -> None:
        nonlocal ticks
        ticks += 1
        if moments and ticks >= moments[0] and (found := children(os.getpid())):
            del moments[0]
            os.kill(draw.choice(found), signal.SIGKILL)

    said: list[str] = []
    for _ in range(2):  # two kills at one point of a run are taken for its fault
        outcome = ready.run(workers=2, tick=tick, say=said.append)
        if outcome.report.is_complete:
            break
    assert outcome.report.complaints() == []
    assert not moments
    assert any("its worker died (SIGKILL" in line for line in said)
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert sum(bool(re.match(r"\d/\d .* %", line)) for line in said) == 6
    assert said.count("printed") == 1
    assert capfd.readouterr().out == ""
    assert children(os.getpid()) == []
    used = {run.environment()["threads"] for run in RunStore(tmp_path / "killed").runs()}
    assert used == {1}


def toy(out: Path) -> subprocess.Popen[str]:
    """A sweep by two workers that takes half a minute, in a process group of its own."""
    root = str(Path(metaact.__file__).parents[1])
    environment = {"METAACT_TOY_SECONDS": "0.3", "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    words = ["toy", "--activation", "relu,elu,gelu", "--steps", "100", "--workers", "2", "--out"]
    process = subprocess.Popen(
        [sys.executable, str(TOY), *words, str(out)],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What a shell starts in the background ignores Ctrl-C, and hands that on.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("toy/*/environment.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.7)
    return process


@linux
@pytest.mark.slow
def test_ctrl_c_saves_every_run_where_it_is(tmp_path: Path) -> None:
    with toy(tmp_path) as process:
        workers = children(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(90) == 130
        assert process.stderr is not None
        talk = process.stderr.read()
    assert len(workers) == 2
    assert not any(is_alive(pid) for pid in workers)
    assert talk.splitlines()[-1] == "metaact: stopped; the same command continues where it was."
    assert "Traceback" not in talk
    runs = RunStore(tmp_path).runs()
    assert len(runs) == 3
    for run in runs:  # well before the first checkpoint was due
        state = run.state()
        assert state is not None
        assert len(run.metrics()) == state["done"] >= 1


@linux
@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with toy(tmp_path) as process:
        workers = children(process.pid)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 5
        while any(is_alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(workers) == 2
        assert not any(is_alive(pid) for pid in workers)
    assert not any(run.is_busy for run in RunStore(tmp_path).runs())


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_number_of_workers_that_is_none_is_refused(
    workers: Any, converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="`workers` must be an int >= 1"):
        experiments.run(CONVERGE, [converge_config], tmp_path, workers=workers)
    if workers != 0:
        with pytest.raises(UsageError, match="`limit` must be an int >= 0"):
            experiments.run(CONVERGE, [converge_config], tmp_path, limit=workers)
    assert not list(tmp_path.iterdir())


def test_one_run_or_one_free_core_starts_no_process(
    configs: dict[str, Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr("metaact.experiments.processes.Process", refuse)
    config: Any = replace(configs["maml"], iterations=1)  # type: ignore[type-var,call-arg]
    assert experiments.run(MAML, [config], tmp_path, workers=8).report.is_complete
    monkeypatch.setattr("metaact.experiments.study.free_cores", lambda: 1)
    two = [replace(config, seed=seed) for seed in (1, 2)]
    assert experiments.run(MAML, two, tmp_path, workers=None).report.is_complete
    monkeypatch.setattr("metaact.experiments.study.free_cores", lambda: 2)
    two = [replace(config, seed=seed) for seed in (3, 4)]
    with pytest.raises(AssertionError):
        experiments.run(MAML, two, tmp_path, workers=None)


def test_an_experiment_that_no_process_can_import_is_refused(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    other = replace(CONVERGE, name="elsewhere")
    two = [replace(converge_config, seed=seed) for seed in (1, 2)]
    with pytest.raises(UsageError, match=r"`workers` must be 1 .*experiments\.register"):
        experiments.run(other, two, tmp_path, workers=2)
