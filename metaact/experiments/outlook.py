"""How far a sweep is, and how long it will still take: the line about each run that is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean

from metaact.errors import RunError

from .job import Ended, Job
from .pool import Batch
from .timing import about, duration, makespan


class _Begun:
    """A batch in work: when it was begun, its ticks, and when the last of them came."""

    def __init__(self, start: float) -> None:
        self.start = self.last = start
        self.ticks = 0


class Outlook:
    """What is done and what is to come, in progress ticks, and how long a tick takes.

    Args:
        lengths: Ticks of each run to be done, in their order.

    Attributes:
        size: How many batches are worked on at a time.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.size = 1
        self._total, self._ended = len(lengths), 0
        self._waiting = list(lengths)
        self._begun: dict[Batch, _Begun] = {}
        self._seconds, self._ticks = 0.0, 0

    def begin(self, batch: Batch) -> None:
        """A batch is begun."""
        for job in batch:
            self._waiting.remove(job.planned.length)
        self._begun[batch] = _Begun(time.monotonic())

    def tick(self, batch: Batch, steps: int) -> None:
        """A batch has come further."""
        begun = self._begun[batch]
        begun.ticks += steps
        begun.last = time.monotonic()

    def end(self, batch: Batch) -> int:
        """A batch has ended; returns its ticks."""
        begun = self._begun.pop(batch)
        self._seconds += time.monotonic() - begun.start
        self._ticks += begun.ticks
        return begun.ticks

    def put_back(self, length: int) -> None:
        """A run is to be done after all, or done again."""
        self._waiting.insert(0, length)

    def left(self) -> float | None:
        """Seconds until all is done; None where nothing tells."""
        now = time.monotonic()
        # In work, the time counts up to the last tick: what is done of a step nobody knows.
        spent = self._seconds + sum(one.last - one.start for one in self._begun.values())
        done = self._ticks + sum(one.ticks for one in self._begun.values())
        if not done:
            return None
        pace = spent / done
        begun = [
            max(0.0, pace * (sum(job.planned.length for job in batch) - one.ticks) + one.last - now)
            for batch, one in self._begun.items()
        ]
        return makespan(begun, (pace * length for length in self._waiting), self.size)

    def line(self, job: Job, ended: Ended) -> str:
        """One line about a run that is done: which, its score, its time, and the time left."""
        self._ended += 1
        words = "failed" if ended.state == "failed" else score_of(job)
        text = f"{self._ended}/{self._total} {job.label}: {words}"
        if ended.seconds:
            text += f" ({duration(ended.seconds)})"
        left = self.left() if self._waiting or self._begun else None
        return text if left is None else f"{text}; {about(left)} left"


def score_of(job: Job) -> str:
    """The test score of a run that has its result, or what went wrong."""
    try:
        result = job.run.result()
        scores = [] if job.planned.measure.test in result else job.run.scores()
    except RunError:
        return "done"  # what is damaged is told where it is read
    if result.get("outcome") != "complete":
        return str(result.get("outcome"))
    score = result.get(job.planned.measure.test, fmean(scores) if scores else None)
    return "done" if score is None else job.planned.measure.show(score)
