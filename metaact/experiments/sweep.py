"""Many runs, shared fairly with any other process on the same store: what is done when."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metaact.runs import Run

from .job import Ended as Ended
from .job import Job as Job
from .outlook import Outlook
from .pool import Batch, Finish, LocalPool, Pool, Tick
from .recorded import fault

Say = Callable[[str], None]
Hire = Callable[[int, Tick, Say], Pool]
"""Makes who does the runs: told how many runs there are, and whom to tell of progress."""

POLL = 0.5
"""Seconds between two looks at a run that another process works on and that others start from."""

FEW = 6
"""So many runs that are reused are told one by one."""

LIMITED = "limited: "
"""Begins the line about runs that were not begun: nothing is wrong with them."""

MOST_DEATHS, MOST_STARTS = 2, 5
"""So often may a process die at one point of a run, or before it has begun the run; then the run
has failed. A point is a checkpoint: who comes further each time goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How a sweep ended; nothing that was asked for is missing here.

    Attributes:
        done: Runs that are complete, in the order of the jobs.
        reused: How many of them were complete before.
        failed: Label and one-line reason of every run that raised, or cannot be read back.
        busy: Labels of the runs that another process is working on.
        left: Labels of the runs that were not begun, as only so many were asked for.
    """

    done: tuple[Run, ...]
    reused: int
    failed: tuple[tuple[str, str], ...]
    busy: tuple[str, ...]
    left: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every run that was asked for is there."""
        return not self.failed and not self.busy and not self.left

    def complaints(self) -> list[str]:
        """One line for every run that is not there, with what to do."""
        lines = [f"failed: {label}: {reason}" for label, reason in self.failed]
        lines += [
            f"busy: {label}: another process is working on it; "
            "run the same command again when it is done."
            for label in self.busy
        ]
        return lines

    def limited(self) -> list[str]:
        """One line if only so many runs were asked for and others are left."""
        if not self.left:
            return []
        runs = "1 run is" if len(self.left) == 1 else f"{len(self.left)} runs are"
        return [
            f"{LIMITED}{runs} not begun ({self.left[0]}{', ...' if self.left[1:] else ''}); "
            "the same command without --limit does the rest."
        ]


def _alone(jobs: int, tick: Tick, say: Say) -> Pool:
    return LocalPool(tick)


def sweep(
    jobs: Sequence[Job],
    *,
    tick: Callable[[int], None],
    say: Say,
    limit: int | None = None,
    hire: Hire = _alone,
) -> SweepReport:
    """Do every run that is neither complete nor being worked on elsewhere.

    A run that fails, or is complete and damaged, does not stop the others. A run that was busy is
    tried once more at the end; one from which others start is waited for. Runs of one group are
    executed together where their plan allows it.

    Args:
        jobs: The runs; those that others start from come first.
        tick: Told the number of progress ticks that have passed; less than 0 for steps that were
            lost with a process and are done again.
        say: Told one line about each run that is reused, done or busy.
        limit: Only so many of the runs that are missing; None for all.
        hire: Makes who does them; this process, unless others are asked for.

    Returns:
        How each run ended.
    """
    failed: dict[str, tuple[str, str]] = {}
    reused: list[Job] = []
    pending: list[Job] = []
    for job in jobs:
        complete = job.run.is_complete
        why = fault(job.run) if complete else None
        if why is not None:
            failed[job.identity] = job.label, why
            tick(job.planned.length)
        elif complete:
            reused.append(job)
            tick(job.planned.length)
        else:
            pending.append(job)
    for line in _told(reused):
        say(line)
    left = [] if limit is None else pending[limit:]
    for job in left:
        tick(job.planned.length)
    schedule = _Schedule(pending[: len(pending) - len(left)], failed, tick, say)
    schedule.do_all(hire)
    intact = {job.identity: job.run for job in jobs if _is_intact(job.run)}
    return SweepReport(
        done=tuple(intact.values()),
        reused=len(reused),
        failed=tuple(failed[job.identity] for job in jobs if job.identity in failed),
        busy=tuple(job.label for job in schedule.busy),
        left=tuple(job.label for job in left),
    )


def _told(reused: Sequence[Job]) -> list[str]:
    """A line for each run that is reused; of more than a few, one for all of them."""
    if len(reused) > FEW:
        folders = sorted({str(job.run.directory.parent) for job in reused})
        return [f"{len(reused)} runs: complete already, reused (in {', '.join(folders)})"]
    return [f"{job.label}: complete already, reused ({job.run.directory})" for job in reused]


def _is_intact(run: Run) -> bool:
    return run.is_complete and fault(run) is None


class _Schedule:
    """Which run is done when.

    Args:
        jobs: The runs to do.
        failed: Where those that fail are written down, by identity.
        tick: Told of progress.
        say: Told of what happens.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        failed: dict[str, tuple[str, str]],
        tick: Callable[[int], None],
        say: Say,
    ) -> None:
        self.waiting = list(jobs)
        self.busy: list[Job] = []
        self.running: list[Batch] = []
        self.failed = failed
        self.tick, self.say = tick, say
        self.outlook = Outlook([job.planned.length for job in jobs])
        self._open = {job.identity for job in jobs}
        self._deaths: dict[str, list[tuple[int | None, bool]]] = {}
        self._told: set[str] = set()

    def do_all(self, hire: Hire) -> None:
        """Do the runs; at the end, those of `busy` are being worked on elsewhere."""
        if not self.waiting:
            return
        again = False
        with hire(len(self.waiting), self._ticked, self.say) as pool:
            self.outlook.size = pool.size
            while True:
                self._hand_out(pool)
                if self.running:
                    self._note(pool.wait())
                elif self.waiting:
                    self._wait_for_others()
                elif self.busy and not again:
                    self.waiting, self.busy, again = self.busy, [], True
                else:
                    break
        for job in self.busy:
            self.say(f"{job.label}: another process is working on it ({job.run.directory})")

    def _hand_out(self, pool: Pool) -> None:
        while len(self.running) < pool.size and (batch := self._next()):
            self.running.append(batch)
            self.outlook.begin(batch)
            pool.begin(batch)

    def _next(self) -> Batch:
        """The first run that starts from none that is still to come, with others of its group."""
        first = next((job for job in self.waiting if not self._is_early(job)), None)
        if first is None:
            return ()
        batch, group = [first], first.planned.group
        # Where a process has died, runs are done one by one: the fault may be that of one alone.
        for job in self.waiting if group is not None and not self._deaths else ():
            if len(batch) >= first.planned.together:
                break
            fits = job.planned.group == group and job.shared is first.shared
            if job is not first and fits and not self._is_early(job):
                batch.append(job)
        self.waiting = [job for job in self.waiting if job not in batch]
        return tuple(batch)

    def _is_early(self, job: Job) -> bool:
        return any(need.identity in self._open for need in job.needs)

    def _wait_for_others(self) -> None:
        """All that is left starts from runs that another process is working on."""
        needed = {need.identity for job in self.waiting for need in job.needs}
        sources = [job for job in self.busy if job.identity in needed]
        for job in sources:
            if job.identity not in self._told:
                self._told.add(job.identity)
                self.say(f"{job.label}: another process is working on it; waiting for it")
        while sources and all(job.run.is_busy for job in sources):
            time.sleep(POLL)
        self.busy = [job for job in self.busy if job not in sources]
        self.waiting = [*sources, *self.waiting]

    def _ticked(self, batch: Batch, steps: int) -> None:
        self.outlook.tick(batch, steps)
        self.tick(steps)

    def _note(self, finish: Finish) -> None:
        """What became of a batch."""
        self.running.remove(finish.batch)
        steps = self.outlook.end(finish.batch)
        by_identity = {job.identity: job for job in finish.batch}
        for one in finish.ended:
            job = by_identity.pop(one.identity)
            if one.state == "busy":
                self.busy.append(job)
                self.outlook.put_back(job.planned.length)
                continue
            self._open.discard(job.identity)
            if one.state == "failed":
                self.failed[job.identity] = job.label, one.reason
            self.say(self.outlook.line(job, one))
        if finish.died:
            self.tick(-steps)
            self._mourn(list(by_identity.values()), finish)

    def _mourn(self, jobs: Sequence[Job], finish: Finish) -> None:
        """The process of these runs died: another continues them, unless that is of no use."""
        for job in jobs:
            point = job.run.saved_at
            deaths = self._deaths.setdefault(job.identity, [])
            deaths.append((point, finish.begun))
            here = [begun for at, begun in deaths if at == point]
            is_hopeless = sum(here) >= MOST_DEATHS or len(here) >= MOST_STARTS
            if job.run.is_complete:
                ended = Ended(identity=job.identity, state="done")
            elif not is_hopeless:
                self.say(f"{job.label}: its worker died ({finish.died}); another continues it")
                self.waiting.insert(0, job)
                self.outlook.put_back(job.planned.length)
                continue
            else:
                why = f"its worker died {len(here)} times at the same point ({finish.died})"
                self.failed[job.identity] = job.label, why
                ended = Ended(identity=job.identity, state="failed")
            self._open.discard(job.identity)
            self.tick(job.planned.length)
            self.say(self.outlook.line(job, ended))
