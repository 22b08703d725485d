"""How far the mean of paired differences may be off: over one thing that varies, or over two."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import special

from .bounds import NOTHING, Array, moments, student, wilson_bounds
from .crossed import TwoWay, two_way
from .intervals import SEEDS
from .variation import Variation

ENOUGH = 1_000_000  # more than this is the answer "no number that anyone could run"


class ErrorModel(Protocol):
    """What is known of the true mean of the differences."""

    @property
    def mean(self) -> float:
        """The observed mean."""

    def half_width(self, level: float) -> float:
        """Half the width of its interval, before it is cut to [-1, 1]."""

    def p_value(self) -> float:
        """Two-sided p-value of a true mean of 0."""

    def p_equivalence(self, margin: float) -> float:
        """p-value of a true mean outside (-margin, margin): the larger of two one-sided ones."""

    def needed(self, level: float) -> dict[str, int | None]:
        """How many more of each thing that varies would let the interval exclude 0."""


def error_model(differences: Array, variation: Variation) -> ErrorModel:
    """Choose the model for differences [seeds, units] with at least two of what varies."""
    values = variation.values(differences)
    if variation.over == "both":
        found = two_way(values)
        if found.variance > NOTHING:
            return Crossed(found=found, variation=variation)
        return AllEqual(mean=float(values.mean()), n=variation.seeds, names=(SEEDS, variation.unit))
    mean, variance, degrees = (float(x) for x in moments(values))
    if variance <= NOTHING:
        return AllEqual(mean=mean, n=len(values), names=(variation.name,))
    return OneWay(mean=mean, error=math.sqrt(variance), degrees=degrees, variation=variation)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneWay:
    """A mean of n differences with its standard error and that error's degrees of freedom."""

    mean: float
    error: float
    degrees: float
    variation: Variation

    def half_width(self, level: float, more: int = 0) -> float:
        """Student's quantile times the standard error, with `more` differences alike."""
        grown = (self.variation.n + more) / self.variation.n
        return float(student(self.degrees * grown, level)) * self.error / math.sqrt(grown)

    def p_value(self, mean: float = 0.0) -> float:
        """Two-sided p-value of this true mean."""
        return float(2 * special.stdtr(self.degrees, -abs(self.mean - mean) / self.error))

    def p_equivalence(self, margin: float) -> float:
        """See `ErrorModel`."""
        return _two_one_sided(self.mean, margin, self.p_value)

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        name = self.variation.name
        return {name: _more(abs(self.mean), lambda more: self.half_width(level, more))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """The two-way analysis of differences [seeds, units]."""

    found: TwoWay
    variation: Variation

    @property
    def mean(self) -> float:
        """The observed mean."""
        return float(self.found.mean)

    def half_width(self, level: float, more_seeds: int = 0, more_units: int = 0) -> float:
        """Half-width with more seeds or units and the same components of variance."""
        seeds, units = self.variation.seeds, self.variation.units
        s, u = (seeds + more_seeds) / seeds, (units + more_units) / units
        rest = np.minimum(self.found.rest_term, self.found.seed_term)
        grown = TwoWay(
            mean=self.found.mean,
            seed_term=(self.found.seed_term - rest) / s + rest / (s * u),
            episode_term=self.found.episode_term / u,
            rest_term=rest / (s * u),
            degrees=(seeds + more_seeds - 1, self.found.degrees[1] * u),
        )
        return float(grown.quantile(level)) * math.sqrt(float(grown.variance))

    def p_value(self, mean: float = 0.0) -> float:
        """Two-sided p-value of this true mean."""
        return float(self.found.p_value(mean))

    def p_equivalence(self, margin: float) -> float:
        """See `ErrorModel`."""
        return _two_one_sided(self.mean, margin, self.p_value)

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        size, half = abs(self.mean), self.half_width
        return {
            SEEDS: _more(size, lambda more: half(level, more_seeds=more)),
            self.variation.unit: _more(size, lambda more: half(level, more_units=more)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AllEqual:
    """n differences that are all equal: only the share of pairs that could deviate is bounded.

    Of n pairs none deviates, so at most Wilson's upper bound of 0 in n would, by at most 1.
    """

    mean: float
    n: int
    names: tuple[str, ...]

    def half_width(self, level: float) -> float:
        """Upper bound of the share that could deviate."""
        return float(wilson_bounds(0.0, self.n, student(np.inf, level))[1])

    def p_value(self) -> float:
        """That of a sign test in which all n are on one side; 1 for differences of 0."""
        return 1.0 if abs(self.mean) <= NOTHING else 2 * 0.5**self.n

    def p_equivalence(self, margin: float) -> float:
        """Chance that none of n deviates if as many do as bring the mean to the margin."""
        return float((1 - max(0.0, margin - abs(self.mean))) ** self.n)

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        return dict.fromkeys(self.names, 0 if self.half_width(level) < abs(self.mean) else None)


def _two_one_sided(mean: float, margin: float, p_value: Callable[[float], float]) -> float:
    """The larger p-value of "at least the margin" and "at most minus the margin".

    References:
        D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power
        approach", Journal of Pharmacokinetics and Biopharmaceutics 15, 1987.
    """
    halves = p_value(margin) / 2, p_value(-margin) / 2
    return max(
        halves[0] if mean < margin else 1 - halves[0],
        halves[1] if mean > -margin else 1 - halves[1],
    )


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
