"""What a picture says in figures, for a reader who points at it or cannot see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metaact import analysis
from metaact.display import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PLACES = 6
"""Places of a learning curve whose values are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a picture says in figures at one place: a page shows it there on hover and focus.

    Attributes:
        text: The figures, in words.
        panel: Number of the axes.
        x: Its place from left to right, in data; None for all of the panel.
        y: Its place from top to bottom, in data; likewise.
    """

    text: str
    panel: int = 0
    x: float | None = None
    y: float | None = None


def along(
    lines: Mapping[str, analysis.Curve], figure: Figure, axis: str, *, log: bool
) -> list[Value]:
    """The values of curves: of all arms at some places, or of each arm in its own panel."""
    panels = sum(axes.get_visible() for axes in figure.axes)
    places = sorted({float(x) for line in lines.values() for x in np.asarray(line[0])})
    places = [x for x in places if x > 0 or not log]
    even = np.linspace(0, len(places) - 1, min(len(places), _PLACES)).round().astype(int)
    chosen = [places[i] for i in dict.fromkeys(even.tolist())]
    if panels == 1:
        told = {x: [f"{name}: {_at(line, x)}" for name, line in lines.items()] for x in chosen}
        return [
            Value(text="\n".join([f"{axis} {digits(x, 6)}", *all_]), x=x)
            for x, all_ in told.items()
        ]
    owners = [name for name in lines if not any(name.startswith(f"{n}, ") for n in lines)]
    return [
        Value(
            text="\n".join(
                [name, *(f"{axis} {digits(x, 6)}: {_at(lines[name], x)}" for x in chosen)]
            ),
            panel=number,
        )
        for number, name in enumerate(owners[:panels])
    ]


def _at(line: analysis.Curve, x: float) -> str:
    """The value of a curve at a place, with its band."""
    where, mean, low, high = (
        None if part is None else np.asarray(part, dtype=np.float64) for part in line
    )
    assert where is not None
    assert mean is not None
    found = np.flatnonzero(where == x)
    if not len(found) or not np.isfinite(mean[found[0]]):
        return "–"
    i = found[0]
    band = ""
    if low is not None and high is not None and np.isfinite(low[i]):
        band = f" [{100 * low[i]:.1f}, {100 * high[i]:.1f}]"
    return f"{100 * mean[i]:.1f}{band} %"
