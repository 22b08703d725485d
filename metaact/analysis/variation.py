"""What would be drawn anew in a repetition: training seeds, test episodes or images, or both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaact.errors import check_choice

from .bounds import Array
from .intervals import EPISODES, SEEDS

OVER = ("both", "seeds", "units")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """What varies between repetitions of a matrix [seeds, units].

    Attributes:
        over: "seeds", "units" or "both": what was asked for, or what the matrix can tell.
        unit: Name of its columns: "test episodes" or "test images".
        varies: For the reader: what varies, and in brackets what that leaves out.
        seeds: Number of rows.
        units: Number of columns.
    """

    over: str
    unit: str
    varies: str
    seeds: int
    units: int

    @property
    def name(self) -> str:
        """Name of the one thing that varies; of the units, if both do."""
        return SEEDS if self.over == "seeds" else self.unit

    @property
    def n(self) -> int:
        """How many of `name` there are."""
        return self.seeds if self.over == "seeds" else self.units

    def values(self, matrix: Array) -> Array:
        """The matrix averaged over what stays the same: [n], or [seeds, units] for both."""
        if self.over == "both":
            return matrix
        return by_seed(matrix) if self.over == "seeds" else by_unit(matrix)


def by_seed(matrix: Array) -> Array:
    """Mean of each row [seeds]."""
    return np.asarray(matrix.mean(axis=1))


def by_unit(matrix: Array) -> Array:
    """Mean of each column [units]."""
    return np.asarray(matrix.mean(axis=0))


def what_varies(
    shape: tuple[int, ...], *, unit: str, over: str, replacement: bool | None = None
) -> Variation:
    """Decide what can be said to vary, and how to say it.

    One seed shows no variation between seeds: its units stand in. One column (only each seed's
    accuracy is known) shows none between units: the seeds stand in. Both say so.

    Args:
        shape: Of the matrix [seeds, units].
        unit: Name of its columns.
        over: "seeds", "units" or "both".
        replacement: Whether test episodes share images (drawn with replacement); None if unknown.

    Raises:
        UsageError: If `over` is none of these.
    """
    check_choice("over", over, OVER)
    seeds, units = shape
    notes = []
    if seeds == 1:
        notes.append("one training seed")
        over = "units"
    elif units == 1:
        notes += [] if over == "seeds" else ["only each seed's mean is known"]
        over = "seeds"
    elif over != "both":
        notes.append(f"these {seeds} training seeds" if over == "units" else f"the same {unit}")
    if over != "seeds" and unit == EPISODES and replacement is not None:
        notes.append(_WITH if replacement else _WITHOUT)
    things = {"seeds": SEEDS, "units": unit, "both": f"{SEEDS} and {unit}"}[over]
    varies = f"{things} ({'; '.join(notes)})" if notes else things
    return Variation(over=over, unit=unit, varies=varies, seeds=seeds, units=units)


def agreeing(variation: Variation) -> str:
    """What an interval is over where all seeds agree: the units, and an assumption on seeds."""
    thing = variation.unit if variation.units > 1 else SEEDS
    return f"{thing} (assuming that other training seeds agree, as these {variation.seeds} do)"


_WITH = "drawn with replacement, so new episodes of the same test images"
_WITHOUT = "drawn without replacement, so no test image is in two"
