"""APL, the adaptive piecewise-linear unit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import check_finite
from metaact.errors import UsageError


class APL(Plotted, nn.Module):
    r"""Adaptive piecewise-linear unit: max(0, x) + Σ_s a_s·max(0, b_s − x); 2S learnable scalars.

    Args:
        a: Start values of the S slopes.
        b: Start values of the S hinges.

    Raises:
        UsageError: If `a` and `b` are empty, differ in length or hold a number that is not finite.

    Examples:
        >>> APL()(torch.tensor([-1.0, 1.0])).tolist()
        [0.30000001192092896, 1.0]

    References:
        Agostinelli, Hoffman, Sadowski and Baldi, Learning Activation Functions to Improve Deep
        Neural Networks, 2014, https://arxiv.org/abs/1412.6830, equation 1.

    Deviation:
        One set of parameters a layer, as in the AReLU paper; the APL paper has one a unit.
    """

    def __init__(self, *, a: Sequence[float] = (0.2,), b: Sequence[float] = (0.5,)) -> None:
        super().__init__()
        if not 0 < len(a) == len(b):
            raise UsageError(
                f"`a` and `b` must hold equally many numbers, at least one (a slope and a hinge "
                f"per piece); got {len(a)} and {len(b)}."
            )
        self.a = nn.Parameter(torch.tensor([check_finite("a", value) for value in a]))
        self.b = nn.Parameter(torch.tensor([check_finite("b", value) for value in b]))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        result = torch.relu(x)
        for slope, hinge in zip(self.a.unbind(), self.b.unbind(), strict=True):
            result = result + slope * torch.relu(hinge - x)
        return result
