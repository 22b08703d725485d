"""Many runs, one after the other, shared fairly with any other process on the same store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from metaact.errors import MetaactError
from metaact.runs import Run, RunBusyError

from .soundness import damage, is_sound

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run to be done.

    Attributes:
        label: What the user sees: "arelu seed 0".
        run: Its directory.
        steps: Its length in progress ticks.
        work: Does the run and finishes it; calls its argument once a tick.
    """

    label: str
    run: Run
    steps: int
    work: Callable[[Callable[[], None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How a sweep ended; nothing that was asked for is missing here.

    Attributes:
        done: Runs that are complete, in the order of the jobs.
        reused: How many of them were complete before.
        failed: Label and one-line reason of every run that raised, or cannot be read back.
        busy: Labels of the runs that another process is working on.
    """

    done: tuple[Run, ...]
    reused: int
    failed: tuple[tuple[str, str], ...]
    busy: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every run that was asked for is there."""
        return not self.failed and not self.busy

    def complaints(self) -> list[str]:
        """One line for every run that is not there, with what to do."""
        lines = [f"failed: {label}: {reason}" for label, reason in self.failed]
        lines += [
            f"busy: {label}: another process is working on it; "
            "run the same command again when it is done."
            for label in self.busy
        ]
        return lines


def sweep(
    jobs: Sequence[Job], *, tick: Callable[[int], None], say: Callable[[str], None]
) -> SweepReport:
    """Do every run that is neither complete nor being worked on elsewhere.

    A run that fails, or is complete and damaged, does not stop the others. A run that was busy is
    tried once more at the end.

    Args:
        jobs: The runs, in the order of their importance.
        tick: Told the number of progress ticks that have passed.
        say: Told one line about each run that is reused or busy.

    Returns:
        What became of each run.
    """
    failed: dict[str, str] = {}
    reused = 0
    pending: list[Job] = []
    for job in jobs:
        fault = damage(job.run) if job.run.is_complete else None
        if fault is not None:
            failed[job.label] = fault
            tick(job.steps)
        elif job.run.is_complete:
            reused += 1
            say(f"{job.label}: complete already, reused ({job.run.directory})")
            tick(job.steps)
        else:
            pending.append(job)
    for again in (False, True):
        pending = [job for job in pending if not _attempt(job, tick, failed)]
        for job in pending if again else ():
            say(f"{job.label}: another process is working on it ({job.run.directory})")
    return SweepReport(
        done=tuple(_unique(job.run for job in jobs if is_sound(job.run))),
        reused=reused,
        failed=tuple(failed.items()),
        busy=tuple(job.label for job in pending),
    )


def _attempt(job: Job, tick: Callable[[int], None], failed: dict[str, str]) -> bool:
    """Work on one run; False if it is busy."""
    ticked = 0

    def one() -> None:
        nonlocal ticked
        ticked += 1
        tick(1)

    try:
        with job.run.lock():
            if not job.run.is_complete:
                job.work(one)
    except RunBusyError:
        return False
    except MetaactError as error:
        failed[job.label] = str(error)
    except Exception as error:  # a user's own activation may raise anything; the others go on
        logger.debug("%s", job.label, exc_info=True)
        failed[job.label] = f"{type(error).__name__}: {error}"
    tick(job.steps - ticked)
    return True


def _unique(runs: Iterable[Run]) -> list[Run]:
    return list({run.identity: run for run in runs}.values())
