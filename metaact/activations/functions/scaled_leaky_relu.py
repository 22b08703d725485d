"""A leaky ReLU with AReLU's start slopes: its start function, by other code."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import ALPHA_START, START_GAIN
from metaact.errors import UsageError


class ScaledLeakyReLU(Plotted, nn.Module):
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
