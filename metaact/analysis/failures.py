"""Seeds that failed, and scores that stand apart: exact figures where no normal theory holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from metaact.errors import check_int

from .bounds import SHARE, accuracies, check_level
from .interval import Interval
from .intervals import SEEDS, seed_interval

FAR = 0.05
"""Chance that any of an arm's seeds is called far from the others where all are alike."""

LEAST = 0.05
"""Nearer to the others than this no seed is called far: three seeds often agree by chance."""


def failure_share(failed: int, seeds: int, *, level: float = 0.95) -> Interval:
    """Share of seeds that fail, with Clopper and Pearson's exact interval.

    Formula: the shares at which neither so few nor so many failures have a probability below
    (1 - level)/2.

    Raises:
        UsageError: If the counts are impossible.

    Examples:
        >>> print(failure_share(1, 5))
        20.0 % [0.5, 71.6]

    References:
        C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
        the case of the binomial", Biometrika 26, 1934.
    """
    check_int("seeds", seeds, minimum=1)
    check_int("failed", failed, minimum=0, maximum=seeds, why="the number of seeds")
    tail = (1 - check_level(level)) / 2
    low = special.betaincinv(failed, seeds - failed + 1, tail) if failed else 0.0
    high = special.betaincinv(failed + 1, seeds - failed, 1 - tail) if failed < seeds else 1.0
    mean = failed / seeds
    return Interval(
        mean=mean, low=float(low), high=float(high), level=level, n=seeds, varies=SEEDS, seeds=seeds
    )


def failure_p(first: Collection[int], second: Collection[int], seeds: Collection[int]) -> float:
    """Exact p-value that two arms fail equally often, on the seeds that both ran (McNemar).

    Formula: of the seeds on which just one of two equal arms failed, it is each with chance 1/2: a
    sign test on them.

    Args:
        first: Seeds that failed of the first arm.
        second: Those of the second.
        seeds: Seeds that both ran.

    Examples:
        >>> failure_p([1, 2, 4], [], range(5))
        0.25

    References:
        Q. McNemar, "Note on the sampling error of the difference between correlated proportions
        or percentages", Psychometrika 12, 1947.
    """
    from scipy import stats

    one, other = ({seed for seed in seeds if seed in failed} for failed in (first, second))
    lost, won = len(one - other), len(other - one)
    return float(stats.binomtest(lost, lost + won).pvalue) if lost + won else 1.0


def with_failures(
    scores: ArrayLike,
    failed: int,
    *,
    value: float | None,
    trials: int | None = None,
    level: float = 0.95,
) -> Interval | None:
    """Mean score over all seeds, those that failed counted at the value of a failure.

    Formula: (1 - f)·m + f·value, with f the share of failures and m the mean of the other seeds.
    Its ends are the least and greatest of that while f lies in Clopper and Pearson's and m in
    Student's interval, each at (1 + level)/2, so that both hold together at `level`. A t-interval
    of the scores themselves does not hold: with one seed in five failing, three seeds often show
    no failure at all.

    Args:
        scores: Mean scores of the seeds that did not fail, in 0..1.
        failed: How many failed.
        value: What a failed seed counts; None where no score is bad enough.
        trials: Number of test images, for the case that all these scores agree (see
            `seed_interval`); `varies` then names what is assumed.
        level: Confidence level.

    Returns:
        None without any seed, or without such a value.

    Examples:
        >>> print(with_failures([0.92, 0.93, 0.91, 0.92], 1, value=0.0))
        73.6 % [21.3, 93.5]
    """
    values = np.asarray(scores, dtype=np.float64)
    n = len(values) + failed
    if not n or value is None:
        return None
    each = (1 + check_level(level)) / 2
    share = failure_share(failed, n, level=each)
    mean, low, high, varies = 0.0, 0.0, 1.0, SEEDS
    if len(values) > 1:
        found = seed_interval(values, trials=trials, level=each)
        mean, low, high = found.mean, found.low, found.high
        if found.varies != SEEDS:
            varies = f"{SEEDS}; of those that did not fail, {found.varies}"
    elif len(values):
        mean = float(accuracies("scores", values, dimensions=1)[0])
    ends = [(1 - f) * m + f * value for f in (share.low, share.high) for m in (low, high)]
    centre = (1 - share.mean) * mean + share.mean * value
    return Interval(
        mean=centre,
        low=min(*ends, centre),
        high=max(*ends, centre),
        level=level,
        n=n,
        varies=varies,
        seeds=n,
    )


def interquartile_mean(scores: ArrayLike, *, bounds: tuple[float, float] = SHARE) -> float:
    """Mean of the middle half of the scores: neither the best nor the worst quarter moves it.

    Formula: the mean after ⌊n/4⌋ scores are cut off at each end, as in rliable, so of three seeds
    it is the mean of all.

    Args:
        scores: One a seed.
        bounds: Least and greatest score; (0, 1) for accuracies.

    Raises:
        UsageError: If there is no score, or one is not within the bounds.

    Examples:
        >>> interquartile_mean([0.0, 0.5, 0.7, 1.0])
        0.6

    References:
        R. Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
        NeurIPS 2021, https://arxiv.org/abs/2108.13264.
    """
    from scipy import stats

    values = accuracies("scores", scores, dimensions=1, bounds=bounds)
    return float(stats.trim_mean(values, 0.25))


def far_seed(scores: Mapping[int, float], *, least: float = LEAST) -> int | None:
    """The seed whose score lies far from the others', if there is one.

    Formula: Grubbs's test, as a t-test of each score against the mean of the others: its distance
    over s·sqrt(1 + 1/(n-1)), with s and n - 2 degrees of freedom from the others, at 5 % over all
    n seeds; and no other seed within `least` of it.

    Args:
        scores: By seed; of fewer than three none stands apart.
        least: Distance below which a seed is not far; five points of an accuracy.

    Examples:
        >>> far_seed({0: 0.92, 1: 0.93, 2: 0.921, 3: 0.35}), far_seed({0: 0.9, 1: 0.8, 2: 0.7})
        (3, None)

    References:
        F. E. Grubbs, "Sample criteria for testing outlying observations", Annals of Mathematical
        Statistics 21, 1950.
    """
    seeds, values = list(scores), np.array(list(scores.values()), dtype=np.float64)
    n = len(values)
    if n < 3:
        return None
    found: list[tuple[float, int]] = []
    for i in range(n):
        others = np.delete(values, i)
        spread = max(float(others.std(ddof=1)), np.finfo(np.float64).eps)
        distance = abs(values[i] - others.mean()) / (spread * np.sqrt(1 + 1 / (n - 1)))
        found.append((float(2 * special.stdtr(n - 2, -distance)), i))
    p, most = min(found)
    nearest = float(np.abs(np.delete(values, most) - values[most]).min())
    return seeds[most] if n * p < FAR and nearest >= least else None
