"""How long a run would take, from a few timed steps; nothing is written to the store."""

from __future__ import annotations

import heapq
import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from metaact.runs import Run

from .experiment import Member
from .job import Job

logger = logging.getLogger(__name__)

STEPS = 3
"""Steps that are timed; the first is left out where there are more, as it warms up."""

SECONDS = 10.0
"""No further step is begun after this time."""


SHORTEST = 0.5
"""A time below it, in seconds, is not told."""


class _EnoughError(BaseException):
    """The steps are timed: nothing catches it but what asked for it."""


def estimate(job: Job) -> float | None:
    """Seconds that a run would take; None if it fails at once, which the run itself will say.

    The module that computes may have a function `estimate(planned, shared)` that knows the parts of
    its runs; else whole steps are timed, in a run directory that is thrown away.
    """
    own = getattr(job.computes, "estimate", None)
    try:
        seconds = own(job.planned, job.shared) if own is not None else _of_steps(job)
    except Exception:  # a user's own activation may raise anything
        logger.debug("%s", job.label, exc_info=True)
        return None
    return float(seconds)


def _of_steps(job: Job) -> float:
    planned = job.planned
    moments: list[float] = []

    def tick() -> None:
        moments.append(time.perf_counter())
        if len(moments) > STEPS or moments[-1] - moments[0] > SECONDS:
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder:
        scratch = Run(
            Path(folder) / "run",
            kind=planned.kind,
            name=planned.name,
            config=planned.identity,
            about=job.run.about,
        )
        member = Member(planned=planned, run=scratch, needs=job.needs)
        with scratch.lock():
            scratch.start({})
            moments.append(time.perf_counter())
            try:
                job.computes.execute([member], job.shared, tick=tick)
            except _EnoughError:
                pass
            else:
                return time.perf_counter() - moments[0]  # it was shorter than that
    first = 1 if len(moments) > 2 else 0
    return (moments[-1] - moments[first]) / (len(moments) - 1 - first) * planned.length


def seconds_of(work: Callable[[], object], *, repeats: int = 2) -> float:
    """Seconds that a piece of work takes, the least of some repeats after one that warms up."""
    work()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def makespan(begun: Iterable[float], waiting: Iterable[float], size: int) -> float:
    """Seconds until all is done, where whoever is free takes the next in order.

    Args:
        begun: Seconds left of what is being worked on.
        waiting: Seconds that each of the others will take, in their order.
        size: How many are worked on at a time.

    Examples:
        >>> makespan([], [2.0, 2.0, 2.0], 2)
        4.0
        >>> makespan([5.0], [1.0, 1.0], 2)
        5.0
    """
    free = sorted(begun)
    free = [0.0] * (size - len(free)) + free
    heapq.heapify(free)
    for seconds in waiting:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free, default=0.0)


def about(seconds: float) -> str:
    """An estimate of a time.

    Examples:
        >>> about(0.2), about(41)
        ('less than 1 s', 'about 41 s')
    """
    return duration(seconds) if seconds < SHORTEST else f"about {duration(seconds)}"


def duration(seconds: float) -> str:
    """A time as a reader wants it: two figures are enough.

    Examples:
        >>> [duration(s) for s in (0.2, 41, 100, 725, 12_000, 200_000)]
        ['less than 1 s', '41 s', '2 min', '12 min', '3 h 20 min', '2 days 8 h']
    """
    if seconds < SHORTEST:
        return "less than 1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} days {hours} h" if hours else f"{days} days"
