"""The inner loop, written once for the engines that use PyTorch's autograd."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from metaact.errors import UsageError

Parameters = dict[str, Tensor]

Step = Callable[[Parameters, Parameters, int], Parameters]
"""From values, gradients of the same names and the number of the step to the next values."""

NO_GRADIENT = (
    "`model` must compute its logits from the parameters that adapt; got logits without a gradient "
    "(something in it detaches them, or works outside of PyTorch)."
)


def path(
    parameters: Parameters,
    loss: Callable[[Parameters, int], Tensor],
    step: Step,
    *,
    inner_steps: int,
    exact: bool,
) -> Iterator[Parameters]:
    r"""The parameters before the first of `inner_steps` gradient steps, and after each.

    Unless `exact`, every inner gradient is taken at detached copies and without `create_graph`: no
    graph outlives its step, and the result depends on `parameters` through what `step` does with
    the values alone.

    Args:
        parameters: Start values, per task or stacked.
        loss: A scalar of the parameters and the number of the step; for stacked tasks the sum of
            theirs, whose gradient is each task's own because no task's loss depends on another's
            parameters.
        step: Takes a step; it is given the parameters that the loss depends on.
        inner_steps: Number of steps.
        exact: Whether the inner gradients are to be differentiated.
    """
    yield parameters
    for number in range(inner_steps):
        with torch.enable_grad():
            at = parameters if exact else _leaves(parameters)
            value = loss(at, number)
            if not value.requires_grad:
                raise UsageError(NO_GRADIENT)
            found = torch.autograd.grad(
                value, list(at.values()), create_graph=exact, allow_unused=True
            )
        gradients = {n: g for n, g in zip(parameters, found, strict=True) if g is not None}
        there = {name: parameters[name] for name in gradients}
        parameters = {**parameters, **step(there, gradients, number)}
        yield parameters


def last(values: Iterator[Parameters]) -> Parameters:
    """The last of some, of which no others are kept."""
    (found,) = deque(values, maxlen=1)
    return found


def _leaves(parameters: Parameters) -> Parameters:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def per_task(values: Tensor, *, dims: int) -> Tensor:
    """The sum of a tensor's numbers, of each task where its first dimension counts tasks."""
    return values.reshape(*values.shape[:dims], -1).sum(dim=-1)


def clipped(gradients: Parameters, most: float, *, dims: int) -> Parameters:
    """Gradients scaled, all of a task by one factor, so that their norm is at most `most`.

    g · min(1, most / ‖g‖), where ‖g‖ is over all parameters of the task together.

    Args:
        gradients: By name; their first `dims` dimensions count tasks.
        most: The largest norm.
        dims: 1 for stacked tasks, 0 for one task alone.
    """
    squares = [per_task(g.square(), dims=dims) for g in gradients.values()]
    # The square is bounded before the root is taken, whose slope at zero is infinite.
    factor = most * torch.stack(squares).sum(dim=0).clamp(min=most**2).rsqrt()
    return {
        name: g * factor.reshape(factor.shape + (1,) * (g.ndim - dims))
        for name, g in gradients.items()
    }
