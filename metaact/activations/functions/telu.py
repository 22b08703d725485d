"""TeLU, the hyperbolic tangent exponential linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

HIGHEST = 10.0
"""Above it tanh(exp(x)) is 1 in every precision, and the exponential would overflow."""


class TeLU(nn.Module):
    r"""Hyperbolic tangent exponential linear unit: x·tanh(exp(x)).

    Near the identity for x > 0, and a slowly vanishing gradient for x < 0.

    References:
        Fernandez and Mali, Stable and Robust Deep Learning By Hyperbolic Tangent Exponential Linear
        Unit (TeLU), 2024, https://arxiv.org/abs/2402.02790.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return x * torch.tanh(torch.exp(x.clamp(max=HIGHEST)))
