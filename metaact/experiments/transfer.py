"""Pre-train on a source, fine-tune on a target at a small rate, and two baselines.

Every pre-training is a run of its own, which keeps the weights after each epoch: all fine-tunings
of an arm and seed start from it, whatever their rate, layers or reading of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from metaact.adaptation import Recipe, Trainer, stacks_by_default
from metaact.randomness import derived_seed
from metaact.runs import environment

from .networks import canonical
from .networks import recipe as recipe
from .reuse import Library
from .sweep import Job
from .training import Task, jobs
from .transfer_config import TransferConfig
from .transfer_runs import SOURCE as SOURCE
from .transfer_runs import SOURCE_DIVERGED as SOURCE_DIVERGED
from .transfer_runs import TARGET as TARGET
from .transfer_runs import Stage as Stage
from .transfer_runs import diverged_in as diverged_in
from .transfer_runs import source_run as source_run
from .transfer_runs import source_weights as source_weights
from .transfer_runs import stages as stages
from .transfer_runs import target_run as target_run
from .transfer_study import Study as Study
from .transfer_study import build as build
from .transfer_study import study as study

STACK = 32


def expand(configs: Sequence[TransferConfig]) -> list[TransferConfig]:
    """Configs with canonical activation names; "all" stands for the paper's nineteen.

    Raises:
        UsageError: If a name is unknown; nothing has run by then.
    """
    return canonical(configs, lambda config: config.forms)


def pretraining(config: TransferConfig) -> Recipe:
    """The settings of pre-training: SGD with momentum on all weights."""
    return Recipe(lr=config.pretrain_lr, momentum=config.momentum, batch_size=config.batch_size)


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
