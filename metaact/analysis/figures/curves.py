"""Learning curves of several arms with their bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import (
    NAME,
    WIDTH,
    grid_shape,
    heading,
    is_narrow,
    legend_below,
    log_axis,
    new_figure,
    percent_axis,
    style,
    text,
    thinned,
    whole_axis,
)
from .looks import Look, looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Curve: TypeAlias = "tuple[ArrayLike, ArrayLike, ArrayLike | None, ArrayLike | None]"
"""Places, means, and the lower and upper ends of a band, or None for no band; each [points]."""

FEW = 8
"""From more arms on, bands are paler and lines thinner."""

TOGETHER = 4
"""Of more lines than these each arm has a panel: more bands over one another cannot be read."""

_NARROW_HEIGHT = 2.9
_PANEL = 1.45  # inches: height of one of many panels
_LINE = 10.0  # points from one label at the end of a line to the next
_FAR = 40.0  # points that a label may stand above or below the end of its line
_LETTER = 4.7  # points: width of a letter of a label
_ALL_MARKED = 10  # points of a line that each have a marker
_MARKERS = 0.8  # inches from one marker of a longer line to the next, about


def learning_curves(
    arms: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    chance: float | None = None,
    logx: bool = False,
    xticks: Sequence[float] | None = None,
    percent: bool = True,
    width: float = WIDTH,
) -> Figure:
    """Draw one line per arm, with its band where there is one.

    Up to `TOGETHER` lines share one panel, with their names at the ends of their lines, or, where
    those find no room, in a legend in the order in which the lines end; a page may take that off
    `figure.legends` and set it in its own type. Of more each arm has a panel of its own, with its
    band and its baseline, before the lines of all others in grey. Of long lines as many points are
    drawn as can be seen.

    Args:
        arms: For each name: positions, mean, and low and high or None [points].
        xlabel: What the positions are.
        ylabel: What the values are.
        title: Line above.
        chance: Accuracy of guessing, drawn as a dotted line.
        logx: Whether positions are on a logarithmic scale, without those that are not above 0.
        xticks: The places to label on a logarithmic scale, as the rates that were tried.
        percent: Whether values in 0..1 are labelled in percent.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no arm, or an arm's arrays differ in length.
    """
    if not arms:
        raise UsageError("`arms` must hold at least one curve; got none.")
    narrow = is_narrow(width)
    with style():
        if len(arms) <= TOGETHER:
            figure = new_figure(width, _NARROW_HEIGHT if narrow else 4.0)
            axes = figure.subplots()
            panels = [axes]
            drawn = draw_curves(axes, arms, looks(list(arms)), width=width, logx=logx)
            axes.set_xlabel(heading(xlabel, int(11 * width)))
            axes.set_ylabel(heading(ylabel, 30 if narrow else 50))
            axes.set_title(heading(title, 50 if narrow else 62))
        else:
            few = len(groups_of(arms)) <= TOGETHER
            most = 2 if few else 3 if narrow else 4
            rows, columns = grid_shape(len(groups_of(arms)), most)
            high = _PANEL * (1.35 if few else 1) * (0.75 if narrow else 1)
            figure = new_figure(width, high * rows + 0.75)
            grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
            own = multiples(list(grid), arms, columns=columns, width=width / columns, logx=logx)
            panels = list(own.values())
            figure.supxlabel(heading(xlabel, int(11 * width)), fontsize=9)
            figure.supylabel(heading(ylabel, 50), fontsize=9)
            figure.suptitle(heading(title, int(12 * width)))
        each = width / panels[0].get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
        for axes in panels:
            if chance is not None:
                _guessing(axes, chance, named=len(panels) == 1)
            if logx:
                log_axis(axes, each, xticks)
            else:
                whole_axis(axes, each)
            if percent:
                percent_axis(axes)
        if len(panels) == 1:
            _name_lines(figure, panels[0], drawn)
    return figure


def groups_of(arms: Mapping[str, Curve]) -> list[list[str]]:
    """The arms, each with its baseline."""
    groups: dict[str, list[str]] = {}
    for name in arms:
        owner = next((n for n in arms if name.startswith(f"{n}, ")), name)
        groups.setdefault(owner, []).append(name)
    return list(groups.values())


def multiples(
    grid: Sequence[Axes], arms: Mapping[str, Curve], *, columns: int, width: float, logx: bool
) -> dict[str, Axes]:
    """Draw each arm, with its baseline and its band, in a panel before the lines of all others.

    Args:
        grid: The panels, row by row, which share their axes; those that are left over are hidden.
        arms: See `learning_curves`.
        columns: Panels in a row.
        width: Inches of a panel.
        logx: Whether positions that are not above 0 are left out.

    Returns:
        The panel of each arm that has one.
    """
    groups, shown = groups_of(arms), looks(list(arms))
    for axes, group in zip(grid, groups, strict=False):
        for name, curve in arms.items():
            if name not in group:
                x, mean, *_ = _checked(name, curve, logx, width)
                axes.plot(x, mean, color="0.75", linewidth=0.6, zorder=1)
        for line in draw_curves(axes, {n: arms[n] for n in group}, shown, width=width, logx=logx):
            line.set_markersize(3)
        axes.set_title(heading(group[0], int(14 * width), NAME), fontsize=7.5)
    for axes in grid[len(groups) :]:
        axes.set_visible(False)
    for index in range(max(0, len(groups) - columns), len(groups)):
        grid[index].tick_params(labelbottom=True)
    return {group[0]: axes for axes, group in zip(grid, groups, strict=False)}


def name_ends(axes: Axes, drawn: Mapping[Line2D, str], *, width: float, height: float) -> bool:
    """Write the arms' names at the ends of their lines, if they find room there.

    Args:
        axes: Where.
        drawn: The lines, each with its arm.
        width: Inches that the axes and the names have together.
        height: Inches of the axes.

    Returns:
        Whether they are written; also where there is none.
    """
    if not drawn:
        return True
    lines = in_order(drawn)
    labels = [text(drawn[line], NAME) for line in lines]
    places = _label_places(axes, [_end(line)[1] for line in lines], 72 * height)
    if places is None or max(map(len, labels)) * _LETTER >= 0.38 * 72 * width:
        return False
    for line, label, place in zip(lines, labels, places, strict=True):
        _label(axes, line, label, place)
    return True


def in_order(drawn: Iterable[Line2D]) -> list[Line2D]:
    """Lines as they end, the highest first."""
    return sorted(drawn, key=lambda line: -_end(line)[1])


def _name_lines(figure: Figure, axes: Axes, drawn: Mapping[Line2D, str]) -> None:
    """The arms' names at the ends of their lines, or a legend in that order."""
    width, height = figure.get_size_inches()
    if name_ends(axes, drawn, width=width, height=0.74 * height):
        return
    lines = in_order(drawn)
    labels = [text(drawn[line], NAME) for line in lines]
    if is_narrow(width):
        legend_below(figure, lines, labels)
    else:
        figure.legend(lines, labels, loc="outside right upper", handlelength=3.2)


def _label_places(axes: Axes, ends: Sequence[float], height: float) -> list[float] | None:
    """Points above each end at which its label stands clear of the others; None without room.

    Args:
        axes: Where.
        ends: Where the lines end, from the highest on.
        height: Of the axes in points.
    """
    if not np.isfinite(ends).all() or len(ends) * _LINE > height:
        return None
    low, high = axes.get_ylim()
    wanted = np.array([height * (end - low) / (high - low) for end in ends])
    places = wanted.copy()
    for _ in range(200):  # push apart what is too near, by halves
        for upper, lower in zip(range(len(places) - 1), range(1, len(places)), strict=True):
            short = _LINE - (places[upper] - places[lower])
            if short > 1e-6:
                places[[upper, lower]] += (short / 2, -short / 2)
    moved = places - wanted
    return None if np.abs(moved).max() > _FAR else [float(shift) for shift in moved]


def _label(axes: Axes, line: Line2D, label: str, place: float) -> None:
    """A name right of the axes, with a piece of its line that leads to it."""
    x, y = _end(line)
    axes.annotate(
        label,
        (x, y),
        xytext=(24, place),
        textcoords="offset points",
        va="center",
        fontsize=8,
        annotation_clip=False,
        arrowprops={
            "arrowstyle": "-",
            "color": line.get_color(),
            "linestyle": line.get_linestyle(),
            "linewidth": 1.1,
            "shrinkA": 1,
            "shrinkB": 3,
        },
    )


def draw_curves(
    axes: Axes,
    arms: Mapping[str, Curve],
    shown: Mapping[str, Look],
    *,
    width: float,
    logx: bool = False,
) -> dict[Line2D, str]:
    """Draw the arms' lines and bands.

    Args:
        axes: Where.
        arms: See `learning_curves`.
        shown: The look of every arm.
        width: Inches of these axes, for the number of points and markers.
        logx: Whether positions that are not above 0 are left out.

    Returns:
        The lines, each with its arm.
    """
    few = len(arms) <= FEW
    lines: dict[Line2D, str] = {}
    axes.margins(x=0.01)
    for index, (name, curve) in enumerate(arms.items()):
        x, mean, low, high = _checked(name, curve, logx, width)
        look = shown[name]
        every = _MARKERS / width
        finite = int(np.isfinite(mean).sum())
        markers = 1 if finite <= _ALL_MARKED else (every * index / len(arms), every)
        (line,) = axes.plot(x, mean, markevery=markers, **look.as_plot())
        line.set_linewidth(look.linewidth * (1.0 if few else 0.75))
        if low is not None and high is not None:
            alpha = 0.16 if few else 0.07
            axes.fill_between(x, low, high, color=look.color, alpha=alpha, linewidth=0)
        lines[line] = name
    return lines


def _guessing(axes: Axes, chance: float, *, named: bool = True) -> None:
    axes.axhline(chance, color="0.45", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
    if not named:
        return
    axes.annotate(
        "chance",
        (0.995, chance),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        color="0.35",
        fontsize=7.5,
    )


def _end(line: Line2D) -> tuple[float, float]:
    """The last place of a line that has a value; of one without any, less than all others."""
    x, y = (np.asarray(d, dtype=np.float64) for d in (line.get_xdata(), line.get_ydata()))
    finite = np.flatnonzero(np.isfinite(y))
    return (float(x[finite[-1]]), float(y[finite[-1]])) if len(finite) else (np.nan, -np.inf)


def _checked(
    name: str, curve: Curve, logx: bool, width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Positions, mean, low and high of the points to draw."""
    x, mean, low, high = (
        None if part is None else np.asarray(part, dtype=np.float64) for part in curve
    )
    shapes = [part.shape for part in (x, mean, low, high) if part is not None]
    if x is None or mean is None or x.ndim != 1 or len(set(shapes)) != 1:
        raise UsageError(
            f"`arms[{name!r}]` must be positions, mean, low, high of one length [points]; "
            f"got shapes {[list(shape) for shape in shapes]}."
        )
    kept = thinned(x, width, logx=logx)
    return (
        x[kept],
        mean[kept],
        None if low is None else low[kept],
        None if high is None else high[kept],
    )
