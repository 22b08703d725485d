"""SLAF, the self-learnable polynomial activation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.activations.slopes import check_finite
from metaact.errors import UsageError

# ReLU's projection onto polynomials of degree ≤ 3 under a standard normal weight, by Hermite
# polynomials: 1/√(2π) + x/2 + (x² − 1)/(2√(2π)); the cubic term is zero.
HALF = 1 / (2 * math.sqrt(2 * math.pi))
RELU_PROJECTION = (HALF, 0.5, HALF, 0.0)


class SLAF(Plotted, nn.Module):
    r"""Self-learnable activation: the polynomial Σ_{k<K} c_k x^k; K learnable scalars.

    The start values are the cubic nearest to ReLU for standard normal inputs, so that a network of
    them starts in a sensible range. At K = 4 the value stays finite in float32 up to |x| ≈ 1e12.

    Args:
        coefficients: Start values c₀ … c_{K−1}.

    Raises:
        UsageError: If there are no coefficients, more than 8 or one that is not finite.

    Examples:
        >>> SLAF(coefficients=(1.0, 1.0))(torch.tensor([2.0])).tolist()
        [3.0]

    References:
        Goyal, Goyal and Lall, Learning Activation Functions: A New Paradigm for Understanding
        Neural Networks, 2019, https://arxiv.org/abs/1906.09529.

    Deviation:
        The AReLU paper's code has K = 2, an affine function, and starts at c = 1; that form is
        `slaf-paper`.
    """

    def __init__(self, *, coefficients: Sequence[float] = RELU_PROJECTION) -> None:
        super().__init__()
        if not 1 <= len(coefficients) <= 8:
            raise UsageError(
                "`coefficients` must hold 1 to 8 numbers (x^8 overflows float32 at 1e5); got "
                f"{len(coefficients)}."
            )
        values = [check_finite("coefficients", value) for value in coefficients]
        self.coefficients = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        *lower, highest = self.coefficients.unbind()
        result = highest * torch.ones_like(x)
        for coefficient in reversed(lower):
            result = result * x + coefficient
        return result
