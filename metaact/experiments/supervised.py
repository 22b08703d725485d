"""Networks trained in the ordinary way, as runs: what converge and transfer have in common."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from metaact import activations
from metaact.adaptation import (
    EpochLoss,
    Labelled,
    Normalisation,
    Trainer,
    evaluate,
    misfit,
    refusal,
    stacked_epoch,
)
from metaact.errors import UsageError, check_int
from metaact.randomness import isolated_rng
from metaact.runs import finite, pack_bits
from metaact.tasks import Images, statistics
from metaact.tasks.sources.catalogue import DATASETS

from .declared import TrainingConfig
from .evidence import RIGHT
from .loop import Finished, Record, Step
from .networks import counts, most_together
from .timing import seconds_of

TIMED = 2, 10
"""Updates between which the time is taken: the first ones warm up."""

SAMPLE = 500
"""Images of the forward pass that is timed: an evaluation takes as many at a time."""

UNNORMALISED = Normalisation(mean=(0.0,), std=(1.0,))
"""Pixels in 0..1 as they are."""


def together(config: TrainingConfig, device: str) -> int:
    """Most runs that are trained in one vectorised call."""
    return most_together(config.stack, device) if config.precision == "float32" else 1


def normalisation_of(config: TrainingConfig, name: str, train: Images) -> Normalisation | None:
    """What the images of a data set are normalised by; None where pixels in 0..1 are left so.

    Args:
        config: The settings of a run.
        name: The data set's name, or a path.
        train: Its training part.

    Raises:
        UsageError: If values are asked for that nobody published.
        DataError: If a channel has one value throughout.
    """
    if config.normalisation == "none":
        return None
    if config.normalisation == "fitted":
        mean, std = statistics(train)
        return Normalisation(mean=mean, std=std)
    known = {dataset.name: dataset for dataset in DATASETS if dataset.mean}
    if name not in known or len(known[name].mean) != train.channels:
        raise UsageError(
            f"`normalisation` must be none or fitted for {name} in {train.channels} channels "
            f"(values are published for {', '.join(known)}); got 'published'."
        )
    return Normalisation(mean=known[name].mean, std=known[name].std)


def described(normalisation: Normalisation | None) -> dict[str, object]:
    """A normalisation as a run records it."""
    one = normalisation or UNNORMALISED
    return {"mean": list(one.mean), "std": list(one.std), "scale": "pixels in 0..1"}


def check_classes(name: str, dataset: str, images: Images) -> None:
    """Refuse data in which there is nothing to tell apart.

    Args:
        name: The setting that names the data.
        dataset: What it says.
        images: The training part.

    Raises:
        UsageError: If they have one class.
    """
    if images.classes < 2:
        raise UsageError(
            f"`{name}` must have at least 2 classes to tell apart; {dataset} has one, "
            f"{images.class_names[0]!r}."
        )


def check_batch_size(batch_size: int, images: int) -> None:
    """Refuse batches that are larger than the training part, and than the default.

    Raises:
        UsageError: If they are.
    """
    most = max(images, TrainingConfig().batch_size)
    if batch_size > most:
        why = f"the training part has {images} images"
        check_int("batch_size", batch_size, minimum=1, maximum=most, why=why)


class Learner:
    """One network in training, evaluated after every epoch.

    Args:
        trainer: The network and its training.
        evaluate_on: The parts it is evaluated on, by name.
        epochs: Its length.
        observe_at: Updates of the first epoch after which it is evaluated, too.
        evaluate_start: Whether it is evaluated before the first update.
        keep_all: Whether the weights after every epoch are kept, not only the last.
    """

    def __init__(
        self,
        trainer: Trainer,
        evaluate_on: Mapping[str, Labelled],
        *,
        epochs: int,
        observe_at: tuple[int, ...] = (),
        evaluate_start: bool = False,
        keep_all: bool = False,
    ) -> None:
        self.trainer = trainer
        self.evaluate_on = evaluate_on
        self.epochs = epochs
        self.observe_at = observe_at
        self.evaluate_start = evaluate_start
        self.keep_all = keep_all
        self.kept: dict[str, Any] = {}

    @property
    def done(self) -> int:
        """Epochs done."""
        return self.trainer.epochs

    def refusal(self, beside: Sequence[Learner]) -> str | None:
        """Why it cannot be trained in one call with these, each as if it were alone."""
        model, images = self.trainer.model, self.trainer.images
        models = [*(other.trainer.model for other in beside), model]
        return refusal(model, images) or misfit(models, images)

    def begin(self) -> list[Record]:
        """What is known before the first update."""
        if self.evaluate_start:
            return [self.record(step=0)]
        return [{"epoch": 0, "step": 0, "attention": self._attention()}]

    def record(
        self, *, step: int | None = None, train_loss: float | None = None
    ) -> dict[str, object]:
        """Evaluate.

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
            record |= {"train_loss": train_loss, "lr": self.trainer.lr}
        for name, images in self.evaluate_on.items():
            with isolated_rng(name, self.trainer.seed, epochs, step or 0):
                score = evaluate(
                    self.trainer.model, images, normalisation=self.trainer.normalisation
                )
            record |= {f"{name}_loss": score.loss, f"{name}_accuracy": score.accuracy}
            if score.top5 is not None:
                record[f"{name}_top5_accuracy"] = score.top5
            if name == "test" and (step is None or epochs == step == 0):
                record[RIGHT] = pack_bits(score.right.numpy())
        return record

    def after(self, outcome: EpochLoss, inside: Sequence[Record]) -> Step:
        """What an epoch left behind.

        Args:
            outcome: Its loss.
            inside: Records made within it.
        """
        if outcome.diverged_at is not None:
            return Step(records=inside, ended=self._diverged(outcome.diverged_at))
        record = self.record(train_loss=outcome.loss)
        losses = [record[f"{name}_loss"] for name in self.evaluate_on]
        records = [*inside, record]
        if not all(isinstance(loss, float) and math.isfinite(loss) for loss in losses):
            return Step(records=records, ended=self._diverged(None))
        if self.keep_all:
            state = self.trainer.model.state_dict()
            self.kept[f"epoch-{self.done}"] = {k: v.detach().clone() for k, v in state.items()}
        return Step(records=records)

    def _diverged(self, step: int | None) -> Finished:
        steps = self.trainer.steps
        result = {
            "outcome": "diverged",
            "epoch": self.done,
            "step": (self.done - 1) * steps + (steps if step is None else step + 1),
            **counts(self.trainer.model),
        }
        return Finished(result=result, weights=self.kept if self.keep_all else None)

    def finish(self, last: Record) -> Finished:
        """Weights, and the figures of the last epoch."""
        model = self.trainer.model
        figures = {k: v for k, v in last.items() if k.endswith(("_loss", "_accuracy"))}
        sizes = {f"{name}_images": len(i.labels) for name, i in self.evaluate_on.items()}
        return Finished(
            result={
                "outcome": "complete",
                "epochs": self.epochs,
                "shares": self.trainer.shares,
                **figures,
                **sizes,
                **counts(model),
            },
            weights=self.kept if self.keep_all else model.state_dict(),
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {"trainer": self.trainer.state_dict(), "kept": self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned."""
        self.trainer.load_state_dict(state["trainer"])
        self.kept = dict(state["kept"])

    def _attention(self) -> object:
        return finite(activations.attention_values(self.trainer.model))


def advance(learners: Sequence[Learner]) -> list[Step]:
    """One epoch of every learner, in one vectorised call if they are several."""
    first = learners[0]
    inside: list[list[Record]] = [[] for _ in learners]

    def observe(step: int) -> None:
        for records, learner in zip(inside, learners, strict=True):
            records.append(learner.record(step=step))

    watched = first.observe_at if first.done == 0 else ()
    if len(learners) == 1:
        outcomes = [first.trainer.epoch(observe_at=watched, observe=observe)]
    else:
        trainers = [learner.trainer for learner in learners]
        outcomes = stacked_epoch(trainers, observe_at=watched, observe=observe)
    return [
        learner.after(outcome, records)
        for learner, outcome, records in zip(learners, outcomes, inside, strict=True)
    ]


def estimate(learner: Learner) -> float:
    """Seconds that a run takes: its updates and its evaluations, a few of each timed.

    The learner is used up by it.
    """
    trainer = learner.trainer
    update = update_seconds(trainer)
    images = sum(len(part.labels) for part in learner.evaluate_on.values())
    sample = _First(learner.evaluate_on["test"])
    evaluation = seconds_of(lambda: evaluate(trainer.model, sample)) * images / len(sample.labels)
    times = learner.epochs + len(learner.observe_at) + learner.evaluate_start
    return update * trainer.steps * learner.epochs + evaluation * times


def update_seconds(trainer: Trainer) -> float:
    """Seconds of one update, from a few; the trainer is used up by it."""
    updates = min(trainer.steps, TIMED[1])
    first = min(TIMED[0], updates - 1)
    moments: list[float] = []

    def observe(step: int) -> None:
        moments.append(time.perf_counter())
        if step == updates:
            raise _TimedError

    start = time.perf_counter()
    with contextlib.suppress(_TimedError):
        trainer.epoch(observe_at={first, updates}, observe=observe)
    return (moments[-1] - (moments[0] if first else start)) / (updates - first)


class _TimedError(Exception):
    """Enough updates are done: the rest of the epoch is not."""


class _First:
    """The first images of a part."""

    def __init__(self, images: Labelled) -> None:
        self.pixels = images.pixels[:SAMPLE]
        self.labels = images.labels[:SAMPLE]
