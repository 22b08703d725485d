"""The formulas under every interval, on arrays: quantiles, effective trials, Wilson's bounds."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from metaact.errors import UsageError

Array: TypeAlias = NDArray[np.float64]

SHARE = (0.0, 1.0)
"""Bounds of accuracies and other shares, of which more is known than of other scores."""

DIFFERENCE = (-1.0, 1.0)
"""Bounds of a difference of two shares."""

NOTHING = 1e-24  # variances of accuracies below this are rounding, not variation


def in_percent(bounds: tuple[float, float]) -> bool:
    """Whether scores within these bounds are shares, or differences of two, shown in percent."""
    return bounds in (SHARE, DIFFERENCE)


def student(degrees: ArrayLike, level: float) -> Array:
    """Two-sided quantile of Student's t; infinite degrees give the normal one."""
    degrees = np.asarray(degrees, dtype=np.float64)
    normal = np.full_like(degrees, special.ndtri(0.5 + level / 2))
    finite = np.where(np.isfinite(degrees), degrees, 1.0)
    return np.where(np.isfinite(degrees), special.stdtrit(finite, 0.5 + level / 2), normal)


def moments(values: Array) -> tuple[Array, Array, Array]:
    """Mean, variance of the mean, and the degrees of freedom of that variance.

    A variance estimated from skewed values is worth fewer degrees than n - 1: where one episode
    in a hundred holds all errors, it is as uncertain as if it came from two values.

    Formula: degrees = 2 / (2/(n-1) + max(excess kurtosis, 0)/n), which matches the variance of
    s² for a distribution with that kurtosis (Satterthwaite's argument).

    Args:
        values: Float [..., n], n >= 2.

    Returns:
        Three arrays [...].
    """
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    squares = (values - mean[..., None]) ** 2
    second = squares.mean(axis=-1)
    fourth = (squares**2).mean(axis=-1)
    safe = np.where(second > NOTHING, second, 1.0)
    excess = np.where(second > NOTHING, np.maximum(fourth / safe**2 - 3, 0), 0)
    return mean, second / (n - 1), 2 / (2 / (n - 1) + excess / n)


def wilson_bounds(mean: ArrayLike, trials: ArrayLike, quantile: ArrayLike) -> tuple[Array, Array]:
    """Wilson's score bounds for a proportion; inside [0, 1] and never of zero width.

    Formula: all p with |mean - p| <= quantile·sqrt(p(1-p)/trials).

    Args:
        mean: Observed proportion.
        trials: Number of trials, or of effective trials; any number > 0.
        quantile: Normal or Student quantile.

    References:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        Journal of the American Statistical Association 22, 1927.
    """
    mean, trials, quantile = (np.asarray(x, dtype=np.float64) for x in (mean, trials, quantile))
    excess = quantile**2 / trials
    centre = (mean + excess / 2) / (1 + excess)
    half = np.sqrt(mean * (1 - mean) * excess + excess**2 / 4) / (1 + excess)
    low = np.where(mean <= 0, 0.0, np.minimum(np.maximum(centre - half, 0), mean))
    high = np.where(mean >= 1, 1.0, np.maximum(np.minimum(centre + half, 1), mean))
    return low, high


def proportion_bounds(
    mean: Array, variance: Array, quantile: Array, *, clusters: int, trials: float, level: float
) -> tuple[Array, Array]:
    """Bounds for a mean accuracy whose variance was estimated between clusters of trials.

    Formula: Wilson's bounds with the effective number of trials mean(1-mean)/variance: the number
    of independent trials that would be as informative. In the middle this is mean ± quantile·sqrt
    (variance) to within 1/trials; near 0 and 1 it is as asymmetrical as it must be. Where no
    variance was seen, how correlated a cluster's trials are cannot be known: each cluster then
    counts as one trial, the most cautious assumption. The interval is never narrower than Wilson's
    for independent trials, which is what seeds that agree by chance would make it.

    Args:
        mean: Mean accuracy [...].
        variance: Estimated variance of the mean [...].
        quantile: Quantile for that variance's degrees of freedom [...].
        clusters: Number of clusters (episodes).
        trials: Number of all trials, the most that the effective number can be.
        level: Confidence level, for the case of no variance.

    References:
        E. L. Korn and B. I. Graubard, "Confidence intervals for proportions with small expected
        number of positive counts estimated from survey data", Survey Methodology 24, 1998.
        (There with the exact binomial bounds; with Wilson's: P. S. Kott and D. A. Carr, 1997.)
    """
    seen = variance > NOTHING
    spread = np.where(seen, variance, 1.0)
    # A mean of exactly 0 or 1 has no variance, so the effective number is above 0 where it counts.
    # The most that trials can be worth needs no t: that variance is known, not estimated.
    normal = student(np.inf, level)
    most = trials * (quantile / normal) ** 2
    effective = np.where(seen, np.minimum(mean * (1 - mean) / spread, most), clusters)
    return wilson_bounds(mean, effective, np.where(seen, quantile, normal))


def accuracies(
    name: str, values: ArrayLike, *, dimensions: int, bounds: tuple[float, float] = SHARE
) -> Array:
    """Return `values` as a float64 array if they are accuracies, or scores within other bounds.

    Raises:
        UsageError: If the shape is wrong, it is empty, or a value is no number within the bounds.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions or array.size == 0:
        axes = {1: "[n]", 2: "[seeds, episodes]"}[dimensions]
        raise UsageError(
            f"`{name}` must be a non-empty array {axes}; got shape {list(array.shape)}."
        )
    if bounds != SHARE:
        low, high = bounds
        if not bool((np.isfinite(array) & (array >= low) & (array <= high)).all()):
            raise UsageError(f"`{name}` must hold finite numbers in [{low:g}, {high:g}].")
        return array
    if not bool(((array >= 0) & (array <= 1)).all()):
        worst = array[~((array >= 0) & (array <= 1))].flat[0]
        raise UsageError(
            f"`{name}` must be in [0, 1] (accuracies, not percent; NaN has no place in a mean); "
            f"got {worst:g}."
        )
    return array


def check_level(level: float) -> float:
    """Return `level` if it lies between 0 and 1.

    Raises:
        UsageError: If it does not.
    """
    if 0 < level < 1:
        return level
    raise UsageError(f"`level` must be between 0 and 1 (0.95 for 95 %); got {level!r}.")
