"""Paired comparison of two arms on the same episodes and seeds, with Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from metaact.errors import UsageError

from .bounds import NOTHING, Array, accuracies, check_level, moments, student, wilson_bounds
from .crossed import TwoWay, two_way
from .interval import Interval, decimals
from .intervals import EPISODES, SEEDS

ENOUGH = 1_000_000  # more than this is the answer "no number that anyone could run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much one arm beats another where both met the same episodes and seeds.

    Attributes:
        interval: First arm minus second, with its interval.
        p_value: Two-sided p-value of no difference, not corrected for several comparisons.
        effect: Cohen's d_z: mean over standard deviation of the episodes' differences (averaged
            over seeds); None where all are equal and not 0.
        needed: For each thing that varies, how many more of it would let an interval of this
            difference exclude 0, all else unchanged: 0 if it does already, None if no number
            would. At exactly this number it does in about half of all repetitions.

    Examples:
        >>> print(paired_difference([0.9, 0.8, 0.9, 0.7], [0.6, 0.6, 0.5, 0.6]))
        +25.0 [4.5, 45.5] points, p = 0.03
    """

    interval: Interval
    p_value: float
    effect: float | None
    needed: dict[str, int | None]

    def __str__(self) -> str:
        mean, low, high = (100 * x for x in (self.mean, self.interval.low, self.interval.high))
        digits = decimals((high - low) / 2)
        ends = f"[{low:.{digits}f}, {high:.{digits}f}]"
        return f"{mean:+.{digits}f} {ends} points, p = {self.p_value:.1g}"

    @property
    def mean(self) -> float:
        """First arm's accuracy minus the second's."""
        return self.interval.mean

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return 0 not in self.interval


def paired_difference(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95, unit: str = EPISODES
) -> Difference:
    """Compare two arms cell by cell.

    Formula: with d = first - second, for [n]: mean ± t·s/sqrt(n), where t has the degrees of
    freedom that the skewness of d leaves (see `moments`); for [seeds, episodes]: the two-way
    analysis of variance of `crossed_interval`, on d.

    Args:
        first: Accuracies in 0..1 [n] or [seeds, episodes].
        second: Accuracies of the other arm on the same episodes and seeds, same shape.
        level: Confidence level.
        unit: What the n values of [n] are: "test episodes" or "training seeds".

    Raises:
        UsageError: If the shapes differ, the values are no accuracies, or there are fewer than 2.
    """
    shape = np.shape(first)
    if shape != np.shape(second) or len(shape) not in (1, 2) or max(shape) < 2:
        raise UsageError(
            "`first` and `second` must have one shape, [n] or [seeds, episodes], with at least 2 "
            f"pairs (the comparison is paired); got {list(shape)} and {list(np.shape(second))}."
        )
    check_level(level)
    a, b = (
        accuracies(name, values, dimensions=len(shape))
        for name, values in (("first", first), ("second", second))
    )
    difference = a - b
    if difference.ndim == 1:
        return _over_one(difference, level, unit, unit, seeds=1 if unit != SEEDS else len(a))
    if min(shape) == 1:
        name, other = (EPISODES, SEEDS) if shape[0] == 1 else (SEEDS, EPISODES)
        varies = f"{name} (one {other[:-1]})"
        return _over_one(difference.ravel(), level, name, varies, seeds=shape[0])
    return _over_both(difference, level)


def _over_one(d: Array, level: float, unit: str, varies: str, seeds: int) -> Difference:
    mean, variance, degrees = (float(x) for x in moments(d))
    n = len(d)
    if variance <= NOTHING:
        return _without_variance(mean, level, n, unit, varies, seeds, needed={unit: None})
    error = math.sqrt(variance)
    interval = _interval(mean, float(student(degrees, level)) * error, level, n, varies, seeds)
    spread = error * math.sqrt(n)

    def half_width(more: int) -> float:
        return float(student(degrees * (n + more) / n, level)) * spread / math.sqrt(n + more)

    return Difference(
        interval=interval,
        p_value=float(2 * special.stdtr(degrees, -abs(mean) / error)),
        effect=mean / spread,
        needed={unit: _more(abs(mean), half_width)},
    )


def _over_both(d: Array, level: float) -> Difference:
    seeds, episodes = d.shape
    found = two_way(d)
    mean, variance = float(found.mean), float(found.variance)
    varies, effect = f"{SEEDS} and {EPISODES}", _effect(d.mean(axis=0))
    if variance <= NOTHING:
        none: dict[str, int | None] = {SEEDS: None, EPISODES: None}
        return _without_variance(mean, level, seeds, EPISODES, varies, seeds, needed=none)
    half = float(found.quantile(level)) * math.sqrt(variance)
    return Difference(
        interval=_interval(mean, half, level, episodes, varies, seeds),
        p_value=float(found.p_value()),
        effect=effect,
        needed={
            SEEDS: _more(abs(mean), lambda more: _grown(found, d, level, more_seeds=more)),
            EPISODES: _more(abs(mean), lambda more: _grown(found, d, level, more_episodes=more)),
        },
    )


def _grown(
    found: TwoWay, d: Array, level: float, *, more_seeds: int = 0, more_episodes: int = 0
) -> float:
    """Half-width to expect with more seeds or episodes and the same components of variance."""
    seeds, episodes = d.shape
    s, e = (seeds + more_seeds) / seeds, (episodes + more_episodes) / episodes
    rest = np.minimum(found.rest_term, found.seed_term)
    grown = TwoWay(
        mean=found.mean,
        seed_term=(found.seed_term - rest) / s + rest / (s * e),
        episode_term=found.episode_term / e,
        rest_term=rest / (s * e),
        degrees=(seeds + more_seeds - 1, found.degrees[1] * e),
    )
    return float(grown.quantile(level)) * math.sqrt(float(grown.variance))


def _more(effect: float, half_width: Callable[[int], float]) -> int | None:
    """Smallest number of additional units at which the half-width falls below the effect."""
    if half_width(0) < effect:
        return 0
    if half_width(ENOUGH) >= effect:
        return None
    low, high = 0, ENOUGH
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if half_width(middle) < effect else (middle, high)
    return high


def _without_variance(
    mean: float,
    level: float,
    n: int,
    unit: str,
    varies: str,
    seeds: int,
    needed: dict[str, int | None],
) -> Difference:
    """All differences are equal: bound the share of pairs that could differ from them.

    Of n pairs none deviates, so at most Wilson's upper bound of 0 in n would, by at most 1.
    """
    _, share = wilson_bounds(0.0, n, student(np.inf, level))
    interval = _interval(mean, float(share), level, n, varies, seeds)
    settled = 0 not in interval
    return Difference(
        interval=interval,
        p_value=1.0 if abs(mean) <= NOTHING else 2 * 0.5**n,  # sign test: all n on one side
        effect=_effect(np.array([mean, mean])),
        needed=dict.fromkeys(needed, 0 if settled else None),
    )


def _interval(mean: float, half: float, level: float, n: int, varies: str, seeds: int) -> Interval:
    low, high = max(-1.0, mean - half), min(1.0, mean + half)
    return Interval(mean=mean, low=low, high=high, level=level, n=n, varies=varies, seeds=seeds)


def _effect(d: Array) -> float | None:
    mean, spread = float(d.mean()), float(d.std(ddof=1))
    if spread**2 > NOTHING:
        return mean / spread
    return 0.0 if abs(mean) <= NOTHING else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for all comparisons together.

    Formula: the i-th smallest of m is multiplied by m - i + 1, and made no smaller than those
    before it, no larger than 1.

    Args:
        p_values: One per comparison, in any order.

    Returns:
        Corrected p-values in the same order.

    Raises:
        UsageError: If one is not in [0, 1].

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
        of Statistics 6, 1979.
    """
    array = accuracies("p_values", p_values, dimensions=1) if len(p_values) else np.zeros(0)
    order = np.argsort(array, kind="stable")
    factors = np.arange(len(array), 0, -1)
    adjusted = np.empty_like(array)
    adjusted[order] = np.minimum(np.maximum.accumulate(array[order] * factors), 1)
    return [float(p) for p in adjusted]
