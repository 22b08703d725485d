"""Many runs, one after the other, shared fairly with any other process on the same store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from metaact.errors import MetaactError
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
    def member(self) -> Member:
        """The run as it is executed."""
        return Member(planned=self.planned, run=self.run, needs=self.needs)


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
    tried once more at the end. Runs of one group are executed together where their plan allows it:
    when the turn of the first comes it takes along others that no process works on.

    Args:
        jobs: The runs; those that others start from come first.
        tick: Told the number of progress ticks that have passed.
        say: Told one line about each run that is reused or busy.

    Returns:
        How each run ended.
    """
    failed: dict[str, tuple[str, str]] = {}
    reused = 0
    pending: list[Job] = []
    for job in jobs:
        complete = job.run.is_complete
        fault = job.run.damage() if complete else None
        if fault is not None:
            failed[job.run.identity] = job.label, fault
            tick(job.planned.length)
        elif complete:
            reused += 1
            say(f"{job.label}: complete already, reused ({job.run.directory})")
            tick(job.planned.length)
        else:
            pending.append(job)
    taken: set[str] = set()
    for again in (False, True):
        pending = [job for job in pending if not _attempt(job, pending, tick, failed, taken)]
        for job in pending if again else ():
            say(f"{job.label}: another process is working on it ({job.run.directory})")
    done = {job.run.identity: job.run for job in jobs if _is_intact(job.run)}
    return SweepReport(
        done=tuple(done.values()),
        reused=reused,
        failed=tuple(failed.values()),
        busy=tuple(job.label for job in pending),
    )


def _is_intact(run: Run) -> bool:
    return run.is_complete and run.damage() is None


def _attempt(
    job: Job,
    pending: Sequence[Job],
    tick: Callable[[int], None],
    failed: dict[str, tuple[str, str]],
    taken: set[str],
) -> bool:
    """Work on one run, and on others with it, which are then `taken`; False if it is busy."""
    ticked = 0
    others: list[Job] = []

    def one() -> None:
        nonlocal ticked
        ticked += 1
        tick(1)

    try:
        with ExitStack() as held:
            held.enter_context(job.run.lock())
            if not job.run.is_complete:
                others = _companions(job, pending, held)
                _execute(job, others, one)
                taken.update(other.run.identity for other in others if other.run.is_complete)
            elif job.run.identity in taken:
                ticked = job.planned.length  # it was taken along, and counted there
    except RunBusyError:
        return False
    except MetaactError as error:
        failed[job.run.identity] = job.label, str(error)
    except Exception as error:  # a user's own activation may raise anything; the others go on
        logger.debug("%s", job.label, exc_info=True)
        failed[job.run.identity] = job.label, f"{type(error).__name__}: {error}"
    done = [job, *(other for other in others if other.run.identity in taken)]
    tick(max(0, sum(each.planned.length for each in done) - ticked))
    return True


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
        job.run.start(_about(job))
    jobs[0].computes.execute([job.member for job in jobs], jobs[0].shared, tick=tick)


def _companions(job: Job, pending: Sequence[Job], held: ExitStack) -> list[Job]:
    """Other runs of the group that no process has done or works on, locked until the end."""
    found: list[Job] = []
    group = job.planned.group
    for other in pending if group is not None else ():
        if len(found) + 1 >= job.planned.together:
            break
        if other is job or other.planned.group != group or other.shared is not job.shared:
            continue
        try:
            with ExitStack() as attempt:
                attempt.enter_context(other.run.lock())
                if not other.run.is_complete:
                    held.push(attempt.pop_all())
                    found.append(other)
        except MetaactError:
            continue  # its own turn comes, and says why
    return found


def _about(job: Job) -> dict[str, Any]:
    shared = job.shared
    return dict(
        environment(device=shared.device, data=shared.data, normalisation=shared.normalisation)
    )
