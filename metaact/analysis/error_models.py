"""How far the mean of paired differences may be off: over one thing that varies, or over two."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import special

from .bounds import NOTHING, Array, moments, student
from .crossed import TwoWay, two_way
from .intervals import SEEDS
from .variation import Variation

ENOUGH = 1_000_000  # more than this is the answer "no number that anyone could run"


class ErrorModel(Protocol):
    """What is known of the true mean of the differences."""

    @property
    def mean(self) -> float:
        """The observed mean."""

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the part of its error that has fewest."""

    def half_width(self, level: float) -> float:
        """Half the width of its interval, before it is cut to what is possible."""

    def p_at(self, distance: float) -> float:
        """1 - level of the interval whose half-width is this distance."""

    def needed(self, level: float) -> dict[str, int | None]:
        """How many more of each thing that varies would let the interval exclude 0."""


def error_model(differences: Array, variation: Variation, *, grain: float = 1.0) -> ErrorModel:
    """Choose the model for differences [seeds, units] with at least two of what varies.

    Args:
        differences: First minus second.
        variation: What varies.
        grain: By how much one differing answer moves one of them: 1 over the answers in a unit.
    """
    found = _varying(differences, variation)
    if found is not None:
        return found
    nudged = differences.copy()
    nudged[0, 0] += grain
    inner = _varying(nudged, variation)
    assert inner is not None  # one value of at least two is another now
    return Agreeing(
        mean=float(differences.mean()),
        shift=grain / differences.size,
        inner=inner,
        names=tuple(inner.needed(0.5)),
    )


def _varying(differences: Array, variation: Variation) -> OneWay | Crossed | None:
    values = variation.values(differences)
    if variation.over == "both":
        found = two_way(values)
        if found.variance <= NOTHING:
            return None
        return Crossed(found=found, variation=variation, alone=_agreeing_alone(values, variation))
    mean, variance, degrees = (float(x) for x in moments(values))
    if variance <= NOTHING:
        return None
    return OneWay(mean=mean, error=math.sqrt(variance), degrees=degrees, variation=variation)


def _agreeing_alone(differences: Array, variation: Variation) -> tuple[Agreeing, ...]:
    """The models over seeds alone and over units alone, where those do not vary at all."""
    readings = [replace(variation, over=over) for over in ("seeds", "units")]
    still = [one for one in readings if np.ptp(one.values(differences)) ** 2 <= NOTHING]
    found = (error_model(differences, one) for one in still)
    return tuple(model for model in found if isinstance(model, Agreeing))


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

    def p_at(self, distance: float) -> float:
        """See `ErrorModel`."""
        return float(2 * special.stdtr(self.degrees, -distance / self.error))

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        name = self.variation.name
        return {name: _more(abs(self.mean), lambda more: self.half_width(level, more))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """The two-way analysis of differences [seeds, units].

    Attributes:
        found: The analysis.
        variation: What varies.
        alone: The models over seeds or units alone where those agree exactly: it is no narrower.
    """

    found: TwoWay
    variation: Variation
    alone: tuple[Agreeing, ...] = ()

    @property
    def mean(self) -> float:
        """The observed mean."""
        return float(self.found.mean)

    @property
    def degrees(self) -> float:
        """See `ErrorModel`."""
        return min(float(degrees) for degrees in self.found.degrees)

    def half_width(self, level: float, more_seeds: int = 0, more_units: int = 0) -> float:
        """Half-width with more seeds or units and the same components of variance."""
        seeds, units = self.variation.seeds, self.variation.units
        s, u = (seeds + more_seeds) / seeds, (units + more_units) / units
        found = self.found
        rest = found.rest_term
        grown = TwoWay(
            mean=found.mean,
            seed_term=_grown(found.seed_term, rest, own=s, other=u),
            unit_term=_grown(found.unit_term, rest, own=u, other=s),
            rest_term=rest / (s * u),
            degrees=(found.degrees[0] * s, found.degrees[1] * u),
        )
        return max(float(grown.half_width(level)), *(m.half_width(level) for m in self.alone), 0.0)

    def p_at(self, distance: float) -> float:
        """See `ErrorModel`."""
        return max(float(self.found.p_at(distance)), *(m.p_at(distance) for m in self.alone), 0.0)

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        size, half = abs(self.mean), self.half_width
        return {
            SEEDS: _more(size, lambda more: half(level, more_seeds=more)),
            self.variation.unit: _more(size, lambda more: half(level, more_units=more)),
        }


def _grown(term: Array, rest: Array, *, own: float, other: float) -> Array:
    """A term with more of its own things and of the others: only the rest in it shrinks by both."""
    shared = np.minimum(rest, term)
    return np.asarray((term - shared) / own + shared / (own * other))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreeing:
    """Differences that are all equal: as uncertain as if one answer had come out otherwise.

    Formula: half-width = shift + half-width of the same differences with one answer turned, which
    is the end of the interval that they would have had.

    Attributes:
        mean: What they are all equal to.
        shift: By how much one answer moves the mean.
        inner: The model of the differences with one answer turned.
        names: The things that vary.
    """

    mean: float
    shift: float
    inner: OneWay | Crossed
    names: tuple[str, ...]

    @property
    def degrees(self) -> float:
        """See `ErrorModel`."""
        return self.inner.degrees

    def half_width(self, level: float) -> float:
        """See `ErrorModel`."""
        return self.shift + self.inner.half_width(level)

    def p_at(self, distance: float) -> float:
        """See `ErrorModel`."""
        return 1.0 if distance <= self.shift else self.inner.p_at(distance - self.shift)

    def needed(self, level: float) -> dict[str, int | None]:
        """See `ErrorModel`."""
        return dict.fromkeys(self.names, 0 if self.half_width(level) < abs(self.mean) else None)


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
