"""Several panels of curves that share their arms, their colours and one legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metaact.analysis.figures.canvas import (
    arm_style,
    grid_shape,
    heading,
    new_figure,
    percent_axis,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Band = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: Line above it.
        curves: For each arm: positions, mean, and low and high or None [points].
        marks: For each arm: points of a published figure, drawn as rings.
        percent: Whether values are accuracies in 0..1.
    """

    title: str
    curves: Mapping[str, Band]
    marks: Mapping[str, Sequence[tuple[float, float]]]
    percent: bool


def draw_panels(panels: Sequence[Panel], *, xlabel: str, title: str) -> Figure | None:
    """Draw the panels in rows of two.

    Returns:
        The figure; None if no panel holds a curve.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    if not names:
        return None
    rows, columns = grid_shape(len(panels), 2)
    with style():
        figure = new_figure(4.6 * columns + 1.9, max(3.3 * rows, 0.19 * len(names)) + 0.6)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        handles = {}
        for axis, panel in zip(axes, panels, strict=False):
            for name, band in panel.curves.items():
                handles[name] = _draw(axis, names.index(name), band, panel.marks.get(name, ()))
            if panel.percent:
                percent_axis(axis)
            axis.set(title=heading(panel.title, 60), xlabel=xlabel)
            axis.locator_params(axis="x", integer=True)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        figure.legend(
            [handles[name] for name in names], names, loc="outside right upper", handlelength=3.2
        )
        figure.suptitle(title, x=0.01, ha="left")  # the legend stands at the right
    return figure


def _draw(axis: Axes, index: int, band: Band, marks: Sequence[tuple[float, float]]) -> Line2D:
    x, mean, low, high = band
    look = arm_style(index)
    every = max(1, len(x) // 6)
    (line,) = axis.plot(x, mean, markevery=every, linewidth=1.3, **look)  # type: ignore[arg-type]
    if low is not None and high is not None:
        axis.fill_between(x, low, high, color=look["color"], alpha=0.1, linewidth=0)
    for position, value in marks:
        axis.plot(position, value, "o", color=look["color"], fillstyle="none", markersize=8)
    return line
