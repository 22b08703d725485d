"""How far the order of arms by one figure is their order by another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .bounds import check_level
from .interval import Interval

FEWEST = 5
"""Pairs below which nothing is said: the interval would reach from -1 to 1."""


def rank_correlation(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> Interval | None:
    """Spearman's rank correlation of two figures of several arms, with its interval.

    Formula: tanh(artanh ρ ± z·sqrt((1 + ρ²/2)/(n − 3))), with ρ the correlation of the ranks, ties
    at their mean. Where the orders agree, or are opposed, throughout, an interval of no width would
    claim that a new arm could not break it: then ρ in the formula is that of one neighbouring pair
    swapped, ±(1 − 12/(n(n² − 1))), and the other end is ±1.

    Args:
        first: One figure of each arm [arms].
        second: The other [arms].
        level: Confidence level.

    Returns:
        The correlation; its interval is over arms, as if they had been drawn at random. None where
        all arms agree in a figure.

    Raises:
        UsageError: If there are fewer than 5, or the lengths differ, or a figure is no number.

    Examples:
        >>> print(rank_correlation([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]))
        0.83 [-0.13, 0.99]

    References:
        D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall and
        Spearman correlations", Psychometrika 65, 2000.
    """
    check_level(level)
    x, y = (np.asarray(part, dtype=np.float64) for part in (first, second))
    if x.ndim != 1 or x.shape != y.shape or len(x) < FEWEST:
        raise UsageError(
            f"`first` and `second` must be [arms] of one length, at least {FEWEST}; got shapes "
            f"{list(x.shape)} and {list(y.shape)}."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UsageError("`first` and `second` must be finite numbers.")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    from scipy import stats

    n = len(x)
    rho = round(float(stats.spearmanr(x, y).statistic), 12)  # ±1 up to rounding is ±1
    most = 1 - 12 / (n * (n**2 - 1))
    inner = float(np.clip(rho, -most, most))
    half = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(inner) - half), math.tanh(math.atanh(inner) + half)
    if inner != rho:
        low, high = (low, 1.0) if rho > 0 else (-1.0, high)
    return Interval(
        mean=rho,
        low=min(low, rho),
        high=max(high, rho),
        level=level,
        n=n,
        varies="arms",
        share=False,
    )
