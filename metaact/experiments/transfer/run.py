"""Pre-train on a source, fine-tune on a target at a small rate, and train on the target only.

Every pre-training is a run of its own, which keeps the weights after each epoch: all fine-tunings
of an arm and seed start from it, whatever their rate, layers or reading of the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from metaact.adaptation import Recipe, Trainer, head_of
from metaact.errors import RunError
from metaact.experiments import supervised
from metaact.experiments.declared import recipe
from metaact.experiments.experiment import Member, Planned
from metaact.experiments.loop import train_together
from metaact.experiments.networks import run_name, signature, source_identity
from metaact.experiments.supervised import Learner, advance, described, together
from metaact.randomness import derived_seed
from metaact.runs import Run
from metaact.runs.checkpoint import WEIGHTS, is_dense
from metaact.runs.strict_json import damaged
from metaact.settings import counted
from metaact.tasks import Domain

from . import measure, unused
from .config import TransferConfig
from .domains import DomainData, build
from .domains import prepare as prepare
from .start import started

SOURCE, TARGET = "source", "transfer"
"""Kinds of runs: pre-trainings and fine-tunings."""

ONE_CALL = ("activation", "seed", "pretrain_lr")
"""In what pre-trainings may differ that are trained in one call."""

TRAINED = -1
"""In place of a number of epochs: pre-trained elsewhere."""

SOURCE_DIVERGED = "source diverged"
"""Outcome of a fine-tuning whose pre-training diverged before its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One fine-tuning of a config.

    Attributes:
        pretrained: Epochs of pre-training it starts from; 0 is the baseline "target only", and
            `TRAINED` starts from weights that were trained elsewhere.
        epochs: Its length.
    """

    pretrained: int
    epochs: int

    @property
    def fed_as(self) -> str:
        """By which entry of `DomainData.normalised` its images are normalised."""
        return "trained" if self.pretrained == TRAINED else "target"


def stages(config: TransferConfig) -> tuple[Stage, ...]:
    """The fine-tunings of one arm and seed, the baseline "target only" last."""
    if config.protocol == "paper-text":
        rows = tuple(Stage(pretrained=p, epochs=config.text_epochs) for p in config.epochs)
        return (*rows, Stage(pretrained=0, epochs=config.text_epochs))
    longest = max(config.epochs)
    return (
        Stage(pretrained=TRAINED if config.weights else config.pretrain_epochs, epochs=longest),
        Stage(pretrained=0, epochs=longest),
    )


def plan(configs: Sequence[TransferConfig], shared: DomainData) -> list[Planned]:
    """First every pre-training, then the fine-tunings and the baselines, each run once."""
    sources: dict[object, Planned] = {}
    targets: dict[object, Planned] = {}
    for config in configs:
        source = None
        if config.weights is None:
            source = _source(config, shared)
            source = sources.setdefault(_key(source), source)
        for stage in stages(config):
            target = _target(config, stage, shared, source)
            targets.setdefault(_key(target), target)
    return [*sources.values(), *targets.values()]


def _key(planned: Planned) -> str:
    return repr(sorted((name, repr(value)) for name, value in planned.identity.items()))


def _identity(config: TransferConfig, kind: str, stage: dict[str, object]) -> dict[str, object]:
    """What names a run: the settings on which it depends, and what tells its stage apart."""
    fields = {name: value for name, value in config.fields().items() if name != "epochs"}
    whole = {**fields, **source_identity(config), **stage}
    left = unused(kind, whole)
    return {name: value for name, value in whole.items() if name not in left}


def _source(config: TransferConfig, shared: DomainData) -> Planned:
    """The pre-training of a config."""
    stage = {"epochs": config.pretrain_epochs, "form": shared.form, **shared.source_identity}
    identity = _identity(config, SOURCE, stage)
    stem = Path(config.source).stem
    return Planned(
        config=config,
        kind=SOURCE,
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} pre-training lr {config.pretrain_lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.pretrain_epochs,
        normalisation=described(shared.normalised["source"]),
        group=(SOURCE, *(v for k, v in identity.items() if k not in ONE_CALL)),
        together=together(config, shared.device),
        signature=signature(_source_of(shared).train),
    )


def _target(
    config: TransferConfig, stage: Stage, shared: DomainData, source: Planned | None
) -> Planned:
    """One fine-tuning of a config, or the baseline."""
    identity = _identity(
        config,
        TARGET,
        {
            "pretrained": stage.pretrained,
            "epochs": stage.epochs,
            "form": shared.form,
            "keeps_head": shared.keeps_head,
            **shared.target_identity,
        },
    )
    target = Path(config.target).stem
    if not stage.pretrained:
        stem, what = f"{target}-pre0", "target only"
    elif stage.pretrained == TRAINED:
        stem = f"pretrained-{target}"
        what = f"from {Path(config.weights or '').name}, {config.swap} swap,"
    else:
        stem = f"{Path(config.source).stem}-{target}-pre{stage.pretrained}"
        what = f"from {counted('epoch')(stage.pretrained)} at {config.pretrain_lr:g}"
    name = f"{stem}-lr{config.lr:g}"
    earlier = () if config.protocol == "paper-text" else config.epochs
    return Planned(
        config=config,
        kind=TARGET,
        name=run_name(name, activation=config.activation, seed=config.seed),
        label=f"{config.activation} {what} lr {config.lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=stage.epochs,
        needs=(source,) if stage.pretrained and source else (),
        notes=(_note(config),),
        points=tuple(epoch for epoch in earlier if epoch < stage.epochs),
        normalisation=described(shared.normalised[stage.fed_as]),
        group=(TARGET, stage, replace(config, activation="relu", seed=0, lr=1.0)),
        together=together(config, shared.device),
        part=stage,
        signature=signature(shared.target.train),
    )


def _note(config: TransferConfig) -> str:
    """What a run is trained from, and how long."""
    if config.weights is None:
        return f"Reading of the paper: {config.reading}."
    return f"Fine-tuned for {config.reading} from {Path(config.weights).name}."


def _source_of(shared: DomainData) -> Domain:
    """The source, which only networks that were trained before do without."""
    assert shared.source is not None
    return shared.source


def execute(
    members: Sequence[Member], shared: DomainData, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Train runs of one kind; a fine-tuning with nothing to start from ends at once."""
    if members[0].planned.kind == SOURCE:
        train_together(
            members, lambda member: _pretraining(member.planned.config, shared), advance, tick=tick
        )
        return
    ready = [member for member in members if not _ended_without_source(member)]
    if ready:
        train_together(ready, lambda member: _finetuning(member, shared), advance, tick=tick)


def _finetuning(member: Member, shared: DomainData) -> Learner:
    source = member.needs[0] if member.needs else None
    return _started_from(member.planned.config, member.planned.part, source, shared)


def estimate(planned: Planned, shared: DomainData) -> float:
    """Seconds that a run takes, from a few updates and one evaluation; it starts from no other."""
    if planned.kind == SOURCE:
        return supervised.estimate(_pretraining(planned.config, shared))
    from_scratch = Stage(pretrained=0, epochs=planned.length)
    return supervised.estimate(_started_from(planned.config, from_scratch, None, shared))


def _pretraining(config: TransferConfig, shared: DomainData) -> Learner:
    domain = _source_of(shared)
    model = build(config, domain.train, shared)
    by_sgd = Recipe(lr=config.pretrain_lr, momentum=config.momentum, batch_size=config.batch_size)
    return Learner(
        Trainer(
            model,
            domain.train,
            recipe=by_sgd,
            seed=config.seed,
            normalisation=shared.normalised["source"],
        ),
        {"test": domain.test},
        epochs=config.pretrain_epochs,
        keep_all=True,
    )


def _started_from(
    config: TransferConfig, stage: Stage, source: Run | None, shared: DomainData
) -> Learner:
    domain = shared.target
    if stage.pretrained == TRAINED:
        assert shared.weights is not None
        model = started(
            config,
            shared.weights,
            domain.train,
            normalisation=shared.normalised[stage.fed_as],
            device=shared.device,
        )
    else:
        model = build(config, domain.train, shared)
    if source is not None:
        weights = source_weights(source, stage.pretrained)
        if not shared.keeps_head:
            place = f"{head_of(model)}."
            head = {n: v for n, v in model.state_dict().items() if n.startswith(place)}
            weights = {**weights, **head}
        model.load_state_dict(weights)
    evaluate_on = {"test": domain.test}
    if domain.validation is not None:
        evaluate_on["validation"] = domain.validation
    # Another stream of batches than in pre-training, and the same for the baseline.
    seed = derived_seed("target", config.seed)
    return Learner(
        Trainer(
            model,
            domain.train,
            recipe=recipe(config, epochs=stage.epochs),
            seed=seed,
            normalisation=shared.normalised[stage.fed_as],
        ),
        evaluate_on,
        epochs=stage.epochs,
        evaluate_start=True,
    )


def _ended_without_source(member: Member) -> bool:
    """Finish a fine-tuning whose pre-training diverged before its start; False if it did not."""
    stage: Stage = member.planned.part
    if not member.needs:
        return False
    epoch = diverged_in(member.needs[0])
    if epoch is None or epoch > stage.pretrained:
        return False
    member.run.resume()
    member.run.finish({"outcome": SOURCE_DIVERGED, "epoch": epoch})
    return True


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
    weights: dict[str, torch.Tensor] | None = run.weights().get(f"epoch-{epoch}")
    if not isinstance(weights, dict) or not all(map(is_dense, weights.values())):
        raise damaged(run.directory / WEIGHTS, f"it holds no weights of epoch {epoch}")
    return weights
