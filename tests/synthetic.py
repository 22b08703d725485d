"""Sealed run directories with made-up results, in the form the verbs write them, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from metaact.experiments.config import MamlConfig
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.transfer_config import TransferConfig

from metaact.runs import Run, RunStore, finite, pack_bits

ATTENTION = {"alpha": 0.9, "beta": 2.0}


def environment(*, official: bool = True, note: str = "") -> dict[str, Any]:
    part = {"dataset": "MNIST", "split": "test", "official": official, "note": note, "images": 100}
    return {
        "python": "3.11",
        "metaact": "0.1.0",
        "packages": {"torch": "2.15.0"},
        "device": "cpu",
        "git": None,
        "data": {"official": official, "train": part, "test": part},
    }


def write(
    run: Run,
    result: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    episodes: Sequence[Mapping[str, Any]] = (),
    about: Mapping[str, Any] | None = None,
) -> Run:
    with run.lock():
        run.start(about or environment())
        run.resume()
        for record in metrics:
            run.append(finite(record))  # type: ignore[arg-type]
        run.finish(result, episodes)
    return run


def attention(activation: str, step: float) -> dict[str, Any]:
    learns = activation == "arelu"
    value = {"alpha": 0.9 - 0.01 * learns * step, "beta": 2.0 + 0.01 * learns * step}
    return {"act1": value, "act2": dict(ATTENTION)} if activation.startswith("arelu") else {}


def maml(
    store: Path,
    activation: str,
    seed: int,
    accuracies: Sequence[float] | None,
    *,
    iterations: int = 5,
    validation: float | None = 0.5,
    about: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Run:
    """A run of `metaact maml`; `accuracies` of None diverged."""
    episodes = len(accuracies) if accuracies is not None else settings.pop("test_episodes", 4)
    settings = {"dataset": "mnist", "iterations": iterations, "test_episodes": episodes} | settings
    config = replace(MamlConfig(**settings), activation=activation, seed=seed)
    fields = config.fields() | {
        "hold_out": "images",
        "train_sha256": "a" * 64,
        "test_episodes_sha256": "b" * 64,
        **(extra or {}),
    }
    name = f"{config.dataset}-{activation}-seed{seed}"
    run = RunStore(store).open(kind="maml", name=name, config=fields)
    sizes = {"parameters": 12725, "stuck_alpha": 0, "attention_layers": 0, "attention": {}}
    metrics: list[dict[str, Any]] = []
    for i in range(iterations):
        record: dict[str, Any] = {
            "iteration": i,
            "train_loss": max(0.2, 1.6 - 0.1 * i),
            "train_accuracy": min(0.9, 0.2 + 0.1 * i),
            "attention": attention(activation, i),
        }
        if validation is not None and i == iterations - 1:
            record["validation_accuracy"] = validation
        metrics.append(record)
    if accuracies is None:
        result = {"outcome": "diverged", "iteration": iterations - 1, **sizes}
        return write(run, result, metrics[:-1], about=about)
    result = {
        "outcome": "complete",
        "test_accuracy": float(np.mean(accuracies)),
        "best_training_accuracy": min(1.0, float(np.mean(accuracies)) + 0.05),
        **sizes,
    }
    records = [{"episode": i, "accuracy": float(a)} for i, a in enumerate(accuracies)]
    return write(run, result, metrics, records, about)


def supervised(
    store: Path,
    config: ConvergeConfig | TransferConfig,
    right: Sequence[Sequence[bool]],
    *,
    pretrained: int | None = None,
    validation: float | None = 0.5,
    keep_right: bool = True,
    diverged: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Run:
    """A run of `metaact converge` or `transfer`; `right` [epochs, images] from its first record."""
    fields, kind = config.fields(), "converge"
    hashes = {"train_sha256": "a" * 64, "test_sha256": "c" * 64}
    starts_at = 1
    if isinstance(config, TransferConfig):
        kind, starts_at = "transfer", 0
        names = ("pretrain_epochs", "text_epochs", "protocol")
        fields = {k: v for k, v in fields.items() if k not in names}
        fields |= {"pretrained": pretrained, "form": [3, 28, 28], "keeps_head": True}
        hashes = {"target_train_sha256": "d" * 64, "target_test_sha256": "e" * 64}
        if not pretrained:
            for name in ("source", "pretrain_lr", "keeps_head"):
                del fields[name]
    fields["epochs"] = len(right) - 1 + starts_at
    name = f"{kind}-{config.activation}-lr{config.lr:g}-seed{config.seed}"
    run = RunStore(store).open(kind=kind, name=name, config={**fields, **hashes})
    metrics: list[dict[str, Any]] = []
    for epoch, answers in enumerate(right, start=starts_at):
        record: dict[str, Any] = {
            "epoch": epoch,
            "train_loss": 2.0 / (epoch + 1),
            "test_accuracy": float(np.mean(answers)),
            "attention": attention(config.activation, epoch),
        }
        if validation is not None:
            record["validation_accuracy"] = validation * (epoch + 1) / (len(right) + 1)
        if keep_right:
            record["test_right"] = pack_bits(answers)
        metrics.append(record)
    sizes = {"parameters": 12930, "stuck_alpha": 0, "attention_layers": 0, "attention": {}}
    if diverged:
        result = {"outcome": "diverged", "epoch": len(right), **sizes}
        return write(run, result, metrics[:-1], about=about)
    result = {"outcome": "complete", "test_images": len(right[0]), **sizes}
    return write(run, result, metrics, about=about)
