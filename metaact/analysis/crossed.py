"""Intervals where training seeds and test episodes both vary, each seed meeting each episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .bounds import NOTHING, Array, moments, proportion_bounds
from .intervals import episode_bounds

SHARE_POWER = 4 / 3
"""Exponent of the shares in `TwoWay.half_width`: without the two floors the smallest coverage of a
95 % interval with 3 seeds is then 95.0 %, the largest 96.8 %; smaller ones cover more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWay:
    """Two-way random-effects analysis of variance of a matrix [..., seeds, episodes].

    Formula: value = mean + seed + episode + rest. With the mean squares MS of the three terms and
    N = seeds·episodes, the variance of the grand mean is estimated as
    max(MS_seed, MS_rest)/N + max(MS_episode - MS_rest, 0)/N. Even seeds that do not differ at all
    make MS_seed as large as MS_rest on average: one that came out smaller, as where two seeds
    happen to agree, is chance, and is not taken for accuracy.

    Attributes:
        mean: Grand mean [...].
        seed_term: MS_seed/N: the variance of the mean over seeds alone [...].
        unit_term: MS_episode/N: the variance of the mean over episodes alone [...].
        rest_term: MS_rest/N [...].
        degrees: Degrees of freedom of seed_term and unit_term (see `moments`), each [...].
    """

    mean: Array
    seed_term: Array
    unit_term: Array
    rest_term: Array
    degrees: tuple[Array, Array]

    @property
    def episode_term(self) -> Array:
        """What episodes add to the variance of the mean [...]."""
        return np.maximum(self.unit_term - self.rest_term, 0)

    @property
    def variance(self) -> Array:
        """Variance of the grand mean [...]."""
        return np.maximum(self.seed_term, self.rest_term) + self.episode_term

    def half_width(self, level: float) -> Array:
        """Half the width of the interval; never less than over seeds, or over episodes, alone.

        Formula: the largest of q·sqrt(variance), t·sqrt(seed_term) and t·sqrt(unit_term). With z
        the normal quantile and t Student's at a term's own degrees of freedom, q² = z² + sum over
        both terms of (t² - z²)·share^(4/3), where the shares are those of MS_seed/N and of
        `episode_term` in the variance.

        Deviation: Satterthwaite's single t is the usual choice, and covers 86 to 92 % instead of
        95 % for 2 or 3 seeds that differ (simulated), because a small seed term then also claims
        many degrees of freedom. Cochran and Cox's mean of the two quantiles, weighted by the
        shares, covers up to 97 % with 3 seeds; Welch's expansion (exponent 2) down to 94.2 %. The
        exponent is one between them.

        References:
            B. L. Welch, "The generalization of 'Student's' problem when several different
            population variances are involved", Biometrika 34, 1947.
            W. G. Cochran and G. M. Cox, "Experimental Designs", 2nd edition, Wiley, 1957,
            section 4.14.
        """
        return self._half(np.asarray(0.5 - level / 2))

    def p_at(self, distance: ArrayLike) -> Array:
        """1 - level of the interval whose half-width is this distance."""
        distance = np.asarray(distance, dtype=np.float64)
        low, high = np.zeros_like(distance), np.ones_like(distance)
        for _ in range(60):  # bisection on p: the half-width falls as p grows
            p = (low + high) / 2
            beyond = self._half(p / 2) > distance
            low, high = np.where(beyond, p, low), np.where(beyond, high, p)
        return np.asarray((low + high) / 2)

    def p_value(self, mean: float = 0.0) -> Array:
        """Two-sided p-value of this true mean: 1 - level of the interval that just touches it."""
        return self.p_at(np.abs(self.mean - mean))

    def _half(self, tail: Array) -> Array:
        """The half-width that is exceeded on each side with probability `tail`."""
        normal = upper(np.inf, tail) ** 2
        of_seeds, of_units = (upper(degrees, tail) ** 2 for degrees in self.degrees)
        total = np.where(self.variance > NOTHING, self.variance, 1.0)
        seeds, units = (
            (term / total) ** SHARE_POWER for term in (self.seed_term, self.episode_term)
        )
        squared = normal + seeds * (of_seeds - normal) + units * (of_units - normal)
        alone = np.maximum(of_seeds * self.seed_term, of_units * self.unit_term)
        return np.asarray(np.sqrt(np.maximum(squared * self.variance, alone)))


def upper(degrees: ArrayLike, tail: ArrayLike) -> Array:
    """Student's quantile that is exceeded with probability `tail`; infinite degrees: the normal."""
    degrees, tail = (np.asarray(x, dtype=np.float64) for x in (degrees, tail))
    if not np.isfinite(degrees).all():
        return -np.asarray(special.ndtri(tail))
    return -np.asarray(special.stdtrit(degrees, tail))


def two_way(matrix: Array) -> TwoWay:
    """Analyse a matrix [..., seeds, episodes] with at least two of each."""
    seeds, episodes = matrix.shape[-2:]
    by_seed, by_episode = matrix.mean(axis=-1), matrix.mean(axis=-2)
    rest = matrix - by_seed[..., :, None]
    rest -= by_episode[..., None, :]
    rest += by_seed.mean(axis=-1)[..., None, None]
    squares = np.einsum("...ij,...ij->...", rest, rest)
    mean, seed_variance, seed_degrees = moments(by_seed)
    _, unit_variance, unit_degrees = moments(by_episode)
    return TwoWay(
        mean=mean,
        seed_term=seed_variance,
        unit_term=unit_variance,
        rest_term=squares / ((seeds - 1) * (episodes - 1)) / (seeds * episodes),
        degrees=(seed_degrees, unit_degrees),
    )


def crossed_bounds(matrix: Array, *, trials: float, level: float) -> tuple[Array, Array]:
    """Bounds over the last two axes of accuracies [..., seeds, episodes].

    Every seed is tested on the same frozen episodes, so the two sources of variation are crossed
    and neither the seeds' nor the episodes' interval alone tells how well a repetition would
    agree. See `TwoWay` for the variance and its quantile, `proportion_bounds` for the ends. One
    seed falls back to the interval over episodes.

    Args:
        matrix: Accuracies in 0..1.
        trials: Query images of an episode (ways·queries): their number bounds how many independent
            trials the figure can be worth; infinity for no bound.
        level: Confidence level.
    """
    seeds, episodes = matrix.shape[-2:]
    if seeds == 1:
        return episode_bounds(matrix[..., 0, :], trials=trials, level=level)
    if episodes == 1:  # one episode: only the seeds can be seen to vary
        return episode_bounds(matrix[..., 0], trials=trials, level=level)
    found = two_way(matrix)
    variance = found.variance
    seen = variance > NOTHING
    quantile = found.half_width(level) / np.sqrt(np.where(seen, variance, 1.0))
    return proportion_bounds(
        found.mean,
        variance,
        np.where(seen, quantile, 1.0),  # without any variance it is not used
        clusters=episodes,
        trials=seeds * episodes * trials,
        level=level,
    )
