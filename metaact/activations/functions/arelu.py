"""AReLU, the attention-based rectified linear unit."""

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


def arelu(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""AReLU as a function: C(α)·x for x < 0, (1 + σ(β))·x for x ≥ 0.

    Args:
        x: Any shape.
        alpha: Slope left of 0 before clamping to [0.01, 0.99], a scalar.
        beta: Logit of the gain, a scalar.

    Returns:
        The shape of `x`.
    """
    return two_slopes(x, clamped(alpha), 1 + torch.sigmoid(beta))


class AReLU(Plotted, nn.Module):
    r"""Attention-based rectified linear unit: ReLU plus a learned, element-wise sign attention.

    AReLU(x) = C(α)·x for x < 0 and (1 + σ(β))·x for x ≥ 0, with C(α) = min(max(α, 0.01), 0.99).

    Two learnable scalars a layer. ∂/∂α is the sum of x over x < 0, and exactly zero once α has
    left [0.01, 0.99]: such an α is `stuck`. ∂/∂β is σ(β)(1 − σ(β)) times the sum of x over x ≥ 0.
    ∂/∂x at 0 is the right-hand slope.

    Args:
        alpha: Start value of α, in [0.01, 0.99].
        beta: Start value of β.

    Raises:
        UsageError: If a start value can never learn.

    Examples:
        >>> y = AReLU()(torch.tensor([-1.0, 0.0, 1.0]))
        >>> [round(value, 4) for value in y.tolist()]
        [-0.9, 0.0, 1.8808]

    References:
        Chen and Xu, AReLU: Attention-based Rectified Linear Unit, 2020,
        https://arxiv.org/abs/2006.13858, section 3.3.

    Deviation:
        The paper's formula of the gradient in x has α where C(α) is meant; ours is that of C(α).
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
        return arelu(x, self.alpha, self.beta)

    def extra_repr(self) -> str:
        """The present α and β."""
        return f"alpha={self.alpha.item():.4g}, beta={self.beta.item():.4g}"
