"""Several panels of curves that share their arms and their looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from .curves import TOGETHER, Curve, draw_curves, groups_of, in_order, multiples, name_ends
from .looks import Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_COLUMNS = 2

_SMALL = 3  # columns of small panels, where the picture is not narrow

_ARM = 1.25  # inches: height of an arm's own panel

_ABOVE = 0.22  # inches: a line of text above panels


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
    small: bool = False,
    width: float = WIDTH,
) -> Figure | None:
    """Draw panels of curves.

    Up to `TOGETHER` arms stand together in each panel, in rows of two, with their names at the ends
    of their lines, or, where those find no room, in one legend below in the order in which the
    lines of the last panel end. Of more, each panel is a block in which every arm has its own axes,
    with its band and its rings, before the lines of all others in grey.

    Args:
        panels: From left to right and top to bottom.
        xlabel: What the positions are.
        title: Line above.
        small: Whether there are many panels: smaller ones in rows of three, with all arms in each
            and one legend below.
        width: Inches.

    Returns:
        The figure; None if no panel holds a curve.

    Raises:
        UsageError: If an arm's arrays differ in length.
    """
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    if not names:
        return None
    with style():
        if small or len(names) <= TOGETHER:
            figure = _together(panels, names, xlabel, width, small=small)
        else:
            figure = _apart(panels, names, xlabel, width)
        if title:
            figure.suptitle(heading(title, int(11 * width)))
    return figure


def panel_rows(panels: Sequence[CurvePanel], *, width: float = WIDTH) -> int:
    """Rows of axes that `curve_panels` needs.

    Args:
        panels: As for `curve_panels`.
        width: Inches.
    """
    names = dict.fromkeys(name for panel in panels for name in panel.curves)
    if len(names) <= TOGETHER:
        return -(-len(panels) // _COLUMNS)
    return sum(_block(panel, width)[0] for panel in panels)


def _together(
    panels: Sequence[CurvePanel], names: Sequence[str], xlabel: str, width: float, *, small: bool
) -> Figure:
    """All arms in each panel."""
    three = small and not is_narrow(width)
    rows, columns = grid_shape(len(panels), _SMALL if three else _COLUMNS)
    each, shown = width / columns, looks(names)
    high = (2.9 if columns == 1 else 1.9) if is_narrow(width) else 3.4 if columns == 1 else 2.6
    high = 1.8 if three and columns > 1 else high
    below = 0.5 if is_narrow(width) else 0.4 + 0.18 * -(-len(names) // 3) * three
    figure = new_figure(width, high * rows + below)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    drawn: list[tuple[Axes, dict[Line2D, str]]] = []
    for axes, panel in zip(grid, panels, strict=False):
        lines = draw_curves(axes, panel.curves, shown, width=each)
        drawn.append((axes, lines))
        _rings(axes, panel, panel.marks, shown)
        _axes(axes, panel, each)
        axes.set_title(heading(panel.title, int(12 * each)), fontsize=8 if three else None)
        if not three or len(drawn) + columns > len(panels):
            axes.set_xlabel(xlabel)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    ends = [] if small else drawn  # in small panels names would take half of the room
    written = [name_ends(axes, lines, width=each, height=0.7 * high) for axes, lines in ends]
    if small or not all(written):
        for axes, _ in drawn:
            for label in list(axes.texts):
                label.remove()
        handles = {name: line for _, lines in drawn for line, name in lines.items()}
        order = {line: name for name, line in handles.items()}
        ordered = in_order(order)
        legend_below(figure, ordered, [text(order[line], NAME) for line in ordered])
    return figure


def _apart(panels: Sequence[CurvePanel], names: Sequence[str], xlabel: str, width: float) -> Figure:
    """Each panel a block of axes, one an arm, under its title."""
    shapes = [_block(panel, width) for panel in panels]
    high = _ARM * (0.85 if is_narrow(width) else 1)
    heights = [ratio for rows, _ in shapes for ratio in (_ABOVE, *[high] * rows)]
    figure = new_figure(width, sum(heights) + 0.6)
    most = max(columns for _, columns in shapes)
    grid = figure.add_gridspec(len(heights), most, height_ratios=heights)
    shown, row = looks(names), 0
    for panel, (rows, columns) in zip(panels, shapes, strict=True):
        above = figure.add_subplot(grid[row, :])
        above.set_axis_off()
        title = heading(panel.title, int(12 * width))
        above.text(0.5, 0, title, ha="center", va="bottom", fontsize=9, fontweight="bold")
        axes: list[Axes] = []
        for index in range(rows * columns):
            place = grid[row + 1 + index // columns, index % columns]
            first = axes[0] if axes else None
            axes.append(figure.add_subplot(place, sharex=first, sharey=first))
            axes[-1].tick_params(labelbottom=False, labelleft=index % columns == 0)
        each = width / most
        own = multiples(axes, panel.curves, columns=columns, width=each, logx=False)
        for name, one in own.items():
            _rings(one, panel, [name], shown)
            _axes(one, panel, each)
        row += 1 + rows
    figure.supxlabel(xlabel, fontsize=9)
    return figure


def _block(panel: CurvePanel, width: float) -> tuple[int, int]:
    """Rows and columns of a panel's own axes, none without a curve; five arms are one row."""
    count = len(groups_of(panel.curves))
    if not count:
        return 0, 0
    return grid_shape(count, 3 if is_narrow(width) else 5 if count == 5 else 4)


def _axes(axes: Axes, panel: CurvePanel, each: float) -> None:
    if panel.percent:
        percent_axis(axes)
    whole_axis(axes, each)


def _rings(axes: Axes, panel: CurvePanel, names: Iterable[str], shown: Mapping[str, Look]) -> None:
    """Published points of some arms."""
    for name in names:
        for x, y in panel.marks.get(name, ()):
            color = shown[name].color if name in shown else "0.35"
            (ring,) = axes.plot(x, y, "o", color=color, fillstyle="none", markersize=8)
            ring.set_clip_on(False)
