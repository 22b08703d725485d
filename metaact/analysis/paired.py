"""The difference of two arms that met the same episodes or images and seeds."""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import NOTHING, Array
from .error_models import ErrorModel, error_model
from .interval import Interval
from .variation import Variation, by_seed, by_unit


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
    """

    interval: Interval
    p_value: float
    effect: float | None
    needed: dict[str, int | None]


def summarise(differences: Array, variation: Variation, *, level: float) -> Difference:
    """Interval, p-value, effect and what is needed, for differences [seeds, units].

    Formula: with d the differences, over one thing that varies: mean ± t·s/sqrt(n), where t has
    the degrees of freedom that the skewness of d leaves (see `moments`); over both: the two-way
    analysis of variance of `two_way`, on d.
    """
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
