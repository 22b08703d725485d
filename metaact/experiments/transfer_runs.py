"""The runs of a transfer study: what names a pre-training and a fine-tuning, and where they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from metaact import activations
from metaact.errors import RunError
from metaact.runs import Run

from .reuse import Library
from .transfer_config import TransferConfig
from .transfer_study import Study

SOURCE, TARGET = "source", "transfer"
"""Kinds of runs: pre-trainings and fine-tunings."""

SOURCE_DIVERGED = "source diverged"
"""Outcome of a fine-tuning whose pre-training left the finite numbers before its start."""


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
