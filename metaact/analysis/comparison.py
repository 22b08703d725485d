"""What a comparison of two arms found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .interval import Interval
from .wording import difference_text, p_text


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
