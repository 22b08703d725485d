"""Intervals over one thing that varies: test episodes, test images, or training seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import check_int

from .bounds import (
    NOTHING,
    SHARE,
    Array,
    accuracies,
    check_level,
    in_percent,
    moments,
    proportion_bounds,
    student,
    wilson_bounds,
)
from .interval import Interval

EPISODES, IMAGES, SEEDS = "test episodes", "test images", "training seeds"


def wilson(successes: int, trials: int, *, level: float = 0.95, varies: str = "trials") -> Interval:
    """Wilson's score interval for `successes` of `trials` independent trials.

    Raises:
        UsageError: If the counts are impossible.

    Examples:
        >>> print(wilson(600, 600))
        100.0 % [99.4, 100.0]
    """
    check_int("trials", trials, minimum=1)
    check_int("successes", successes, minimum=0, maximum=trials, why="the number of trials")
    mean = successes / trials
    low, high = wilson_bounds(mean, trials, student(np.inf, check_level(level)))
    return Interval(
        mean=mean, low=float(low), high=float(high), level=level, n=trials, varies=varies
    )


def image_interval(correct: int, images: int, *, level: float = 0.95) -> Interval:
    """Interval of one trained network's accuracy over the choice of test images.

    Args:
        correct: Number of test images classified correctly.
        images: Number of test images.
        level: Confidence level.

    Raises:
        UsageError: If the counts are impossible.

    Examples:
        >>> print(image_interval(9786, 10000))
        97.9 ± 0.3 %
    """
    return wilson(correct, images, level=level, varies=f"{IMAGES} (one training seed)")


def episode_bounds(values: Array, *, trials: float, level: float) -> tuple[Array, Array]:
    """Bounds of one trained network's mean accuracy over the choice of test episodes.

    Formula: Wilson's bounds with n = mean(1-mean)/(s²/episodes) effective trials, and Student's
    quantile with the degrees of freedom that the skewness of the values leaves to s². In the
    middle of the range this equals the t-interval; near 0 and 100 %, where that one covers
    far too rarely, it keeps its level. Without any variance each episode counts as one trial.

    Args:
        values: Accuracies in 0..1 [..., episodes].
        trials: Query images of an episode (ways·queries).
        level: Confidence level.

    Returns:
        Low and high [...]; inside [0, 1] and never the same.
    """
    n = values.shape[-1]
    if n == 1:
        nothing = np.zeros(values.shape[:-1])
        mean, variance, degrees = values[..., 0], nothing, nothing + 1
    else:
        mean, variance, degrees = moments(values)
    quantile = student(degrees, level)
    return proportion_bounds(mean, variance, quantile, clusters=n, trials=n * trials, level=level)


def seed_interval(
    values: ArrayLike,
    *,
    trials: int | None = None,
    level: float = 0.95,
    bounds: tuple[float, float] = SHARE,
) -> Interval:
    """Interval of the mean accuracy over training seeds, on one and the same test set.

    Formula: mean ± t(seeds - 1)·s/sqrt(seeds), cut to the bounds. Where all seeds agree exactly (a
    network that always answers the same class), Wilson's bounds over the test images stand in.

    Args:
        values: Accuracy of each seed in 0..1 [seeds], at least 2.
        trials: Number of test images, for the case that all seeds agree; without it each seed
            then counts as one trial, which is very cautious.
        level: Confidence level.
        bounds: Least and greatest score; (0, 1) for accuracies.

    Raises:
        UsageError: If there are fewer than 2 seeds or the values are no accuracies.

    Examples:
        >>> print(seed_interval([0.93, 0.91, 0.92]))
        92.0 ± 2.5 %
    """
    array = accuracies("values", values, dimensions=1, bounds=bounds)
    n = check_int("seeds", len(array), minimum=2, why="one seed shows no variation")
    mean, variance = float(array.mean()), float(array.var(ddof=1)) / n
    if variance <= NOTHING and bounds == SHARE:
        return _agreeing_seeds(mean, n, trials, level)
    half = float(student(n - 1, check_level(level))) * variance**0.5
    low, high = max(bounds[0], mean - half), min(bounds[1], mean + half)
    return Interval(
        mean=mean,
        low=low,
        high=high,
        level=level,
        n=n,
        varies=SEEDS,
        seeds=n,
        share=in_percent(bounds),
    )


def _agreeing_seeds(mean: float, seeds: int, trials: int | None, level: float) -> Interval:
    n = seeds if trials is None else check_int("trials", trials, minimum=1)
    what = SEEDS if trials is None else IMAGES
    low, high = wilson_bounds(mean, n, student(np.inf, check_level(level)))
    return Interval(
        mean=mean,
        low=float(low),
        high=float(high),
        level=level,
        n=n,
        varies=f"{what} (assuming that other training seeds agree, as these {seeds} do)",
        seeds=seeds,
    )
