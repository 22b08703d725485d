"""What all figures share: an isolated style, and colours that stay apart without colour."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette for all kinds of colour vision, without its yellow (too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

_STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "figure.dpi": 100,
    "figure.titlesize": 11,
    "font.size": 9,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "savefig.facecolor": "white",
    "svg.hashsalt": "metaact",  # the same data give the same bytes
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and ours inside, whatever was set before again after."""
    import matplotlib.style

    with matplotlib.style.context(["default", _STYLE]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that belongs to no window and lays itself out."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def arm_style(index: int) -> dict[str, str]:
    """Colour, line and marker of the arm with this index; 28 arms differ in colour or line."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINES[index // len(COLOURS) % len(LINES)],
        "marker": MARKERS[index % len(MARKERS)],
    }


def text(name: str, limit: int = 40) -> str:
    """A user's name as a label: no mathematics, no line breaks, not too long.

    Of a path the end is kept, of anything else the beginning.
    """
    name = " ".join(name.split())
    if len(name) > limit:
        name = "…" + name[1 - limit :] if "/" in name else name[: limit - 1] + "…"
    return name.replace("$", r"\$")


def heading(title: str, width: int) -> str:
    """A title in lines of at most so many characters."""
    return textwrap.fill(text(title, 400), width)


def percent_axis(axes: Axes) -> None:
    """Label the vertical axis in percent of 1."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def grid_shape(count: int, columns: int) -> tuple[int, int]:
    """Rows and columns that hold `count` panels with as few gaps as possible."""
    columns = min(count, columns)
    rows = -(-count // columns)
    return rows, -(-count // rows)
