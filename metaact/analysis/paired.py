"""Intervals of the difference of two arms that met the same episodes or images and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .bounds import NOTHING, SHARE, Array, in_percent
from .error_models import Agreeing, ErrorModel, error_model
from .estimates import estimate
from .family import Family, family, strictest
from .interval import Interval
from .variation import Variation, agreeing

CAUTION = 5
"""How much rarer than the difference's interval those that cut it may be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Difference:
    """By how much one arm beats another where both met the same episodes and seeds.

    Attributes:
        first: Accuracies of the first arm [seeds, units].
        second: Those of the other.
        variation: What varies.
        model: What is known of the true mean of first - second.
        trials: Answers in a unit; None if unknown.
        bounds: Least and greatest score of an arm; (0, 1) for accuracies.
    """

    first: Array
    second: Array
    variation: Variation
    model: ErrorModel
    trials: int | None
    bounds: tuple[float, float] = SHARE

    @property
    def values(self) -> Array:
        """First minus second."""
        return self.first - self.second

    @property
    def agrees(self) -> bool:
        """Whether several seeds all gave exactly the same difference."""
        if self.variation.seeds < 2 or self.variation.over == "units":
            return False
        alike = bool((self.values == self.values[:1]).all())
        return alike or isinstance(self.model, Agreeing)

    def interval(self, level: float, *, named: float) -> Interval:
        """Mean ± half-width of the model, of accuracies cut to what the arms' own intervals allow.

        A difference cannot reach from the lower end of one arm further than to 100 %, nor from its
        upper end further than to 0: beside an arm at 95 % none can be -100 or +80 points. The arms'
        ends for it are made with a fifth of the chance of error, so that the cut costs no coverage
        (simulated). It never reaches 0, so it decides nothing about a difference of 0.

        Args:
            level: The level at which it is made.
            named: The level at which it holds, together with the others of its family.
        """
        mean, half = self.model.mean, self.model.half_width(level)
        mean = 0.0 if abs(mean) <= NOTHING**0.5 else mean  # rounding is no difference
        low, high = mean - half, mean + half
        if self.bounds == SHARE:
            cautious = 1 - (1 - level) / CAUTION
            first, second = (self._own(arm, cautious) for arm in (self.first, self.second))
            low = max(low, first.low - 1, -second.high)
            high = min(high, first.high, 1 - second.low)
        return Interval(
            mean=mean,
            low=min(low, mean),
            high=max(high, mean),
            level=named,
            n=self.variation.n,
            varies=agreeing(self.variation) if self.agrees else self.variation.varies,
            seeds=self.variation.seeds,
            share=in_percent(self.bounds),
        )

    def _own(self, arm: Array, level: float) -> Interval:
        return estimate(
            arm,
            unit=self.variation.unit,
            trials_per_unit=self.trials,
            over=self.variation.over,
            method="wilson",
            level=level,
        )


def difference(
    first: Array,
    second: Array,
    variation: Variation,
    *,
    trials: int | None,
    bounds: tuple[float, float] = SHARE,
) -> Difference:
    """Pair two arms.

    Formula: with d the differences, over one thing that varies: mean ± t·s/sqrt(n), where t has
    the degrees of freedom that the skewness of d leaves (see `moments`); over both: the two-way
    analysis of variance of `two_way`, on d; where all are equal, see `Agreeing`.
    """
    model = error_model(first - second, variation, grain=1 / (trials or 1))
    return Difference(
        first=first,
        second=second,
        variation=variation,
        model=model,
        trials=trials,
        bounds=bounds,
    )


def family_of(made: Sequence[Difference], *, aligned: bool = True) -> Family:
    """How the questions of these differences are corrected together (see `family`).

    Over both they are corrected as strictly as over seeds and over units alone, so that there, too,
    no interval is narrower than one of these.

    Args:
        made: One difference a question.
        aligned: Whether rows and columns of all are the same seeds and units.
    """
    ways = {d.variation.over for d in made}
    readings = ("both", "seeds", "units") if ways == {"both"} else (None,)
    return strictest(_reading(made, over, aligned) for over in readings)


def _reading(made: Sequence[Difference], over: str | None, aligned: bool) -> Family:
    variations = [replace(d.variation, over=over or d.variation.over) for d in made]
    degrees = [
        error_model(d.values, variation, grain=1 / (d.trials or 1)).degrees
        for d, variation in zip(made, variations, strict=True)
    ]
    return family([d.values for d in made], variations, degrees, aligned=aligned)
