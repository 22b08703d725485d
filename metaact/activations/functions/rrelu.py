"""RReLU whose random slope works under vmap."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.errors import UsageError


class RReLU(Plotted, nn.Module):
    r"""Randomised leaky ReLU: max(0, x) + r·min(0, x).

    In training mode r is drawn per element from U(lower, upper), in eval mode it is the mean. The
    draw comes from the default generator of the input's device, as dropout's does: fork that
    generator around a run to keep it untouched. Under `torch.func.vmap` training mode needs
    `randomness="different"` (or "same").

    Args:
        lower: Least slope.
        upper: Greatest slope.

    Raises:
        UsageError: If not 0 ≤ lower ≤ upper.

    References:
        Xu, Wang, Chen and Li, Empirical Evaluation of Rectified Activations in Convolutional
        Network, 2015, https://arxiv.org/abs/1505.00853.
    """

    def __init__(self, *, lower: float = 1 / 8, upper: float = 1 / 3) -> None:
        super().__init__()
        if not 0 <= lower <= upper:
            raise UsageError(
                "`lower` and `upper` must be numbers with 0 <= lower <= upper (the slope is drawn "
                f"between them); got {lower!r} and {upper!r}."
            )
        self.lower = float(lower)
        self.upper = float(upper)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        above_zero = (x > 0).to(x.dtype)
        if not self.training:
            slope = (self.lower + self.upper) / 2
            return x * (slope + (1 - slope) * above_zero)
        drawn = self.lower + (self.upper - self.lower) * torch.rand_like(x)
        return x * (drawn + (1 - drawn) * above_zero)

    def extra_repr(self) -> str:
        """The range of the slope."""
        return f"lower={self.lower:.4g}, upper={self.upper:.4g}"
