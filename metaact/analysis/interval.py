"""One figure with its interval, and what the interval is over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaact.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with a confidence interval that says what varies.

    Attributes:
        mean: The estimate: in 0..1 for a share, in -1..1 for a difference of two, or any number.
        low: Lower end.
        high: Upper end.
        level: Confidence level.
        n: How many were drawn of what varies: episodes, images or seeds (episodes, if both).
        varies: What would be drawn anew in a repetition: "test episodes", "test images",
            "training seeds", "training seeds and test episodes".
        seeds: Number of training seeds in the mean.
        share: Whether it is a share, or a difference of two, and shown in percent.

    Raises:
        UsageError: If the ends do not enclose the mean.

    Examples:
        >>> print(Interval(mean=0.786, low=0.776, high=0.796, n=600, varies="test episodes"))
        78.6 ± 1.0 %
        >>> print(Interval(mean=0.998, low=0.991, high=1.0, n=600, varies="test episodes"))
        99.8 % [99.1, 100.0]
        >>> print(Interval(mean=1.25, low=1.21, high=1.29, n=9, varies="seeds", share=False))
        1.250 ± 0.040
    """

    mean: float
    low: float
    high: float
    level: float = 0.95
    n: int
    varies: str
    seeds: int = 1
    share: bool = True

    def __post_init__(self) -> None:
        if not self.low <= self.mean <= self.high:
            raise UsageError(
                f"`mean` must lie in [{self.low}, {self.high}] (its interval); got {self.mean}."
            )

    def __str__(self) -> str:
        scale, unit = (100, " %") if self.share else (1, "")
        mean, low, high = (scale * x for x in (self.mean, self.low, self.high))
        below, above = mean - low, high - mean
        digits = self.digits
        if round(below, digits) == round(above, digits):
            return f"{mean:.{digits}f} ± {above:.{digits}f}{unit}"
        return f"{mean:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def digits(self) -> int:
        """Decimals that show its half-width, of percent or points where it is a share.

        Of other figures two digits of it, none behind the point from 100 on.
        """
        half = (self.high - self.low) / 2
        if self.share:
            return decimals(100 * half)
        return (half < 100) + (half < 10) * decimals(half)

    @property
    def note(self) -> str:
        """What a reader must know, for a footnote: "95 % interval over 600 test episodes"."""
        return f"{100 * self.level:g} % interval over {self.varies}"


def decimals(half_width: float) -> int:
    """Decimals that show a half-width: one, or as many as keep it from reading 0.0."""
    if half_width <= 0:
        return 1
    return min(4, max(1, math.ceil(-math.log10(2 * half_width))))
