"""Who does runs: this process, one run after the other. Worker processes are in `processes`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .job import Ended, Job, attempt
from .timing import estimate

Batch = tuple[Job, ...]
"""Runs that are handed out in one piece."""

Tick = Callable[[Batch, int], None]
"""Told that a batch has come so many progress ticks further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What became of a batch.

    Attributes:
        batch: Which.
        ended: How its runs ended.
        died: Why its process died amid it, one line.
        begun: Whether its runs were begun by then.
        seconds: How long its first run would take, where that was asked; None if it failed.
    """

    batch: Batch
    ended: Sequence[Ended] = ()
    died: str = ""
    begun: bool = True
    seconds: float | None = None


class Pool(Protocol):
    """Who does runs; one that is entered, and left in the end."""

    @property
    def size(self) -> int:
        """Batches that are worked on at a time."""

    def begin(self, batch: Batch, *, timing: bool = False) -> None:
        """Hand out a batch; at most `size` are out at a time.

        Args:
            batch: The runs.
            timing: Whether nothing is to be done, but the time of the first run estimated.
        """

    def wait(self) -> Finish:
        """Wait until a batch that was handed out has come to its end."""

    def __enter__(self) -> Pool: ...

    def __exit__(self, *raised: object) -> None: ...


class LocalPool:
    """This process; it works while it is waited for.

    Args:
        tick: Told of progress.
    """

    size = 1

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self._batch: Batch = ()
        self._timing = False

    def begin(self, batch: Batch, *, timing: bool = False) -> None:
        """Keep the batch in mind."""
        self._batch, self._timing = batch, timing

    def wait(self) -> Finish:
        """Do the batch."""
        batch = self._batch
        if self._timing:
            return Finish(batch=batch, seconds=estimate(batch[0]))
        ended = attempt(batch, lambda steps: self._tick(batch, steps))
        return Finish(batch=batch, ended=ended)

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing is left behind."""
