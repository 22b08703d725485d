"""How fast an arm learns: area under its curve, time to an accuracy with censoring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .bounds import Array

if TYPE_CHECKING:
    from scipy.stats import CensoredData


def area_under_curve(x: ArrayLike, values: ArrayLike, *, logx: bool = False) -> float:
    """Mean height of a curve: area by trapezoids over the width it covers.

    Of an accuracy it is a mean accuracy over training, in the same range as the accuracy itself.

    Args:
        x: Positions, ascending [points]; at least two.
        values: Heights [points]; NaN where the run diverged makes the area NaN.
        logx: Whether to weigh by ln x: every doubling of the position then counts the same.

    Raises:
        UsageError: If the lengths differ, x does not ascend, or is not positive with `logx`.

    Examples:
        >>> area_under_curve([0, 1, 3], [0.0, 1.0, 1.0])
        0.8333333333333334
        >>> round(area_under_curve([1, 2, 4], [0.0, 1.0, 1.0], logx=True), 6)
        0.75
    """
    places, heights = (np.asarray(part, dtype=np.float64) for part in (x, values))
    good = places.ndim == 1 and places.shape == heights.shape and len(places) >= 2
    if not good or not bool((np.diff(places) > 0).all()):
        raise UsageError(
            "`x` and `values` must be [points] of one length, at least 2, with `x` ascending; got "
            f"shapes {list(places.shape)} and {list(heights.shape)}."
        )
    if logx:
        if places[0] <= 0:
            raise UsageError(f"`x` must be > 0 (a logarithm is taken); got {places[0]:g}.")
        places = np.log(places)
    from scipy import integrate

    return float(integrate.trapezoid(heights, places) / (places[-1] - places[0]))


def median_time(
    times: Sequence[float | None], *, censored_at: float | Sequence[float]
) -> float | None:
    """Median time to an accuracy where some runs ended before they reached it.

    Formula: Kaplan and Meier's estimate of the share that has not reached it yet; the median is
    the first time at which that is at most one half.

    Args:
        times: When each run reached it; None for a run that did not.
        censored_at: When the runs ended: one time for all, or one per run.

    Returns:
        The median; None if so few reached it that half still had not at the end.

    Raises:
        UsageError: If the lengths differ or a time is no number.

    Examples:
        >>> median_time([3, 5, None], censored_at=10)
        5.0
        >>> median_time([3, None, None], censored_at=10) is None
        True

    References:
        E. L. Kaplan and P. Meier, "Nonparametric estimation from incomplete observations",
        Journal of the American Statistical Association 53, 1958.
    """
    from scipy import stats

    survival = stats.ecdf(_censored(times, censored_at)).sf
    reached = np.flatnonzero(survival.probabilities <= 0.5 + 1e-12)
    return float(survival.quantiles[reached[0]]) if len(reached) else None


def restricted_mean(
    times: Sequence[float | None], *, censored_at: float | Sequence[float], limit: float
) -> float:
    """Mean time to an event, up to a limit, where some runs ended before it came.

    Formula: ∫₀^L S(t) dt, S Kaplan and Meier's estimate of the share to which it has not come yet.
    Where all are watched up to the limit, it is the mean of min(t, L).

    Args:
        times: When it came to each; None where it did not.
        censored_at: When watching ended: one time for all, or one each.
        limit: L, at most the longest time that anyone was watched for.

    Raises:
        UsageError: If the lengths differ, a time is no number, or the limit is not above 0.

    Examples:
        >>> restricted_mean([2, None], censored_at=10, limit=10)
        6.0
        >>> restricted_mean([2, 6, None], censored_at=[9, 9, 4], limit=8)
        4.666666666666666

    References:
        P. Royston and M. Parmar, "Restricted mean survival time", BMC Medical Research Methodology
        13, 2013.
    """
    if not limit > 0:
        raise UsageError(f"`limit` must be a number > 0; got {limit!r}.")
    from scipy import stats

    survival = stats.ecdf(_censored(times, censored_at)).sf
    steps = survival.quantiles < limit
    edges = np.concatenate([[0.0], survival.quantiles[steps], [limit]])
    heights = np.concatenate([[1.0], survival.probabilities[steps]])
    return float(np.diff(edges) @ heights)


def _censored(times: Sequence[float | None], censored_at: ArrayLike) -> CensoredData:
    from scipy import stats

    reached = np.array([t is not None for t in times], dtype=bool)
    ends: Array = np.asarray(censored_at, dtype=np.float64)
    if not len(times) or ends.shape not in ((), reached.shape):
        raise UsageError(
            f"`censored_at` must be one number, or one per run ({len(times)} runs, at least 1); "
            f"got shape {list(ends.shape)}."
        )
    seen = np.array([np.nan if t is None else t for t in times], dtype=np.float64)
    values = np.where(reached, seen, ends)
    if not np.isfinite(values).all():
        raise UsageError("`times` must be finite numbers, or None for a run that did not arrive.")
    return stats.CensoredData.right_censored(values, ~reached)
