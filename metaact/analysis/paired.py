"""Paired comparison of two arms on the same episodes or images and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .bounds import NOTHING, Array, accuracies, check_level
from .error_models import ErrorModel, error_model
from .interval import Interval, decimals
from .intervals import EPISODES, SEEDS
from .variation import Variation, by_seed, by_unit, what_varies


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much one arm beats another where both met the same episodes and seeds.

    Attributes:
        interval: First arm minus second, with its interval.
        p_value: Two-sided p-value of no difference, not corrected for several comparisons.
        effect: Cohen's d_z: mean over standard deviation of the differences of what varies (of
            the units, averaged over seeds, if both vary); None where all are equal and not 0.
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
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    unit: str = EPISODES,
    over: str = "both",
) -> Difference:
    """Compare two arms cell by cell.

    Formula: with d = first - second, over one thing that varies: mean ± t·s/sqrt(n), where t has
    the degrees of freedom that the skewness of d leaves (see `moments`); over both: the two-way
    analysis of variance of `crossed_interval`, on d.

    Args:
        first: Accuracies in 0..1 [n] or [seeds, units].
        second: Accuracies of the other arm on the same units and seeds, same shape.
        level: Confidence level.
        unit: What the n values of [n], or the columns of [seeds, units], are: "test episodes" or
            "test images", or "training seeds" for [n].
        over: What varies, "units", "seeds" or "both", for [seeds, units].

    Raises:
        UsageError: If the shapes differ, the values are no accuracies, or there are fewer than 2
            of what varies.
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
    d = a - b
    if d.ndim == 2:
        return summarise(d, what_varies(d.shape, unit=unit, over=over), level=level)
    alone = unit == SEEDS
    d = d[:, None] if alone else d[None, :]
    variation = Variation(
        over="seeds" if alone else "units",
        unit=EPISODES if alone else unit,
        varies=unit,
        seeds=d.shape[0],
        units=d.shape[1],
    )
    return summarise(d, variation, level=level)


def summarise(differences: Array, variation: Variation, *, level: float) -> Difference:
    """Interval, p-value, effect and what is needed, for differences [seeds, units]."""
    model = error_model(differences, variation)
    return Difference(
        interval=difference_interval(model, variation, level=level),
        p_value=model.p_value(),
        effect=_effect(spread_values(differences, variation)),
        needed=model.needed(level),
    )


def difference_interval(model: ErrorModel, variation: Variation, *, level: float) -> Interval:
    """The model's interval, cut to [-1, 1]."""
    mean, half = model.mean, model.half_width(level)
    return Interval(
        mean=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        level=level,
        n=variation.n,
        varies=variation.varies,
        seeds=variation.seeds,
    )


def spread_values(differences: Array, variation: Variation) -> Array:
    """The differences whose spread an effect is measured in: per seed, or per unit over seeds."""
    return by_seed(differences) if variation.over == "seeds" else by_unit(differences)


def _effect(d: Array) -> float | None:
    mean, spread = float(d.mean()), float(d.std(ddof=1))
    if spread**2 > NOTHING:
        return mean / spread
    return 0.0 if abs(mean) <= NOTHING else None
