"""Which epoch of each fold is reported: the best on tested patients, or another. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from metaact.experiments.experiment import Selected

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Record, Study

ON_VALIDATION = "test patients at each fold's epoch best on validation"
LAST = "test patients after the last epoch, which nothing selected"


def selected(study: Study, arm: Arm) -> Selected | None:
    """The best epoch on the tested patients, beside that best on others, or the last.

    Chosen for each fold by itself. None where there is one epoch: nothing is selected.
    """
    found = {record.seed: chosen(record) for record in arm.scored}
    if any(one is None for one in found.values()):
        return None
    best = {seed: one[0] for seed, one in found.items() if one is not None}
    others = [one[1] for one in found.values() if one is not None]
    validated = all(record.validation is not None for record in arm.scored)
    return Selected(
        by_seed=best,
        held_out=fmean(others),
        selected_on="test patients, best epoch of each fold",
        held_out_is=ON_VALIDATION if validated else LAST,
    )


def chosen(record: Record) -> tuple[float, float] | None:
    """Mean Dice of a run at the epochs best on its tested patients, and best on others."""
    seen = [one for one in record.seen if "test_scores" in one]
    if len(seen) < 2:
        return None
    scores = np.array([one["test_scores"] for one in seen], dtype=np.float64)
    folds = np.array(record.result["fold_of"])
    best, held_out = np.empty(len(folds)), np.empty(len(folds))
    for fold in np.unique(folds):
        own = folds == fold
        best[own] = scores[int(scores[:, own].mean(axis=1).argmax()), own]
        held_out[own] = scores[_validated(seen, int(fold)), own]
    return float(best.mean()), float(held_out.mean())


def _validated(seen: list[Mapping[str, Any]], fold: int) -> int:
    """The epoch at which a fold is best on its validation patients; the last without any."""
    if any("validation_dice_by_fold" not in one for one in seen):
        return len(seen) - 1
    return int(np.argmax([one["validation_dice_by_fold"][fold - 1] for one in seen]))
