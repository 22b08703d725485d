"""Whether a published figure of few runs agrees with ours.

A published mean of five runs has run-to-run noise of its own. Whether it lies in *our* confidence
interval is one question; whether five new runs of ours could have given it is the fairer one, which
a prediction interval answers. Both are shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from metaact.analysis import Interval, image_interval, seed_interval

LEVEL = 0.95

NO_SPREAD = 1e-12
"""Seeds that agree to this (one constant answer) show no run-to-run noise to predict from."""

DRAWS = 40_000
"""Draws of the best-of-n simulation: its quantiles are good to about 1 % of the spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A published figure beside ours; all in 0..1.

    Attributes:
        ours: Our figure.
        interval: Its 95 % interval.
        published: The published figure.
        inside: Whether that lies in the interval.
        expected: Where 95 % of such figures of as many new runs of ours would lie; None with one
            seed or seeds that all agree, which say nothing about run-to-run noise.
        plausible: Whether the published figure lies there.
    """

    ours: float
    interval: Interval
    published: float
    inside: bool
    expected: tuple[float, float] | None
    plausible: bool | None

    @property
    def difference(self) -> float:
        """Ours minus the published figure."""
        return self.ours - self.published


def over_seeds(accuracies: Sequence[float], images: int) -> Interval:
    """Interval of a mean accuracy over training seeds; with one seed, over the test images.

    Args:
        accuracies: One per seed, in 0..1.
        images: Size of the test set.
    """
    if len(accuracies) == 1:
        return image_interval(round(accuracies[0] * images), images)
    return seed_interval(accuracies, trials=images)


def interval_document(accuracies: Mapping[int, float], images: int) -> dict[str, Any] | None:
    """The interval of accuracies by seed, as a report holds it; None without any.

    Args:
        accuracies: In 0..1, by training seed.
        images: Size of the test set.
    """
    return asdict(over_seeds(list(accuracies.values()), images)) if accuracies else None


def agreement_of_mean(
    accuracies: Sequence[float], published: float, *, images: int, runs: int
) -> Agreement:
    """Compare our mean with a published mean of `runs` runs.

    Formula: mean ± t(n-1)·s·sqrt(1/n + 1/runs) holds 95 % of the means of `runs` new runs.
    """
    interval = over_seeds(accuracies, images)
    n, expected = len(accuracies), None
    spread = float(np.std(accuracies, ddof=1)) if n > 1 else 0.0
    if spread > NO_SPREAD:
        quantile = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
        half = quantile * spread * math.sqrt(1 / n + 1 / runs)
        expected = (max(0.0, interval.mean - half), min(1.0, interval.mean + half))
    return _agreement(interval.mean, interval, published, expected)


def agreement_of_best(
    accuracies: Sequence[float], published: float, *, images: int, runs: int, seed: int = 0
) -> Agreement:
    """Compare our best run with a published best of `runs` runs.

    The maximum of a sample has no confidence interval of the usual kind, and ours may be over fewer
    seeds. So the interval is the predictive one of a best of `runs`: mean and variance are drawn
    from their normal-theory posterior, then the runs, then their maximum; `seed` seeds the draws.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    n, best = len(values), float(values.max())
    spread = float(values.std(ddof=1)) if n > 1 else 0.0
    if spread <= NO_SPREAD:
        return _agreement(best, over_seeds([best] * min(n, 2), images), published, None)
    draw = np.random.default_rng(seed)
    deviation = spread * np.sqrt((n - 1) / draw.chisquare(n - 1, DRAWS))
    centre = values.mean() + deviation / math.sqrt(n) * draw.standard_normal(DRAWS)
    bests = (centre[:, None] + deviation[:, None] * draw.standard_normal((DRAWS, runs))).max(axis=1)
    low, high = np.clip(np.quantile(bests, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]), 0, 1)
    interval = Interval(
        mean=best,
        low=min(float(low), best),
        high=max(float(high), best),
        level=LEVEL,
        n=n,
        varies=f"training seeds (best of {runs} new runs)",
        seeds=n,
    )
    return _agreement(best, interval, published, (float(low), float(high)))


def _agreement(
    ours: float, interval: Interval, published: float, expected: tuple[float, float] | None
) -> Agreement:
    return Agreement(
        ours=ours,
        interval=interval,
        published=published,
        inside=published in interval,
        expected=expected,
        plausible=None if expected is None else expected[0] <= published <= expected[1],
    )
