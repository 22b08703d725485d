"""One arm against another, alone or in a family of questions: difference, probability, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError, check_int, check_rate

from .bounds import NOTHING, SHARE, Array, accuracies, check_level
from .comparison import Comparison
from .estimates import estimate
from .family import Family
from .paired import Difference, difference, family_of
from .variation import what_varies
from .verdicts import assumption, sentence, verdict

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
    trials_per_unit: int | None = None,
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
        trials_per_unit: Answers in one unit (see `estimate`); None counts each unit as one.

    Raises:
        UsageError: If the shapes differ, the values are no accuracies, or nothing varies.

    Examples:
        >>> first, second = [[0.9, 0.8, 0.9, 0.7]], [[0.6, 0.6, 0.5, 0.6]]
        >>> print(compare_pair(first, second, names=("arelu", "relu"), unit="test episodes"))
        arelu is better than relu by 25.0 points [4.5, 45.5] (95 % interval over test episodes, \
one training seed; another seed may differ).
    """
    return compare_pairs(
        [(names, first, second)],
        unit=unit,
        over=over,
        level=level,
        margin=margin,
        replacement=replacement,
        trials_per_unit=trials_per_unit,
    )[0]


def compare_pairs(
    cases: Sequence[tuple[Pair, ArrayLike, ArrayLike]],
    *,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
    replacement: bool | None = None,
    trials_per_unit: int | None = None,
    aligned: bool = True,
    bounds: tuple[float, float] = SHARE,
) -> list[Comparison]:
    """Compare pairs of arms, each pair on its own seeds and units, as one family of questions.

    Every verdict, equivalence included, is read off the simultaneous interval of its pair (see
    `family`): above 0 better, below it worse, within the margin equivalent. A pair that is asked
    both ways round is one question.

    Args:
        cases: Names (first, second), and both matrices [seeds, units].
        unit: See `compare_pair`, also for the other arguments.
        over: What varies.
        level: Confidence level.
        margin: Differences that do not matter.
        replacement: Whether episodes were drawn with replacement.
        trials_per_unit: Answers in one unit.
        aligned: Whether the rows of all cases are the same seeds; then their correlation counts.
        bounds: Least and greatest score; (0, 1) for accuracies.

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
    if margin is not None and bounds == SHARE:
        check_rate("margin", margin, maximum=1, why="a difference of accuracies in 0..1")
    if trials_per_unit is not None:
        check_int("trials_per_unit", trials_per_unit, minimum=1)
    made: list[Difference] = []
    for names, first, second in cases:
        a, b = _pair(names, first, second, bounds)
        variation = what_varies(a.shape, unit=unit, over=over, replacement=replacement)
        made.append(difference(a, b, variation, trials=trials_per_unit, bounds=bounds))
    asked = {_question(names, d): d for (names, _, _), d in zip(cases, made, strict=True)}
    together = family_of(list(asked.values()), aligned=aligned)
    return [
        _compared(names, d, together, level=level, margin=margin, replacement=replacement)
        for (names, _, _), d in zip(cases, made, strict=True)
    ]


def _question(names: Pair, found: Difference) -> tuple[frozenset[str], bytes]:
    """What makes two cases one question: the same arms on the same seeds, in whatever order."""
    return frozenset(names), np.abs(found.values).tobytes()


def _pair(
    names: Pair, first: ArrayLike, second: ArrayLike, bounds: tuple[float, float]
) -> tuple[Array, Array]:
    shapes = [list(np.shape(x)) for x in (first, second)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or max(shapes[0]) < 2:
        raise UsageError(
            f"`{names[0]}` and `{names[1]}` must have one shape [seeds, units] with at least 2 "
            f"pairs (the comparison is paired); got {shapes[0]} and {shapes[1]}."
        )
    one, other = (
        accuracies(name, values, dimensions=2, bounds=bounds)
        for name, values in zip(names, (first, second), strict=True)
    )
    return one, other


def _compared(
    names: Pair,
    found: Difference,
    together: Family,
    *,
    level: float,
    margin: float | None,
    replacement: bool | None,
) -> Comparison:
    variation, model, own = found.variation, found.model, together.own_level(level)
    interval = found.interval(own, named=level)
    p_alone = model.p_at(abs(model.mean))
    wins = np.where(np.abs(found.values) <= NOTHING**0.5, 0.5, found.values > 0)
    whole = Comparison(
        first=names[0],
        second=names[1],
        interval=interval,
        alone=found.interval(level, named=level),
        p_value=_beside(together.p_value(p_alone), 0 not in interval, 1 - level),
        p_alone=p_alone,
        probability=estimate(
            wins,
            unit=variation.unit,
            trials_per_unit=None,
            over=variation.over,
            replacement=replacement,
            level=level,
        ),
        needed=model.needed(own),
        verdict=verdict(interval, margin),
        sentence="",
        margin=margin,
        compared=together.size,
        corrected=together.method,
        assumes=assumption(variation.seeds, level) if found.agrees else "",
    )
    if variation.seeds == 1:
        whole = replace(whole, p_value=None, p_alone=None)
    return replace(whole, sentence=sentence(whole))


def _beside(p: float, shown: bool, threshold: float) -> float:
    """The p-value on its interval's side of the threshold, whatever rounding does there."""
    below = float(np.nextafter(threshold, 0))
    return min(p, below) if shown else max(p, threshold)
