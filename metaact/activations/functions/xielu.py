"""xIELU, the integral of a learned exponential unit."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaact.activations.slopes import check_finite
from metaact.errors import UsageError


class XIELU(nn.Module):
    r"""Expanded integral of the exponential linear unit; two learnable scalars.

    x > 0: a·x² + βx; x ≤ 0: b·(exp(x) − 1 − x) + βx, with a = softplus(α_p) and
    b = β + softplus(α_n), so that both stay positive and the slope far left, β − b, is negative.
    Value and slope are continuous at 0, where the slope is β.

    Args:
        positive: Start value of a.
        negative: Start value of b.
        beta: Slope at 0; constant.

    Raises:
        UsageError: If not 0 < `positive` and `beta` < `negative`.

    References:
        Huang and Schlag, Deriving Activation Functions Using Integration, 2024,
        https://arxiv.org/abs/2411.13010.
    """

    def __init__(self, *, positive: float = 0.8, negative: float = 0.8, beta: float = 0.5) -> None:
        super().__init__()
        self.beta = check_finite("beta", beta)
        for name, value, least in (("positive", positive, 0.0), ("negative", negative, self.beta)):
            if check_finite(name, value) <= least:
                raise UsageError(
                    f"`{name}` must be a number > {least:g} (a softplus has it as its value); got "
                    f"{value!r}."
                )
        self.alpha_p = nn.Parameter(torch.tensor(inverse_softplus(positive)))
        self.alpha_n = nn.Parameter(torch.tensor(inverse_softplus(negative - self.beta)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        above, below = x.clamp(min=0), x.clamp(max=0)
        a = F.softplus(self.alpha_p)
        b = self.beta + F.softplus(self.alpha_n)
        return a * above.square() + b * (torch.expm1(below) - below) + self.beta * x

    def extra_repr(self) -> str:
        """The two coefficients as they are, and the slope at 0."""
        a = F.softplus(self.alpha_p).item()
        b = self.beta + F.softplus(self.alpha_n).item()
        return f"positive={a:.4g}, negative={b:.4g}, beta={self.beta:.4g}"


def inverse_softplus(value: float) -> float:
    """Where softplus has that value."""
    return value + math.log(-math.expm1(-value))
