"""Several panels of curves that share their arms, their looks and one legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaact.display import brief

from .canvas import (
    NAME,
    WIDTH,
    grid_shape,
    heading,
    is_narrow,
    legend_below,
    new_figure,
    percent_axis,
    style,
    text,
    whole_axis,
)
from .curves import Curve, draw_curves
from .looks import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePanel:
    """One panel of `curve_panels`.

    Attributes:
        title: Line above it.
        curves: For each arm: positions, mean, and low and high or None [points].
        marks: For some arms: points of a published figure, drawn as rings.
        percent: Whether values are accuracies in 0..1.
    """

    title: str
    curves: Mapping[str, Curve]
    marks: Mapping[str, Sequence[tuple[float, float]]]
    percent: bool

    def __repr__(self) -> str:
        return brief(self, self.title, list(self.curves))


def curve_panels(
    panels: Sequence[CurvePanel],
    *,
    xlabel: str,
    title: str = "",
    columns: int = 2,
    width: float = WIDTH,
) -> Figure | None:
    """Draw panels of curves in rows, with one legend below.

    Args:
        panels: From left to right and top to bottom.
        xlabel: What the positions are.
        title: Line above.
        columns: Most panels of a row; of three or more they are small.
        width: Inches.

    Returns:
        The figure; None if no panel holds a curve.

    Raises:
        UsageError: If an arm's arrays differ in length.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    if not names:
        return None
    small = columns > 2
    rows, columns = grid_shape(len(panels), columns)
    each = width / columns
    with style():
        figure = new_figure(width, _height(rows, columns, len(names), width, small=small))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        shown, handles = looks(names), {}
        for index, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
            lines = draw_curves(axes, panel.curves, shown, width=each)
            handles.update({name: line for line, name in lines.items()})
            for name, points in panel.marks.items():
                for x, y in points:
                    color = shown[name].color if name in shown else "0.35"
                    ring = {"fillstyle": "none", "markersize": 8, "clip_on": False}
                    axes.plot(x, y, "o", color=color, **ring)
            if panel.percent:
                percent_axis(axes)
            axes.set_title(heading(panel.title, int(12 * each)), fontsize=8 if small else 10)
            if not small or index + columns >= len(panels):
                axes.set_xlabel(xlabel)
            whole_axis(axes, each)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        legend_below(figure, [handles[name] for name in names], [text(n, NAME) for n in names])
        if title:
            figure.suptitle(heading(title, int(11 * width)))
    return figure


def _height(rows: int, columns: int, arms: int, width: float, *, small: bool) -> float:
    """Inches; a narrow picture stands on a page, which has its legend beside it."""
    if is_narrow(width):
        return 2.9 if columns == 1 else 1.9 * rows + 0.5
    panel = 3.4 if columns == 1 else 1.6 if small else 2.5
    return panel * rows + 0.18 * -(-arms // 3) + 0.6
