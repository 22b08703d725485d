"""Smooth-Leaky with a random slope."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.errors import UsageError

from .smooth_leaky import SHARPNESS, check_sharpness, gated


class RandomSmoothLeaky(Plotted, nn.Module):
    r"""Randomized Smooth-Leaky: rx + (1 − r)·x·σ(kx).

    In training mode r is drawn per element from U(lower, upper), in eval mode it is the mean. What
    is said of RReLU's draw holds for this one.

    Args:
        lower: Least slope.
        upper: Greatest slope.
        sharpness: k, how quickly one slope passes into the other.

    Raises:
        UsageError: If not 0 ≤ lower ≤ upper, or `sharpness` is not a finite number above 0.

    References:
        Lillo and Cheney, Activation Function Design Sustains Plasticity in Continual Learning,
        2025, https://arxiv.org/abs/2509.22562, equation 2; the range is that of RReLU.
    """

    def __init__(
        self, *, lower: float = 1 / 8, upper: float = 1 / 3, sharpness: float = SHARPNESS
    ) -> None:
        super().__init__()
        if not 0 <= lower <= upper:
            raise UsageError(
                "`lower` and `upper` must be numbers with 0 <= lower <= upper (the slope is drawn "
                f"between them); got {lower!r} and {upper!r}."
            )
        self.lower, self.upper = float(lower), float(upper)
        self.sharpness = check_sharpness(sharpness)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        if not self.training:
            return gated(x, (self.lower + self.upper) / 2, self.sharpness)
        drawn = self.lower + (self.upper - self.lower) * torch.rand_like(x)
        return gated(x, drawn, self.sharpness)

    def extra_repr(self) -> str:
        """The range of the slope, and k."""
        return f"lower={self.lower:.4g}, upper={self.upper:.4g}, sharpness={self.sharpness:.4g}"
