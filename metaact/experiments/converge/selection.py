"""Which epoch of a run is reported: the best on the test part, or another. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from metaact.experiments.experiment import Selected

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Record, Study

ON_VALIDATION = "test images at the epoch best on validation"
LAST = "test images after the last epoch, which nothing selected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Two epochs of a run, by what was recorded after each.

    Attributes:
        best: That with the best test score, as the paper reports it.
        held_out: That with the best validation score; the last where none was recorded.
        validated: Whether there was one.
        epochs: How many there were to choose from.
    """

    best: Mapping[str, Any]
    held_out: Mapping[str, Any]
    validated: bool
    epochs: int


def chosen(record: Record) -> Chosen:
    """The epochs of a run that has a score; of equals the first."""
    measure = record.measure
    place = measure.axis.place
    whole = [m for m in record.seen if place(m) >= 1 and place(m) == int(place(m))]
    validated = all(m.get(measure.validation) is not None for m in whole)
    return Chosen(
        best=max(whole, key=lambda m: m[measure.test]),
        held_out=max(whole, key=lambda m: m[measure.validation]) if validated else whole[-1],
        validated=validated,
        epochs=len(whole),
    )


def selected(study: Study, arm: Arm) -> Selected | None:
    """The best test epoch, beside that of the epoch best on validation, or the last.

    None where there is one epoch: nothing is selected, and both figures would be its score.
    """
    test = study.measure.test
    found = {record.seed: chosen(record) for record in arm.scored}
    if any(one.epochs < 2 for one in found.values()):
        return None
    return Selected(
        by_seed={seed: one.best[test] for seed, one in found.items()},
        held_out=fmean(one.held_out[test] for one in found.values()),
        selected_on="test images, best epoch",
        held_out_is=ON_VALIDATION if all(one.validated for one in found.values()) else LAST,
    )
