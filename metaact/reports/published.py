"""What the paper reported for an arm, and how optimistic such a figure is."""

from __future__ import annotations

from typing import Any

import numpy as np

from metaact import paper
from metaact.experiments.published import converge_cell, maml_cell, transfer_cell

from .evidence import Arm, Study

_TITLES = {name.lower(): name for number in (1, 2, 3) for name in paper.table(number)} | {
    "leakyrelu": "LReLU"
}


def optimism(study: Study, arm: Arm) -> dict[str, Any] | None:
    """The figure of the paper's kind, the held-out figure, their gap, and what was published.

    The paper's kind of figure is selected on what it is measured on: the best training iteration
    (table 3), the best test epoch (tables 5 and 6). Transfer selects nothing, so it has no gap.

    Args:
        study: The runs.
        arm: One arm of it.

    Returns:
        Accuracies in 0..1: "figure", "published", "held_out", "gap"; "selected_on" and
        "held_out_is" say what they are. None where the runs have no figure of that kind.
    """
    if not arm.converged or (study.experiment == "converge" and study.at == 0):
        return None
    figure, held_out, selected_on, held_out_is = _OF[study.experiment](study, arm)
    published = _published(study, arm)
    if figure is None and published is None:
        return None
    return {
        "figure": figure,
        "published": published,
        "held_out": held_out,
        "gap": None if figure is None else figure - held_out,
        "selected_on": selected_on,
        "held_out_is": held_out_is,
    }


_Figures = tuple[float | None, float, str | None, str]


def _maml(study: Study, arm: Arm) -> _Figures:
    held_out = float(np.mean([record.accuracy for record in arm.converged]))
    best = [record.result["best_training_accuracy"] for record in arm.converged]
    return float(np.mean(best)), held_out, "training tasks, best iteration", "frozen test episodes"


def _converge(study: Study, arm: Arm) -> _Figures:
    """Best test epoch, beside that of the epoch best on validation, or the last."""
    bests, honest, with_validation = [], [], True
    for record in arm.converged:
        whole = [m for m in record.course if m["epoch"] >= 1 and m["epoch"] == int(m["epoch"])]
        tests = [m["test_accuracy"] for m in whole]
        watched = [m.get("validation_accuracy") for m in whole]
        bests.append(max(tests))
        with_validation = all(value is not None for value in watched)
        chosen = int(np.argmax(watched)) if with_validation else len(tests) - 1  # type: ignore[arg-type]
        honest.append(tests[chosen])
    which = "test images at the epoch best on validation"
    if not with_validation:
        which = "test images after the last epoch, which nothing selected"
    return float(np.mean(bests)), float(np.mean(honest)), "test images, best epoch", which


def _transfer(study: Study, arm: Arm) -> _Figures:
    held_out = float(np.mean([record.accuracy for record in arm.converged]))
    return None, held_out, None, "test images at the epoch that is read"


_OF = {"maml": _maml, "converge": _converge, "transfer": _transfer}


def _published(study: Study, arm: Arm) -> float | None:
    """The cell of the paper's tables for these settings, in 0..1; None for other settings."""
    title = _TITLES.get(arm.activation.removesuffix("-paper"))
    if study.experiment == "maml":
        cell = maml_cell(study.settings, arm.rates)
    else:
        epochs = int(study.settings["epochs"] if study.at is None else study.at)
        find = converge_cell if study.experiment == "converge" else transfer_cell
        cell = find(study.settings, arm.rates, epochs)
    if cell is None or title is None:
        return None
    percent = paper.table(cell[0]).get(title, {}).get(cell[1])
    return None if percent is None else percent / 100
