"""Critical difference diagram: mean ranks on a line, bars over arms that are not told apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metaact.analysis.ranks import Ranks
from metaact.analysis.verdicts import p_text

from .canvas import new_figure, style, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.3  # distance of two bars, in rows of labels


def rank_plot(ranks: Ranks, *, title: str = "") -> Figure:
    """Draw mean ranks with their critical difference, the best arm on the left.

    Thick bars join arms whose mean ranks are no further apart than the critical difference, which
    is drawn above the axis: where a bar joins two arms, nothing is shown between them.

    Args:
        ranks: From `rank_arms`.
        title: Line above.

    Returns:
        The figure, for `save_figure`.

    References:
        J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of
        Machine Learning Research 7, 2006, figure 1.
    """
    names = list(ranks.mean_ranks)
    rows, bars = math.ceil(len(names) / 2), len(ranks.groups)
    depth = 0.45 + _BAR * bars + rows
    with style():
        figure = new_figure(7.2, 0.24 * (depth + 1.6) + 0.75)
        axes = figure.subplots()
        _axis(axes, ranks, depth)
        for index, group in enumerate(ranks.groups):
            places = [ranks.mean_ranks[name] for name in group]
            height = -0.3 - _BAR * index
            ends = [min(places) - 0.03, max(places) + 0.03]
            axes.plot(ends, [height, height], color="0.1", linewidth=2.6, solid_capstyle="butt")
        for index, name in enumerate(names):
            left = index < rows
            row = index if left else len(names) - 1 - index
            _label(axes, name, ranks.mean_ranks[name], -(0.9 + _BAR * bars + row), left, len(names))
        axes.set_title(text(title, 90))
        note = f"mean rank, 1 is best, over {ranks.blocks} {ranks.over}"
        axes.set_xlabel(f"{note}; Friedman {p_text(ranks.p_value)}", fontsize=8)
    return figure


def _axis(axes: Axes, ranks: Ranks, depth: float) -> None:
    """The line of ranks, and the critical difference above it (no longer than the line)."""
    last = len(ranks.mean_ranks)
    margin = 0.35 * max(last - 1, 1)
    axes.set_xlim(1 - margin, last + margin)
    axes.set_ylim(-depth - 0.4, 1.7)
    axes.grid(False)
    axes.set_yticks([])
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.plot([1, last], [0, 0], color="0.1", linewidth=1)
    for rank in range(1, last + 1):
        axes.plot([rank, rank], [0, 0.12], color="0.1", linewidth=1)
        axes.annotate(str(rank), (rank, 0.18), ha="center", va="bottom", fontsize=8)
    shown = min(ranks.critical_difference, last - 1)
    beyond = ranks.critical_difference > last - 1
    axes.plot([1, 1 + shown], [1.0, 1.0], color="#D55E00", linewidth=2, marker="|", markersize=7)
    words = f"critical difference {ranks.critical_difference:.2f}"
    words += ", more than all ranks" if beyond else ""
    axes.annotate(words, (1, 1.14), ha="left", va="bottom", fontsize=8, color="#B04A00")


def _label(axes: Axes, name: str, rank: float, height: float, left: bool, last: int) -> None:
    """A line from the rank down to the arm's name at the side."""
    side = 0.06 * max(last - 1, 1)
    edge = 1 - side if left else last + side
    axes.plot([rank, rank, edge], [0, height, height], color="0.45", linewidth=0.8)
    shown = f"{text(name, 24)}  {rank:.2f}" if left else f"{rank:.2f}  {text(name, 24)}"
    axes.annotate(
        shown,
        (edge, height),
        xytext=(-3 if left else 3, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
        fontsize=8,
    )
