"""The inner loop of MAML, written once for the engines that use PyTorch's autograd."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metaact.errors import UsageError

Parameters = dict[str, Tensor]

NO_GRADIENT = (
    "`model` must compute its logits from the parameters that adapt; got logits without a gradient "
    "(something in it detaches them, or works outside of PyTorch)."
)


def adapt(
    parameters: Parameters,
    loss: Callable[[Parameters], Tensor],
    *,
    inner_lr: float,
    inner_steps: int,
    first_order: bool,
) -> Parameters:
    r"""Take `inner_steps` gradient steps θ ← θ − inner_lr · ∇loss(θ).

    In first-order mode, and where gradients are off, every inner gradient is taken at detached
    copies and without `create_graph`: no graph outlives its step, and the result depends on
    `parameters` through the identity alone.

    Args:
        parameters: Start values, per task or stacked.
        loss: A scalar of the parameters; for stacked tasks the sum of theirs, whose gradient is
            each task's own because no task's loss depends on another's parameters.
        inner_lr: Step size.
        inner_steps: Number of steps.
        first_order: Whether the inner gradients count as constants.

    Returns:
        The adapted parameters. One that the loss does not use stays as it is.
    """
    exact = torch.is_grad_enabled() and not first_order
    for _ in range(inner_steps):
        with torch.enable_grad():
            at = parameters if exact else _leaves(parameters)
            value = loss(at)
            if not value.requires_grad:
                raise UsageError(NO_GRADIENT)
            gradients = torch.autograd.grad(
                value, list(at.values()), create_graph=exact, allow_unused=True
            )
        parameters = {
            name: value if g is None else torch.sub(value, g, alpha=inner_lr)
            for (name, value), g in zip(parameters.items(), gradients, strict=True)
        }
    return parameters


def _leaves(parameters: Parameters) -> Parameters:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}
