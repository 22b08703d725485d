"""One arm against another, or all against a reference: difference, effect, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError, check_choice, check_rate

from .bounds import NOTHING, Array, accuracies, check_level
from .crossed import two_way
from .effects import crossed_effect_interval, effect_interval
from .error_models import error_model
from .estimates import estimate
from .holm import holm
from .interval import Interval
from .paired import spread_values, summarise
from .variation import Variation, what_varies
from .verdicts import difference_text, p_text, sentence, verdict

Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against another on the same seeds and test units.

    Attributes:
        first: Name of the first arm.
        second: Name of the second, the reference.
        interval: First minus second, with its interval (not corrected for several comparisons).
        p_value: Two-sided p-value of no difference: 1 - level of the interval that touches 0.
        p_holm: The same, corrected by Holm over all comparisons that were made together.
        effect: Cohen's d_z: mean over standard deviation of the differences of what varies (of
            the units, averaged over seeds, if both vary); None where all are equal and not 0.
        effect_interval: Its interval; None where the differences are all equal.
        probability: Probability that first scores higher than second on one new draw, ties half.
        needed: For each thing that varies, how many more of it would settle a difference of this
            size (the interval excludes 0 in about half of all repetitions); None: no number would.
        p_equivalence: p-value of a difference of at least the margin, corrected by Holm over all
            comparisons; None without a margin.
        verdict: "better", "worse", "no difference shown" or "equivalent".
        sentence: The verdict with its figures.
        margin: Differences below it do not matter to the user; None if none was set.
        compared: How many comparisons the corrections are over.
    """

    first: str
    second: str
    interval: Interval
    p_value: float
    p_holm: float
    effect: float | None
    effect_interval: tuple[float, float] | None
    probability: Interval
    needed: dict[str, int | None]
    p_equivalence: float | None
    verdict: str
    sentence: str
    margin: float | None = None
    compared: int = 1

    def __str__(self) -> str:
        return self.sentence

    @property
    def mean(self) -> float:
        """First arm's accuracy minus the second's."""
        return self.interval.mean

    @property
    def summary(self) -> str:
        """The figures alone: "+4.7 points [1.1, 8.3], p = 0.02"."""
        return f"{difference_text(self.interval)}, {p_text(self.p_holm, 1 - self.interval.level)}"

    def as_json(self) -> dict[str, Any]:
        """All fields as what JSON knows."""
        found = asdict(self)
        if self.effect_interval is not None:
            found["effect_interval"] = list(self.effect_interval)
        return found


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


def compare_all(
    arms: Mapping[str, ArrayLike],
    *,
    reference: str,
    pairs: Sequence[Pair] | None = None,
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
    replacement: bool | None = None,
) -> list[Comparison]:
    """Compare all arms with the reference, or the given pairs, corrected together.

    Args:
        arms: Accuracies of each arm [seeds, units] on the same seeds and units.
        reference: Name of the arm that the others are compared with.
        pairs: Names (first, second) to compare in place of everyone against the reference.
        unit: See `compare_pair`, also for the other arguments.
        over: What varies.
        level: Confidence level.
        margin: Differences that do not matter.
        replacement: Whether episodes were drawn with replacement.

    Returns:
        One per pair, in their order.

    Raises:
        UsageError: If a name is not among the arms; see `compare_pair`.

    Examples:
        >>> arms = {"relu": [[0.5, 0.6], [0.6, 0.6]], "elu": [[0.5, 0.7], [0.7, 0.5]]}
        >>> [c.verdict for c in compare_all(arms, reference="relu", unit="test episodes")]
        ['no difference shown']
    """
    check_choice("reference", reference, arms, why="the arms")
    if pairs is None:
        pairs = [(name, reference) for name in arms if name != reference]
    for name in (name for pair in pairs for name in pair):
        check_choice("pairs", name, arms, why="the arms")
    cases = [((a, b), arms[a], arms[b]) for a, b in pairs]
    return compare_pairs(
        cases, unit=unit, over=over, level=level, margin=margin, replacement=replacement
    )


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
