"""Controls: is AReLU's advantage learned, or only a scale?

At the start AReLU is two straight lines of slopes C = 0.9 and g = 1 + σ(2) ≈ 1.8808. On a
pre-activation with a distribution symmetric about 0 it passes on (g² + C²)/2 ≈ 2.17 times the
second moment, ReLU only 1/2. Each control keeps one half of that and removes the other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaact.errors import UsageError

from .arelu import arelu
from .slopes import ALPHA_START, BETA_START, check_start, clamped, two_slopes

START_GAIN = 1 + 1 / (1 + math.exp(-BETA_START))

# ReLU's second moment times this number squared is AReLU's: c²·1/2 = (g² + C²)/2. All layers are
# positively homogeneous, so scaling the weights before the ReLU is scaling what it passes on.
RELU_GAIN = math.sqrt(START_GAIN**2 + ALPHA_START**2)


class FrozenAReLU(nn.Module):
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


class UnitAReLU(nn.Module):
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


class ScaledLeakyReLU(nn.Module):
    """A leaky ReLU times a gain, by default with AReLU's two start slopes; nothing is learned.

    It is the same function as `FrozenAReLU`, built from torch's own leaky ReLU: the two arms of an
    experiment must agree up to rounding.

    Args:
        negative: Slope left of 0.
        positive: Slope right of 0, the gain.

    Raises:
        UsageError: If the gain is not a finite number above 0.
    """

    def __init__(self, *, negative: float = ALPHA_START, positive: float = START_GAIN) -> None:
        super().__init__()
        if not (math.isfinite(positive) and positive > 0 and math.isfinite(negative)):
            raise UsageError(
                "`positive` must be a finite number > 0 (it scales a leaky ReLU) and `negative` "
                f"finite; got {positive!r} and {negative!r}."
            )
        self.negative = float(negative)
        self.positive = float(positive)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return self.positive * F.leaky_relu(x, self.negative / self.positive)

    def extra_repr(self) -> str:
        """The two slopes."""
        return f"negative={self.negative:.4g}, positive={self.positive:.4g}"
