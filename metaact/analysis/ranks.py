"""Ranks of several arms over seeds or test units, and which arms they do not tell apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .bounds import SHARE, Array, accuracies, check_level
from .variation import Variation, by_seed, by_unit, what_varies

_DIGITS = 12  # accuracies that agree to so many are a tie, not an order by rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """Mean ranks of arms over blocks, best first.

    Attributes:
        mean_ranks: Mean rank of each arm, 1 for the best, best first; ties share their ranks.
        blocks: How many times the arms were ranked.
        over: What the blocks are, as in `Interval.varies`.
        critical_difference: Nemenyi's: mean ranks further apart than this differ.
        p_value: Friedman's test that all arms rank alike (a sign test for two arms).
        groups: Largest sets of arms that are not told apart, best first; each has at least two.
        level: Confidence level.
    """

    mean_ranks: dict[str, float]
    blocks: int
    over: str
    critical_difference: float
    p_value: float
    groups: tuple[tuple[str, ...], ...]
    level: float = 0.95

    def as_json(self) -> dict[str, Any]:
        """All fields as what JSON knows."""
        return {**asdict(self), "groups": [list(group) for group in self.groups]}


def rank_arms(
    arms: Mapping[str, ArrayLike],
    *,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    bounds: tuple[float, float] = SHARE,
) -> Ranks:
    """Rank all arms in every block, and compare their mean ranks.

    A block is a training seed for "seeds" and "both" (all arms' accuracies on the whole test set)
    if there are at least two; a test unit for "units" or one seed (averages over seeds). With few
    blocks a rank test can find little: three seeds tell no two of six arms apart.

    Formula: critical difference = q·sqrt(k(k+1)/(6·blocks)) for k arms, with q the studentised
    range's quantile for k and infinite degrees of freedom, over sqrt(2).

    Args:
        arms: Accuracies of at least two arms [seeds, units] on the same seeds and units.
        unit: What the columns are: "test episodes" or "test images".
        over: What a repetition would draw anew: "seeds", "units" or "both".
        level: Confidence level.
        bounds: Least and greatest score; (0, 1) for accuracies.

    Raises:
        UsageError: If there are fewer than two arms or blocks, or shapes differ.

    Examples:
        >>> arms = {"relu": [[0.1], [0.2], [0.1]], "elu": [[0.2], [0.1], [0.4]]}
        >>> rank_arms(arms, unit="test images", over="seeds").mean_ranks
        {'elu': 1.3333333333333333, 'relu': 1.6666666666666667}

    References:
        J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of
        Machine Learning Research 7, 2006, section 3.2.2.
    """
    from scipy import stats

    check_level(level)
    matrices = {
        name: accuracies(name, values, dimensions=2, bounds=bounds) for name, values in arms.items()
    }
    variation = _blocks(matrices, unit=unit, over=over)
    average = by_seed if variation.over == "seeds" else by_unit
    scores = np.array([average(matrix) for matrix in matrices.values()])
    ranks = stats.rankdata(-np.round(scores, _DIGITS), axis=0).mean(axis=1)
    k, blocks = scores.shape
    quantile = float(stats.studentized_range.ppf(level, k, np.inf)) / math.sqrt(2)
    critical = quantile * math.sqrt(k * (k + 1) / (6 * blocks))
    names = list(matrices)
    ordered = {names[i]: float(ranks[i]) for i in np.argsort(ranks, kind="stable")}
    return Ranks(
        mean_ranks=ordered,
        blocks=blocks,
        over=variation.varies,
        critical_difference=critical,
        p_value=_p_value(np.round(scores, _DIGITS)),
        groups=_groups(ordered, critical),
        level=level,
    )


def _blocks(matrices: Mapping[str, Array], *, unit: str, over: str) -> Variation:
    shapes = {matrix.shape for matrix in matrices.values()}
    if len(matrices) < 2 or len(shapes) != 1 or max(next(iter(shapes))) < 2:
        raise UsageError(
            "`arms` must be at least two of one shape [seeds, units], not [1, 1] (they are "
            f"ranked on the same seeds and units); got {sorted(map(list, shapes))}."
        )
    shape = next(iter(shapes))
    # Seeds as blocks rank whole runs: a unit of one seed is no independent judge of an activation.
    return what_varies(shape, unit=unit, over="seeds" if over == "both" else over)


def _p_value(scores: Array) -> float:
    """Friedman's p-value for [arms, blocks]; a sign test for two arms."""
    from scipy import stats

    if len(scores) == 2:
        wins, losses = (
            int(n) for n in ((scores[0] > scores[1]).sum(), (scores[0] < scores[1]).sum())
        )
        return float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    if bool((scores == scores[0]).all()):
        return 1.0
    return float(stats.friedmanchisquare(*scores).pvalue)


def _groups(ranks: Mapping[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    """Largest runs of arms whose ranks span no more than the critical difference."""
    names, values = list(ranks), list(ranks.values())
    found: list[tuple[int, int]] = []
    for start in range(len(names)):
        end = max(i for i in range(start, len(names)) if values[i] - values[start] <= critical)
        if end > start and (not found or end > found[-1][1]):
            found.append((start, end))
    return tuple(tuple(names[a : b + 1]) for a, b in found)
