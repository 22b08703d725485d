"""All studies in one picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metaact import analysis

from .describe import short_names
from .document import Document, StudyReport
from .picture_values import Value
from .pictures import SETTLED, WIDTH, Drawn, standing_out

MOST_ROWS = 12
"""Rows of one study: more hide the other studies."""


def forest(document: Document, *, width: float = WIDTH) -> Drawn | None:
    """The differences of all studies in one picture: a row for each study and arm.

    Scores that are shares have one axis, in points; those of each other measure one of their own.
    """
    panels: dict[str, dict[str, list[analysis.ForestRow]]] = {}
    names, left = short_names(document.studies), 0
    told: dict[str, list[list[str]]] = {}
    for study in sorted(document.studies, key=lambda one: not one.measure.is_share):
        found = list(study.comparisons)
        if not found:
            continue
        if len(found) > MOST_ROWS:
            left += len(found) - MOST_ROWS
            most = sorted(found, key=standing_out, reverse=True)[:MOST_ROWS]
            found = [one for one in found if one in most]
        axis = _axis(study, 100 * document.level)
        studies = panels.setdefault(axis, {})
        head = f"{names[study.id]}, against {study.reference}"
        head = head if head not in studies else f"{head} ({study.id})"
        studies[head] = [
            analysis.ForestRow(arm=c.first, interval=c.interval, settled=c.verdict in SETTLED)
            for c in found
        ]
        told.setdefault(axis, []).append([c.sentence for c in found])
    if not panels:
        return None
    figure = analysis.forest_plot(panels, margin=document.margin, width=width)
    level = f"{100 * document.level:g} %"
    rest = f" {left} rows that stand out least are left out." if left else ""
    apart = " Scores in other units have axes of their own." if len(panels) > 1 else ""
    return Drawn(
        kind="forest",
        figure=figure,
        label="Differences to the reference with intervals, in all studies: "
        + "; ".join(f"{c.first} {c.verdict}" for s in document.studies for c in s.comparisons)
        + ".",
        caption="Paired difference in the test score to the study's reference, with "
        f"{level} intervals that hold all together within a study. Right of the line the arm is "
        f"better.{apart} Filled: the verdict is better, worse or equivalent; open: no difference "
        f"shown.{rest}",
        values=[
            Value(text=sentence, panel=panel, y=row)
            for panel, studies in enumerate(told.values())
            for row, sentence in _rows(studies)
        ],
    )


def _axis(study: StudyReport, level: float) -> str:
    """What a study's differences are, for its axis: those of one text have one unit."""
    measure = study.measure
    intervals = f"{level:g} % intervals, simultaneous within a study"
    if measure.is_share:
        return f"difference in points, {intervals}"
    less = " (right: less)" if measure.direction == "lower" else ""
    return f"difference in {measure.name}{less}, {intervals}"


def _rows(studies: Sequence[Sequence[str]]) -> Iterator[tuple[int, str]]:
    """The sentences of studies with the rows of their axis; each study has a heading first."""
    row = 0
    for sentences in studies:
        yield from enumerate(sentences, start=row + 1)
        row += 1 + len(sentences)
