"""A sweep before it begins: its runs, which are there, and about how long the others will take."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from metaact.display import brief
from metaact.errors import RunError
from metaact.runs import Run
from metaact.settings import settings_of

from .job import Job
from .pool import Pool
from .recorded import fault
from .timing import makespan

Status = Literal["complete", "damaged", "busy", "started", "missing"]

BUDGET = 20.0
"""Seconds after which no further run is timed; what was not takes as long as others like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run of a sweep.

    Attributes:
        label: What the user sees.
        directory: Where it is, or will be.
        status: Whether it is there.
        done: Steps that need not be done again.
        length: Steps that it takes.
    """

    label: str
    directory: str
    status: Status
    done: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a sweep would do.

    Attributes:
        entries: Its runs, in the order in which they are begun.
        runs: How many would be done now.
        workers: By how many processes.
        seconds: About how long that takes; None if no run could be timed.
        timed: How many runs were timed for it, a few steps of each.
    """

    entries: tuple[Entry, ...]
    runs: int
    workers: int
    seconds: float | None
    timed: int

    def __repr__(self) -> str:
        return brief(
            self,
            runs=self.runs,
            there=len(self.entries) - self.runs,
            workers=self.workers,
            seconds=self.seconds,
        )

    @property
    def counts(self) -> dict[str, int]:
        """Runs by status."""
        return dict(Counter(entry.status for entry in self.entries))


def preview(jobs: Sequence[Job], *, limit: int | None, hire: Callable[..., Pool]) -> Preview:
    """Look at the runs of a sweep, and time a few steps of those that are missing.

    Args:
        jobs: The runs.
        limit: Only so many of those that are missing would be done; None for all.
        hire: Who would do them: they are timed there, as many at a time.
    """
    entries = tuple(_entry(job) for job in jobs)
    pending = [
        (job, entry)
        for job, entry in zip(jobs, entries, strict=True)
        if entry.status in ("started", "missing")
    ][:limit]
    if not pending:
        return Preview(entries=entries, runs=0, workers=1, seconds=0.0, timed=0)
    with hire(len(pending), lambda batch, steps: None, lambda line: None) as pool:
        size = pool.size
        known = _time(pool, [job for job, _ in pending])
    seconds = [
        one * (1 - entry.done / entry.length)
        for job, entry in pending
        if (one := _expected(job, known)) is not None
    ]
    whole = None
    if seconds:
        mean = fmean(seconds)
        whole = makespan([], [*seconds, *[mean] * (len(pending) - len(seconds))], size)
    return Preview(
        entries=entries, runs=len(pending), workers=size, seconds=whole, timed=len(known)
    )


def _entry(job: Job) -> Entry:
    run = job.run
    status, done = _status(run)
    length = job.planned.length
    return Entry(
        label=job.label,
        directory=str(run.directory),
        status=status,
        done=length if status == "complete" else min(done, length),
        length=length,
    )


def _status(run: Run) -> tuple[Status, int]:
    if run.is_complete:
        return ("complete", 0) if fault(run) is None else ("damaged", 0)
    if run.is_busy:
        return "busy", 0
    if not run.is_started:
        return "missing", 0
    try:
        records = run.metrics()
        return "started", int(run.steps(records[-1])) if records else 0
    except RunError:
        return "damaged", 0


Kind = tuple[Hashable, Hashable]
"""What runs have in common that take equally long: all but the arm, and the arm."""


def _kind(job: Job) -> Kind:
    config: Any = job.planned.config
    apart = {"arm": [], "rest": []}  # type: dict[str, list[str]]
    for one in settings_of(type(config)):
        if one.role == "arm":
            apart["arm"].append(repr(getattr(config, one.name)))
        elif one.role not in ("seed", "rate"):
            apart["rest"].append(repr(getattr(config, one.name)))
    rest = job.planned.kind, job.planned.length, *apart["rest"]
    return rest, tuple(apart["arm"])


def _time(pool: Pool, jobs: Sequence[Job]) -> dict[Kind, float]:
    """Seconds of one run of each kind, first one arm of each, until the budget is spent."""
    first: dict[Kind, Job] = {}
    for job in jobs:
        first.setdefault(_kind(job), job)
    seen: Counter[Hashable] = Counter()
    places = {}
    for kind in first:
        places[kind] = seen[kind[0]]
        seen[kind[0]] += 1
    order = sorted(first, key=lambda kind: places[kind])
    known: dict[Kind, float] = {}
    start, out = time.monotonic(), 0
    while order or out:
        late = time.monotonic() - start > BUDGET
        while order and out < pool.size and not late:
            pool.begin((first[order.pop(0)],), timing=True)
            out += 1
        if not out:
            break
        finish = pool.wait()
        out -= 1
        if finish.seconds is not None:
            known[_kind(finish.batch[0])] = finish.seconds
    return known


def _expected(job: Job, known: dict[Kind, float]) -> float | None:
    """Seconds of a run: as timed, or the mean over the arms that were timed with its settings."""
    kind = _kind(job)
    if kind in known:
        return known[kind]
    alike = [seconds for (rest, _), seconds in known.items() if rest == kind[0]]
    return fmean(alike) if alike else None
