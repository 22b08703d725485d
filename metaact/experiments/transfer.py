"""Pre-train on a source, fine-tune on a target at a small rate, and two baselines.

Every pre-training is a run of its own, which keeps the weights after each epoch: all fine-tunings
of an arm and seed start from it, whatever their rate, layers or reading of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from metaact import activations, models
from metaact.adaptation.optimizers import Recipe, make_optimizer
from metaact.adaptation.stacked import stacks_by_default
from metaact.adaptation.supervised import Trainer
from metaact.errors import DataError, RunError
from metaact.randomness import derived_seed
from metaact.runs import Run, environment
from metaact.tasks import Images, check_shares_classes
from metaact.tasks.transfer import Domain, TransferPair, pair

from .converge_config import check_batch_size
from .reuse import Library
from .sweep import Job
from .training import Task, jobs
from .transfer_config import TransferConfig

SOURCE, TARGET = "source", "transfer"
"""Kinds of runs: pre-trainings and fine-tunings."""

SOURCE_DIVERGED = "source diverged"
"""Outcome of a fine-tuning whose pre-training left the finite numbers before its start."""

STACK = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """The data that every arm and seed of one comparison share.

    Attributes:
        pair: Source and target in one form, on the device, with the pipelines that made it so.
        data: Provenance of all parts, for the record.
        device: Where everything is computed.
        source_identity: Hashes that enter the identity of pre-trainings.
        target_identity: Hashes that enter the identity of fine-tunings.
    """

    pair: TransferPair
    data: dict[str, object]
    device: str
    source_identity: dict[str, str]
    target_identity: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One fine-tuning of a config.

    Attributes:
        pretrained: Epochs of pre-training it starts from; 0 is the baseline "target only".
        epochs: Its length.
    """

    pretrained: int
    epochs: int


def stages(config: TransferConfig) -> tuple[Stage, ...]:
    """The fine-tunings of one arm and seed, the baseline "target only" last."""
    if config.protocol == "paper-text":
        rows = tuple(Stage(pretrained=p, epochs=config.text_epochs) for p in config.epochs)
        return (*rows, Stage(pretrained=0, epochs=config.text_epochs))
    longest = max(config.epochs)
    return (
        Stage(pretrained=config.pretrain_epochs, epochs=longest),
        Stage(pretrained=0, epochs=longest),
    )


def expand(configs: Sequence[TransferConfig]) -> list[TransferConfig]:
    """Configs with canonical activation names; "all" stands for the paper's nineteen.

    Raises:
        UsageError: If a name is unknown; nothing has run by then.
    """
    expanded = []
    for config in configs:
        names = activations.PAPER if config.activation == "all" else (config.activation,)
        for name in names:
            entry = activations.resolve(name, config.forms)
            expanded.append(replace(config, activation=entry.name))
    return list(dict.fromkeys(expanded))


def study(
    configs: Sequence[TransferConfig],
    *,
    matched: TransferPair | None = None,
    root: Path | None = None,
    device: str = "cpu",
) -> Study:
    """Load both domains, bring them into one form, and try every arm's network once.

    Args:
        configs: The runs of the comparison; they share source, target and protocol.
        matched: A pair made beforehand, e.g. with a changed pipeline; None makes it from names.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs share.

    Raises:
        UsageError: If the domains cannot be matched, an activation or layer is unknown, or the
            network does not fit the images.
        DataError: If data cannot be had.
    """
    first = configs[0]
    if matched is None:
        validation = None if first.protocol == "held-out" else 0
        matched = _load(first, root, validation)
    source, target = matched.source, matched.target
    train = source.train.sha256()
    shared = Study(
        pair=_on(matched, device),
        data=_provenance(matched),
        device=device,
        source_identity={"source_train_sha256": train, "source_test_sha256": source.test.sha256()},
        target_identity={
            "source_train_sha256": train,
            "target_train_sha256": target.train.sha256(),
            "target_test_sha256": target.test.sha256(),
        },
    )
    largest = max(len(source.train), len(target.train))
    for config in {replace(c, seed=0, lr=1.0): None for c in configs}:
        check_batch_size(config.batch_size, largest)
        make_optimizer(build(config, shared.pair.target.train, shared), recipe(config))
    return shared


def _load(config: TransferConfig, root: Path | None, validation: int | None) -> TransferPair:
    check_shares_classes("source", config.source)
    check_shares_classes("target", config.target)
    try:
        return pair(config.source, config.target, root=root, validation=validation)
    except DataError as error:
        default = TransferConfig()
        raise DataError(
            f"{error} A pair that needs no download works now: "
            f"metaact transfer {default.source} {default.target}."
        ) from error


def _on(matched: TransferPair, device: str) -> TransferPair:
    def moved(domain: Domain) -> Domain:
        validation = domain.validation
        return Domain(
            train=domain.train.to(device),
            validation=None if validation is None else validation.to(device),
            test=domain.test.to(device),
        )

    return replace(matched, source=moved(matched.source), target=moved(matched.target))


def _provenance(matched: TransferPair) -> dict[str, object]:
    parts = {
        f"{side}_{name}": {**asdict(images.provenance), "images": len(images)}
        for side, domain in (("source", matched.source), ("target", matched.target))
        for name, images in (("train", domain.train), ("test", domain.test))
    }
    return {
        "source_pipeline": str(matched.source_pipeline),
        "target_pipeline": str(matched.target_pipeline),
        "notes": list(matched.notes),
        **parts,
    }


def recipe(config: TransferConfig) -> Recipe:
    """The settings of fine-tuning."""
    return Recipe(
        lr=config.lr,
        optimizer=config.optimizer,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        decay=config.decay,
        batch_size=config.batch_size,
        train_layers=config.train_layers,
        layer_lrs=config.layer_lrs,
        freeze_activations=config.freeze_activations,
    )


def pretraining(config: TransferConfig) -> Recipe:
    """The settings of pre-training: SGD with momentum on all weights."""
    return Recipe(lr=config.pretrain_lr, momentum=config.momentum, batch_size=config.batch_size)


def build(config: TransferConfig, images: Images, shared: Study) -> nn.Module:
    """The network of one seed before any training, for the classes of `images`."""
    return models.create(
        config.model,
        activations.resolve(config.activation, config.forms),
        classes=images.classes,
        channels=images.channels,
        size=images.size,
        batch_norm=config.batch_norm,
        generator=torch.Generator().manual_seed(derived_seed("weights", config.seed)),
    ).to(shared.device)


def _shared_fields(config: TransferConfig) -> dict[str, object]:
    names = ("activation", "seed", "source", "model", "batch_norm", "pretrain_lr")
    fields = config.fields()
    kept = {name: fields[name] for name in (*names, "momentum", "batch_size")}
    return {**kept, **activations.source_identity(config.activation)}


def source_run(config: TransferConfig, shared: Study, library: Library) -> Run:
    """The pre-training of `config`, or a complete longer one."""
    fields = {**_shared_fields(config), "epochs": config.pretrain_epochs}
    return library.open(
        kind=SOURCE,
        name=_name(Path(config.source).stem, config),
        config={**fields, "form": _form(shared), **shared.source_identity},
    )


def target_run(config: TransferConfig, stage: Stage, shared: Study, library: Library) -> Run:
    """One fine-tuning of `config`, or a complete longer one."""
    tuning = [
        *("target", "lr", "optimizer", "weight_decay", "decay"),
        *("train_layers", "layer_lrs", "freeze_activations"),
    ]
    fields = config.fields()
    stem = f"{Path(config.source).stem}-{Path(config.target).stem}"
    identity = {
        **_shared_fields(config),
        **{name: fields[name] for name in tuning},
        "pretrained": stage.pretrained,
        "epochs": stage.epochs,
        "form": _form(shared),
        "keeps_head": shared.pair.keeps_head,
        **shared.target_identity,
    }
    if stage.pretrained == 0:
        # What was never pre-trained does not depend on how others were.
        for name in ("source", "pretrain_lr", "source_train_sha256", "keeps_head"):
            del identity[name]
        stem = Path(config.target).stem
    name = _name(f"{stem}-pre{stage.pretrained}-lr{config.lr:g}", config)
    return library.open(kind=TARGET, name=name, config=identity)


def _form(shared: Study) -> list[int]:
    return list(shared.pair.source.train.pixels.shape[1:])


def _name(stem: str, config: TransferConfig) -> str:
    return f"{stem}-{config.activation.replace(':', '.')}-seed{config.seed}"


def jobs_of(
    configs: Sequence[TransferConfig],
    shared: Study,
    library: Library,
    *,
    stack: int | None = None,
) -> list[Job]:
    """All runs of `configs` as jobs of a sweep: first every pre-training, then the fine-tunings.

    Args:
        configs: The arms and seeds.
        shared: The data, from `study`.
        library: The run store.
        stack: Most runs trained in one vectorised call; None decides by the device.

    Returns:
        One job per distinct run.
    """
    if stack is None:
        stack = STACK if stacks_by_default(shared.device) else 1
    about = environment(device=shared.device, data=shared.data)
    tasks = [_source_task(config, shared, library, about) for config in configs]
    for config in configs:
        tasks += [_target_task(config, s, shared, library, about) for s in stages(config)]
    return jobs(list({task.run.identity: task for task in tasks}.values()), stack=stack)


def _source_task(
    config: TransferConfig, shared: Study, library: Library, about: Mapping[str, object]
) -> Task:
    domain = shared.pair.source
    return Task(
        label=f"{config.activation} pre-training lr {config.pretrain_lr:g} seed {config.seed}",
        run=source_run(config, shared, library),
        build=partial(_source_trainer, config, shared),
        epochs=config.pretrain_epochs,
        evaluate_on={"test": domain.test},
        keep_all=True,
        environment=about,
        group=(SOURCE, config.activation, config.pretrain_epochs),
    )


def _source_trainer(config: TransferConfig, shared: Study) -> Trainer:
    images = shared.pair.source.train
    model = build(config, images, shared)
    return Trainer(model, images, recipe=pretraining(config), seed=config.seed)


def _target_task(
    config: TransferConfig,
    stage: Stage,
    shared: Study,
    library: Library,
    about: Mapping[str, object],
) -> Task:
    domain = shared.pair.target
    evaluate_on = {"test": domain.test}
    if domain.validation is not None:
        evaluate_on["validation"] = domain.validation
    before = f"from {stage.pretrained} epochs at {config.pretrain_lr:g}"
    what = before if stage.pretrained else "target only"
    return Task(
        label=f"{config.activation} {what} lr {config.lr:g} seed {config.seed}",
        run=target_run(config, stage, shared, library),
        build=partial(_target_trainer, config, stage, shared, library),
        instead=partial(_without_source, config, stage, shared, library),
        epochs=stage.epochs,
        evaluate_on=evaluate_on,
        evaluate_start=True,
        environment=about,
        group=(TARGET, stage.epochs, replace(config, seed=0, lr=1.0)),
    )


def _target_trainer(
    config: TransferConfig, stage: Stage, shared: Study, library: Library
) -> Trainer:
    images = shared.pair.target.train
    model = build(config, images, shared)
    if stage.pretrained:
        weights = source_weights(source_run(config, shared, library), stage.pretrained)
        if not shared.pair.keeps_head:
            head = {n: v for n, v in model.state_dict().items() if n.startswith("head.")}
            weights = {**weights, **head}
        model.load_state_dict(weights)
    # Another stream of batches than in pre-training, and the same for the baseline.
    return Trainer(model, images, recipe=recipe(config), seed=derived_seed("target", config.seed))


def _without_source(
    config: TransferConfig, stage: Stage, shared: Study, library: Library
) -> dict[str, object] | None:
    """The result of a fine-tuning that has nothing to start from; None if it has."""
    if not stage.pretrained:
        return None
    epoch = diverged_in(source_run(config, shared, library))
    if epoch is None or epoch > stage.pretrained:
        return None
    return {"outcome": SOURCE_DIVERGED, "epoch": epoch}


def diverged_in(run: Run) -> int | None:
    """The epoch in which a pre-training diverged; None if it did not.

    Raises:
        RunBusyError: If another process is still working on it.
        RunError: If it is not there, or damaged.
    """
    if not run.is_complete:
        with run.lock():  # raises if it is being worked on
            pass
        raise RunError(f"its pre-training is not there ({run.directory}).")
    result = run.result()
    return None if result["outcome"] == "complete" else int(result["epoch"])


def source_weights(run: Run, epoch: int) -> dict[str, torch.Tensor]:
    """The weights of a pre-training after one of its epochs.

    Raises:
        RunBusyError: If another process is still working on it.
        RunError: If it is not there, diverged by then, or is damaged.
    """
    diverged = diverged_in(run)
    if diverged is not None and diverged <= epoch:
        raise RunError(f"its pre-training diverged in epoch {diverged} ({run.directory}).")
    weights: dict[str, torch.Tensor] = run.weights()[f"epoch-{epoch}"]
    return weights
