"""One arm against another, alone or together with other pairs: difference, effect, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError, check_rate

from ._holm import holm
from .bounds import NOTHING, Array, accuracies, check_level
from .comparison import Comparison
from .crossed import two_way
from .effects import crossed_effect_interval, effect_interval
from .error_models import error_model
from .estimates import estimate
from .paired import spread_values, summarise
from .variation import Variation, what_varies
from .verdicts import sentence, verdict

Pair: TypeAlias = tuple[str, str]


def compare_pair(
    first: ArrayLike,
    second: ArrayLike,
    *,
    names: Pair,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
    replacement: bool | None = None,
) -> Comparison:
    """Compare two arms on the same seeds and units.

    Args:
        first: Accuracies in 0..1 [seeds, units]; [seeds, 1] where only each seed's is known.
        second: The other arm's, on the same seeds and units, same shape.
        names: Names of the two.
        unit: What the columns are: "test episodes" or "test images".
        over: What a repetition would draw anew: "units", "seeds" or "both".
        level: Confidence level; the verdict allows false alarms in 1 - level of all cases.
        margin: Differences below it, in 0..1, do not matter; None judges no equivalence.
        replacement: Whether episodes were drawn with replacement; only told in `varies`.

    Raises:
        UsageError: If the shapes differ, the values are no accuracies, or nothing varies.

    Examples:
        >>> first, second = [[0.9, 0.8, 0.9, 0.7]], [[0.6, 0.6, 0.5, 0.6]]
        >>> print(compare_pair(first, second, names=("arelu", "relu"), unit="test episodes"))
        arelu is better than relu by 25.0 points [4.5, 45.5] (p = 0.03; over test episodes, one \
training seed).
    """
    return compare_pairs(
        [(names, first, second)],
        unit=unit,
        over=over,
        level=level,
        margin=margin,
        replacement=replacement,
    )[0]


def compare_pairs(
    cases: Sequence[tuple[Pair, ArrayLike, ArrayLike]],
    *,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
    replacement: bool | None = None,
) -> list[Comparison]:
    """Compare pairs of arms, each pair on its own seeds and units, corrected together.

    Holm's correction is made over the p-values of no difference, and separately over those of a
    difference of at least the margin.

    Args:
        cases: Names (first, second), and both matrices [seeds, units].
        unit: See `compare_pair`, also for the other arguments.
        over: What varies.
        level: Confidence level.
        margin: Differences that do not matter.
        replacement: Whether episodes were drawn with replacement.

    Returns:
        One per case, in their order.

    Raises:
        UsageError: See `compare_pair`.

    Examples:
        >>> relu, elu = [[0.5, 0.6], [0.6, 0.6]], [[0.5, 0.7], [0.7, 0.5]]
        >>> found = compare_pairs([(("elu", "relu"), elu, relu)], unit="test episodes")
        >>> [comparison.verdict for comparison in found]
        ['no difference shown']
    """
    check_level(level)
    if margin is not None:
        check_rate("margin", margin, maximum=1, why="a difference of accuracies in 0..1")
    found = []
    for names, first, second in cases:
        a, b = _pair(names, first, second)
        variation = what_varies(a.shape, unit=unit, over=over, replacement=replacement)
        found.append(_compared(a, b, names, variation, level, margin, replacement))
    adjusted = holm([c.p_value for c in found])
    equivalent = holm([c.p_equivalence for c in found if c.p_equivalence is not None])
    judged = []
    for index, (comparison, p_holm) in enumerate(zip(found, adjusted, strict=True)):
        p_equivalence = equivalent[index] if margin is not None else None
        whole = replace(comparison, p_holm=p_holm, p_equivalence=p_equivalence, compared=len(found))
        word = verdict(whole.mean, p_holm, p_equivalence, level=level)
        judged.append(replace(whole, verdict=word, sentence=sentence(replace(whole, verdict=word))))
    return judged


def _pair(names: Pair, first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    shapes = [list(np.shape(x)) for x in (first, second)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or max(shapes[0]) < 2:
        raise UsageError(
            f"`{names[0]}` and `{names[1]}` must have one shape [seeds, units] with at least 2 "
            f"pairs (the comparison is paired); got {shapes[0]} and {shapes[1]}."
        )
    return accuracies(names[0], first, dimensions=2), accuracies(names[1], second, dimensions=2)


def _compared(
    a: Array,
    b: Array,
    names: Pair,
    variation: Variation,
    level: float,
    margin: float | None,
    replacement: bool | None,
) -> Comparison:
    """All but the corrections and the verdict."""
    d = a - b
    base = summarise(d, variation, level=level)
    wins = np.where(np.abs(d) <= NOTHING**0.5, 0.5, d > 0)
    equivalence = None if margin is None else error_model(d, variation).p_equivalence(margin)
    return Comparison(
        first=names[0],
        second=names[1],
        interval=base.interval,
        p_value=base.p_value,
        p_holm=base.p_value,
        effect=base.effect,
        effect_interval=_effect_interval(d, variation, level),
        probability=estimate(
            wins,
            unit=variation.unit,
            trials_per_unit=None,
            over=variation.over,
            replacement=replacement,
            level=level,
        ),
        needed=base.needed,
        p_equivalence=equivalence,
        verdict="",
        sentence="",
        margin=margin,
    )


def _effect_interval(d: Array, variation: Variation, level: float) -> tuple[float, float] | None:
    values = spread_values(d, variation)
    if float(values.var()) <= NOTHING:
        return None
    if variation.over == "both":
        return crossed_effect_interval(two_way(d), values, level=level)
    return effect_interval(values, level=level)
