"""What swapping the activation of a trained network costs, and how fast fine-tuning makes it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from metaact.activations import WarmStart, convert, stuck_count
from metaact.activations.entry import Entry
from metaact.display import brief
from metaact.errors import UsageError

from .recipe import Recipe
from .trainer import Labelled, Normalisation, Trainer, batch, evaluate

FITTED = 256
"""Training images that a warm start looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapCourse:
    """One way of swapping, right after it and in the first steps of fine-tuning.

    Attributes:
        steps: Updates done, from 0.
        accuracies: Accuracy after each, in 0..1.
        stuck: Places whose α had left its range after each.
        drift: Root mean square of the change of the outputs by the swap, over that of the outputs.
    """

    steps: tuple[int, ...]
    accuracies: tuple[float, ...]
    stuck: tuple[int, ...]
    drift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapCost:
    """The plain and the warm swap of one network; printed, it is a table.

    Attributes:
        before: Accuracy of the network as it was.
        plain: With the usual start values.
        warm: With those that fit the old activations.
        start: The fit of each place.
    """

    before: float
    plain: SwapCourse
    warm: SwapCourse
    start: WarmStart

    def __repr__(self) -> str:
        return brief(
            self, before=self.before, plain=self.plain.accuracies[-1], warm=self.warm.accuracies[-1]
        )

    def __str__(self) -> str:
        head = "".join(f"{f'step {step}':>10}" for step in self.plain.steps)
        lines = [f"accuracy before the swap {self.before:.1%}", f"{'':6}{'drift':>8}{head}"]
        for name, course in (("plain", self.plain), ("warm", self.warm)):
            cells = "".join(f"{accuracy:>10.1%}" for accuracy in course.accuracies)
            lines.append(f"{name:6}{course.drift:>8.3f}{cells}   stuck {course.stuck[-1]}")
        return "\n".join(lines)


class _Enough(Exception):  # noqa: N818  # it is no error
    """Raised to end an epoch after the last step that is wanted."""


def swap_cost(
    model: nn.Module,
    activation: str | Entry,
    *,
    train: Labelled,
    test: Labelled,
    recipe: Recipe,
    steps: Sequence[int] = (0, 1, 10, 30, 100),
    seed: int = 0,
    normalisation: Normalisation | None = None,
) -> SwapCost:
    """Swap the activation of a trained network, plainly and warm, and fine-tune both.

    Both see the same batches. The warm start looks at the first 256 training images.

    Args:
        model: A trained network, which is left as it is.
        activation: As for `convert`.
        train: Images to fine-tune on.
        test: Images to evaluate on.
        recipe: How to fine-tune.
        steps: After how many updates to evaluate.
        seed: Seed of the batch order.
        normalisation: That of the network's input, as for `Trainer`.

    Raises:
        UsageError: If `steps` are not increasing from 0 or more, or the network cannot be
            converted.
    """
    if list(steps) != sorted({*steps}) or not steps or min(steps) < 0:
        raise UsageError(f"`steps` must be increasing numbers from 0 on; got {tuple(steps)}.")
    like = next(model.parameters())
    first = train.labels.new_tensor(range(min(FITTED, len(train.labels))))
    images, _ = batch(train, first, like=like, normalisation=normalisation)
    warm, report = convert(model, activation, warm_start=images, report=True)
    plain = convert(model, activation, example=images[:2])
    assert report.warm is not None

    def accuracy(network: nn.Module) -> float:
        return evaluate(network, test, normalisation=normalisation).accuracy

    def course(network: nn.Module, drift: float) -> SwapCourse:
        trainer = Trainer(network, train, recipe=recipe, seed=seed, normalisation=normalisation)
        return _course(trainer, drift, steps, accuracy)

    return SwapCost(
        before=accuracy(model),
        plain=course(plain, report.warm.plain_drift),
        warm=course(warm, report.warm.drift),
        start=report.warm,
    )


def _course(
    trainer: Trainer, drift: float, steps: Sequence[int], accuracy: Callable[[nn.Module], float]
) -> SwapCourse:
    accuracies: list[float] = []
    stuck: list[int] = []

    def look() -> None:
        accuracies.append(accuracy(trainer.model))
        stuck.append(stuck_count(trainer.model))

    def observe(step: int) -> None:
        look()
        if done + step == steps[-1]:
            raise _Enough

    if steps[0] == 0:
        look()
    try:
        while len(accuracies) < len(steps):
            done = trainer.epochs * trainer.steps
            trainer.epoch(observe_at=[step - done for step in steps], observe=observe)
    except _Enough:
        pass
    return SwapCourse(
        steps=tuple(steps), accuracies=tuple(accuracies), stuck=tuple(stuck), drift=drift
    )
