"""Curves over training: bands over seeds, and α out of its range."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .bounds import Array, check_level, student


def curve_band(
    matrix: ArrayLike, *, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> tuple[Array, Array | None, Array | None]:
    """Mean curve over seeds with its pointwise interval.

    Formula: mean ± t(seeds - 1)·s/sqrt(seeds) at each point. A point at which any seed has no
    value (NaN: it diverged) has none here either: a mean over the survivors would flatter.

    Args:
        matrix: Values [seeds, points].
        level: Confidence level.
        bounds: Range that the band is cut to, (0, 1) for accuracies.

    Returns:
        Mean, low, high [points]; low and high are None for one seed, which shows no variation.

    Raises:
        UsageError: If the matrix has another shape.

    Examples:
        >>> mean, low, high = curve_band([[0.1, 0.5], [0.2, 0.7]])
        >>> [round(float(x), 2) for x in mean]
        [0.15, 0.6]
    """
    array = np.asarray(matrix, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise UsageError(f"`matrix` must be [seeds, points]; got shape {list(array.shape)}.")
    seeds = len(array)
    mean = array.mean(axis=0)
    if seeds == 1:
        return mean, None, None
    quantile = student(seeds - 1, check_level(level))
    half = quantile * array.std(axis=0, ddof=1) / np.sqrt(seeds)
    low, high = mean - half, mean + half
    if bounds is not None:
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
    return mean, low, high


def stuck(alpha: ArrayLike, *, clamp: tuple[float, float] = (0.01, 0.99)) -> np.ndarray:
    """Where α lies outside the range in which it has a gradient; NaN counts as stuck.

    Args:
        alpha: Values of any shape.
        clamp: The range, ends included.

    Returns:
        Booleans of the same shape.

    Examples:
        >>> stuck([0.005, 0.01, 0.9, 1.2]).tolist()
        [True, False, False, True]
    """
    values = np.asarray(alpha, dtype=np.float64)
    return ~((values >= clamp[0]) & (values <= clamp[1]))
