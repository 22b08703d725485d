"""The paper's figures 2, 3, 4, 7 and 8 from our runs, with the paper's numbers in.

The paper's curves are pictures; what it states in numbers are the points after the first epoch
(table 1) and the best of 20 epochs (table 6). They are drawn as rings beside our curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metaact import analysis, paper
from metaact.analysis import CurvePanel
from metaact.experiments.paper.figures import FIGURE_2_START, Panel, PaperFigure
from metaact.settings import counted

from . import pictures
from .document import ArmReport, Curve, Document
from .paper import row

MOST_ROWS = 10
"""Rows of axes in one file: more are higher than a page."""


def draw(figure: PaperFigure, document: Document, folder: Path) -> list[Path]:
    """Draw a figure of the paper into a folder; the files written, none if no run is there.

    Args:
        figure: The figure with its runs.
        document: What came of them.
        folder: Where to write.

    Raises:
        RunError: If a file cannot be written.
    """
    stem = folder / f"{'quick-' if figure.quick else ''}figure-{figure.number}"
    if figure.number == 2:
        return _draw_grid(document, stem)
    panels: list[list[CurvePanel]] = []
    for panel in figure.panels:
        arms = _arms(document, panel)
        points = {arm.value: _points(figure, panel, arm) for arm in arms}
        accuracy = _drawn(arms, "test_accuracy", f"test accuracy, {panel.title}", points=points)
        if figure.number in (7, 8):
            loss = _drawn(arms, "train_loss", f"training loss, {panel.title}")
            panels.append([loss, accuracy])
        else:
            panels.append([accuracy])
    written: list[Path] = []
    sheets = _sheets(panels)
    for number, sheet in enumerate(sheets, start=1):
        drawn = analysis.curve_panels(sheet, xlabel="epoch", title=figure.heading)
        end = f"-{number}" if len(sheets) > 1 else ""
        if drawn is not None:
            written += analysis.save_figure(drawn, stem.with_name(f"{stem.name}{end}"))
    return written


def _sheets(panels: Sequence[Sequence[CurvePanel]]) -> list[list[CurvePanel]]:
    """Panels by the files that hold them: what a page has room for, those of a rate together."""
    sheets: list[list[CurvePanel]] = [[]]
    for together in panels:
        if sheets[-1] and analysis.panel_rows([*sheets[-1], *together]) > MOST_ROWS:
            sheets.append([])
        sheets[-1] += together
    return sheets


def _arms(document: Document, panel: Panel) -> list[ArmReport]:
    return [
        arm
        for study in document.studies
        for arm in study.arms
        if study.settings[panel.setting] == panel.value and arm.rates["lr"] == panel.lr
    ]


def _drawn(
    arms: Sequence[ArmReport],
    name: str,
    title: str,
    *,
    points: Mapping[str, list[tuple[float, float]]] | None = None,
) -> CurvePanel:
    percent = name == "test_accuracy"
    curves = {arm.value: _whole(arm.curves[name]) for arm in arms if name in arm.curves}
    marks = dict(points or {})
    lost = [
        f"{arm.value} {counted('seed')(len(arm.failed))} diverged" for arm in arms if arm.failed
    ]
    title += f"; {', '.join(lost)}" if lost else ""
    return CurvePanel(title=title, curves=curves, marks=marks, percent=percent)


def _whole(curve: Curve) -> analysis.Curve:
    """A curve from the first epoch on."""
    x = np.array(curve.x)
    kept = x >= 1

    def part(values: Sequence[float | None] | None) -> np.ndarray | None:
        return None if values is None else np.array(values, dtype=np.float64)[kept]

    mean = part(curve.mean)
    assert mean is not None
    return x[kept], mean, part(curve.low), part(curve.high)


def _points(figure: PaperFigure, panel: Panel, arm: ArmReport) -> list[tuple[float, float]]:
    """The paper's points of an arm: epoch and accuracy."""
    if figure.beside is not None:
        top = figure.beside.published(panel.value, row(arm.value), "top1")
        return [] if top is None else [(float(figure.epochs), top / 100)]
    column = paper.column(panel.value, arm.rates["lr"])
    last = max((x for curve in arm.curves.values() for x in curve.x), default=0)
    points = []
    for number, epoch in ((1, 1), (6, paper.CONVERGENCE.epochs)):
        percent = paper.table(number).get(row(arm.value), {}).get(column)
        if percent is not None and epoch <= last:
            points.append((float(epoch), percent / 100))
    return points


def _draw_grid(document: Document, stem: Path) -> list[Path]:
    """Figure 2: (a) curves and a grid over start values, (b) α and β, (c) the learned curves."""
    if not document.studies:
        return []
    study = document.studies[0]
    panel = _drawn(study.arms, "test_accuracy", "(a) test accuracy")
    drawn = analysis.curve_panels(
        [panel], xlabel="epoch", title="Figure 2a, ours: start values of α and β"
    )
    if drawn is None:
        return []
    written = analysis.save_figure(drawn, stem.with_name(f"{stem.name}a-curves"))
    grid = pictures.start_values(study)
    if grid is not None:
        written += analysis.save_figure(grid.figure, stem.with_name(f"{stem.name}a-grid"))
    chosen = next((arm for arm in study.arms if pictures.start_of(arm) == FIGURE_2_START), None)
    for letter, make in (("b", pictures.trajectories), ("c", pictures.shapes)):
        found = make(study, arm=chosen) if chosen else None
        if found is not None:
            written += analysis.save_figure(found.figure, stem.with_name(f"{stem.name}{letter}"))
    return written
