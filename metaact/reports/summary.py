"""All studies in one picture."""

from __future__ import annotations

from metaact import analysis

from .describe import short_names
from .document import Document
from .picture_values import Value
from .pictures import SETTLED, WIDTH, Drawn, standing_out

MOST_ROWS = 12
"""Rows of one study: more hide the other studies."""


def forest(document: Document, *, width: float = WIDTH) -> Drawn | None:
    """The differences of all studies in one picture: a row for each study and arm.

    Studies whose scores are no shares have no place on its axis.
    """
    groups: dict[str, list[analysis.ForestRow]] = {}
    values: list[Value] = []
    names, row, left = short_names(document.studies), 0, 0
    for study in document.studies:
        found = list(study.comparisons)
        if not found or not study.measure.is_share:
            continue
        if len(found) > MOST_ROWS:
            left += len(found) - MOST_ROWS
            most = sorted(found, key=standing_out, reverse=True)[:MOST_ROWS]
            found = [one for one in found if one in most]
        head = f"{names[study.id]}, against {study.reference}"
        head = head if head not in groups else f"{head} ({study.id})"
        groups[head] = [
            analysis.ForestRow(arm=c.first, interval=c.interval, settled=c.verdict in SETTLED)
            for c in found
        ]
        values += [Value(text=c.sentence, y=row + i) for i, c in enumerate(found, start=1)]
        row += 1 + len(found)
    if not groups:
        return None
    level = f"{100 * document.level:g} %"
    rest = f" {left} rows that stand out least are left out." if left else ""
    figure = analysis.forest_plot(
        groups,
        xlabel=f"difference in points, {level} intervals, simultaneous within a study",
        margin=document.margin,
        width=width,
    )
    return Drawn(
        kind="forest",
        figure=figure,
        label="Differences to the reference with intervals, in all studies: "
        + "; ".join(
            f"{c.first} {c.verdict}"
            for s in document.studies
            if s.measure.is_share
            for c in s.comparisons
        )
        + ".",
        caption="Paired difference in the test score to the study's reference, in points, with "
        f"{level} intervals that hold all together within a study. Right of the line the arm is "
        "better. Filled: the verdict is better, worse or equivalent; open: no difference shown."
        f"{rest}",
        values=values,
    )
