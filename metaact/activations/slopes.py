"""The piecewise-linear core that AReLU and ELSA share, and the range α may move in."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from metaact.errors import UsageError

# The paper's range [0.01, 0.99], one float32 step wider. An α of exactly 0.01 or 0.99 then learns,
# as the paper has it, in float32 and float64 and with any version of `torch.clamp`, which has
# changed its gradient at the very edge.
ALPHA_MIN = 0.009999998845160007
ALPHA_MAX = 0.9900000691413879

ALPHA_START = 0.9
BETA_START = 2.0

# At the start AReLU is two straight lines of slopes C = 0.9 and g = 1 + σ(2) ≈ 1.8808. On a
# pre-activation with a distribution symmetric about 0 it passes on (g² + C²)/2 ≈ 2.17 times the
# second moment, ReLU only 1/2. The controls keep one half of that and remove the other.
START_GAIN = 1 + 1 / (1 + math.exp(-BETA_START))

# ReLU's second moment times this number squared is AReLU's: c²·1/2 = (g² + C²)/2. All layers are
# positively homogeneous, so scaling the weights before the ReLU is scaling what it passes on.
RELU_GAIN = math.sqrt(START_GAIN**2 + ALPHA_START**2)


def clamped(alpha: Tensor) -> Tensor:
    """C(α) = min(max(α, 0.01), 0.99), the slope left of 0; its gradient is 0 outside the range."""
    return alpha.clamp(ALPHA_MIN, ALPHA_MAX)


def is_stuck(alpha: Tensor | float) -> Tensor:
    """Whether α lies outside [0.01, 0.99], where its gradient is zero.

    Args:
        alpha: One α or many.

    Returns:
        A bool tensor of the same shape.

    Examples:
        >>> is_stuck(torch.tensor([0.9, 0.99, 1.2]))
        tensor([False, False,  True])
    """
    values = torch.as_tensor(alpha)
    return (values < ALPHA_MIN) | (values > ALPHA_MAX)


def check_start(*, alpha: float, beta: float) -> None:
    """Refuse start values that can never learn.

    Raises:
        UsageError: If α is outside [0.01, 0.99] or β is not finite.
    """
    if not 0.01 <= alpha <= 0.99:
        raise UsageError(
            "`alpha` must be a number in [0.01, 0.99] (outside, its gradient is zero and it stays "
            f"there); got {alpha!r}."
        )
    check_finite("beta", beta)


def check_finite(name: str, value: float) -> float:
    """Return `value` as a float if it is finite.

    Raises:
        UsageError: If it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise UsageError(f"`{name}` must be a finite number; got {value!r}.")
    return float(value)
