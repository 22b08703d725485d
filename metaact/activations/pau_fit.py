"""Where the start values of the safe PAU come from: a least-squares fit, run again by a test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def leaky_relu(x: Array) -> Array:
    """Leaky ReLU with slope 0.01, the function that a PAU starts as."""
    return np.where(x < 0, 0.01 * x, x)


def fit(
    target: Callable[[Array], Array] = leaky_relu,
    *,
    low: float = -3.0,
    high: float = 3.0,
    points: int = 1001,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    r"""Fit P(x)/Q(x) to a function, with Q(x) = 1 + b₂² x² + b₄² x⁴.

    Only even powers with coefficients ≥ 0 are used in Q. Then Σ b_k x^k never changes sign, the
    absolute value in the safe form does nothing, and the start function is smooth and has no pole.

    The fit minimises Σ (P(x_i)/Q(x_i) − target(x_i))² over equally spaced points. For a given Q
    the best P is a linear least-squares solution (variable projection), so the search is over b₂
    and b₄ alone.

    Args:
        target: The function, from float64 [points] to float64 [points].
        low: Left end of the interval.
        high: Right end of the interval.
        points: How many points.

    Returns:
        The numerator a₀ … a₅ and the denominator b₁ … b₄ (b₁ = b₃ = 0).

    Examples:
        >>> numerator, denominator = fit()
        >>> [round(a, 3) for a in numerator]
        [0.034, 0.505, 1.652, 2.006, 0.929, 0.152]
    """
    from scipy.optimize import least_squares

    x = np.linspace(low, high, points)
    wanted = target(x)
    powers = np.stack([x**k for k in range(6)], axis=1)

    def numerator(roots: Array) -> tuple[Array, Array]:
        denominator = 1 + roots[0] ** 2 * x**2 + roots[1] ** 2 * x**4
        basis = powers / denominator[:, None]
        solution, *_ = np.linalg.lstsq(basis, wanted, rcond=None)
        return solution, basis @ solution - wanted

    def residuals(roots: Array) -> Array:
        return numerator(roots)[1]

    tight = 1e-15
    found = least_squares(residuals, x0=(1.0, 0.5), xtol=tight, ftol=tight, gtol=tight)
    a, _ = numerator(found.x)
    b2, b4 = found.x**2
    return tuple(float(value) for value in a), (0.0, float(b2), 0.0, float(b4))
