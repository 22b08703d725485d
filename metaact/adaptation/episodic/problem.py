"""What every MAML engine is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor, nn

from metaact.errors import UsageError, check_choice


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
        model: The network; its parameters are the meta-parameters.
        adapted: Names of the parameters that the inner loop changes.
        inner_lr: Step size of the inner loop.
        first_order: Whether the inner gradients count as constants.
    """

    model: nn.Module
    adapted: tuple[str, ...]
    inner_lr: float
    first_order: bool


class Engine(Protocol):
    """Adapt to the support images of each task and judge on its queries."""

    def __call__(self, problem: Problem, batch: Batch, *, inner_steps: int) -> Outcome:
        """Run all tasks of `batch`."""


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
        chosen = [n for n in trainable if any(n == w or n.startswith(f"{w}.") for w in wanted)]
    if not chosen:
        raise UsageError(
            "`model` must have trainable parameters to adapt (`head_only` and requires_grad choose "
            f"them); got none in {type(model).__name__}."
        )
    return tuple(chosen)


def _head(model: nn.Module) -> str:
    if "head" in dict(model.named_children()):
        return "head"
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UsageError(
            "`head_only` must be False or names of parameters for a model without a child called "
            f"`head` and without nn.Linear; got True for {type(model).__name__}."
        )
    return str(linear[-1])


def _known(model: nn.Module, names: Sequence[str]) -> list[str]:
    if isinstance(names, str):
        names = [names]
    parameters = [name for name, _ in model.named_parameters()]
    modules = [name for name, _ in model.named_modules() if name]
    return [check_choice("head_only", name, parameters + modules) for name in names]
