"""Comb, the learned mixture of identity and ReLU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import check_finite


class Comb(Plotted, nn.Module):
    r"""Learned mixture p·x + (1 − p)·max(0, x); one learnable scalar, not constrained.

    It starts as ReLU (p = 0). ∂/∂x at 0 is p, the left-hand slope, because ReLU's is 0 there.

    Args:
        p: Start value of the mixing weight.

    Raises:
        UsageError: If `p` is not finite.

    References:
        Manessi and Rozza, Learning Combinations of Activation Functions, 2018,
        https://arxiv.org/abs/1801.09403, with the bases identity and ReLU.
    """

    def __init__(self, *, p: float = 0.0) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(check_finite("p", p)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        above_zero = (x > 0).to(x.dtype)
        return x * (self.p + (1 - self.p) * above_zero)
