"""AReLU with slope 1 at the start: the control that keeps the learning and removes the scale."""

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
)


class UnitAReLU(Plotted, nn.Module):
    """AReLU divided by its own gain at the start: slopes C(α)/g₀ and (1 + σ(β))/g₀.

    It learns as AReLU does and starts with slope 1 right of 0, as ReLU does: the learning without
    the scale. g₀ = 1 + σ(β₀) is a constant.

    Args:
        alpha: Start value of α, in [0.01, 0.99].
        beta: Start value of β; also fixes g₀.

    Raises:
        UsageError: If a start value can never learn.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(self, *, alpha: float = ALPHA_START, beta: float = BETA_START) -> None:
        super().__init__()
        check_start(alpha=alpha, beta=beta)
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.beta = nn.Parameter(torch.tensor(float(beta)))
        self.start_gain = 1 + float(torch.sigmoid(torch.tensor(float(beta), dtype=torch.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        gain = 1 + torch.sigmoid(self.beta)
        return two_slopes(x, clamped(self.alpha) / self.start_gain, gain / self.start_gain)
