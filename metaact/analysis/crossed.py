"""Intervals where training seeds and test episodes both vary, each seed meeting each episode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .bounds import NOTHING, Array, moments, proportion_bounds
from .intervals import episode_bounds

SHARE_POWER = 4 / 3
"""Exponent of the shares in `TwoWay.quantile`: with 3 seeds the smallest coverage of a 95 %
interval is then 95.0 % and the largest 96.8 %; smaller ones cover more, larger ones less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWay:
    """Two-way random-effects analysis of variance of a matrix [..., seeds, episodes].

    Formula: value = mean + seed + episode + rest; the mean squares MS of the three terms give the
    variance of the grand mean as (MS_seed + max(MS_episode - MS_rest, 0)) / (seeds·episodes).

    Attributes:
        mean: Grand mean [...].
        seed_term: First summand of the variance (seeds, and the rest) [...].
        episode_term: Second summand (what episodes add to it) [...].
        rest_term: MS_rest / (seeds·episodes) [...].
        degrees: Degrees of freedom of the two summands: seeds - 1, and [...].
    """

    mean: Array
    seed_term: Array
    episode_term: Array
    rest_term: Array
    degrees: tuple[int, Array]

    @property
    def variance(self) -> Array:
        """Variance of the grand mean [...]."""
        return self.seed_term + self.episode_term

    def quantile(self, level: float) -> Array:
        """Student's quantiles of the two terms, combined by how much each adds to the variance.

        Formula: q² = z² + sum over both terms of (t² - z²)·share^(4/3), with z the normal quantile
        and t Student's at the term's own degrees of freedom.

        Deviation: Satterthwaite's single t is the usual choice, and covers 86 to 92 % instead of
        95 % for 2 or 3 seeds that differ (simulated), because a small seed term then also claims
        many degrees of freedom. Cochran and Cox's mean of the two quantiles, weighted by the
        shares, covers up to 97 % with 3 seeds; Welch's expansion (exponent 2) down to 94.2 %. The
        exponent between them covers 95.0 to 96.8 % with 3 seeds whatever the shares, and 95.0 to
        96.0 % with 5.

        References:
            B. L. Welch, "The generalization of 'Student's' problem when several different
            population variances are involved", Biometrika 34, 1947.
            W. G. Cochran and G. M. Cox, "Experimental Designs", 2nd edition, Wiley, 1957,
            section 4.14.
        """
        return self._combined(0.5 - level / 2)

    def p_value(self, mean: float = 0.0) -> Array:
        """Two-sided p-value of this true mean: 1 - level of the interval that just touches it."""
        error = np.sqrt(np.where(self.variance > NOTHING, self.variance, 1.0))
        ratio = np.abs(self.mean - mean) / error
        low, high = np.zeros_like(ratio), np.ones_like(ratio)
        for _ in range(60):  # bisection on p: the quantile falls as p grows
            p = (low + high) / 2
            beyond = self._combined(p / 2) > ratio
            low, high = np.where(beyond, p, low), np.where(beyond, high, p)
        return (low + high) / 2

    def _combined(self, tail: ArrayLike) -> Array:
        """The quantile that is exceeded on each side with probability `tail`."""
        seen = self.variance > NOTHING
        total = np.where(seen, self.variance, 1.0)
        normal = _upper(np.inf, tail) ** 2
        of_seeds, of_episodes = (_upper(degrees, tail) ** 2 for degrees in self.degrees)
        seeds, episodes = (
            (term / total) ** SHARE_POWER for term in (self.seed_term, self.episode_term)
        )
        squared = normal + seeds * (of_seeds - normal) + episodes * (of_episodes - normal)
        return np.sqrt(np.where(seen, squared, of_seeds))


def _upper(degrees: ArrayLike, tail: ArrayLike) -> Array:
    """Student's quantile that is exceeded with probability `tail`."""
    degrees, tail = (np.asarray(x, dtype=np.float64) for x in (degrees, tail))
    if not np.isfinite(degrees).all():
        return -np.asarray(special.ndtri(tail))
    return -np.asarray(special.stdtrit(degrees, tail))


def two_way(matrix: Array) -> TwoWay:
    """Analyse a matrix [..., seeds, episodes] with at least two of each."""
    seeds, episodes = matrix.shape[-2:]
    cells = seeds * episodes
    by_seed, by_episode = matrix.mean(axis=-1), matrix.mean(axis=-2)
    mean = by_seed.mean(axis=-1)
    rest = matrix - by_seed[..., :, None] - by_episode[..., None, :] + mean[..., None, None]
    rest_term = (rest**2).sum(axis=(-1, -2)) / ((seeds - 1) * (episodes - 1)) / cells
    _, episode_variance, degrees = moments(by_episode)
    return TwoWay(
        mean=mean,
        seed_term=by_seed.var(axis=-1, ddof=1) / seeds,
        episode_term=np.maximum(episode_variance - rest_term, 0),
        rest_term=rest_term,
        degrees=(seeds - 1, degrees),
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
    return proportion_bounds(
        found.mean,
        found.variance,
        found.quantile(level),
        clusters=episodes,
        trials=seeds * episodes * trials,
        level=level,
    )
