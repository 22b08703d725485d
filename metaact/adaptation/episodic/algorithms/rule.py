"""What an algorithm is: `init`, its meta-parameters, and `step`, one step on a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from metaact.adaptation.episodic.inner import Parameters, clipped, last, path
from metaact.adaptation.episodic.problem import Batch, Outcome, Problem, Tasks, adapted_names
from metaact.adaptation.episodic.scoring import score
from metaact.adaptation.stateless import head_of
from metaact.errors import UsageError, check_rate

from .table import BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(ABC):
    """How a network adapts to a task, and what of it is learned over tasks.

    A rule is a value: two of equal settings compute the same. It holds no tensors.
    """

    engines: ClassVar[tuple[str, ...]] = BOTH
    """Those that carry it out."""

    scores_unseen: ClassVar[bool] = True
    """Whether accuracies in training are those of queries that nothing was fitted to."""

    is_exact: ClassVar[bool] = False
    """Whether its meta-gradient goes through gradient steps and ends in the query loss alone, so
    that its steps can be computed again on the way back in place of keeping their graphs."""

    stacks: ClassVar[bool] = False
    """Whether networks of several runs can be meta-learned by it in one vectorised call: its
    meta-parameters are used entry by entry, and nothing of the network but through `Tasks`."""

    @abstractmethod
    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """Names of the parameters of which a task has its own."""

    def init(self, model: nn.Module, *, inner_steps: int) -> Parameters:
        """Meta-parameters beside the network's own, by name.

        Args:
            model: The network.
            inner_steps: Steps on a task.
        """
        return {}

    def inputs(self, iteration: int, *, inner_steps: int) -> Parameters:
        """What depends on the iteration and is not learned, by name.

        Args:
            iteration: Meta-updates done.
            inner_steps: Steps on a task.
        """
        return {}

    @abstractmethod
    def adapt(
        self, tasks: Tasks, images: Tensor, labels: Tensor, *, inner_steps: int
    ) -> Parameters:
        """The adapted parameters of some tasks.

        Args:
            tasks: The networks of the tasks.
            images: Support images, float [tasks, images, ...].
            labels: int64 [tasks, images].
            inner_steps: Steps on a task.
        """

    def learn(self, tasks: Tasks, batch: Batch, *, inner_steps: int) -> Outcome:
        """What is minimised over tasks: here the loss of the queries after adaptation."""
        return judged(
            tasks,
            self.adapt(tasks, batch.support, batch.support_labels, inner_steps=inner_steps),
            batch,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent(Rule):
    """A rule that takes gradient steps on the support images.

    Attributes:
        inner_lr: Step size, or where it starts.
        first_order: Whether inner gradients count as constants.
        inner_clip: Largest norm of a task's gradient, over all that adapts; a longer one is scaled
            to it. 0 scales none.
    """

    inner_lr: float
    first_order: bool = False
    inner_clip: float = 0.0

    is_exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_rate("inner_lr", self.inner_lr)
        if self.inner_clip:
            check_rate("inner_clip", self.inner_clip, why="or 0 for none")

    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """All parameters that are trained."""
        return adapted_names(model, False)

    def start(self, tasks: Tasks) -> Parameters:
        """Where the steps begin: at the network's own parameters."""
        return tasks.start

    def step(
        self, values: Parameters, gradients: Parameters, meta: Parameters, number: int
    ) -> Parameters:
        """θ − inner_lr · g.

        Args:
            values: Parameters that the loss depends on; stacked over tasks, or those of one.
            gradients: Of the loss in them, of the same shapes.
            meta: Meta-parameters, as `init` made them.
            number: How many steps came before.

        Returns:
            Their next values.
        """
        return {n: torch.sub(v, gradients[n], alpha=self.inner_lr) for n, v in values.items()}

    def update(
        self, problem: Problem, values: Parameters, gradients: Parameters, number: int, *, dims: int
    ) -> Parameters:
        """A step, after the gradients are clipped; `dims` dimensions of each tensor count tasks."""
        if self.inner_clip:
            gradients = clipped(gradients, self.inner_clip, dims=dims)
        return self.step(values, gradients, problem.meta, number)

    def steps(
        self, tasks: Tasks, images: Tensor, labels: Tensor, *, inner_steps: int, parts: int = 1
    ) -> Iterator[Parameters]:
        """The parameters before the first step and after each.

        Args:
            tasks: The networks of the tasks.
            images: float [tasks, images, ...].
            labels: int64 [tasks, images].
            inner_steps: Number of steps.
            parts: Into how many parts the images are divided, of which the steps take one each in
                turn.
        """
        exact = torch.is_grad_enabled() and not self.first_order
        shared = tasks.shared if exact else {n: p.detach() for n, p in tasks.shared.items()}

        def loss(values: Parameters, number: int) -> Tensor:
            part = slice(number % parts, None, parts)
            logits = tasks.logits(values, shared, images[:, part])
            return score(logits, labels[:, part], classes=tasks.problem.classes).losses.sum()

        def step(values: Parameters, gradients: Parameters, number: int) -> Parameters:
            return self.update(tasks.problem, values, gradients, number, dims=tasks.dims)

        return path(self.start(tasks), loss, step, inner_steps=inner_steps, exact=exact)

    def adapt(
        self, tasks: Tasks, images: Tensor, labels: Tensor, *, inner_steps: int
    ) -> Parameters:
        """The parameters after the last step."""
        return last(self.steps(tasks, images, labels, inner_steps=inner_steps))


def judged(tasks: Tasks, values: Parameters, batch: Batch) -> Outcome:
    """What networks with these parameters make of the queries."""
    logits = tasks.logits(values, tasks.shared, batch.query)
    return score(logits, batch.query_labels, classes=tasks.problem.classes)


def head_names(model: nn.Module, *, why: str) -> tuple[str, str]:
    """Names of weight and bias of the linear layer that a network ends in.

    Args:
        model: The network.
        why: What needs it.

    Raises:
        UsageError: If it has none.
    """
    name = head_of(model)
    head = model.get_submodule(name) if name is not None else None
    if not isinstance(head, nn.Linear) or head.bias is None:
        raise UsageError(
            f"`model` must end in an nn.Linear with a bias, its child `head` or the last one, for "
            f"{why}; got {type(model).__name__}."
        )
    return f"{name}.weight", f"{name}.bias"
