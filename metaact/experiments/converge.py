"""Train one activation from scratch at one learning rate, and watch how fast it gets anywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import nn

from metaact import activations, tasks
from metaact.adaptation import Trainer, make_optimizer, stacks_by_default
from metaact.errors import UsageError
from metaact.runs import Run, environment
from metaact.tasks.transfer.pairs import match

from .converge_config import ConvergeConfig, check_batch_size
from .networks import network
from .networks import recipe as recipe
from .reuse import Library
from .sweep import Job
from .training import Task, jobs

KIND = "converge"

STACK = 32
"""Runs in one vectorised call where stacking pays at all."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """The data that every arm and seed of one comparison share.

    Attributes:
        train: Images to train on, on the device.
        validation: Images for choices, or None.
        test: Images for the reported figure.
        data: Provenance of all parts, for the record.
        pipeline: What was done to them so that they fit the network, in words.
        device: Where everything is computed.
        identity: Hashes that enter every run's identity: other data, other run.
    """

    train: tasks.Images
    validation: tasks.Images | None
    test: tasks.Images
    data: dict[str, object]
    pipeline: str
    device: str
    identity: dict[str, str]


def expand(
    configs: Sequence[ConvergeConfig],
    *,
    alphas: Sequence[float] = (),
    betas: Sequence[float] = (),
) -> list[ConvergeConfig]:
    """Configs with canonical activation names; "all" stands for the paper's nineteen.

    Under the paper's protocol a name stands for what the paper's own code computes.

    Args:
        configs: The runs asked for.
        alphas: Start values of α: each arm that has one is tried with each (figure 2a).
        betas: Start values of β, likewise.

    Returns:
        The runs, without repeats.

    Raises:
        UsageError: If a name is unknown, or start values are given and no arm takes them.
    """
    for name, starts in (("alphas", alphas), ("betas", betas)):
        for start in starts:
            if not math.isfinite(start):
                raise UsageError(f"`{name}` must be finite numbers; got {start!r}.")
    entries: list[activations.Entry] = []
    expanded = []
    for config in configs:
        names = activations.PAPER if config.activation == "all" else (config.activation,)
        for name in names:
            entry = activations.resolve(name, config.protocol)
            entries.append(entry)
            expanded += [replace(config, activation=n) for n in _grid(entry, alphas, betas)]
    if (alphas or betas) and not any(_takes_starts(entry) for entry in entries):
        raise UsageError(
            "`alphas` and `betas` need an arm that takes them, such as arelu; got "
            f"{', '.join(dict.fromkeys(c.activation for c in configs))}."
        )
    return list(dict.fromkeys(expanded))


def _takes_starts(entry: activations.Entry) -> bool:
    """Whether the arm has α and β whose start values are not given yet."""
    return {"alpha", "beta"} <= set(entry.options) and "(" not in entry.name


def _grid(entry: activations.Entry, alphas: Sequence[float], betas: Sequence[float]) -> list[str]:
    """The arm at each combination of start values; itself if it has none or they are given."""
    if not _takes_starts(entry) or not (alphas or betas):
        return [entry.name]
    starts = [
        ",".join(f"{k}={v:g}" for k, v in (("alpha", a), ("beta", b)) if v is not None)
        for a in (alphas or (None,))
        for b in (betas or (None,))
    ]
    return [activations.resolve(f"{entry.name}({start})").name for start in starts]


def study(
    configs: Sequence[ConvergeConfig], *, root: Path | None = None, device: str = "cpu"
) -> Study:
    """Load and verify the data, and try every arm's network and optimizer once.

    Args:
        configs: The runs of the comparison; they share data set and protocol.
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
    )
    parts, pipeline = _fitted(split, first.model)
    shared = Study(
        train=parts["train"].to(device),
        validation=parts["validation"].to(device) if "validation" in parts else None,
        test=parts["test"].to(device),
        data=split.provenance(),
        pipeline=pipeline,
        device=device,
        identity={f"{name}_sha256": parts[name].sha256() for name in ("train", "test")},
    )
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, len(shared.train))
        make_optimizer(build(config, shared), recipe(config))
    return shared


def _fitted(split: tasks.Split, model: str) -> tuple[dict[str, tasks.Images], str]:
    """The parts in the size that the network takes: MNIST-Conv takes 28x28 only."""
    if model != "mnist-conv" or split.train.size == (28, 28):
        return split.parts(), ""
    pipeline, _ = match(split.train, split.train, size=28)
    return {n: pipeline.apply(images) for n, images in split.parts().items()}, str(pipeline)


def build(config: ConvergeConfig, shared: Study) -> nn.Module:
    """The network of one seed before training, on the study's device.

    All arms of a seed draw from the same generator state, so where shapes agree they start from
    the same weights.
    """
    train = shared.train
    return network(
        config, train, classes=train.classes, forms=config.protocol, device=shared.device
    )


def open_run(config: ConvergeConfig, shared: Study, library: Library) -> Run:
    """The run of `config`, or a complete longer one; every setting and the data name it."""
    arm = config.activation.replace(":", ".")
    stem = Path(config.dataset).stem
    return library.open(
        kind=KIND,
        name=f"{stem}-{config.optimizer}-lr{config.lr:g}-{arm}-seed{config.seed}",
        config={
            **config.fields(),
            **shared.identity,
            **activations.source_identity(config.activation),
        },
    )


def jobs_of(
    configs: Sequence[ConvergeConfig],
    shared: Study,
    library: Library,
    *,
    stack: int | None = None,
) -> list[Job]:
    """The runs of `configs` as jobs of a sweep.

    Args:
        configs: The runs.
        shared: The data, from `study`.
        library: The run store.
        stack: Most runs trained in one vectorised call; None decides by the device.

    Returns:
        One job per config, in the same order.
    """
    if stack is None:
        stack = STACK if stacks_by_default(shared.device) else 1
    about = environment(device=shared.device, data=shared.data)
    return jobs([task(c, shared, library, about) for c in configs], stack=stack)


def task(
    config: ConvergeConfig, shared: Study, library: Library, about: Mapping[str, object]
) -> Task:
    """The run of `config` as a supervised task."""
    evaluate_on = {"test": shared.test}
    if shared.validation is not None:
        evaluate_on["validation"] = shared.validation
    return Task(
        label=f"{config.activation} {config.optimizer} lr {config.lr:g} seed {config.seed}",
        run=open_run(config, shared, library),
        build=partial(trainer, config, shared),
        epochs=config.epochs,
        evaluate_on=evaluate_on,
        observe_at=points(config, len(shared.train)),
        environment=about,
        group=replace(config, seed=0, lr=1.0, first_epoch_points=config.first_epoch_points),
    )


def trainer(config: ConvergeConfig, shared: Study) -> Trainer:
    """The trainer of `config` before its first epoch."""
    model = build(config, shared)
    return Trainer(model, shared.train, recipe=recipe(config), seed=config.seed)


def points(config: ConvergeConfig, images: int) -> tuple[int, ...]:
    """Updates of the first epoch after which the run is evaluated: evenly spaced in its inside."""
    assert config.first_epoch_points is not None
    updates = -(-images // config.batch_size)
    parts = min(config.first_epoch_points, updates) + 1  # more would be the same: all of them
    return tuple(sorted({round(updates * i / parts) for i in range(1, parts)} - {0, updates}))
