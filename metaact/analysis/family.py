"""Several questions asked together: the level at which each must be answered for all to hold.

All intervals of a family are made at one stricter level of their own, so that at once all of them
hold their truths in 95 % of repetitions. A p-value of the family is 1 - level of the simultaneous
interval that touches 0: it cannot disagree with the interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from .bounds import NOTHING, Array
from .variation import Variation, by_seed, by_unit

ALONE, BONFERRONI, JOINT = "alone", "Bonferroni", "multivariate t"

FEWEST = 5.0
"""Degrees of freedom (six seeds) from which a correlation of differences is worth estimating."""

MOST_DEGREES = 30
"""With more, the standard errors are as good as known: t and normal then give the same level."""

DRAWS = 2_000_000
"""Numbers drawn for a family, between 5,000 and 40,000 for each of its questions."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Family:
    """How a question's own level and the level of all of them belong together.

    Attributes:
        size: How many questions.
        method: "alone", "Bonferroni" or "multivariate t".
        smallest: Of every draw of a family without any difference its smallest p-value, in
            ascending order [draws], for each reading that must hold; () for other methods.
    """

    size: int
    method: str
    smallest: tuple[Array, ...] = ()

    def own_level(self, level: float) -> float:
        """The level of each interval at which all hold together at `level`."""
        wrong = 1 - level
        found = [float(np.interp(wrong, total, p)) for p, total in map(_table, self.smallest)]
        return 1 - max(min(found, default=0.0), wrong / self.size)

    def p_value(self, p: float) -> float:
        """The chance that any question of the family has so small a p-value if none differs."""
        found = [float(np.interp(p, own, total)) for own, total in map(_table, self.smallest)]
        return min(max(found, default=1.0), 1.0, self.size * p)


def _table(smallest: Array) -> tuple[Array, Array]:
    """Own p-values with their shares of draws; straight to 0 where draws are too few."""
    n = len(smallest)
    first = n // 500
    p = np.concatenate([[0.0], smallest[first - 1 :], [1.0]])
    return p, np.concatenate([[0.0], np.arange(first, n + 1) / n, [1.0]])


def strictest(readings: Iterable[Family]) -> Family:
    """The family whose intervals are no narrower than those of any reading of the same questions.

    Over both, questions can be more alike than over seeds or over units alone, and would then be
    corrected less: an interval over both could be narrower than one over one source.
    """
    found = []
    for reading in readings:
        if reading.method != JOINT:  # Bonferroni's is stricter than any
            return reading
        found.append(reading)
    smallest = tuple(table for reading in found for table in reading.smallest)
    return Family(size=found[0].size, method=JOINT, smallest=smallest)


def family(
    differences: Sequence[Array],
    variation: Sequence[Variation],
    degrees: Sequence[float],
    *,
    aligned: bool = True,
) -> Family:
    """Choose how questions are corrected for each other.

    Formula: with T the t-values of the mean differences, P(max |T| > t) = 1 - level is solved by
    drawing T: means from a normal distribution with the estimated correlation R of the means, and
    each one's standard error from as many draws with that correlation as there are seeds (for
    units alone, with many degrees of freedom, it is known). R is drawn towards no correlation by
    1/n of its size, for what n seeds cannot tell. The draws are the same for the same R.

    Args:
        differences: Of each question, first minus second [seeds, units].
        variation: What varies, of each.
        degrees: The fewest degrees of freedom in the error of each.
        aligned: Whether rows and columns of all are the same seeds and units.

    Returns:
        Bonferroni's where there are fewer than six seeds, or questions do not share their seeds:
        it needs no correlation.

    References:
        C. W. Dunnett, "A multiple comparison procedure for comparing several treatments with a
        control", Journal of the American Statistical Association 50, 1955.
        T. Hothorn, F. Bretz and P. Westfall, "Simultaneous inference in general parametric
        models", Biometrical Journal 50, 2008.
    """
    size = len(differences)
    if size < 2:
        return Family(size=max(size, 1), method=ALONE)
    alike = aligned and len({d.shape for d in differences}) == 1
    fewest = min(degrees)
    if variation[0].over != "units":
        fewest = min(fewest, variation[0].seeds - 1)
    if not alike or fewest < FEWEST:
        return Family(size=size, method=BONFERRONI)
    n = variation[0].n if variation[0].over == "units" else variation[0].seeds
    # The same level in any order, and with the arms of all questions exchanged.
    ordered = sorted(differences, key=lambda d: np.abs(d).tobytes())
    correlation = (1 - 1 / n) * correlation_of_means(ordered, variation[0].over)
    np.fill_diagonal(correlation, 1.0)
    return Family(size=size, method=JOINT, smallest=(smallest_p(correlation, fewest),))


def correlation_of_means(differences: Sequence[Array], over: str) -> Array:
    """Estimated correlation of the mean differences [questions, questions] over what varies.

    One that does not vary at all is taken as independent of the others.
    """
    size = len(differences)
    total = np.zeros((size, size))
    if over != "units":
        seeds = np.stack([by_seed(d) for d in differences])
        total += np.cov(seeds) / seeds.shape[1]
    if over != "seeds":
        units = np.stack([by_unit(d) for d in differences])
        total += np.cov(units) / units.shape[1]
    spread = np.sqrt(np.diag(total))
    moves = spread**2 > NOTHING
    found = total / np.where(np.outer(moves, moves), np.outer(spread, spread), np.inf)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def smallest_p(correlation: Array, degrees: float) -> Array:
    """The smallest two-sided p-value of each draw of t-values, ascending [draws].

    Args:
        correlation: Of the means [questions, questions].
        degrees: Degrees of freedom of each standard error; more than 30 count as infinitely many.
    """
    size = len(correlation)
    draws = min(max(DRAWS // size, 5_000), 40_000)
    generator = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.maximum(values, 0))).T

    def draw() -> Array:
        return np.asarray(generator.standard_normal((draws, size)) @ root)

    means = np.abs(draw())
    if degrees > MOST_DEGREES:
        return np.asarray(np.sort(2 * special.ndtr(-means.max(axis=1))))
    whole = int(degrees)
    squares = np.zeros((draws, size))
    for _ in range(whole):
        squares += draw() ** 2
    largest = (means / np.sqrt(squares / whole)).max(axis=1)
    return np.asarray(np.sort(2 * special.stdtr(whole, -largest)))
