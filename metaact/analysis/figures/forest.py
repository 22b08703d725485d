"""Intervals one below the other: accuracies of arms, or differences to a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metaact.analysis.interval import Interval
from metaact.analysis.verdicts import difference_text
from metaact.errors import UsageError

from .canvas import COLOURS, heading, new_figure, style, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GREY = "0.55"


def interval_plot(
    intervals: Mapping[str, Interval],
    *,
    xlabel: str,
    title: str = "",
    differences: bool = False,
    margin: float | None = None,
    chance: float | None = None,
) -> Figure:
    """Draw one row per interval: a point, its interval, and the figures at the right.

    Differences have a line at 0; those whose interval holds it are grey and hollow, and the margin
    within which they do not matter is shaded.

    Args:
        intervals: For each name its interval, from top to bottom.
        xlabel: What the values are.
        title: Line above.
        differences: Whether they are differences of two arms, shown in points.
        margin: Half-width of the shaded range around 0, in -1..1.
        chance: Accuracy of guessing, drawn as a dotted line.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is nothing to draw.
    """
    if not intervals:
        raise UsageError("`intervals` must hold at least one interval; got none.")
    with style():
        from matplotlib.ticker import FuncFormatter

        figure = new_figure(7.2, 0.26 * len(intervals) + 1.2)
        axes = figure.subplots()
        if differences:
            axes.axvline(0, color="0.2", linewidth=1, zorder=1)
            if margin is not None:
                axes.axvspan(-margin, margin, color=COLOURS[2], alpha=0.13, linewidth=0, zorder=0)
        if chance is not None:
            axes.axvline(chance, color="0.45", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
        right = axes.get_yaxis_transform()
        for row, interval in enumerate(intervals.values()):
            open_ = differences and 0 in interval
            colour = _GREY if open_ else COLOURS[0]
            axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2)
            face = "white" if open_ else colour
            axes.plot(interval.mean, row, "o", color=colour, markerfacecolor=face, zorder=3)
            shown = difference_text(interval) if differences else str(interval)
            axes.text(1.02, row, shown, transform=right, va="center", fontsize=8)
        axes.set_yticks(range(len(intervals)), [text(name, 32) for name in intervals])
        axes.set_ylim(len(intervals) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        sign = "+" if differences else ""
        unit = "" if differences else " %"
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda x, _: f"{100 * x:{sign if round(x, 12) else ''}.6g}{unit}")
        )
        axes.set_xlabel(xlabel)
        axes.set_title(heading(title, 80))
    return figure
