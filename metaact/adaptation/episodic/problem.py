"""What every MAML engine is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from metaact.adaptation.stateless import head_of
from metaact.errors import UsageError, check_choice

if TYPE_CHECKING:
    from .algorithms.rule import Rule


class Batch(Protocol):
    """The part of `metaact.tasks.MetaBatch` that adaptation uses.

    Attributes:
        support: float [tasks, support images, ...].
        support_labels: int64 [tasks, support images].
        query: float [tasks, query images, ...].
        query_labels: int64 [tasks, query images].
    """

    @property
    def support(self) -> Tensor:
        """Images to adapt to."""

    @property
    def support_labels(self) -> Tensor:
        """Their labels."""

    @property
    def query(self) -> Tensor:
        """Images to be judged by."""

    @property
    def query_labels(self) -> Tensor:
        """Their labels."""

    def __len__(self) -> int:
        """Number of tasks."""

    def __getitem__(self, tasks: slice, /) -> Batch:
        """Some of the tasks."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Some tasks, as nothing but tensors; see `Batch`."""

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.support)

    def __getitem__(self, tasks: slice, /) -> Share:
        """Some of the tasks."""
        return Share(*(tensor[tasks] for tensor in tensors_of(self)))


def tensors_of(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Support images and labels, query images and labels."""
    return batch.support, batch.support_labels, batch.query, batch.query_labels


class Outcome(NamedTuple):
    """What the adapted networks of a batch make of their queries.

    Attributes:
        losses: float [tasks], differentiable in the model's parameters where gradients are on.
        accuracies: float [tasks] in 0..1.
    """

    losses: Tensor
    accuracies: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """One model and how it adapts.

    Attributes:
        model: The network; its parameters are meta-parameters.
        rule: The algorithm.
        adapted: Names of the parameters of which a task has its own.
        meta: Meta-parameters beside the network's, by name.
        inputs: What depends on the iteration and is not learned, by name.
        classes: How many classes the labels of the batch name; 0 if that is not looked at.
    """

    model: nn.Module
    rule: Rule
    adapted: tuple[str, ...]
    meta: dict[str, Tensor] = field(default_factory=dict)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    classes: int = 0


class Key(NamedTuple):
    """What is done to each share of a batch.

    Attributes:
        steps: Inner steps.
        learns: Whether the losses are those that are minimised over tasks.
        tasks: Of the whole batch, over which gradients are means; 0 where there are none.
        again: Whether steps are computed again on the way back.
    """

    steps: int
    learns: bool
    tasks: int = 0
    again: bool = False


class Tasks(Protocol):
    """The networks of some tasks: what an engine hands to an algorithm.

    Values of parameters are stacked, [tasks, ...], or those of one task alone.

    Attributes:
        problem: The model and how it adapts.
        start: The model's own values of the parameters that adapt.
        shared: All other parameters.
        dims: How many dimensions of values count tasks: 1 if they are stacked, else 0.
    """

    problem: Problem
    start: dict[str, Tensor]
    shared: dict[str, Tensor]
    dims: int

    def logits(
        self, own: dict[str, Tensor], shared: dict[str, Tensor], images: Tensor, /
    ) -> Tensor:
        """Logits [tasks, images, classes].

        Args:
            own: Values of parameters, of each task.
            shared: Values of the others, one for all tasks.
            images: float [tasks, images, ...].
        """


class Engine(Protocol):
    """Adapt to the support images of each task and judge on its queries."""

    def __call__(
        self, problem: Problem, batch: Batch, *, inner_steps: int, learns: bool = False
    ) -> Outcome:
        """Run all tasks of `batch`.

        Args:
            problem: The model and how it adapts.
            batch: The tasks.
            inner_steps: Steps on a task.
            learns: Whether the losses are those that are minimised over tasks, in place of those
                of the queries after adaptation.
        """


def check_batch(batch: Batch, *, like: Tensor) -> None:
    """Refuse a batch that cannot be adapted to.

    Args:
        batch: Tasks of one shape.
        like: A parameter of the model.

    Raises:
        UsageError: If it holds no task, no image of a part, labels of another type or shape, or
            images of another dtype or device than the model.
    """
    if len(batch) == 0:
        raise UsageError("`batch` must hold at least one task; got none.")
    parts = {
        "support": (batch.support, batch.support_labels),
        "query": (batch.query, batch.query_labels),
    }
    for name, (images, labels) in parts.items():
        if len(images) != len(batch) or images.ndim < 2 or images.shape[1] == 0:
            raise UsageError(
                f"`batch.{name}` must be [{len(batch)}, images, ...] with at least one image for "
                f"each of the {len(batch)} tasks; got {list(images.shape)}."
            )
        check_images(f"batch.{name}", images, labels, dims=2, like=like)


def check_images(name: str, images: Tensor, labels: Tensor, *, like: Tensor, dims: int = 1) -> None:
    """Refuse images and labels that a model cannot be adapted to.

    Args:
        name: What the caller calls the images; the labels are `<name>_labels`.
        images: [images, ...], or [tasks, images, ...].
        labels: One per image.
        like: A parameter of the model.
        dims: How many dimensions of the images count them.

    Raises:
        UsageError: If there is none, or they are of another dtype, device or shape.
    """
    if torch.is_inference_mode_enabled() or like.is_inference():
        raise UsageError(
            "`model` must be made and adapted outside torch.inference_mode(), which forbids the "
            "gradients that adapt it; use torch.no_grad() for a test."
        )
    if images.numel() == 0 or images.ndim < dims:
        raise UsageError(f"`{name}` must hold at least one image; got {list(images.shape)}.")
    if (images.dtype, images.device) != (like.dtype, like.device):
        raise UsageError(
            f"`{name}` must be {like.dtype} on {like.device}, as the model is; "
            f"got {images.dtype} on {images.device}."
        )
    wanted = images.shape[:dims], torch.int64, images.device
    if (labels.shape, labels.dtype, labels.device) != wanted:
        raise UsageError(
            f"`{name}_labels` must be int64 {list(images.shape[:dims])} on {images.device}, "
            f"one per image; got {labels.dtype} {list(labels.shape)} on {labels.device}."
        )
    if images.is_inference() or labels.is_inference():
        raise UsageError(
            f"`{name}` must be made outside torch.inference_mode() (gradients go through "
            "it); clone it outside."
        )
    # On a GPU this would wait for the device.
    if labels.device.type == "cpu" and int(labels.min()) < 0:
        raise UsageError(
            f"`{name}_labels` must be >= 0 (they number the classes of a task); got "
            f"{int(labels.min())}."
        )


def classes_of(*labels: Tensor) -> int:
    """How many classes some labels name; 0 on a GPU, where asking would wait for it."""
    return max(int(part.max()) for part in labels) + 1 if labels[0].device.type == "cpu" else 0


def adapted_names(model: nn.Module, head_only: bool | Sequence[str]) -> tuple[str, ...]:
    """Names of the parameters that the inner loop adapts, in the model's order.

    Args:
        model: Any network.
        head_only: False adapts all trainable parameters. True adapts the child module called
            `head` if there is one, else the last `nn.Linear`. Names of parameters or of modules
            adapt exactly those.

    Returns:
        Names as in `model.named_parameters()`.

    Raises:
        UsageError: If there is no head, a name is unknown, or nothing would adapt.
    """
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    if head_only is False:
        chosen = trainable
    else:
        wanted = [_head(model)] if head_only is True else _known(model, head_only)
        chosen = _within(model, trainable, wanted)
    if not chosen:
        raise UsageError(
            "`model` must have trainable parameters to adapt (`head_only` and requires_grad choose "
            f"them); got none in {type(model).__name__}."
        )
    return tuple(chosen)


def _within(model: nn.Module, trainable: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Those that are, or lie in, one of the wanted, by any of the names that a parameter has."""
    everywhere: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        everywhere.setdefault(id(parameter), []).append(name)
    own = dict(model.named_parameters())
    return [
        name
        for name in trainable
        if any(n == w or n.startswith(f"{w}.") for n in everywhere[id(own[name])] for w in wanted)
    ]


def _head(model: nn.Module) -> str:
    found = head_of(model)
    if found is None:
        raise UsageError(
            "`head_only` must be False or names of parameters for a model without a child called "
            f"`head` and without nn.Linear; got True for {type(model).__name__}."
        )
    return found


def _known(model: nn.Module, names: Sequence[str]) -> list[str]:
    if isinstance(names, str):
        names = [names]
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    modules = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    return [check_choice("head_only", name, parameters + modules) for name in names]
