"""Learning curves of several arms with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import (
    NAME,
    WIDTH,
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

_NARROW_HEIGHT = 2.9
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

    The legend is in the order in which the lines end. It stands right of the picture, or below one
    that is narrow; a page may take it off `figure.legends` and set it in its own type. Of long
    lines as many points are drawn as can be seen.

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
        height = _NARROW_HEIGHT if narrow else max(4.0, 0.19 * len(arms) + 0.8)
        figure = new_figure(width, height)
        axes = figure.subplots()
        drawn = draw_curves(axes, arms, looks(list(arms)), width=width, logx=logx)
        if chance is not None:
            _guessing(axes, chance)
        if logx:
            log_axis(axes, width, xticks)
        else:
            whole_axis(axes, width)
        if percent:
            percent_axis(axes)
        axes.set_xlabel(heading(xlabel, int(11 * width)))
        axes.set_ylabel(heading(ylabel, 30 if narrow else 50))
        axes.set_title(heading(title, 50 if narrow else 80))
        handles = sorted(drawn, key=lambda line: -_end(line))
        labels = [text(drawn[line], NAME) for line in handles]
        if narrow:
            legend_below(figure, handles, labels)
        else:
            figure.legend(handles, labels, loc="outside right upper", handlelength=3.2)
    return figure


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


def _guessing(axes: Axes, chance: float) -> None:
    axes.axhline(chance, color="0.45", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
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


def _end(line: Line2D) -> float:
    """The last value of a line; of one without any, less than all others."""
    values = np.asarray(line.get_ydata(), dtype=np.float64)
    finite = values[np.isfinite(values)]
    return float(finite[-1]) if len(finite) else -np.inf


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
