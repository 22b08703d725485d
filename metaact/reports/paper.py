"""What the paper reported for an arm."""

from __future__ import annotations

from metaact import paper
from metaact.experiments.evidence import Arm, Study

_TITLES = {name.lower(): name for number in (1, 2, 3) for name in paper.table(number)}
"""The paper's spelling of an activation by its canonical name: they are one but for the case."""


def row(activation: str) -> str:
    """The name of an arm's row in the paper's tables: the authors' form has the plain name's.

    Examples:
        >>> row("slaf-paper"), row("arelu-frozen")
        ('SLAF', '')
    """
    return _TITLES.get(activation.removesuffix("-paper"), "")


def published(study: Study, arm: Arm) -> float | None:
    """The cell of the paper's tables for these settings, in 0..1; None for other settings."""
    if study.by != "activation":
        return None
    at = study.at or max((record.run.length or 0 for record in arm.records), default=0)
    cell = study.experiment.cell(study.settings, arm.rates, at)
    if cell is None or not row(arm.value):
        return None
    percent = paper.table(cell[0]).get(row(arm.value), {}).get(cell[1])
    return None if percent is None else percent / 100
