"""One accuracy with an interval over what the reader asks for, by the method they choose."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError, check_choice, check_int

from .bounds import (
    NOTHING,
    SHARE,
    Array,
    accuracies,
    check_level,
    in_percent,
    moments,
    student,
    wilson_bounds,
)
from .crossed import crossed_bounds, two_way
from .interval import Interval
from .intervals import IMAGES, episode_bounds
from .variation import Variation, agreeing, by_seed, by_unit, what_varies

METHODS = ("auto", "t", "bca", "wilson")
FEWEST_FOR_BCA = 20
"""With fewer values BCa intervals are too narrow (measured in docs/statistics.md)."""

Bounds: TypeAlias = "tuple[float, float] | tuple[Array, Array]"

_FEW = 2000  # more values than this need fewer resamples for the same accuracy of the ends


def estimate(
    matrix: ArrayLike,
    *,
    unit: str,
    trials_per_unit: int | None,
    over: str = "both",
    method: str = "auto",
    replacement: bool | None = None,
    level: float = 0.95,
    seed: int = 0,
    bounds: tuple[float, float] = SHARE,
) -> Interval:
    """Mean accuracy with an interval over training seeds, test units, or both at once.

    | `over` | what varies | "auto" |
    | --- | --- | --- |
    | "units" | new test episodes or images for these trained networks | "wilson" |
    | "seeds" | newly trained networks on the same test set | "wilson" |
    | "both" | both, crossed; never narrower than either alone | "wilson" |

    | `method` | ends of the interval |
    | --- | --- |
    | "t" | mean ± t·standard error, cut to [0, 1]; for "both" see `TwoWay.half_width` |
    | "wilson" | Wilson's for the effective number of trials mean(1-mean)/error², with t in place \
of the normal quantile; just Wilson's where all values are 0 or 1 |
    | "bca" | bias-corrected and accelerated bootstrap of the mean; not for "both" |

    One seed can only vary over units, one column only over seeds; `varies` says so. Where nothing
    varies at all (600 perfect episodes), Wilson's interval with one trial per unit stands in,
    whatever the method: no interval has zero width. Where only the means of all seeds agree, the
    interval over units stands in for the one over seeds, and `varies` names the assumption.

    Scores with other bounds than 0 and 1 (an error, a rank) have no trials behind them: there
    "auto" is "t", with the degrees of freedom that the skewness of the values leaves (see
    `moments`), cut to the bounds; and where nothing varies there is no interval.

    Args:
        matrix: Accuracies in 0..1 [seeds, units]; for images 0 or 1; [seeds, 1] where only each
            seed's accuracy is known.
        unit: What the columns are: "test episodes" or "test images".
        trials_per_unit: Test images in one unit (ways·queries of an episode, 1 for an image, all
            of them for [seeds, 1]); None if unknown.
        over: What a repetition would draw anew: "units", "seeds" or "both".
        method: "auto", "t", "wilson" or "bca".
        replacement: Whether episodes were drawn with replacement from the test images; it is told
            in `varies`. With it the interval is about new episodes of these same images.
        level: Confidence level.
        seed: Seed of the bootstrap; nothing else is random.
        bounds: Least and greatest score; (0, 1) for accuracies.

    Returns:
        The interval; inside the bounds and never of zero width.

    Raises:
        UsageError: If the values are no accuracies or the method does not fit; of other scores, if
            they do not vary.

    Examples:
        >>> rows = [[0.8, 0.7, 0.9, 0.8], [0.9, 0.7, 0.9, 0.9], [0.9, 0.8, 0.9, 0.8]]
        >>> found = estimate(rows, unit="test episodes", trials_per_unit=25, over="units")
        >>> print(found, "over", found.varies)
        83.3 % [69.1, 91.8] over test episodes (these 3 training seeds)
        >>> print(estimate([[1, 1, 0, 1, 1]], unit="test images", trials_per_unit=1).varies)
        test images (one training seed)

    References:
        R. Lafargue et al., "Oops, I Sampled it Again: Reinterpreting Confidence Intervals in
        Few-Shot Learning", TMLR 2024, https://arxiv.org/abs/2409.02850 (replacement).
        B. Efron, "Better bootstrap confidence intervals", Journal of the American Statistical
        Association 82, 1987 (BCa).
    """
    array = accuracies("matrix", matrix, dimensions=2, bounds=bounds)
    check_level(level)
    check_choice("method", method, METHODS)
    trials = math.inf
    if trials_per_unit is not None:
        trials = check_int("trials_per_unit", trials_per_unit, minimum=1)
    found = what_varies(array.shape, unit=unit, over=over, replacement=replacement)
    if bounds != SHARE:
        return _of_numbers(array, found, method=method, level=level, seed=seed, bounds=bounds)
    if method == "auto":
        method = "wilson"
    low, high = _bounds(array, found, method=method, trials=trials, level=level, seed=seed)
    mean, varies = float(array.mean()), found.varies
    if found.over != "units" and _seeds_agree(array, found):
        varies = agreeing(found)
    return Interval(
        mean=mean,
        low=min(float(low), mean),  # by rounding an end may pass the mean it touches
        high=max(float(high), mean),
        level=level,
        n=found.n,
        varies=varies,
        seeds=found.seeds,
    )


def _of_numbers(
    array: Array,
    found: Variation,
    *,
    method: str,
    level: float,
    seed: int,
    bounds: tuple[float, float],
) -> Interval:
    """The interval of scores that are no shares."""
    if method == "wilson":
        raise UsageError('`method` must be "auto", "t" or "bca" (the scores are no shares).')
    if method == "bca":
        _check_bca(found)
    mean = float(array.mean())
    if found.over == "both":
        halves = [_half(replace(found, over=over).values(array), level) for over in OVER_ONE]
        half = max(*halves, float(two_way(array).half_width(level)))
        ends = mean - half, mean + half
    elif method == "bca":
        ends = bca(found.values(array), level=level, seed=seed, bounds=bounds)
    else:
        half = _half(found.values(array), level)
        ends = mean - half, mean + half
    return Interval(
        mean=mean,
        low=min(max(ends[0], bounds[0]), mean),
        high=max(min(ends[1], bounds[1]), mean),
        level=level,
        n=found.n,
        varies=found.varies,
        seeds=found.seeds,
        share=in_percent(bounds),
    )


OVER_ONE = ("seeds", "units")


def _half(values: Array, level: float) -> float:
    """Half-width of Student's interval of the mean of [n] values, by what their skewness leaves."""
    if len(values) < 2 or _equal(values):
        raise UsageError("`matrix` must hold scores that vary (they are no shares of anything).")
    _, variance, degrees = moments(values)
    return float(student(degrees, level)) * math.sqrt(float(variance))


def _bounds(
    array: Array, found: Variation, *, method: str, trials: float, level: float, seed: int
) -> Bounds:
    def alone(one: Variation) -> Bounds:
        other = "wilson" if method == "bca" else method
        return _bounds(array, one, method=other, trials=trials, level=level, seed=seed)

    values = found.values(array)
    if method == "bca":
        _check_bca(found)
    if found.over == "both":
        crossed: Bounds
        if method == "wilson" or two_way(array).variance <= NOTHING:
            crossed = crossed_bounds(array, trials=trials, level=level)
        else:
            crossed = _symmetric(*_crossed_error(array, level))
        return _hull(crossed, *(alone(replace(found, over=one)) for one in ("seeds", "units")))
    if _equal(values):
        if found.over == "seeds" and not _equal(by_unit(array)):
            # What is left to vary, if other seeds agree too, is the test.
            return alone(replace(found, over="units"))
        return _nothing_varies(values, found, trials=trials, level=level)
    if method == "bca":
        return bca(values, level=level, seed=seed)
    if method == "t":
        n = len(values)
        error = values.std(ddof=1) / math.sqrt(n)
        return _symmetric(float(values.mean()), float(student(n - 1, level)) * float(error))
    if found.over == "units" and bool(((values == 0) | (values == 1)).all()):
        return wilson_bounds(values.mean(), len(values), student(np.inf, level))
    others = found.seeds * found.units // found.n
    return episode_bounds(values, trials=trials * others, level=level)


def _hull(*bounds: Bounds) -> tuple[float, float]:
    """The narrowest bounds that hold all of these."""
    return min(float(low) for low, _ in bounds), max(float(high) for _, high in bounds)


def _seeds_agree(array: Array, found: Variation) -> bool:
    """Whether seeds show no variation at all: not in their means, or over both in no unit."""
    if found.over == "seeds":
        return _equal(by_seed(array))
    return _equal(array - array[:1])


def _equal(values: Array) -> bool:
    return float(np.ptp(values)) ** 2 <= NOTHING


def _crossed_error(array: Array, level: float) -> tuple[float, float]:
    found = two_way(array)
    return float(found.mean), float(found.half_width(level))


def _symmetric(mean: float, half: float) -> tuple[float, float]:
    return max(0.0, mean - half), min(1.0, mean + half)


def _nothing_varies(values: Array, found: Variation, *, trials: float, level: float) -> Bounds:
    """Wilson's bounds over the test images where they are independent, else one trial a unit."""
    per_unit = trials if found.unit == IMAGES and math.isfinite(trials) else 1
    count = max(found.units * per_unit, len(values))
    return wilson_bounds(values[0], count, student(np.inf, level))


def _check_bca(found: Variation) -> None:
    if found.over == "both":
        raise UsageError(
            '`method` must be "auto", "t" or "wilson" with `over="both"` (resampling cells breaks '
            "what the cells of one seed or one episode have in common); got 'bca'."
        )
    if found.n < FEWEST_FOR_BCA:
        raise UsageError(
            f'`method` must be "auto", "t" or "wilson" with {found.n} {found.name} (bootstrap '
            f"intervals are too narrow with fewer than {FEWEST_FOR_BCA}); got 'bca'."
        )


def bca(
    values: Array, *, level: float, seed: int, bounds: tuple[float, float] = SHARE
) -> tuple[float, float]:
    """BCa bootstrap bounds of the mean of [n] values that are not all equal."""
    from scipy import stats

    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=9999 if len(values) <= _FEW else 1999,
        batch=max(1, 4_000_000 // len(values)),  # keeps 26,000 images within 64 MiB
        confidence_level=level,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return max(bounds[0], float(low)), min(bounds[1], float(high))
