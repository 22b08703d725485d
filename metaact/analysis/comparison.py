"""What a comparison of two arms found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from metaact.display import brief, escaped

from .interval import Interval
from .wording import difference_text, p_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against another on the same seeds and test units.

    Attributes:
        first: Name of the first arm.
        second: Name of the second, the reference.
        interval: First minus second, with the simultaneous interval from which the verdict is
            read: all intervals of the family hold their truths together at its level.
        alone: The same difference with the interval of this question if it had been the only one.
        p_value: Two-sided p-value of no difference in the family: 1 - level of the simultaneous
            interval that touches 0; None for one seed, which says nothing about another.
        p_alone: The same of the question asked alone.
        probability: Probability that first scores higher than second on one new draw, ties half.
        needed: For each thing that varies, how many more of it would settle a difference of this
            size (the simultaneous interval excludes 0 in about half of all repetitions); None: no
            number would.
        verdict: "better", "worse", "no difference shown" or "equivalent".
        sentence: The verdict with its figures.
        margin: Differences below it do not matter to the user; None if none was set.
        compared: How many comparisons are in the family.
        corrected: How they were corrected together: "alone", "Bonferroni" or "multivariate t".
        assumes: What is assumed of seeds that were not run, a sentence; "" for nothing.
    """

    first: str
    second: str
    interval: Interval
    alone: Interval
    p_value: float | None
    p_alone: float | None
    probability: Interval
    needed: dict[str, int | None]
    verdict: str
    sentence: str
    margin: float | None = None
    compared: int = 1
    corrected: str = "alone"
    assumes: str = ""

    def _repr_html_(self) -> str:
        return f"<p><b>{escaped(self.verdict)}</b>: {escaped(self.sentence)}</p>"

    def __repr__(self) -> str:
        return brief(self, self.first, self.second, self.verdict, self.summary)

    def __str__(self) -> str:
        return self.sentence

    @property
    def mean(self) -> float:
        """First arm's accuracy minus the second's."""
        return self.interval.mean

    @property
    def summary(self) -> str:
        """The figures alone: "+4.7 points [1.1, 8.3], p = 0.02"."""
        figures = difference_text(self.interval, margin=self.margin)
        if self.p_value is None:
            return figures
        return f"{figures}, {p_text(self.p_value, 1 - self.interval.level)}"

    def as_json(self) -> dict[str, Any]:
        """All fields as what JSON knows."""
        return asdict(self)
