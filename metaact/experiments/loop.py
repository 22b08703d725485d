"""The one loop of all experiments: step, record, checkpoint; continue where a kill stopped it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from metaact.display import brief
from metaact.errors import RunError, named_reason, reason_of
from metaact.runs import Run, finite

from .experiment import Member

CHECKPOINT_SECONDS = 5.0
"""Wall time between checkpoints: what a kill can cost, to the end of the step."""

Record = Mapping[str, object]


class StoppedError(KeyboardInterrupt):
    """Raised by `tick` to stop runs between two steps: they are saved where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ends.

    Attributes:
        result: What `result.json` holds; its "outcome" is "complete" or says what went wrong.
        scores: One per test unit, where they are not in the records.
        weights: What `weights.pt` holds; None keeps none.
    """

    result: Mapping[str, object]
    scores: Sequence[float] = ()
    weights: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return brief(self, **self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of a run left behind.

    Attributes:
        records: What is written down, in order.
        ended: How the run ends here, if it cannot go on.
    """

    records: Sequence[Record]
    ended: Finished | None = None

    def __repr__(self) -> str:
        return brief(self, records=len(self.records), ended=self.ended)


class Learner(Protocol):
    """What one run trains."""

    @property
    def done(self) -> int:
        """Steps done."""

    def begin(self) -> Sequence[Record]:
        """What is known before the first step."""

    def finish(self, last: Record) -> Finished:
        """Test what was learned; `last` is the last record."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises:
            KeyError: If a part is missing.
            RuntimeError: If a part does not fit.
            ValueError: If a part does not fit.
        """


Advance = Callable[[Sequence[Any]], Sequence[Step]]
"""One step of several learners that have done equally many; one `Step` for each."""


class Stackable(Learner, Protocol):
    """What may be trained with others in one vectorised call."""

    def refusal(self, beside: Sequence[Any]) -> str | None:
        """Why it cannot be trained with these, each as if it were alone; None if it can."""


def train_together(
    members: Sequence[Member],
    make: Callable[[Member], Stackable],
    advance: Advance,
    *,
    tick: Callable[[], None],
) -> None:
    """`train` for runs of one group: together as far as their networks allow it, else in turn.

    A stacked run differs from the same run alone by the rounding of differently blocked sums: 1e-5
    of a weight after an epoch of `converge` (`tests/adaptation/supervised/test_stacked.py`), 1e-4
    after a few.

    Args:
        members: The runs, locked and started.
        make: Makes what a run trains, before its first step.
        advance: One step.
        tick: Called once a step and run, also for steps done before a kill.

    Raises:
        RunError: If a run directory cannot be written or its checkpoint does not fit.
        StoppedError: If `tick` raises it; every run is saved where it is.
    """
    for team in _teams(members, make) if len(members) > 1 else [members]:
        train(team, make, advance, tick=tick)


def _teams(
    members: Sequence[Member], make: Callable[[Member], Stackable]
) -> list[Sequence[Member]]:
    """Those that can be trained in one call, runs of one activation side by side."""
    arms: dict[object, list[Member]] = {}
    for member in members:
        arms.setdefault(member.planned.config.activation, []).append(member)
    alone: list[Sequence[Member]] = []
    teams: list[tuple[list[Stackable], list[Member]]] = []
    for some in arms.values():
        first = make(some[0])
        if first.refusal([]) is not None:
            alone += [[member] for member in some]
            continue
        for firsts, team in teams:
            if first.refusal(firsts) is None:
                firsts.append(first)
                team += some
                break
        else:
            teams.append(([first], list(some)))
    return [*alone, *(team for _, team in teams)]


def train(
    members: Sequence[Member],
    make: Callable[[Member], Learner],
    advance: Advance,
    *,
    tick: Callable[[], None],
) -> None:
    """Continue runs to their end, side by side where they have done equally many steps.

    Args:
        members: The runs, locked and started.
        make: Makes what a run trains, before its first step.
        advance: One step.
        tick: Called once a step and run, also for steps done before a kill.

    Raises:
        RunError: If a run directory cannot be written or its checkpoint does not fit.
        StoppedError: If `tick` raises it; every run is saved where it is.
    """
    running = [_Training(member, make(member)) for member in members]
    for done in sorted({one.learner.done for one in running}):
        together = [one for one in running if one.learner.done == done]
        _train(together, done, advance, tick)


def _train(running: list[_Training], done: int, advance: Advance, tick: Callable[[], None]) -> None:
    length = running[0].member.planned.length
    for one in running:
        for _ in range(done):
            tick()
        if done == 0:
            one.write(one.learner.begin())
    for number in range(done, length):
        with _no_way_out():
            steps = advance([one.learner for one in running])
        going = []
        stopped: StoppedError | None = None
        for one, step in zip(running, steps, strict=True):
            one.write(step.records)
            try:
                tick()
            except StoppedError as error:
                stopped = error
            if step.ended is None:
                one.save(last=number + 1 == length)
                going.append(one)
            else:
                one.end(step.ended)
        running = going
        if stopped is not None:
            for one in running:
                one.save(last=True)
            raise stopped
        if not running:
            return
    for one in running:
        with _no_way_out():
            finished = one.learner.finish(one.last)
        one.end(finished)


@contextmanager
def _no_way_out() -> Iterator[None]:
    """Make an error of whatever is none: a user's own activation may raise anything.

    Else its `SystemExit` would end the program without a word, and the other runs with it.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise RunError(f"{named_reason(error)} (raised within the run)") from error


class _Training:
    """A run in training: what it trains, and what it writes."""

    def __init__(self, member: Member, learner: Learner) -> None:
        self.member = member
        self.run: Run = member.run
        self.learner = learner
        self.saved = time.monotonic()
        state = self.run.resume()
        if state is not None:
            try:
                learner.load_state_dict(state)
            except (KeyError, RuntimeError, ValueError) as error:
                raise RunError(
                    f"the checkpoint in {self.run.directory} does not fit this run "
                    f"({reason_of(error)}); delete that directory and run again."
                ) from error
        self.last: Record = {}
        if learner.done:
            self.last = self.run.metrics()[-1]

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            kept = finite(record)
            assert isinstance(kept, dict)
            self.run.append(kept)
            self.last = kept

    def save(self, *, last: bool) -> None:
        if last or time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.run.checkpoint(self.learner.state_dict())
            self.saved = time.monotonic()

    def end(self, finished: Finished) -> None:
        if finished.weights is not None:
            self.run.save_weights(finished.weights)
        result = finite(finished.result)
        assert isinstance(result, dict)
        self.run.finish(result, finished.scores)
