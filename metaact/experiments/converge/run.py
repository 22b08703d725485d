"""Train one activation from scratch at one learning rate, and watch how fast it learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from metaact import tasks
from metaact.adaptation import Normalisation, Trainer, make_optimizer
from metaact.experiments import supervised
from metaact.experiments.declared import recipe
from metaact.experiments.experiment import Member, Planned, Prepared
from metaact.experiments.loop import train_together
from metaact.experiments.networks import (
    form_notes,
    gain_notes,
    network,
    run_name,
    signature,
    size_for,
    source_identity,
)
from metaact.experiments.pictures import image_example
from metaact.experiments.supervised import (
    Learner,
    advance,
    check_batch_size,
    check_classes,
    described,
    normalisation_of,
    together,
)
from metaact.tasks import Images

from . import measure
from .config import ConvergeConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ImageData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        train: Images to train on, on the device.
        validation: Images for choices, or None.
        test: Images for the reported figure.
        fitted: Normalisation of all of them; None for pixels in 0..1.
        identity: Hashes that enter every run's identity: other data, other run.
    """

    train: Images
    validation: Images | None
    test: Images
    fitted: Normalisation | None
    identity: dict[str, str]


def prepare(
    configs: Sequence[ConvergeConfig], *, root: Path | None = None, device: str = "cpu"
) -> ImageData:
    """Load and verify the data, and try every arm's network and optimizer once.

    Args:
        configs: Runs that share data set and protocol.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs share.

    Raises:
        UsageError: If an activation or a layer is unknown, the network does not fit the images, or
            the test part of the data set holds other classes than the training part.
        DataError: If the data cannot be had.
    """
    first = configs[0]
    tasks.check_shares_classes("dataset", first.dataset)
    split = tasks.split(
        first.dataset,
        root=root,
        hold_out="images",
        validation=0 if first.protocol == "paper" else None,
        size=size_for(configs),
        channels=first.channels,
    )
    check_classes("dataset", first.dataset, split.train)
    if first.images:
        fewer: dict[str, Any] = {
            name: tasks.thinned(part, first.images) for name, part in split.parts().items()
        }
        split = replace(split, **fewer)
    parts = split.parts()
    normalisation = normalisation_of(first, first.dataset, parts["train"])
    shared = ImageData(
        data=split.provenance(),
        device=device,
        normalisation=described(normalisation),
        validated="validation" in parts,
        examples=(image_example(parts["test"], "Some test images."),),
        notes=(*form_notes(split.train), *gain_notes(configs)),
        train=parts["train"].to(device),
        validation=parts["validation"].to(device) if "validation" in parts else None,
        test=parts["test"].to(device),
        fitted=normalisation,
        identity={f"{name}_sha256": parts[name].sha256() for name in ("train", "test")},
    )
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, len(shared.train))
        make_optimizer(build(config, shared), recipe(config, epochs=config.epochs))
    return shared


def build(config: ConvergeConfig, shared: ImageData) -> nn.Module:
    """The network of one seed before training, on the device."""
    return network(config, shared.train, classes=shared.train.classes, device=shared.device)


def plan(configs: Sequence[ConvergeConfig], shared: ImageData) -> list[Planned]:
    """One run for each config; every setting and the data name it."""
    return [_planned(config, shared) for config in configs]


def _planned(config: ConvergeConfig, shared: ImageData) -> Planned:
    identity = {
        **config.fields(),
        **shared.identity,
        **source_identity(config),
    }
    stem = f"{Path(config.dataset).stem}-{config.optimizer}-lr{config.lr:g}"
    return Planned(
        config=config,
        kind="converge",
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} {config.optimizer} lr {config.lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.epochs,
        points=(1,) if config.epochs > 1 else (),
        group=replace(config, activation="relu", seed=0, lr=1.0),
        together=together(config, shared.device),
        signature=signature(shared.train),
    )


def execute(
    members: Sequence[Member], shared: ImageData, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Train and evaluate after every epoch, or continue where it stopped."""
    train_together(
        members, lambda member: learner(member.planned.config, shared), advance, tick=tick
    )


def estimate(planned: Planned, shared: ImageData) -> float:
    """Seconds that a run takes, from a few updates and one evaluation."""
    return supervised.estimate(learner(planned.config, shared))


def learner(config: ConvergeConfig, shared: ImageData) -> Learner:
    """What a run trains, before its first epoch."""
    evaluate_on = {"test": shared.test}
    if shared.validation is not None:
        evaluate_on["validation"] = shared.validation
    return Learner(
        trainer(config, shared),
        evaluate_on,
        epochs=config.epochs,
        observe_at=points(config, len(shared.train)),
    )


def trainer(config: ConvergeConfig, shared: ImageData) -> Trainer:
    """The trainer of `config` before its first epoch."""
    model = build(config, shared)
    return Trainer(
        model,
        shared.train,
        recipe=recipe(config, epochs=config.epochs),
        seed=config.seed,
        normalisation=shared.fitted,
    )


def points(config: ConvergeConfig, images: int) -> tuple[int, ...]:
    """Updates of the first epoch after which the run is evaluated: evenly spaced in its inside."""
    assert config.first_epoch_points is not None
    updates = -(-images // config.batch_size)
    parts = min(config.first_epoch_points, updates) + 1  # more would be the same: all of them
    return tuple(sorted({round(updates * i / parts) for i in range(1, parts)} - {0, updates}))
