"""Random numbers of an activation, drawn beforehand: networks side by side have each its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.overrides import TorchFunctionMode

from metaact.randomness import Streams, isolated_rng, preserved_rng

MOST = 4
"""An activation that draws more often for a unit is computed by itself."""


class Given(TorchFunctionMode):
    """Inside, `torch.rand_like` of a tensor returns given numbers; whatever else draws, draws.

    Args:
        numbers: Tensors of the shape of what comes in, handed out in this order.

    Attributes:
        taken: How many were.
    """

    def __init__(self, numbers: Sequence[Tensor]) -> None:
        super().__init__()
        self._numbers, self.taken = numbers, 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # of any function of PyTorch
        """Call it, or hand out the next numbers in its place."""
        if func is torch.rand_like and not kwargs and self.taken < len(self._numbers):
            found = self._numbers[self.taken]
            if found.shape == args[0].shape:
                self.taken += 1
                return found
        return func(*args, **(kwargs or {}))


def is_same_function(one: nn.Module, other: nn.Module, inputs: Tensor) -> bool:
    """Whether two networks compute the same with the same numbers.

    They do not where they keep what they drew when they were made in plain attributes.

    Args:
        one: Left as it is.
        other: It is given the numbers of the first.
        inputs: What they are tried on.
    """
    other.load_state_dict(one.state_dict())

    def outputs(network: nn.Module) -> Tensor:
        with torch.no_grad(), isolated_rng("same function"):
            made: Tensor = network(inputs)
        return made

    return torch.allclose(outputs(one), outputs(other), equal_nan=True)


def draws_of(activation: nn.Module, hidden: int) -> int | None:
    """How many random numbers an activation in training needs for a unit, each from U(0, 1).

    Returns:
        None where networks with it cannot be computed side by side: it does not go through
        `torch.vmap`, or draws in another way than by `torch.rand_like` of what comes in.
    """
    units = torch.linspace(-1, 1, 2 * hidden).reshape(2, 1, hidden)
    numbers = torch.linspace(0, 1, 2 * MOST * hidden).reshape(2, MOST, 1, hidden)

    def called(units: Tensor, numbers: Tensor) -> Tensor:
        with Given(numbers.unbind()):
            made: Tensor = activation(units)
        return made

    before = Streams.now()
    with torch.no_grad(), preserved_rng():
        try:
            with Given(numbers[1].unbind()) as given:
                alone = activation(units[1])
            drawn = Streams.now() != before
            stacked = vmap(called)(units, numbers)[1]
        except RuntimeError:
            return None
    return given.taken if not drawn and torch.allclose(alone, stacked) else None
