"""Accuracy over a grid of two settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from metaact.display import digits as short
from metaact.errors import UsageError

from .canvas import COLOURS, WIDTH, heading, is_narrow, new_figure, style, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ON_DARK, _ON_LIGHT = "#fffffe", "#000001"
"""White and black that stay so where a page turns dark: the colours below them do not turn."""


def heat_grid(
    values: ArrayLike,
    *,
    rows: Sequence[float],
    columns: Sequence[float],
    row_name: str = "initial α",
    column_name: str = "initial β",
    value_name: str = "test accuracy",
    title: str = "",
    marked: tuple[float, float] | None = None,
    percent: bool = True,
    width: float = WIDTH,
) -> Figure:
    """Draw a grid of cells, each coloured by and labelled with its value.

    Args:
        values: Values [rows, columns]; NaN where a run is missing or diverged (hatched).
        rows: Setting of each row, shown from bottom to top.
        columns: Setting of each column.
        row_name: Name of the rows' setting.
        column_name: Name of the columns' setting.
        value_name: What the values are.
        title: Line above.
        marked: Row and column setting of the cell that is framed (the default).
        percent: Whether values in 0..1 are shown in percent.
        width: Inches at most; a narrow picture has no colour bar, its cells hold the values.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If the values do not fit the settings.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (len(rows), len(columns)) or array.size == 0:
        raise UsageError(
            f"`values` must be [rows, columns], here {[len(rows), len(columns)]}; "
            f"got shape {list(array.shape)}."
        )
    scale = 100 if percent else 1
    with style():
        from matplotlib.patches import Rectangle

        bar = not is_narrow(width)
        wide = min(width, 0.62 * len(columns) + (2.4 if bar else 1.2))
        figure = new_figure(wide, 0.46 * len(rows) + 1.7)
        room = (wide - (1.9 if bar else 0.7)) / len(columns)  # inches of a cell
        size, digits = min(7.5, 20 * room), int(room > 0.45)
        axes = figure.subplots()
        axes.grid(False)
        axes.set_facecolor("0.85")
        image = axes.imshow(
            scale * np.ma.masked_invalid(array), origin="lower", cmap="cividis", aspect="auto"
        )
        low, high = image.get_clim()
        for (i, j), value in np.ndenumerate(array):
            if np.isfinite(value):
                dark = scale * value < (low + high) / 2
                shade = _ON_DARK if dark else _ON_LIGHT
                shown = f"{scale * value:.{digits}f}" if percent else short(value, 3)
                axes.text(j, i, shown, ha="center", va="center", color=shade, fontsize=size)
            else:
                axes.add_patch(
                    Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, hatch="///", linewidth=0)
                )
        if marked is not None and marked[0] in rows and marked[1] in columns:
            i, j = list(rows).index(marked[0]), list(columns).index(marked[1])
            axes.add_patch(
                Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, ec=COLOURS[1], lw=2.2)
            )
        axes.set_xticks(range(len(columns)), [f"{v:g}" for v in columns])
        axes.set_yticks(range(len(rows)), [f"{v:g}" for v in rows])
        axes.set(xlabel=text(column_name), ylabel=text(row_name))
        named = text(value_name) + (" (%)" if percent else "")
        if bar:
            figure.colorbar(image, ax=axes, label=named)
        else:
            title = f"{title}: {named}" if title else named
        axes.set_title(heading(title, int(11 * wide)))
    return figure
