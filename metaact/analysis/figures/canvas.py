"""What all figures share: an isolated style, and colours that stay apart without colour."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metaact.errors import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette for all kinds of colour vision, without its yellow (too pale on white).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

# Tol's muted ones and five between them: for twelve more, which all kinds of colour vision can tell
# apart only together with their markers.
MORE_COLOURS = (
    *("#332288", "#44AA99", "#117733", "#999933", "#CC6677", "#882255"),
    *("#AA4499", "#7A4A1E", "#6B7280", "#7B5CD6", "#0B6E7F", "#6B8E00"),
)

# Each of these is 25 in CIE L*a*b* or more from all above and from each other.
MODERN_COLOURS = (
    *("#3D8FFF", "#E02970", "#998F70", "#8F7AC2", "#C25C3D"),
    *("#33A333", "#0052AD", "#5C005C", "#47663D"),
)
OWN_COLOURS = ("#142900", "#1F1F47", "#3D000A", "#1F3333", "#663D47", "#660000")

ALL_COLOURS = (*COLOURS, *MORE_COLOURS, *MODERN_COLOURS, *OWN_COLOURS)
"""Every colour of an arm; a page has each in a light and a dark form, `--arm-1` and so on."""

WIDTH = 7.2
"""Inches of a picture that stands alone."""

NAME = 36
"""Letters of an arm's name at most: two rates find room."""

_NARROW = 5.5  # inches; below, pictures do without side columns and have fewer ticks
_POINTS = 25  # points of a line per inch of the picture: more would not be seen

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
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and copied
    "svg.hashsalt": "metaact",  # the same data give the same bytes
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and ours inside, whatever was set before again after."""
    import matplotlib.style

    fonts = {"font.family": [*_fonts(), "sans-serif"]}
    with matplotlib.style.context(["default", _STYLE, fonts]), warnings.catch_warnings():
        # Names are written with letters that there are (see `text`).
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


_ALSO = (
    *(
        "Noto Sans CJK JP",
        "Noto Sans CJK SC",
        "Source Han Sans",
        "WenQuanYi Micro Hei",
        "IPAGothic",
    ),
    *("IPAexGothic", "TakaoGothic", "Droid Sans Fallback", "PingFang SC"),
    *(
        "Hiragino Sans",
        "Songti SC",
        "Apple SD Gothic Neo",
        "Microsoft YaHei",
        "SimHei",
        "MS Gothic",
    ),
    *(
        "Yu Gothic",
        "Malgun Gothic",
        "NanumGothic",
        "Noto Sans",
        "Noto Sans Arabic",
        "Noto Sans Devanagari",
    ),
    "Arial Unicode MS",
)
"""Fonts for letters that DejaVu, which comes with matplotlib, does not have: those installed."""


@cache
def _fonts() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _ALSO if name in there))


@cache
def _letters() -> frozenset[int]:
    """Code points that one of these fonts has."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    files = [findfont(FontProperties(family=[name])) for name in _fonts()]
    return frozenset(code for file in files for code in FT2Font(file).get_charmap())


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches that belongs to no window and lays itself out."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def is_narrow(width: float) -> bool:
    """Whether a picture is for a page that may be read on a phone."""
    return width < _NARROW


def thinned(x: NDArray[np.float64], width: float, *, logx: bool = False) -> NDArray[np.int_]:
    """Which points of a long line are drawn: the first, the last, and evenly between.

    Args:
        x: Positions, ascending [points].
        width: Inches of the axes.
        logx: Whether they are on a logarithmic scale: then none that is not above 0.
    """
    kept = np.flatnonzero(x > 0) if logx else np.arange(len(x))
    most = round(_POINTS * width)
    if len(kept) <= most:
        return kept
    places = np.log(x[kept]) if logx else kept.astype(np.float64)
    even = np.linspace(places[0], places[-1], most)
    return kept[np.unique(np.searchsorted(places, even - 1e-9))]


def text(name: str, limit: int = 40) -> str:
    """A user's name as a label: no mathematics, no line breaks, not too long.

    Of a path the end is kept, of anything else the beginning. A letter that no font here has is
    written as its code: two names would else look alike.
    """
    name = visible(" ".join(name.split()))
    if not name.isascii():
        name = "".join(c if c.isascii() or ord(c) in _letters() else ascii(c)[1:-1] for c in name)
    if len(name) > limit:
        name = "…" + name[1 - limit :] if "/" in name else name[: limit - 1] + "…"
    return name.replace("$", r"\$")


def heading(title: str, width: int, limit: int = 400) -> str:
    """A title of at most `limit` characters in lines of at most `width`."""
    return textwrap.fill(text(title, limit), width)


def log_axis(axes: Axes, width: float, ticks: Sequence[float] | None = None) -> None:
    """A logarithmic axis with numbers as people write them, not powers of ten.

    Args:
        axes: Where the horizontal axis is made logarithmic.
        width: Inches of the picture.
        ticks: The only places that are labelled: every other one, or fewer, where they crowd.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if ticks is not None:
        most = 7 if is_narrow(width) else 12
        axes.set_xticks(sorted(ticks)[:: -(-len(ticks) // most)])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.04)
        return
    low, high = axes.dataLim.intervalx
    if 0 < low < high < 50 * low:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))


def whole_axis(axes: Axes, width: float) -> None:
    """Ticks at whole numbers of epochs or iterations."""
    axes.locator_params(axis="x", integer=True, min_n_ticks=1)
    if is_narrow(width):
        axes.locator_params(axis="x", nbins=5)


def percent_axis(axes: Axes) -> None:
    """Label the vertical axis in percent of 1."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))


def grid_shape(count: int, columns: int) -> tuple[int, int]:
    """Rows and columns that hold `count` panels with as few gaps as possible."""
    columns = min(count, columns)
    rows = -(-count // columns)
    return rows, -(-count // rows)


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend under the panels, in as many columns as its labels let stand side by side."""
    longest = max(len(label) for label in labels)
    fitting = int(figure.get_figwidth() / (0.063 * longest + 0.62))
    columns = min(max(fitting, 1), len(labels))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=3.0)
