"""ELSA, the element-wise sign attention that can be added to any activation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.sloped import two_slopes
from metaact.activations.slopes import (
    ALPHA_START,
    BETA_START,
    check_start,
    clamped,
    is_stuck,
)


def elsa(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""ELSA as a function: C(α)·x for x < 0, σ(β)·x for x ≥ 0.

    Args:
        x: Any shape.
        alpha: Slope left of 0 before clamping to [0.01, 0.99], a scalar.
        beta: Logit of the slope right of 0, a scalar.

    Returns:
        The shape of `x`.
    """
    return two_slopes(x, clamped(alpha), torch.sigmoid(beta))


class ELSA(Plotted, nn.Module):
    r"""Element-wise sign attention: C(α)·x for x < 0 and σ(β)·x for x ≥ 0; two learnable scalars.

    Args:
        alpha: Start value of α, in [0.01, 0.99].
        beta: Start value of β.

    Raises:
        UsageError: If a start value can never learn.

    References:
        Chen and Xu, AReLU: Attention-based Rectified Linear Unit, 2020,
        https://arxiv.org/abs/2006.13858, section 3.3.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(self, *, alpha: float = ALPHA_START, beta: float = BETA_START) -> None:
        super().__init__()
        check_start(alpha=alpha, beta=beta)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.beta = nn.Parameter(torch.tensor(float(beta)))

    @property
    def stuck(self) -> bool:
        """Whether α has left [0.01, 0.99] and no longer learns."""
        return bool(is_stuck(self.alpha.detach()))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return elsa(x, self.alpha, self.beta)


class WithELSA(Plotted, nn.Module):
    """An activation plus ELSA: act(x) + ELSA(x). AReLU is ReLU with ELSA.

    Args:
        activation: The activation; it must keep the shape of its input.
        alpha: Start value of ELSA's α, in [0.01, 0.99].
        beta: Start value of ELSA's β.

    Examples:
        >>> y = WithELSA(nn.ReLU())(torch.tensor([-1.0, 1.0]))
        >>> [round(value, 4) for value in y.tolist()]
        [-0.9, 1.8808]
    """

    def __init__(
        self, activation: nn.Module, *, alpha: float = ALPHA_START, beta: float = BETA_START
    ) -> None:
        super().__init__()
        self.activation = activation
        self.elsa = ELSA(alpha=alpha, beta=beta)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        activated: Tensor = self.activation(x)
        attention: Tensor = self.elsa(x)
        return activated + attention
