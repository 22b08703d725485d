"""Paired differences between arms as rows of a summary, corrected over a whole reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from metaact import analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An arm and the reference it is compared with.

    Attributes:
        row: The arm's row of the summary; gets the entry "difference".
        reference: Name of the reference.
        values: By seed, the arm's accuracy, or its accuracies on the frozen episodes.
        reference_values: The same of the reference.
        about: What else the entry says.
    """

    row: dict[str, Any]
    reference: str
    values: Mapping[int, Any]
    reference_values: Mapping[int, Any]
    about: Mapping[str, object] = field(default_factory=dict)


def add_differences(pairs: Sequence[Pair]) -> None:
    """Add each arm's paired difference to its row; Holm over all of them.

    Accuracies per episode are paired over episodes and the seeds that both arms have. Where there
    is one accuracy a seed they are paired over seeds, of which it takes two.

    Args:
        pairs: The comparisons of one reading.
    """
    found = [(pair, d) for pair in pairs if (d := _difference(pair)) is not None]
    adjusted = analysis.holm([difference.p_value for _, difference in found])
    for (pair, difference), p in zip(found, adjusted, strict=True):
        pair.row["difference"] = {
            "reference": pair.reference,
            **pair.about,
            **asdict(difference),
            "p_holm": float(p),
        }


def _difference(pair: Pair) -> analysis.Difference | None:
    seeds = sorted(pair.values.keys() & pair.reference_values.keys())
    if not seeds:
        return None
    first, second = (
        np.array([values[s] for s in seeds], dtype=np.float64)
        for values in (pair.values, pair.reference_values)
    )
    if first.ndim > 1:
        return analysis.paired_difference(first, second)
    if len(seeds) < 2:
        return None
    return analysis.paired_difference(first, second, unit="training seeds")


def difference_cells(row: Mapping[str, Any]) -> dict[str, str]:
    """The cells "difference" (points) and "p (Holm)" of a table; empty where there is none."""
    difference = row.get("difference")
    if not difference:
        return {}
    interval = analysis.Interval(**difference["interval"])
    mean, low, high = (100 * x for x in (interval.mean, interval.low, interval.high))
    return {
        "difference": f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]",
        "p (Holm)": f"{difference['p_holm']:.2g}",
    }
