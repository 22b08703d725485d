"""Differences to the reference with their intervals, one below the other, and mean ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaact.analysis.figures import canvas

from .page_figures import MOST_ARMS, Picture, Study
from .page_svg import WIDTH

_SETTLED = ("better", "worse", "equivalent")


def differences(study: Study, margin: float | None) -> Picture | None:
    """Every comparison with the reference as a point with its interval.

    Args:
        study: A study of the document.
        margin: Half-width of the range in which differences do not matter, or None.
    """
    found = list(study["comparisons"])
    if not found:
        return None
    rest = ""
    if len(found) > MOST_ARMS:
        rest = f" Of {len(found)} comparisons the {MOST_ARMS} with the smallest p are drawn."
        found = sorted(found, key=lambda c: c["p_holm"])[:MOST_ARMS]
    varies = " / ".join(dict.fromkeys(c["interval"]["varies"] for c in found))
    level = 100 * found[0]["interval"]["level"]
    return Picture(
        kind="differences",
        figure=_forest(found, margin),
        label=f"Differences in accuracy to {study['reference']} with intervals: "
        + "; ".join(f"{c['first']} {c['verdict']}" for c in found)
        + ".",
        caption=f"Difference in test accuracy to {study['reference']}, in points, with "
        f"{level:g} % intervals over {varies}, not corrected for their number. Filled: the verdict "
        "after Holm's correction is better, worse or equivalent; open: no difference "
        f"shown.{rest}",
    )


def _forest(found: Sequence[Mapping[str, Any]], margin: float | None) -> Any:
    with canvas.style():
        figure = canvas.new_figure(WIDTH, 0.24 * len(found) + 0.65)
        axes = figure.subplots()
        axes.axvline(0, color="0.35", linewidth=1)
        if margin is not None:
            axes.axvspan(-100 * margin, 100 * margin, color="0.5", alpha=0.2, linewidth=0)
        for row, comparison in enumerate(found):
            low, mean, high = (100 * comparison["interval"][k] for k in ("low", "mean", "high"))
            colour = canvas.COLOURS[0]
            axes.plot([low, high], [row, row], color=colour, linewidth=1.8)
            axes.plot(
                [mean],
                [row],
                marker="o",
                markersize=6,
                markeredgecolor=colour,
                markeredgewidth=1.4,
                color=colour if comparison["verdict"] in _SETTLED else "white",
            )
        names = [canvas.text(comparison["first"], 26) for comparison in found]
        axes.set_yticks(range(len(found)), names)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlabel("difference in points")
        axes.grid(visible=False, axis="y")
    return figure
