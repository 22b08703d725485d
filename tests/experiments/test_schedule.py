"""What is done when: an invented pool, so that deaths, order and time can be made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metaact import experiments
from metaact.experiments import CONVERGE, TRANSFER, ConvergeConfig, TransferConfig
from metaact.experiments.job import Job, attempt
from metaact.experiments.outlook import Outlook
from metaact.experiments.pool import Batch, Finish
from metaact.experiments.sweep import SweepReport, sweep

Killer = Callable[[Job, int], str]


class InventedPool:
    """Two workers that do runs when waited for, the last begun first; some of them die."""

    def __init__(self, kills: Killer, tick: Callable[[Batch, int], None], begun: bool) -> None:
        self.size, self.kills, self.tick, self.were_begun = 2, kills, tick, begun
        self.out: list[Batch] = []
        self.log: list[list[str]] = []
        self.begun: dict[str, int] = {}

    def begin(self, batch: Batch, *, timing: bool = False) -> None:
        assert len(self.out) < self.size
        self.out.append(batch)
        self.log.append([job.label for job in batch])

    def wait(self) -> Finish:
        batch = self.out.pop()
        for job in batch:
            self.begun[job.label] = self.begun.get(job.label, 0) + 1
            reason = self.kills(job, self.begun[job.label])
            if reason:
                self.tick(batch, 1)
                return Finish(batch=batch, died=reason, begun=self.were_begun)
        return Finish(batch=batch, ended=attempt(batch, lambda steps: self.tick(batch, steps)))

    def __enter__(self) -> InventedPool:
        return self

    def __exit__(self, *raised: object) -> None:
        assert raised[0] is not None or not self.out


Done = tuple[SweepReport, InventedPool, list[int], list[str]]


def do(
    jobs: Sequence[Job],
    kills: Killer = lambda job, time: "",
    *,
    begun: bool = True,
    **more: Any,
) -> Done:
    pools: list[InventedPool] = []
    ticks: list[int] = []
    said: list[str] = []

    def hire(number: int, tick: Any, say: Any) -> InventedPool:
        pools.append(InventedPool(kills, tick, begun))
        return pools[0]

    report = sweep(jobs, tick=ticks.append, say=said.append, hire=hire, **more)
    return report, pools[0], ticks, said


@pytest.fixture
def jobs(transfer_config: TransferConfig, tmp_path: Path) -> tuple[Job, ...]:
    """Four short runs, seeds 0 to 3."""
    base = ConvergeConfig(
        dataset=transfer_config.source, lr=0.01, batch_size=16, epochs=1, first_epoch_points=0
    )
    configs = [replace(base, seed=seed) for seed in range(4)]
    return experiments.prepare(CONVERGE, configs, tmp_path).jobs


def test_a_run_whose_worker_dies_is_taken_up_again(jobs: tuple[Job, ...]) -> None:
    report, pool, ticks, said = do(jobs, lambda job, time: "SIGKILL" * (time == 1))
    assert report.complaints() == []
    assert len(report.done) == 4
    assert pool.begun == {job.label: 2 for job in jobs}
    assert sum(ticks) == 4  # what was lost is taken back
    assert sum("its worker died (SIGKILL); another continues it" in line for line in said) == 4


def test_a_run_that_kills_its_worker_twice_has_failed(jobs: tuple[Job, ...]) -> None:
    wild = jobs[1].label
    report, pool, ticks, _ = do(jobs, lambda job, time: "SIGKILL" if job.label == wild else "")
    assert report.failed == ((wild, "its worker died 2 times at the same point (SIGKILL)"),)
    assert pool.begun[wild] == 2
    assert len(report.done) == 3
    assert sum(ticks) == 4


def test_a_worker_that_dies_before_it_begins_is_rarely_the_runs_fault(
    jobs: tuple[Job, ...],
) -> None:
    """There is an end where none ever begins."""
    wild = jobs[1].label
    report, pool, _, _ = do(jobs[:1], lambda job, time: "exit code 1" * (time < 5), begun=False)
    assert report.is_complete
    report, pool, _, _ = do(
        jobs, lambda job, time: "exit code 1" if job.label == wild else "", begun=False
    )
    assert report.failed == ((wild, "its worker died 5 times at the same point (exit code 1)"),)
    assert pool.begun[wild] == 5


def test_a_run_that_comes_further_each_time_goes_on(jobs: tuple[Job, ...]) -> None:
    """Killed five times, each time after another checkpoint."""

    def kills(job: Job, time: int) -> str:
        if job is not jobs[0] or time > 5:
            return ""
        job.run.directory.mkdir(parents=True, exist_ok=True)
        with job.run.lock():
            job.start()
            job.run.resume()
            (job.run.directory / "checkpoint.pt").unlink(missing_ok=True)
            job.run.checkpoint({"time": time})
        if time == 5:
            (job.run.directory / "checkpoint.pt").unlink()
        return "SIGKILL"

    report, pool, _, _ = do(jobs, kills)
    assert report.is_complete
    assert pool.begun[jobs[0].label] == 6


def test_a_run_that_was_done_when_its_worker_died_is_done(jobs: tuple[Job, ...]) -> None:
    def kills(job: Job, time: int) -> str:
        attempt([job], lambda steps: None)
        return "exit code 1"

    report, pool, ticks, _ = do(jobs, kills)
    assert report.is_complete
    assert set(pool.begun.values()) == {1}
    assert sum(ticks) == 4


def test_runs_that_start_from_others_wait_for_them(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    configs = [replace(transfer_config, activation=name) for name in ("arelu", "relu")]
    ready = experiments.prepare(TRANSFER, configs, tmp_path)
    died: list[str] = []

    def kills(job: Job, time: int) -> str:
        if "pre-training" in job.label and time == 1:
            died.append(job.label)
            return "SIGKILL"
        return ""

    report, pool, _, _ = do(ready.jobs, kills)
    assert report.is_complete
    assert len(died) == 2
    order = [label for (label,) in pool.log]
    for name in ("arelu", "relu"):
        last = max(i for i, one in enumerate(order) if one.startswith(f"{name} pre-training"))
        assert order.index(f"{name} from 2 epochs at 0.05 lr 0.01 seed 0") > last


def test_runs_of_a_group_are_handed_out_together_and_alone_after_a_death(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    base = ConvergeConfig(dataset=transfer_config.source, lr=0.01, batch_size=16, epochs=1, stack=3)
    configs = [replace(base, seed=seed) for seed in range(3)]
    configs += [replace(base, activation="relu", seed=seed) for seed in range(2)]
    ready = experiments.prepare(CONVERGE, configs, tmp_path)
    report, pool, _, _ = do(
        ready.jobs, lambda job, time: "SIGKILL" * (time == 1 and "seed 1" in job.label)
    )
    assert report.is_complete
    assert [len(labels) for labels in pool.log[:2]] == [3, 2]
    assert all(len(labels) == 1 for labels in pool.log[2:])
    assert all(len({label.split()[0] for label in labels}) == 1 for labels in pool.log)


def test_a_limit_does_the_first_that_are_missing(jobs: tuple[Job, ...]) -> None:
    attempt([jobs[0]], lambda steps: None)
    report, _, ticks, said = do(jobs, limit=2)
    assert sum(ticks) == 4  # the bar comes to its end
    assert [run.config["seed"] for run in report.done] == [0, 1, 2]
    assert report.left == (jobs[3].label,)
    assert not report.is_complete
    assert report.complaints() == []
    (line,) = report.limited()
    assert line.startswith(f"limited: 1 run is not begun ({jobs[3].label})")
    assert sum(bool(re.match(r"[12]/2 ", one)) for one in said) == 2


LINE = r"(\d)/4 arelu sgd lr 0\.01 seed \d: \d+\.\d % \(.+ s\)(; (about|less than) .+ left)?"


def test_one_line_for_each_run_that_is_done(jobs: tuple[Job, ...]) -> None:
    _, _, _, said = do(jobs)
    found = [re.fullmatch(LINE, line) for line in said]
    assert [one and one[1] for one in found] == ["1", "2", "3", "4"]
    assert [bool(one and one[2]) for one in found] == [True, True, True, False]


def test_the_score_of_the_line_is_that_of_the_run(jobs: tuple[Job, ...]) -> None:
    _, _, _, said = do(jobs[:1])
    assert f": {100 * jobs[0].run.result()['test_accuracy']:.1f} % (" in said[0]


def test_the_time_left_is_that_of_the_workers(
    jobs: tuple[Job, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of 10 ticks at 2 s a tick, by two workers: one begun, three to come."""
    now = 0.0
    monkeypatch.setattr("metaact.experiments.outlook.time.monotonic", lambda: now)
    outlook = Outlook([10] * 5)
    outlook.size = 2
    batches = [(replace(job, planned=replace(job.planned, length=10)),) for job in jobs]
    assert outlook.left() is None
    outlook.begin(batches[0])
    outlook.begin(batches[1])
    now = 20.0
    outlook.tick(batches[0], 10)
    outlook.tick(batches[1], 10)
    assert outlook.end(batches[0]) == 10
    assert outlook.left() == 40.0  # three of 20 s by two
    outlook.end(batches[1])
    outlook.begin(batches[2])
    outlook.begin(batches[3])
    now = 30.0
    outlook.tick(batches[2], 5)
    outlook.tick(batches[3], 5)
    assert outlook.left() == 30.0
    outlook.put_back(10)
    assert outlook.left() == 30.0  # the other worker does it
    now = 31.0  # half a step: how far it is nobody knows, but time has passed
    assert outlook.left() == 29.0
