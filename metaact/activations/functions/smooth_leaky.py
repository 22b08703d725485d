"""Smooth-Leaky, a leaky ReLU without a kink."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import check_finite
from metaact.errors import UsageError

SHARPNESS = 5 / 3
"""c/p of the gate σ(cx/p), with c = 5 and p = 3."""


def gated(x: Tensor, slope: Tensor | float, sharpness: float) -> Tensor:
    """s·x + (1 − s)·x·σ(kx), of slope s far on the left and 1 far on the right."""
    return x * (slope + (1 - slope) * torch.sigmoid(sharpness * x))


def check_sharpness(sharpness: float) -> float:
    """Return a sharpness that is a finite number above 0.

    Raises:
        UsageError: If it is not.
    """
    if not check_finite("sharpness", sharpness) > 0:
        raise UsageError(f"`sharpness` must be a number > 0; got {sharpness!r}.")
    return float(sharpness)


class SmoothLeaky(Plotted, nn.Module):
    r"""Smooth-Leaky: αx + (1 − α)·x·σ(kx), with k = c/p.

    Far on the left it is αx, far on the right x, and its derivative is continuous. It dips below
    αx on the left: the derivative is least near x = −2.4/k, for α below about 0.09 less than 0.

    Args:
        alpha: Slope far on the left.
        sharpness: k, how quickly one slope passes into the other.

    Raises:
        UsageError: If `alpha` is not finite, or `sharpness` not a finite number above 0.

    References:
        Lillo and Cheney, Activation Function Design Sustains Plasticity in Continual Learning,
        2025, https://arxiv.org/abs/2509.22562, equation 1, with α, c and p of its figure 5.
    """

    def __init__(self, *, alpha: float = 0.1, sharpness: float = SHARPNESS) -> None:
        super().__init__()
        self.alpha = check_finite("alpha", alpha)
        self.sharpness = check_sharpness(sharpness)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return gated(x, self.alpha, self.sharpness)

    def extra_repr(self) -> str:
        """Its constants."""
        return f"alpha={self.alpha:.4g}, sharpness={self.sharpness:.4g}"
