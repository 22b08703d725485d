"""Critical difference diagram: mean ranks in rows, bars over arms that are not told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaact.analysis.ranks import Ranks
from metaact.analysis.wording import p_text

from .canvas import WIDTH, heading, is_narrow, new_figure, style
from .forest import name_rows
from .looks import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR = 0.03  # distance of a bar from the marker at its left and from the next bar, of the axis


def rank_plot(ranks: Ranks, *, title: str = "", width: float = WIDTH) -> Figure:
    """Draw mean ranks with their critical difference, one row an arm, the best at the top.

    Thick bars join arms whose mean ranks are no further apart than the critical difference, which
    is drawn above them: where a bar joins two arms, nothing is shown between them. It is Demšar's
    diagram on its side, so that long names and twenty arms find room.

    Args:
        ranks: From `rank_arms`.
        title: Line above.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    References:
        J. Demšar, "Statistical comparisons of classifiers over multiple data sets", Journal of
        Machine Learning Research 7, 2006, figure 1.
    """
    names, narrow = list(ranks.mean_ranks), is_narrow(width)
    with style():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure(width, 0.24 * (len(names) + 1) + (0.85 if narrow else 1.0))
        axes = figure.subplots()
        right = _arms(axes, ranks, narrow)
        name_rows(axes, names, width)
        _critical_difference(axes, ranks)
        room = 0.05 * (len(names) - 1)
        axes.set_xlim(1 - room, right + room)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if narrow else 10, integer=True))
        note = f"mean rank over {ranks.blocks} {ranks.over}, 1 is best"
        note += f"; Friedman {p_text(ranks.p_value, 1 - ranks.level)}"
        axes.set_xlabel(heading(note, 34 if narrow else 100), fontsize=8)
        axes.set_title(heading(title, 50 if narrow else 80))
    return figure


def _arms(axes: Axes, ranks: Ranks, narrow: bool) -> float:
    """Draw each arm's mean rank and the bars over groups; how far they reach."""
    shown = looks(list(ranks.mean_ranks))
    for row, (name, rank) in enumerate(ranks.mean_ranks.items()):
        look = shown[name]
        axes.plot([0, rank], [row, row], color=look.color, linestyle=look.linestyle, linewidth=0.9)
        axes.plot(rank, row, look.marker, color=look.color, markersize=6, zorder=3)
        if not narrow:
            right = axes.get_yaxis_transform()
            axes.text(1.02, row, f"{rank:.2f}", transform=right, va="center", fontsize=8)
    rows, step = list(ranks.mean_ranks), _BAR * (len(shown) - 1)
    place = 0.0
    for group in ranks.groups:
        inside = [rows.index(name) for name in group]
        place = max(place, *(ranks.mean_ranks[name] for name in group)) + step
        ends = [min(inside) - 0.25, max(inside) + 0.25]
        axes.plot([place, place], ends, color="0.1", linewidth=2.6, solid_capstyle="butt")
    return max(place, len(shown))


def _critical_difference(axes: Axes, ranks: Ranks) -> None:
    """Its length above the arms, no longer than the axis."""
    last = len(ranks.mean_ranks)
    shown = min(ranks.critical_difference, last - 1)
    axes.plot([1, 1 + shown], [-1, -1], color="0.35", linewidth=2, marker="|", markersize=7)
    words = f"critical difference {ranks.critical_difference:.2f} ({100 * ranks.level:g} %)"
    words += ", more than all ranks" if shown < ranks.critical_difference else ""
    axes.annotate(
        words,
        (1, -1),
        xytext=(0, 4),
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=8,
        color="0.25",
    )
    axes.set_ylim(last - 0.4, -2.1)
