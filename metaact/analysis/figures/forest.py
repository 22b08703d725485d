"""Intervals one below the other: accuracies of arms, or differences to a reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaact.analysis.interval import Interval
from metaact.analysis.wording import difference_text
from metaact.errors import UsageError

from .canvas import NAME, WIDTH, heading, is_narrow, new_figure, style, text
from .looks import Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def interval_plot(
    intervals: Mapping[str, Interval],
    *,
    xlabel: str,
    title: str = "",
    differences: bool = False,
    settled: Mapping[str, bool] | None = None,
    margin: float | None = None,
    chance: float | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw one row per interval: a point, its interval, and right of a wide picture the figures.

    Differences have a line at 0, and the margin within which they do not matter is shaded. Points
    of what is not settled are hollow.

    Args:
        intervals: For each arm its interval, from top to bottom.
        xlabel: What the values are.
        title: Line above.
        differences: Whether they are differences to one arm, shown in points.
        settled: Whether each arm's verdict is one. None: of differences, where the interval does
            not hold 0; of accuracies, all.
        margin: Half-width of the shaded range around 0, in 0..1.
        chance: Accuracy of guessing, drawn as a dotted line.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is nothing to draw, or `settled` lacks an arm.
    """
    if not intervals:
        raise UsageError("`intervals` must hold at least one interval; got none.")
    if settled is None:
        settled = {name: not (differences and 0 in found) for name, found in intervals.items()}
    if missing := [name for name in intervals if name not in settled]:
        raise UsageError(
            "`settled` must say of every arm whether its verdict is one (a point is filled or "
            f"hollow); got nothing for {', '.join(missing)}."
        )
    narrow = is_narrow(width)
    with style():
        height = 0.24 * len(intervals) + 0.65 if narrow else 0.26 * len(intervals) + 1.2
        figure = new_figure(width, height)
        axes = figure.subplots()
        if differences:
            _no_difference(axes, margin)
        if chance is not None:
            axes.axvline(chance, color="0.45", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
        shown = looks(list(intervals))
        for row, (name, interval) in enumerate(intervals.items()):
            _row(axes, row, interval, shown[name], filled=settled[name])
            if not narrow:
                words = str(interval)
                if differences:
                    words = difference_text(interval, margin=margin)
                right = axes.get_yaxis_transform()
                axes.text(1.02, row, words, transform=right, va="center", fontsize=8)
        name_rows(axes, list(intervals), width)
        _figures(axes, differences, share=all(one.share for one in intervals.values()))
        if narrow:
            axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(heading(xlabel, 34 if narrow else 80))
        axes.set_title(heading(title, 50 if narrow else 80))
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One row of `forest_plot`.

    Attributes:
        arm: Which arm.
        interval: Its difference to the reference.
        settled: Whether the verdict is one: its point is filled, else hollow.
    """

    arm: str
    interval: Interval
    settled: bool


def forest_plot(
    panels: Mapping[str, Mapping[str, Sequence[ForestRow]]],
    *,
    title: str = "",
    margin: float | None = None,
    width: float = WIDTH,
) -> Figure:
    """Draw differences of several studies: a heading a study, below it a row an arm.

    Differences of shares have one axis, those of each other measure one of their own below it.

    Args:
        panels: For each axis, by its label, its studies; for each study its rows, from top to
            bottom.
        title: Line above.
        margin: Half-width of the shaded range around 0 of differences of shares, in 0..1.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is nothing to draw.
    """
    drawn = {label: studies for label, studies in panels.items() if any(studies.values())}
    if not drawn:
        raise UsageError("`panels` must hold at least one row; got none.")
    lines = [sum(1 + len(rows) for rows in studies.values()) for studies in drawn.values()]
    beside = 0.75 if is_narrow(width) else 0.7  # inches: the axis and its label
    with style():
        high = 0.215 * sum(lines) + beside * len(lines) + 0.25 * bool(title)
        figure = new_figure(width, high)
        grid = figure.subplots(len(lines), 1, squeeze=False, height_ratios=lines)[:, 0]
        arms = [row.arm for studies in drawn.values() for rows in studies.values() for row in rows]
        shown = looks(arms)
        for axes, (label, studies) in zip(grid, drawn.items(), strict=True):
            _studies(axes, studies, shown, margin, width)
            axes.set_xlabel(heading(label, 44 if is_narrow(width) else 90))
        if title:
            figure.suptitle(heading(title, int(12 * width)))
    return figure


def _studies(
    axes: Axes,
    studies: Mapping[str, Sequence[ForestRow]],
    shown: Mapping[str, Look],
    margin: float | None,
    width: float,
) -> None:
    """Studies whose differences have one unit."""
    narrow = is_narrow(width)
    share = all(row.interval.share for rows in studies.values() for row in rows)
    margin = margin if share else None
    _no_difference(axes, margin)
    names: list[str] = []
    for study, rows in studies.items():
        _head(axes, len(names), study, narrow)
        names.append("")
        for row in rows:
            _row(axes, len(names), row.interval, shown[row.arm], filled=row.settled)
            if not narrow:
                words = difference_text(row.interval, margin=margin).replace(" points", "")
                right = axes.get_yaxis_transform()
                axes.text(1.02, len(names), words, transform=right, va="center", fontsize=8)
            names.append(row.arm)
    name_rows(axes, names, width)
    axes.spines["left"].set_visible(False)
    _figures(axes, differences=True, share=share)
    axes.locator_params(axis="x", nbins=5 if narrow else 9)


def _head(axes: Axes, row: int, study: str, narrow: bool) -> None:
    """A study's name above its rows, from the left edge of the picture on."""
    if row:
        axes.axhline(row - 0.5, color="0.8", linewidth=0.6, zorder=0)
    name = axes.annotate(
        text(study, 56 if narrow else 100),
        (0.01, row),
        xycoords=("figure fraction", "data"),
        va="center",
        fontsize=8,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        zorder=4,
    )
    name.set_in_layout(False)  # it needs no room but that of the arms' names and of the axes


def _no_difference(axes: Axes, margin: float | None) -> None:
    axes.axvline(0, color="0.2", linewidth=1, zorder=1)
    if margin is not None:
        axes.axvspan(-margin, margin, color="0.5", alpha=0.18, linewidth=0, zorder=0)


def name_rows(axes: Axes, names: list[str], width: float) -> None:
    """Names of arms at the left, the first at the top."""
    labels = [text(name, NAME) for name in names]
    small = is_narrow(width) and max(map(len, labels)) > 24
    axes.set_yticks(range(len(names)), labels, fontsize=7 if small else 8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _row(axes: Axes, row: int, interval: Interval, look: Look, *, filled: bool) -> None:
    ends = [interval.low, interval.high]
    axes.plot(ends, [row, row], color=look.color, linestyle=look.linestyle, linewidth=2)
    axes.plot(ends, [row, row], "|", color=look.color, markersize=6, markeredgewidth=1.4)
    axes.plot(
        interval.mean,
        row,
        look.marker,
        color=look.color,
        markerfacecolor=look.color if filled else "white",
        markeredgewidth=1.4,
        markersize=6,
        zorder=3,
    )


def _figures(axes: Axes, differences: bool, *, share: bool) -> None:
    """Shares in percent, differences in points with their sign; others as they are."""
    from matplotlib.ticker import FuncFormatter

    sign = "+" if differences else ""
    unit = "" if differences or not share else " %"
    scale = 100 if share else 1
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda x, _: f"{scale * x:{sign if round(x, 12) else ''}.6g}{unit}")
    )
