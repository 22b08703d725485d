"""Segmentation: a U-Net marks a lesion in volumes of patients, scored by Dice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from metaact.experiments.experiment import Column, Experiment, Measure
from metaact.experiments.form import FIGURE, LAYERS, PART, SIZES, Facts, RunForm, usual
from metaact.runs.form import COUNT, Fields, Items, Number, Text

from .config import SegmentConfig as SegmentConfig

if TYPE_CHECKING:
    from metaact.experiments.evidence import Arm, Study
    from metaact.experiments.experiment import Selected


def measure(settings: Mapping[str, Any], data: Mapping[str, Any]) -> Measure:
    """Dice of each tested patient's volume."""
    return Measure(name="dice", unit="test patients", units=int(data["test"]["patients"]))


DATA = Fields(
    needed={"test": Fields(needed={"dataset": Text(), "patients": COUNT, "folds": COUNT})},
    may={"all": PART},
)
"""What the provenance of the volumes holds: who is tested."""


def form(facts: Facts) -> RunForm:
    """A record after each epoch with the Dice of every tested patient."""
    patients, folds = facts.measure.units, facts.data["test"]["folds"]
    scores, by_fold = Items(Number(low=0, high=1), patients), "validation_dice_by_fold"
    return usual(
        facts,
        every=True,
        start={"attention": LAYERS},
        needed={
            **{"step": COUNT, "attention": LAYERS, "train_loss": FIGURE, "test_loss": FIGURE},
            "test_scores": scores,
        },
        may={"lr": FIGURE, "validation_loss": FIGURE, by_fold: Items(Number(low=0, high=1), folds)},
        throughout=(facts.measure.validation, by_fold),
        result={
            facts.measure.test: facts.score,
            "patients": Items(Text(), patients),
            "fold_of": Items(Number(low=1, high=folds, whole=True), patients),
            **SIZES,
        },
        failed={facts.measure.axis.key: COUNT},
    )


def columns(study: Study, baseline: Study | None, arm: Arm) -> list[Column]:
    """The median patient, the worst, and the share of those of whom nothing was found."""
    known = {record.seed: record.scores for record in arm.scored if record.scores is not None}
    if not known:
        return []
    lost = {
        f"{record.result['patients'][place]} (seed {record.seed})"
        for record in arm.scored
        for place in (record.scores == 0).nonzero()[0]  # type: ignore[union-attr]
    }
    note = f"Dice 0 in {arm.name}: {', '.join(sorted(lost))}." if lost else ""
    return [
        Column(name="median patient", scores={s: _median(v) for s, v in known.items()}),
        Column(name="worst patient", scores={s: float(v.min()) for s, v in known.items()}),
        Column(
            name="Dice 0",
            scores={s: (v == 0).astype(float) for s, v in known.items()},
            note=note or "Dice 0: share of patients of whom no pixel was found.",
        ),
    ]


def _median(values: Any) -> float:
    from statistics import median

    return float(median(values))


def selected(study: Study, arm: Arm) -> Selected | None:
    """The best epoch on the tested patients, beside one that they did not choose."""
    from .selection import selected as found

    return found(study, arm)


HELP = """Mark an object in images with each activation, and compare Dice over patients.

A U-Net is trained for every fold of the patients; each patient is tested by the network that never
saw it, and its Dice stands in the run. All arms of a seed see the same slices, changed in the same
way, and start from the same weights. Without options the data are drawn: nothing is downloaded.

\b
    metaact segment --activation arelu,relu,arelu-frozen
    metaact segment --activation arelu,relu --tune lr=1e-3,1e-2 --controls --seeds 3
    metaact segment --dataset kaggle_3m/ --features 32 --lr 1e-4 --epochs 100 --folds 5
    metaact segment --dataset kaggle_3m/ --features 32 --lr 1e-4 --epochs 100 --protocol paper
    metaact segment --dataset membranes/ --blocks 6 --size 128
"""

SEGMENT = Experiment(
    name="segment",
    config=SegmentConfig,
    implementation="metaact.experiments.segment.run",
    help=HELP,
    title="Segmentation of",
    asks="make a network find the object better",
    measure=measure,
    kinds={"segment": "trained to mark an object"},
    hashes=("volumes_sha256",),
    data=DATA,
    form=form,
    losses=("validation_loss", "test_loss"),
    loss_bounds=(0.0, 1.0),
    columns=columns,
    selected=selected,
)
"""Segmentation of volumes of patients: the experiment of `metaact segment`."""
