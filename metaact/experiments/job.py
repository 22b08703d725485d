"""One run to be done, and how it is done: locked, with others of its group where that pays."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from metaact.errors import MetaactError, named_reason
from metaact.runs import Run, RunBusyError, environment

from .experiment import Implementation, Member, Planned, Prepared

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """One run to be done.

    Attributes:
        planned: What it is.
        run: Its directory.
        needs: The directories of the runs that it starts from.
        shared: The data that it shares with others.
        computes: What computes it.
        label: What the user sees: the plan's label, and the settings that vary in it.
    """

    planned: Planned
    run: Run
    needs: tuple[Run, ...]
    shared: Prepared
    computes: Implementation
    label: str

    @property
    def identity(self) -> str:
        """What names the run."""
        return self.run.identity

    @property
    def member(self) -> Member:
        """The run as it is executed."""
        return Member(planned=self.planned, run=self.run, needs=self.needs)

    def start(self) -> None:
        """Write down what the run is and where it is computed; it is locked."""
        shared = self.shared
        about: dict[str, Any] = environment(
            device=shared.device,
            data=shared.data,
            normalisation=self.planned.normalisation or shared.normalisation,
        )
        self.run.start(about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How one run ended.

    Attributes:
        identity: Which.
        state: "done": it has a result. "busy": another process works on it.
        reason: Why it failed, one line.
        seconds: Wall time that it took, the time of a group shared equally.
    """

    identity: str
    state: Literal["done", "failed", "busy"]
    reason: str = ""
    seconds: float = 0.0


def attempt(batch: Sequence[Job], tick: Callable[[int], None]) -> list[Ended]:
    """Do runs of one group; a failure does not stop the others.

    They are executed together where none of them is busy or done by then; what could not be taken
    along has its own turn.

    Args:
        batch: The runs.
        tick: Told the number of progress ticks that have passed: 1 for a step, more for what
            turned out to be needless.
    """
    ended: dict[str, Ended] = {}
    for job in batch:
        if job.identity not in ended:
            others = [one for one in batch if one is not job and one.identity not in ended]
            ended |= {one.identity: one for one in _turn(job, others, tick)}
    return list(ended.values())


def _turn(job: Job, others: Sequence[Job], tick: Callable[[int], None]) -> list[Ended]:
    """Work on one run, and on others with it."""
    ticked, start = 0, time.monotonic()
    along: list[Job] = []
    reason = ""

    def one() -> None:
        nonlocal ticked
        ticked += 1
        tick(1)

    try:
        with ExitStack() as held:
            held.enter_context(job.run.lock())
            if not job.run.is_complete:
                along = _companions(others, held, most=job.planned.together - 1)
                _execute(job, along, one)
    except RunBusyError:
        return [Ended(identity=job.identity, state="busy")]
    except MetaactError as error:
        reason = str(error)
    except Exception as error:  # a user's own activation may raise anything; the others go on
        logger.debug("%s", job.label, exc_info=True)
        reason = named_reason(error)
    taken = [other for other in along if other.run.is_complete]
    tick(max(0, sum(each.planned.length for each in (job, *taken)) - ticked))
    seconds = (time.monotonic() - start) / (1 + len(taken))
    return [
        Ended(
            identity=job.identity,
            state="failed" if reason else "done",
            reason=reason,
            seconds=seconds,
        ),
        *(Ended(identity=each.identity, state="done", seconds=seconds) for each in taken),
    ]


def _execute(job: Job, others: Sequence[Job], tick: Callable[[], None]) -> None:
    """Do a run with others; alone if that fails, as the fault may be that of another."""
    try:
        _together([job, *others], tick)
    except Exception:  # what a user's own activation raises, too
        if not others:
            raise
        logger.debug("%s, with others", job.label, exc_info=True)
        if not job.run.is_complete:
            _together([job], tick)


def _together(jobs: Sequence[Job], tick: Callable[[], None]) -> None:
    for job in jobs:
        job.start()
    jobs[0].computes.execute([job.member for job in jobs], jobs[0].shared, tick=tick)


def _companions(others: Sequence[Job], held: ExitStack, *, most: int) -> list[Job]:
    """Those of the runs that no process has done or works on, locked until the end."""
    found: list[Job] = []
    for other in others:
        if len(found) >= most:
            break
        try:
            with ExitStack() as attempt:
                attempt.enter_context(other.run.lock())
                if not other.run.is_complete:
                    held.push(attempt.pop_all())
                    found.append(other)
        except MetaactError:
            continue  # its own turn comes, and says why
    return found
