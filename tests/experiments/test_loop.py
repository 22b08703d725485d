"""The one loop: killed at any step a run ends bit for bit where an uninterrupted one would."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import metaact
from metaact import experiments
from metaact.experiments import TransferConfig, find, loop
from metaact.runs import RunStore
from metaact.settings import Config

Content = Callable[[Path], dict[str, bytes]]

# RReLU draws in training: its noise must be the same after a resume. Adam has moments to keep.
DRAWS: dict[str, dict[str, Any]] = {
    "maml": {
        "activation": "rrelu",
        "hold_out": "images",
        "ways": 2,
        "tasks": 2,
        "inner_steps": 1,
        "test_queries": 2,
        "test_episodes": 4,
        "validation_episodes": 2,
        "iterations": 3,
    },
    "converge": {"activation": "rrelu", "optimizer": "adam", "epochs": 3},
    "transfer": {"activation": "rrelu", "optimizer": "adam", "epochs": (1, 2)},
    "segment": {"activation": "rrelu"},
}
OWN = ("transfer", "segment")
"""Experiments whose small config has data of its own."""

STEPS = {"maml": 3, "converge": 3, "transfer": 2 + 2 + 2, "segment": 3}
RUNS = {"maml": 1, "converge": 1, "transfer": 3, "segment": 1}


@pytest.fixture(scope="module")
def drawing(configs: dict[str, Config], transfer_config: TransferConfig) -> dict[str, Config]:
    small = {"dataset": transfer_config.source}
    return {
        name: replace(configs[name], **change, **({} if name in OWN else small))  # type: ignore[type-var]
        for name, change in DRAWS.items()
    }


@pytest.fixture(scope="module")
def whole(
    drawing: dict[str, Config], tmp_path_factory: pytest.TempPathFactory, content: Content
) -> dict[str, dict[str, bytes]]:
    """What runs hold that nobody stopped."""
    found = {}
    for name, config in drawing.items():
        store = tmp_path_factory.mktemp("whole")
        assert experiments.run(find(name), [config], store).report.is_complete
        found[name] = content(store)
        assert len(found[name]) == 5 * RUNS[name]
    return found


@pytest.mark.parametrize(
    ("name", "step"),
    [(name, step) for name, steps in STEPS.items() for step in range(1, steps + 1)],
)
def test_killed_within_any_step(
    name: str,
    step: int,
    drawing: dict[str, Config],
    whole: dict[str, dict[str, bytes]],
    run_killed: Callable[..., object],
    tmp_path: Path,
    content: Content,
) -> None:
    """Before the step is saved: it is done again, from the checkpoint before it."""
    assert run_killed(find(name), [drawing[name]], tmp_path, after=step) is None
    unfinished = [run for run in RunStore(tmp_path).runs() if not run.is_complete]
    assert len(unfinished) == 1
    kept = unfinished[0].state() is not None
    assert kept == (step not in {1, *({3, 5} if name == "transfer" else ())})
    assert experiments.run(find(name), [drawing[name]], tmp_path).report.is_complete
    assert content(tmp_path) == whole[name]


@pytest.mark.parametrize("name", list(RUNS))
def test_killed_again_and_again_at_every_step(
    name: str,
    drawing: dict[str, Config],
    whole: dict[str, dict[str, bytes]],
    run_killed: Callable[..., object],
    tmp_path: Path,
    content: Content,
) -> None:
    """Each process does one step: the counts start where the checkpoint stood."""
    for step in range(2, STEPS[name] + 1):
        run_killed(find(name), [drawing[name]], tmp_path, after=step)
    assert experiments.run(find(name), [drawing[name]], tmp_path).report.is_complete
    assert content(tmp_path) == whole[name]


@pytest.mark.parametrize(
    ("name", "number"), [(n, k) for n, runs in RUNS.items() for k in range(1, runs + 1)]
)
def test_killed_while_the_result_is_written(
    name: str,
    number: int,
    drawing: dict[str, Config],
    whole: dict[str, dict[str, bytes]],
    run_killed: Callable[..., object],
    tmp_path: Path,
    content: Content,
) -> None:
    assert run_killed(find(name), [drawing[name]], tmp_path, finishing=number) is None
    assert experiments.run(find(name), [drawing[name]], tmp_path).report.is_complete
    assert content(tmp_path) == whole[name]


@pytest.mark.parametrize("name", list(RUNS))
def test_killed_before_any_checkpoint(
    name: str,
    drawing: dict[str, Config],
    whole: dict[str, dict[str, bytes]],
    run_killed: Callable[..., object],
    tmp_path: Path,
    content: Content,
) -> None:
    run_killed(find(name), [drawing[name]], tmp_path, after=2, checkpoints=False)
    (run,) = RunStore(tmp_path).runs()
    assert run.is_started
    assert run.state() is None or name == "transfer"
    assert experiments.run(find(name), [drawing[name]], tmp_path).report.is_complete
    assert content(tmp_path) == whole[name]


@pytest.mark.parametrize("name", ["converge", "transfer", "maml"])
def test_a_group_that_was_killed_ends_as_the_uninterrupted_group(
    name: str,
    drawing: dict[str, Config],
    run_killed: Callable[..., object],
    tmp_path: Path,
    content: Content,
) -> None:
    """Two seeds and another arm side by side, killed after two steps of some: all go on."""
    sgd = {} if name == "maml" else {"optimizer": "sgd"}
    base: Any = replace(drawing[name], activation="arelu", stack=3, **sgd)  # type: ignore[type-var,call-arg]
    group = [*(replace(base, seed=seed) for seed in range(2)), replace(base, activation="relu")]
    experiments.run(find(name), group, tmp_path / "whole")
    run_killed(find(name), group, tmp_path / "killed", after=5)
    experiments.run(find(name), group, tmp_path / "killed")
    assert _close(content(tmp_path / "killed"), content(tmp_path / "whole"))


@pytest.mark.parametrize("name", list(RUNS))
def test_stopped_between_steps_everything_is_saved(
    name: str,
    drawing: dict[str, Config],
    whole: dict[str, dict[str, bytes]],
    tmp_path: Path,
    content: Content,
) -> None:
    """Though no checkpoint was due."""
    ready = experiments.prepare(find(name), [drawing[name]], tmp_path)
    ticks = 0

    def tick(steps: int) -> None:
        nonlocal ticks
        ticks += steps
        if ticks == 2:
            raise loop.StoppedError

    with pytest.raises(KeyboardInterrupt):
        ready.run(tick=tick)
    (run,) = RunStore(tmp_path).runs()
    state = run.state()
    assert state is not None
    done = {"maml": lambda: state["iteration"], "segment": lambda: state["folds"][0]["epochs"]}
    assert done.get(name, lambda: state["trainer"]["epochs"])() == 2
    assert experiments.run(find(name), [drawing[name]], tmp_path).report.is_complete
    assert content(tmp_path) == whole[name]


def test_a_group_that_is_stopped_is_saved_as_a_whole(
    drawing: dict[str, Config], tmp_path: Path
) -> None:
    """Whichever run of it is told first, all have done the step."""
    base: Any = replace(drawing["converge"], activation="arelu", stack=3)  # type: ignore[type-var,call-arg]
    group = [replace(base, seed=seed) for seed in range(3)]
    calls = 0

    def tick(steps: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise loop.StoppedError

    with pytest.raises(loop.StoppedError):
        experiments.run(find("converge"), group, tmp_path, tick=tick)
    states = [run.state() for run in RunStore(tmp_path).runs()]
    assert [state["trainer"]["epochs"] for state in states if state] == [2, 2, 2]
    assert experiments.run(find("converge"), group, tmp_path).report.is_complete


def _close(found: dict[str, bytes], expected: dict[str, bytes]) -> bool:
    """Whether records of two stores agree to the rounding that blocked sums are allowed."""
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        if name.endswith("metrics.jsonl"):
            pairs = zip(found[name].splitlines(), content.splitlines(), strict=True)
            for one, other in pairs:
                a, b = json.loads(one), json.loads(other)
                for key in a.keys() & {"epoch", "step", "iteration"}:
                    assert a[key] == b[key]
                assert a.keys() == b.keys()
                for key in a.keys() & {"train_loss", "test_loss", "validation_loss"}:
                    assert a[key] == pytest.approx(b[key], rel=1e-3, abs=1e-4), (name, key)
    return True


def test_a_checkpoint_that_does_not_fit_says_what_to_do(
    drawing: dict[str, Config], run_killed: Callable[..., object], tmp_path: Path
) -> None:
    for name in ("maml", "converge"):
        run_killed(find(name), [drawing[name]], tmp_path, after=2)
        (run,) = RunStore(tmp_path).runs(name)
        with run.lock():
            run.resume()
            run.checkpoint({"other": 1})
        report = experiments.run(find(name), [drawing[name]], tmp_path).report
        ((_, reason),) = report.failed
        assert "does not fit this run" in reason
        assert "delete that directory" in reason
        assert not report.is_complete


# What follows starts processes: seconds for each, so few of them.

PROGRAM = (
    "from metaact.experiments import loop; loop.CHECKPOINT_SECONDS = 0.05\n"
    "from metaact.cli import main; main()"
)
COMMANDS = {
    "maml": "maml --iterations 24 --tasks 4 --test-episodes 8 --activation arelu",
    "converge": "converge --activation rrelu,arelu --lr 0.01 --epochs 6 --seeds 2 --batch-size 32",
}


def _command(name: str, pack: Path, out: Path) -> list[str]:
    paths = ["--dataset", str(pack), "--out", str(out)]
    return [sys.executable, "-c", PROGRAM, *COMMANDS[name].split(), *paths]


def _environment() -> dict[str, str]:
    root = str(Path(metaact.__file__).parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}


@pytest.mark.slow
def test_kill_nine_at_random_moments(pack: Path, tmp_path: Path, content: Content) -> None:
    """One experiment stands for all: the loop is shared; its steps are tried one by one above."""
    name = "maml"
    run = {"env": _environment(), "check": True, "capture_output": True}
    subprocess.run(_command(name, pack, tmp_path / "whole"), **run)  # type: ignore[call-overload]
    moments, reached = random.Random(0), 0
    for _ in range(2):
        process = subprocess.Popen(
            _command(name, pack, tmp_path / "killed"),
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        runs, deadline = tmp_path / "killed" / name, time.monotonic() + 60
        while not list(runs.glob("*/checkpoint.pt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached += process.returncode == -signal.SIGKILL
    assert reached, "every process had ended before it was killed"
    subprocess.run(_command(name, pack, tmp_path / "killed"), **run)  # type: ignore[call-overload]
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_on_one_store_end_as_one(
    pack: Path, tmp_path: Path, content: Content
) -> None:
    run = {"env": _environment(), "check": True, "capture_output": True}
    subprocess.run(_command("converge", pack, tmp_path / "whole"), **run)  # type: ignore[call-overload]
    both = [
        subprocess.Popen(
            _command("converge", pack, tmp_path / "shared"),
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0 or b"another process is working on it" in err
    assert content(tmp_path / "shared") == content(tmp_path / "whole")
