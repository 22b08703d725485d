"""Mean ranks with the critical difference."""

from __future__ import annotations

from typing import Any

from metaact.analysis.figures import canvas

from .page_figures import MOST_ARMS, Picture, Study
from .page_svg import WIDTH


def ranks(study: Study) -> Picture | None:
    """Every arm's mean rank, best first, with a bar of one critical difference about it."""
    found = study["ranks"]
    if not found:
        return None
    order = sorted(found["mean_ranks"].items(), key=lambda pair: pair[1])
    rest = f" The best {MOST_ARMS} of {len(order)} are drawn." if len(order) > MOST_ARMS else ""
    together = "; ".join(", ".join(group) for group in found["groups"])
    groups = f" Not told apart: {together}." if together else ""
    if lost := found.get("left_out"):
        groups += f" Without {', '.join(lost)}, of which a seed diverged: it has no rank."
    return Picture(
        kind="ranks",
        figure=_bars(order[:MOST_ARMS], found["critical_difference"]),
        label="Mean ranks: " + ", ".join(f"{name} {rank:.2f}" for name, rank in order) + ".",
        caption=f"Mean rank over {found['blocks']} {found['over']}; 1 is best. Bars are one "
        f"critical difference ({found['critical_difference']:.2f}) wide: arms whose bars overlap "
        f"are not told apart. Friedman's test: p {_p(found['p_value'])}.{groups}{rest}",
    )


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"= {value:.2g}"


def _bars(order: list[tuple[str, float]], width: float) -> Any:
    with canvas.style():
        figure = canvas.new_figure(WIDTH, 0.24 * len(order) + 0.65)
        axes = figure.subplots()
        for row, (_, rank) in enumerate(order):
            colour = canvas.COLOURS[0]
            ends = [rank - width / 2, rank + width / 2]
            axes.plot(ends, [row, row], color=colour, linewidth=6, alpha=0.35)
            axes.plot([rank], [row], marker="o", markersize=6, color=colour)
        axes.set_yticks(range(len(order)), [canvas.text(name, 26) for name, _ in order])
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_xlabel("mean rank (1 is best)")
        axes.grid(visible=False, axis="y")
    return figure
