"""GoLU, gated by the Gompertz function."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LOWEST = -10.0
"""Below it the gate is 0 in every precision, and its own exponent would overflow."""


class GoLU(nn.Module):
    r"""Gompertz linear unit: x·exp(−exp(−x)).

    The gate is the distribution function of the standard Gumbel distribution, where GELU has that
    of the normal one; it is not symmetric: near 0 from the left it lets less through.

    References:
        Das, Wong, Neitzel et al., Gompertz Linear Units: Leveraging Asymmetry for Enhanced Learning
        Dynamics, 2025, https://arxiv.org/abs/2502.03654, with α = β = γ = 1.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return x * torch.exp(-torch.exp(-x.clamp(min=LOWEST)))
