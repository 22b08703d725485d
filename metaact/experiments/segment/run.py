"""Train a network for every fold of the patients, and score the patients that it never saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from torch import nn

from metaact import activations, analysis, tasks
from metaact.adaptation import Dice, Normalisation, Trainer, evaluate_volumes, make_optimizer
from metaact.experiments.declared import recipe
from metaact.experiments.experiment import Example, Member, Planned, Prepared
from metaact.experiments.loop import Step, train
from metaact.experiments.networks import (
    gain_notes,
    run_name,
    source_identity,
    weights_generator,
)
from metaact.experiments.supervised import check_batch_size, described, update_seconds
from metaact.experiments.timing import seconds_of
from metaact.models.dense import create_dense
from metaact.randomness import derived_seed
from metaact.tasks import Fold, Volumes

from . import measure
from .config import SegmentConfig
from .learner import CrossValidation, Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 6
"""Patients in the picture of what is tested on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        volumes: All patients, on the device.
        folds: Who trains, validates and is tested.
        fitted: What each fold's slices are normalised by; None for pixels in 0..1.
        largest: Whether only the largest component of a patient counts.
        sha256: Hash of the volumes: other data, other run.
    """

    volumes: Volumes
    folds: tuple[Fold, ...]
    fitted: tuple[Normalisation | None, ...]
    largest: bool
    sha256: str


def prepare(
    configs: Sequence[SegmentConfig], *, root: Path | None = None, device: str = "cpu"
) -> VolumeData:
    """Read and verify the volumes, divide the patients, and try every arm's network once.

    Args:
        configs: Runs that share data set and protocol.
        root: Not needed: nothing is downloaded.
        device: Where the volumes are to reside.

    Raises:
        UsageError: If a setting does not fit the data, or an activation or a layer is unknown.
        DataError: If the data cannot be read, or a patient would be in two parts.
    """
    first = configs[0]
    volumes = tasks.load_volumes(
        first.dataset, size=first.size, channels=first.channels, blocks=first.blocks
    )
    divide = tasks.paper_fold if first.protocol == "paper" else tasks.cross_validation
    folds = divide(volumes, first.folds)
    fitted = tuple(_fitted(first, volumes, fold) for fold in folds)
    tested = volumes.take([number for fold in folds for number in fold.test])
    sha256 = volumes.sha256()
    shared = VolumeData(
        data=_provenance(volumes, tested, folds),
        device=device,
        normalisation=_described(fitted),
        validated=all(fold.validation for fold in folds),
        examples=(_example(tested),),
        notes=(*_notes(volumes, tested, folds), *gain_notes(configs)),
        volumes=volumes.to(device),
        folds=folds,
        fitted=fitted,
        largest=first.components == "largest" if first.components else volumes.one_object,
        sha256=sha256,
    )
    counts = torch.bincount(volumes.patient).tolist()
    least = min(sum(counts[number] for number in fold.train) for fold in folds)
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, least)
        make_optimizer(build(config, shared, 0), recipe(config, epochs=config.epochs))
    return shared


def _described(fitted: Sequence[Normalisation | None]) -> dict[str, object]:
    """What the slices of each fold are normalised by, as a run records it."""
    found = [described(one) for one in fitted]
    return {**{key: [one[key] for one in found] for key in ("mean", "std")}, "scale": "by fold"}


def _fitted(config: SegmentConfig, volumes: Volumes, fold: Fold) -> Normalisation | None:
    if config.normalisation == "none":
        return None
    mean, std = tasks.statistics(volumes.take(fold.train))
    return Normalisation(mean=mean, std=std)


def _provenance(volumes: Volumes, tested: Volumes, folds: Sequence[Fold]) -> dict[str, object]:
    about = asdict(volumes.provenance)
    return {
        "held_out": "patients",
        "official": volumes.provenance.official,
        "all": {**about, "patients": len(volumes.patients), "images": len(volumes)},
        "test": {
            **about,
            "patients": len(tested.patients),
            "images": len(tested),
            "folds": len(folds),
            "sha256": tested.sha256(),
        },
    }


def _notes(volumes: Volumes, tested: Volumes, folds: Sequence[Fold]) -> tuple[str, ...]:
    count = len(folds)
    found = [
        "Error model: training seeds crossed with patients. "
        + (
            f"Patients are nested in {count} folds, each tested by networks that share a training "
            "set, and count as if independent"
            if count > 1
            else "All networks share one training set"
        )
        + ": how Dice varies from training set to training set is not covered.",
        f"Marking every pixel would have a mean Dice of {100 * fmean(tested.all_marked()):.1f} %.",
    ]
    if volumes.blocks:
        found.append(
            "Patients are contiguous blocks of one volume: slices at the edge of a block have a "
            "neighbour that may have trained, and another volume may differ more."
        )
    return tuple(found)


def _example(tested: Volumes) -> Example:
    """The slice with the most of the object of some patients, the object outlined."""
    number = min(SHOWN, len(tested.patients))
    rows = [tested.slices_of(patient) for patient in range(number)]
    best = [int(own[tested.masks[own].sum(dim=(1, 2, 3)).argmax()]) for own in rows]

    def draw() -> Figure:
        return analysis.overlays(
            tested.pixels[best].numpy(),
            tested.masks[best, 0].numpy().astype(bool),
            {},
            rows=tested.patients[:number],
            title="tested patients",
        )

    return Example(
        kind="images",
        sha256=tested.sha256(),
        caption="Slices of some tested patients; the object is outlined in green.",
        draw=draw,
    )


def build(config: SegmentConfig, shared: VolumeData, fold: int) -> nn.Module:
    """The network of one seed and fold before training, on the device.

    All arms of a seed start from the same weights where shapes agree, each fold from others.
    """
    return create_dense(
        config.model,
        activations.resolve(config.activation, config.forms),
        channels=shared.volumes.channels,
        size=shared.volumes.size,
        features=config.features,
        batch_norm=config.batch_norm,
        init=config.init,
        generator=weights_generator(derived_seed("fold", config.seed, fold)),
    ).to(shared.device)


def plan(configs: Sequence[SegmentConfig], shared: VolumeData) -> list[Planned]:
    """One run for each config; every setting and the data name it."""
    return [_planned(config, shared) for config in configs]


def _planned(config: SegmentConfig, shared: VolumeData) -> Planned:
    identity = {**config.fields(), "volumes_sha256": shared.sha256, **source_identity(config)}
    stem = f"{Path(config.dataset).stem}-{config.optimizer}-lr{config.lr:g}"
    return Planned(
        config=config,
        kind="segment",
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} lr {config.lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.epochs,
        points=(1,) if config.epochs > 1 else (),
        group=None,
    )


def execute(
    members: Sequence[Member], shared: VolumeData, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Train and evaluate after every epoch, or continue where it stopped."""

    def advance(learners: Sequence[CrossValidation]) -> list[Step]:
        return [learner.advance() for learner in learners]

    for member in members:
        train([member], lambda one: learner(one.planned.config, shared), advance, tick=tick)


def estimate(planned: Planned, shared: VolumeData) -> float:
    """Seconds that a run takes, from a few updates and one patient."""
    made = learner(planned.config, shared)
    part, volumes = made.parts[0], shared.volumes
    evaluation = seconds_of(
        lambda: evaluate_volumes(part.trainer.model, volumes, patients=part.fold.test[:1])
    )
    update = update_seconds(part.trainer)
    steps = sum(each.trainer.steps for each in made.parts)
    patients = sum(len(fold.test) + len(fold.validation) for fold in shared.folds)
    return (update * steps + evaluation * patients) * planned.length


def learner(config: SegmentConfig, shared: VolumeData) -> CrossValidation:
    """What a run trains, before its first epoch."""
    return CrossValidation(
        [_part(config, shared, number) for number in range(len(shared.folds))],
        shared.volumes,
        epochs=config.epochs,
        largest=shared.largest,
    )


def _part(config: SegmentConfig, shared: VolumeData, number: int) -> Part:
    fold = shared.folds[number]
    return Part(
        fold=fold,
        trainer=Trainer(
            build(config, shared, number),
            shared.volumes,
            recipe=recipe(config, epochs=config.epochs),
            seed=derived_seed("fold", config.seed, number),
            normalisation=shared.fitted[number],
            objective=Dice(),
            weights=shared.volumes.weights(fold.train),
        ),
    )
