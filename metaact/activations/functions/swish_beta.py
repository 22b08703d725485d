"""Swish with a learned β."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.slopes import check_finite


class SwishBeta(nn.Module):
    r"""Swish as its paper has it, x·σ(βx); one learnable scalar.

    β = 0 is x/2, β → ∞ is ReLU; at its start it is SiLU.

    Args:
        beta: Start value of β.

    Raises:
        UsageError: If `beta` is not finite.

    References:
        Ramachandran, Zoph and Le, Searching for Activation Functions, 2017,
        https://arxiv.org/abs/1710.05941.
    """

    def __init__(self, *, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(check_finite("beta", beta)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return x * torch.sigmoid(self.beta * x)

    def extra_repr(self) -> str:
        """β as it is."""
        return f"beta={self.beta.item():.4g}"
