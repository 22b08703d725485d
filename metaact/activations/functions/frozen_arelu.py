"""AReLU with nothing learned: the control that keeps its shape and removes the learning."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import ALPHA_START, BETA_START, check_start

from .arelu import arelu


class FrozenAReLU(Plotted, nn.Module):
    """AReLU whose α and β are buffers: they stay at their start values, nothing is learned.

    The state dict has AReLU's keys, so weights learned with AReLU can be loaded and frozen.

    Args:
        alpha: Value of α, in [0.01, 0.99].
        beta: Value of β.

    Raises:
        UsageError: If α is outside its range or β is not finite.
    """

    alpha: Tensor
    beta: Tensor

    def __init__(self, *, alpha: float = ALPHA_START, beta: float = BETA_START) -> None:
        super().__init__()
        check_start(alpha=alpha, beta=beta)
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.register_buffer("beta", torch.tensor(float(beta)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return arelu(x, self.alpha, self.beta)
