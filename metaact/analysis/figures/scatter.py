"""Arms as labelled points: what was measured against something that is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metaact.analysis.interval import Interval
from metaact.display import brief
from metaact.errors import UsageError

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
)
from .looks import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_SMALL = 6.5  # points: size of a label
_PLACES = (
    *((4, 3), (4, -9), (-4, 3), (-4, -9)),
    *((6, -3), (-6, -3), (0, 6), (0, -12), (9, 8), (9, -14), (-9, 8), (-9, -14)),
)
"""Points from a marker at which its label is tried, the side that it stands on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterPanel:
    """One panel of `scatter_panels`.

    Attributes:
        title: Line above it.
        note: Below that, how it goes together with what was measured.
        xlabel: What is known of each arm.
        places: It, by arm.
    """

    title: str
    note: str
    xlabel: str
    places: Mapping[str, float]

    def __repr__(self) -> str:
        return brief(self, self.title, list(self.places))


def scatter_panels(
    panels: Sequence[ScatterPanel],
    scores: Mapping[str, Interval],
    *,
    ylabel: str,
    title: str = "",
    percent: bool = True,
    width: float = WIDTH,
) -> Figure:
    """Draw each arm as a point with its interval, once in every panel.

    Names stand at their points where there is room; the legend below has all of them.

    Args:
        panels: From left to right and top to bottom.
        scores: What was measured, by arm.
        ylabel: What that is.
        title: Line above.
        percent: Whether it is a share.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no panel, or an arm has no score.
    """
    if not panels:
        raise UsageError("`panels` must hold at least one; got none.")
    names = list(dict.fromkeys(name for panel in panels for name in panel.places))
    if missing := [name for name in names if name not in scores]:
        raise UsageError(f"`scores` must have every arm; got none of {', '.join(missing)}.")
    rows, columns = grid_shape(len(panels), 2 if is_narrow(width) or len(panels) < 5 else 3)
    each = width / columns
    with style():
        figure = new_figure(width, rows * (1.9 if is_narrow(width) else 2.5) + 0.9)
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        shown = looks(names)
        handles: dict[str, Line2D] = {}
        for axes, panel in zip(grid, panels, strict=False):
            for name, x in panel.places.items():
                score, look = scores[name], shown[name]
                ends = [score.low, score.high]
                axes.plot([x, x], ends, color=look.color, linewidth=0.9, alpha=0.7, zorder=1)
                keywords = {**look.as_point(), "markersize": 5}
                (handles[name],) = axes.plot([x], [score.mean], **keywords)
            axes.margins(x=0.12, y=0.08)
            axes.set_title(f"{text(panel.title)}\n{text(panel.note)}", fontsize=8)
            axes.set_xlabel(heading(panel.xlabel, int(13 * each)), fontsize=8)
            axes.locator_params(axis="x", nbins=5)
            if percent:
                percent_axis(axes)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supylabel(heading(ylabel, 50), fontsize=9)
        legend_below(figure, [handles[name] for name in names], [text(n, NAME) for n in names])
        if title:
            figure.suptitle(heading(title, int(12 * width)))
        figure.draw_without_rendering()  # where things are is known from here on
        for axes, panel in zip(grid, panels, strict=False):
            _name(axes, {name: (x, scores[name].mean) for name, x in panel.places.items()})
    return figure


def _name(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
    """The names of the points, each where it stands clear of points and of other names."""
    scale = axes.figure.get_dpi() / 72
    taken: list[tuple[float, float, float, float]] = []
    centres = {name: axes.transData.transform(point) for name, point in points.items()}
    for x, y in centres.values():
        taken.append((x - 3 * scale, y - 3 * scale, x + 3 * scale, y + 3 * scale))
    frame = axes.get_window_extent()
    for name in sorted(points, key=lambda one: (len(one), one)):
        label = text(name, 22)
        wide, high = 0.56 * _SMALL * len(label) * scale, _SMALL * scale
        for dx, dy in _PLACES:
            side: Any = "left" if dx > 0 else "right" if dx < 0 else "center"
            x, y = centres[name] + np.array([dx, dy]) * scale
            left = {"left": x, "right": x - wide, "center": x - wide / 2}[side]
            box = (left, y, left + wide, y + high)
            inside = box[0] >= frame.x0 and box[2] <= frame.x1 and box[1] >= frame.y0
            if inside and box[3] <= frame.y1 and not any(_overlap(box, one) for one in taken):
                taken.append(box)
                axes.annotate(
                    label,
                    points[name],
                    xytext=(dx, dy),
                    textcoords="offset points",
                    ha=side,
                    va="bottom",
                    fontsize=_SMALL,
                    color="0.25",
                )
                break


def _overlap(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
