"""α and β of each layer over training, and where α has no gradient any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from metaact.analysis.curves import stuck
from metaact.errors import UsageError

from .canvas import (
    COLOURS,
    WIDTH,
    heading,
    is_narrow,
    legend_below,
    new_figure,
    style,
    text,
    thinned,
    whole_axis,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_STUCK = "#B00020"
_LINES = ("-", "--", "-.", ":")


def trajectories(
    layers: Mapping[str, Sequence[ArrayLike]],
    *,
    xlabel: str,
    title: str = "",
    names: Sequence[str] = ("α", "β"),
    clamp: tuple[float, float] | None = (0.01, 0.99),
    width: float = WIDTH,
) -> Figure:
    """Draw one panel per parameter, one colour per layer: each seed thin, their mean thick.

    In the first panel the edges of the clamp are dashed lines and what lies beyond is shaded:
    there the parameter has no gradient. Red crosses mark where a seed is stuck, the first
    of them where it got so, and the legend counts the seeds that are at the end. It stands right of
    the picture, or below one that is narrow. Of long lines as many points are drawn as can be seen.

    Args:
        layers: For each layer: positions [points], then values [seeds, points] per parameter.
        xlabel: What the positions are.
        title: Line above.
        names: Name of each parameter.
        clamp: Range in which the first parameter learns, or None.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no layer or an array has the wrong shape.
    """
    if not layers:
        raise UsageError("`layers` must hold at least one layer; got none.")
    checked = {layer: _checked(layer, arrays, len(names)) for layer, arrays in layers.items()}
    with style():
        narrow = is_narrow(width)
        figure = new_figure(width, 2.4 if narrow else max(3.2, 0.19 * len(layers) + 0.8))
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        lines, labels = [], []
        for panel, (axes, name) in enumerate(zip(panels, names, strict=True)):
            edges = clamp if panel == 0 else None
            for index, (layer, (x, values)) in enumerate(checked.items()):
                line = _draw(axes, index, x, values[panel], edges, width / len(names))
                if panel == 0:
                    lines.append(line)
                    labels.append(_label(layer, values[0], edges))
            if edges is not None:
                _shade(axes, edges)
            axes.set(xlabel=xlabel, title=name)
            axes.ticklabel_format(axis="y", useOffset=False)  # 2.0004, not 0.0004 and above "+2"
            whole_axis(axes, width / len(names))
            axes.margins(x=0.01)
        if narrow:
            legend_below(figure, lines, labels)
        else:
            figure.legend(lines, labels, loc="outside right upper", handlelength=2.6)
        if title:
            figure.suptitle(heading(title, int(12 * width)))
    return figure


def _draw(
    axes: Axes,
    index: int,
    x: np.ndarray,
    values: np.ndarray,
    clamp: tuple[float, float] | None,
    width: float,
) -> Line2D:
    color = COLOURS[index % len(COLOURS)]
    linestyle = _LINES[index // len(COLOURS) % len(_LINES)]
    kept = thinned(x, width)
    if len(values) > 1:
        for seed in values:
            axes.plot(x[kept], seed[kept], color=color, linewidth=0.7, alpha=0.45)
    mean = values.mean(axis=0)[kept]
    (line,) = axes.plot(x[kept], mean, color=color, linestyle=linestyle, linewidth=2)
    if clamp is not None:
        for seed in values:
            points = np.flatnonzero(stuck(seed, clamp=clamp) & np.isfinite(seed))
            points = points[:: max(1, round(len(points) / (3 * width)))]
            axes.plot(x[points], seed[points], "x", color=_STUCK, markersize=4, zorder=3)
    return line


def _shade(axes: Axes, clamp: tuple[float, float]) -> None:
    """Mark the clamp's edges and the ranges without a gradient, in sight of the values."""
    low, high = axes.get_ylim()
    room = 0.06 * (clamp[1] - clamp[0])
    low, high = min(low, clamp[0] - room), max(high, clamp[1] + room)
    axes.set_ylim(low, high)
    for edge, outer in zip(clamp, (low, high), strict=True):
        axes.axhline(edge, color=_STUCK, linestyle="--", linewidth=0.9, zorder=1)
        axes.axhspan(min(edge, outer), max(edge, outer), color=_STUCK, alpha=0.09, linewidth=0)
    axes.annotate(
        "no gradient",
        (0.01, clamp[1]),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="left",
        va="bottom",
        color=_STUCK,
        fontsize=7,
    )


def _label(layer: str, values: np.ndarray, clamp: tuple[float, float] | None) -> str:
    if clamp is None:
        return text(layer)
    count = int(stuck(values[:, -1], clamp=clamp).sum())
    return f"{text(layer, 24)} ({count} of {len(values)} stuck)" if count else text(layer, 24)


def _checked(
    layer: str, arrays: Sequence[ArrayLike], parameters: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    x, *values = (np.asarray(array, dtype=np.float64) for array in arrays)
    good = all(v.ndim == 2 and v.shape[1:] == x.shape and len(v) for v in values)
    if len(values) != parameters or x.ndim != 1 or not len(x) or not good:
        raise UsageError(
            f"`layers[{layer!r}]` must be positions [points] and {parameters} arrays [seeds, "
            f"points]; got shapes {[list(a.shape) for a in (x, *values)]}."
        )
    return x, values
