"""Supervised runs: trained, watched, checkpointed, finished; alone or stacked with others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import nn

from metaact import activations
from metaact.adaptation import EpochLoss, Labelled, Trainer, evaluate, refusal, stacked_epoch
from metaact.errors import MetaactError, RunError
from metaact.runs import Run, finite, pack_bits

from .sweep import Job

CHECKPOINT_SECONDS = 5.0
"""Wall time between checkpoints: what a kill can cost, to the end of the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """One supervised run to be done.

    Attributes:
        label: What the user sees.
        run: Its directory.
        build: Makes the trainer, before its first epoch.
        epochs: Its length.
        evaluate_on: The parts it is evaluated on after every epoch, by name.
        observe_at: Updates of the first epoch after which it is evaluated, too.
        evaluate_start: Whether it is evaluated before the first update.
        keep_all: Whether the weights after every epoch are kept, not only the last.
        environment: What `run.start` records.
        group: Runs of an equal group may be stacked; None forbids it.
        instead: The result to finish with in place of training, where there is nothing to train;
            None trains.
    """

    label: str
    run: Run
    build: Callable[[], Trainer]
    epochs: int
    evaluate_on: Mapping[str, Labelled]
    observe_at: tuple[int, ...] = ()
    evaluate_start: bool = False
    keep_all: bool = False
    environment: Mapping[str, object]
    group: object = None
    instead: Callable[[], Mapping[str, object] | None] = lambda: None


def jobs(tasks: Sequence[Task], *, stack: int = 1) -> list[Job]:
    """The tasks as jobs of a sweep.

    With `stack` above 1, a job whose turn comes takes along runs of its group that nobody has
    started, up to that many in all; when their own turn comes they are complete.

    Args:
        tasks: The runs.
        stack: Most runs trained in one vectorised call.

    Returns:
        One job per task, in the same order.
    """

    def job(task: Task) -> Job:
        others = [t for t in tasks if t is not task and t.group == task.group is not None]
        return Job(
            label=task.label,
            run=task.run,
            steps=task.epochs,
            work=lambda tick: _work(task, others, stack, tick),
        )

    return [job(task) for task in tasks]


def _work(task: Task, others: Sequence[Task], stack: int, tick: Callable[[], None]) -> None:
    result = task.instead()
    if result is not None:
        task.run.start(task.environment)
        task.run.resume()
        task.run.finish(result)
        return
    with ExitStack() as held:
        members = [_Member(task)]
        first = members[0].trainer
        if stack > 1 and refusal(first.model, first.images) is None:
            for other in others:
                joined = _join(held, other, first.epochs) if len(members) < stack else None
                members += [joined] if joined else []
        _train(members, tick)


def _join(held: ExitStack, task: Task, epochs: int) -> _Member | None:
    """The companion, locked, if it is free and as far as the others."""
    with ExitStack() as attempt:
        try:
            attempt.enter_context(task.run.lock())
            if task.run.is_complete:
                return None
            member = _Member(task)
        except MetaactError:
            return None  # its own turn comes, and says why
        if member.trainer.epochs != epochs:
            return None
        held.push(attempt.pop_all())
        return member


def _train(members: list[_Member], tick: Callable[[], None]) -> None:
    """Bring all members from the epoch they share to their end."""
    task = members[0].task
    done = members[0].trainer.epochs
    for _ in range(done):
        tick()
    if done == 0:
        for member in members:
            member.record_start()
    for epoch in range(done, task.epochs):
        outcomes = _epoch(members, observe_at=task.observe_at if epoch == 0 else ())
        members = [
            member
            for member, outcome in zip(members, outcomes, strict=True)
            if member.goes_on_after(outcome)
        ]
        tick()
        if not members:
            return
    for member in members:
        member.finish()


def _epoch(members: Sequence[_Member], *, observe_at: tuple[int, ...]) -> list[EpochLoss]:
    def observe(step: int) -> None:
        for member in members:
            member.record(step=step)

    if len(members) == 1:
        return [members[0].trainer.epoch(observe_at=observe_at, observe=observe)]
    trainers = [member.trainer for member in members]
    return stacked_epoch(trainers, observe_at=observe_at, observe=observe)


class _Member:
    """A locked run in training: its trainer, and what it writes."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.run = task.run
        self.trainer = task.build()
        self.kept: dict[str, Any] = {}
        self.saved = time.monotonic()
        self.run.start(task.environment)
        self._resume()

    def _resume(self) -> None:
        state = self.run.resume()
        if state is None:
            return
        try:
            self.trainer.load_state_dict(state["trainer"])
            self.kept = dict(state["kept"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(
                f"the checkpoint in {self.run.directory} does not fit this run ({error}); "
                "delete that directory and run again."
            ) from error

    def record_start(self) -> None:
        """What is known before the first update."""
        if self.task.evaluate_start:
            self.record(step=0)
        else:
            start = {"epoch": 0, "step": 0, "attention": self._attention()}
            self.run.append(finite(start))  # type: ignore[arg-type]

    def record(self, *, step: int | None = None, train_loss: float | None = None) -> bool:
        """Evaluate, and write it down; whether all losses are finite.

        Args:
            step: Updates done in the first epoch; None after a whole epoch.
            train_loss: Mean training loss of the epoch.
        """
        epochs = self.trainer.epochs
        record: dict[str, object] = {
            "epoch": epochs if step is None else step / self.trainer.steps,
            "step": epochs * self.trainer.steps if step is None else step,
            "attention": self._attention(),
        }
        if train_loss is not None:
            record["train_loss"] = train_loss
        losses = []
        for name, images in self.task.evaluate_on.items():
            score = evaluate(self.trainer.model, images)
            losses.append(score.loss)
            record |= {f"{name}_loss": score.loss, f"{name}_accuracy": score.accuracy}
            if name == "test" and (step is None or epochs == step == 0):
                record["test_right"] = pack_bits(score.right.numpy())
        self.run.append(finite(record))  # type: ignore[arg-type]
        return all(math.isfinite(loss) for loss in losses)

    def goes_on_after(self, outcome: EpochLoss) -> bool:
        """Record an epoch; False if the run diverged in it and is finished."""
        sound = outcome.diverged_at is None and self.record(train_loss=outcome.loss)
        if not sound:
            steps, bad = self.trainer.steps, outcome.diverged_at
            if self.task.keep_all:
                self.run.save_weights(self.kept)
            self.run.finish(
                {
                    "outcome": "diverged",
                    "epoch": self.trainer.epochs,
                    "step": (self.trainer.epochs - 1) * steps + (steps if bad is None else bad + 1),
                    **counts(self.trainer.model),
                }
            )
            return False
        epochs = self.trainer.epochs
        if self.task.keep_all:
            state = self.trainer.model.state_dict()
            self.kept[f"epoch-{epochs}"] = {k: v.detach().clone() for k, v in state.items()}
        last = epochs == self.task.epochs
        if last or time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.run.checkpoint({"trainer": self.trainer.state_dict(), "kept": self.kept})
            self.saved = time.monotonic()
        return True

    def finish(self) -> None:
        """Write weights and result: the run is complete."""
        model = self.trainer.model
        self.run.save_weights(self.kept if self.task.keep_all else model.state_dict())
        last = self.run.metrics()[-1]
        figures = {k: v for k, v in last.items() if k.endswith(("_loss", "_accuracy"))}
        sizes = {f"{name}_images": len(i.labels) for name, i in self.task.evaluate_on.items()}
        self.run.finish(
            {"outcome": "complete", "epochs": self.task.epochs, **figures, **sizes, **counts(model)}
        )

    def _attention(self) -> dict[str, dict[str, float]]:
        return activations.attention_values(self.trainer.model)


def counts(model: nn.Module) -> dict[str, object]:
    """Sizes and final α, β of a model, for `result.json`."""
    values = activations.attention_values(model)
    return {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "attention": finite(values),
        "stuck_alpha": sum(bool(activations.is_stuck(v["alpha"])) for v in values.values()),
        "attention_layers": len(values),
    }
