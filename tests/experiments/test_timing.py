"""How long a run would take: whole steps timed in a scratch directory, or by its own estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from metaact import experiments
from metaact.experiments import Member, find, timing
from metaact.experiments.job import Job
from metaact.settings import Config


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", found)
    return found


@pytest.fixture
def job(configs: dict[str, Config], tmp_path: Path) -> Job:
    return experiments.prepare(find("converge"), [configs["converge"]], tmp_path).jobs[0]


def stepping(clock: Clock, *seconds: float, places: list[Path]) -> SimpleNamespace:
    """A module whose runs take such steps, each longer than the clock says it is by nothing."""

    def execute(members: Sequence[Member], shared: Any, *, tick: Callable[[], None]) -> None:
        places.append(members[0].run.directory)
        for one in seconds:
            clock.now += one
            tick()

    return SimpleNamespace(execute=execute)


@pytest.mark.parametrize(
    ("steps", "length", "expected"),
    [
        ([5.0, 2.0, 2.0, 99.0], 10, 20.0),  # the first warms up, a fourth is not begun
        ([8.0, 4.0, 99.0], 10, 40.0),  # ten seconds are enough
        ([30.0, 99.0], 10, 300.0),
        ([3.0, 1.0], 2, 4.0),  # all of it
    ],
)
def test_whole_steps_are_timed_in_a_directory_that_is_thrown_away(
    steps: list[float], length: int, expected: float, job: Job, clock: Clock, tmp_path: Path
) -> None:
    places: list[Path] = []
    computes: Any = stepping(clock, *steps, places=places)
    planned = replace(job.planned, length=length)
    assert timing.estimate(replace(job, computes=computes, planned=planned)) == expected
    assert len(places) == 1
    assert not places[0].parent.exists()
    assert not list(tmp_path.iterdir())


def test_what_fails_at_once_has_no_estimate(job: Job) -> None:
    def execute(*arguments: Any, **options: Any) -> None:
        raise KeyError("mine")

    computes: Any = SimpleNamespace(execute=execute)
    assert timing.estimate(replace(job, computes=computes)) is None


def test_an_estimate_of_its_own_comes_first(job: Job) -> None:
    computes: Any = SimpleNamespace(estimate=lambda planned, shared: planned.length * 2)
    assert timing.estimate(replace(job, computes=computes)) == 2 * job.planned.length


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_the_built_in_estimates_scale_with_the_length(
    name: str, configs: dict[str, Config], tmp_path: Path
) -> None:
    """A run that is 50 times as long is estimated at many times the time, in no more time."""
    setting = {"maml": "iterations", "converge": "epochs", "transfer": "epochs"}[name]
    more: Any = {setting: (50,) if name == "transfer" else 300}
    short: Any = configs[name]
    long = replace(short, **more)
    found = [
        timing.estimate(experiments.prepare(find(name), [one], tmp_path).jobs[-1])
        for one in (short, long)
    ]
    assert all(seconds is not None and seconds > 0 for seconds in found)
    assert found[1] > 3 * found[0]  # type: ignore[operator]
    assert not list(tmp_path.iterdir())
