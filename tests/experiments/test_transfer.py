"""`metaact transfer` on two small packs: readings, baselines, kept sources, reuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from metaact.experiments.transfer_config import TransferConfig

from metaact.adaptation.supervised.trainer import EpochLoss
from metaact.errors import DataError, RunError, UsageError
from metaact.experiments import transfer, transfer_figures, transfer_report
from metaact.experiments.reuse import Library
from metaact.experiments.sweep import SweepReport, sweep
from metaact.runs import RunStore


def write(path: Path, *, seed: int, channels: int, classes: int = 4) -> Path:
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), 24)
    shape = (len(labels), 28, 28, 3) if channels == 3 else (len(labels), 28, 28)
    images = draw.integers(0, 120, shape).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[6 * label : 6 * label + 6] += 120
    about = {"dataset": path.stem, "split": "all", "official": False, "note": "made by a test"}
    np.savez(path, images=images, labels=labels, provenance=json.dumps(about))
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TransferConfig:
    folder = tmp_path_factory.mktemp("packs")
    return TransferConfig(
        source=str(write(folder / "grey.npz", seed=0, channels=1)),
        target=str(write(folder / "colour.npz", seed=1, channels=3)),
        pretrain_epochs=2,
        pretrain_lr=0.05,
        lr=0.01,
        batch_size=16,
        epochs=(1, 3),
    )


@pytest.fixture(scope="module")
def shared(config: TransferConfig) -> transfer.Study:
    return transfer.study([config])


def library(path: Path) -> Library:
    return Library(RunStore(path), transfer.SOURCE, transfer.TARGET)


def run_all(
    configs: Sequence[TransferConfig], shared: transfer.Study, path: Path, *, stack: int = 1
) -> SweepReport:
    jobs = transfer.jobs_of(configs, shared, library(path), stack=stack)
    return sweep(jobs, tick=lambda n: None, say=lambda line: None)


def test_one_fine_tuning_serves_all_checkpoints(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    report = run_all([config], shared, tmp_path)
    assert report.is_complete
    assert len(report.done) == 3
    stage, only = transfer.stages(config)
    run = transfer.target_run(config, stage, shared, library(tmp_path))
    records = {r["epoch"]: r["test_accuracy"] for r in run.metrics()}
    assert sorted(records) == [0, 1, 2, 3]
    baseline = transfer.target_run(config, only, shared, library(tmp_path))
    summary = transfer_report.summarise([config], shared, library(tmp_path), report)
    (row,) = summary["arms"]
    figures = {name: figure["by_seed"][0] for name, figure in row["figures"].items()}
    assert figures == {
        "target only": baseline.metrics()[-1]["test_accuracy"],
        "never fine-tuned": records[0],
        "1 epochs": records[1],
        "3 epochs": records[3],
    }
    shown = transfer_report.table(summary)
    assert "caption" in shown
    assert shown.endswith(f"{shared.pair.source_pipeline}\n{shared.pair.target_pipeline}")
    json.dumps(summary, allow_nan=False)
    drawn = transfer_figures.draw([config], shared, library(tmp_path), tmp_path / "figures")
    assert len(drawn) == 2


def test_fine_tuning_starts_from_the_source_and_the_baseline_from_scratch(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    run_all([config], shared, tmp_path)
    source = transfer.source_run(config, shared, library(tmp_path))
    assert sorted(source.weights()) == ["epoch-1", "epoch-2"]
    stage, only = transfer.stages(config)
    tuned = transfer._target_trainer(config, stage, shared, library(tmp_path)).model
    for name, tensor in source.weights()["epoch-2"].items():
        assert torch.equal(tuned.state_dict()[name], tensor)
    scratch = transfer._target_trainer(config, only, shared, library(tmp_path)).model
    start = transfer.build(config, shared.pair.source.train, shared)
    for name, tensor in start.state_dict().items():
        assert torch.equal(scratch.state_dict()[name], tensor)


def test_source_is_shared_by_rates_layers_and_readings(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    run_all([config], shared, tmp_path)
    frozen = replace(config, lr=0.02, freeze_activations=True, train_layers=("head",))
    report = run_all([config, frozen], shared, tmp_path)
    assert report.reused == 3
    assert len(report.done) == 5
    tuned = transfer.target_run(frozen, transfer.stages(frozen)[0], shared, library(tmp_path))
    source = transfer.source_run(frozen, shared, library(tmp_path))
    weights, before = tuned.weights(), source.weights()["epoch-2"]
    changed = {name for name in before if not torch.equal(weights[name], before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_reading_of_the_text(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    text = replace(config, protocol="paper-text", epochs=(1, 2), text_epochs=2)
    assert text.pretrain_epochs == 2
    everything = transfer.study([text])
    assert everything.pair.target.validation is None
    report = run_all([text], everything, tmp_path)
    assert [s.pretrained for s in transfer.stages(text)] == [1, 2, 0]
    summary = transfer_report.summarise([text], everything, library(tmp_path), report)
    assert list(summary["arms"][0]["figures"]) == [
        "target only",
        "never fine-tuned",
        "1 epochs",
        "2 epochs",
    ]
    assert "pre-trained for 1, 2 epochs, then fine-tuned for 2" in summary["reading"]


def test_rates_are_tuned_on_the_targets_validation_part(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    configs = [
        replace(config, activation=a, lr=lr, seed=seed)
        for lr in (1e-7, 0.02)
        for a in ("arelu", "relu")
        for seed in (0, 1)
    ]
    report = run_all(configs, shared, tmp_path)
    summary = transfer_report.summarise(configs, shared, library(tmp_path), report)
    assert [(r["activation"], r["lr"]) for r in summary["tuned"]] == [
        ("arelu", 0.02),
        ("relu", 0.02),
    ]
    assert summary["arms"][1]["difference"]["reference"] == "arelu"
    assert "difference" not in summary["tuned"][0]
    last = [[a["figures"]["3 epochs"]["by_seed"][s] for s in (0, 1)] for a in summary["tuned"]]
    gap = np.mean(last[1]) - np.mean(last[0])
    assert summary["tuned"][1]["difference"]["interval"]["mean"] == pytest.approx(gap)
    lost = transfer_report.summarise(
        [*configs, *(replace(c, activation="selu", pretrain_lr=1e25) for c in configs[:5:4])],
        shared,
        library(tmp_path),
        report,
    )
    assert lost["untuned"] == ["selu"]
    assert "At no rate all seeds are there: selu." in transfer_report.table(lost)


def test_stacked_fine_tunings_agree(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    gentle = replace(config, pretrain_lr=0.005, epochs=(1,))
    configs = [replace(gentle, lr=lr, seed=seed) for lr in (0.01, 0.001) for seed in (0, 1)]
    run_all(configs, shared, tmp_path / "alone")
    run_all(configs, shared, tmp_path / "stack", stack=4)
    for one in configs:
        for stage in transfer.stages(one):
            alone, stacked = (
                transfer.target_run(one, stage, shared, library(tmp_path / name)).weights()
                for name in ("alone", "stack")
            )
            for name, tensor in alone.items():
                torch.testing.assert_close(stacked[name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stack", [1, 4])
def test_diverged_source_is_an_outcome(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path, stack: int
) -> None:
    wild = replace(config, pretrain_lr=1e25)
    report = run_all([wild, replace(wild, seed=1), config], shared, tmp_path, stack=stack)
    assert report.is_complete
    run = transfer.target_run(wild, transfer.stages(wild)[0], shared, library(tmp_path))
    assert run.result() == {"outcome": "source diverged", "epoch": 1}
    summary = transfer_report.summarise([wild, config], shared, library(tmp_path), report)
    first, second = (row["figures"]["3 epochs"] for row in summary["arms"])
    assert (first["complete"], first["source_diverged"], first["diverged"]) == (1, 1, 0)
    assert second["source_diverged"] == 0
    assert "– (1 source diverged)" in transfer_report.table(summary)
    assert run_all([wild], shared, tmp_path).reused == 3


def test_source_that_diverged_late_serves_what_starts_before(
    config: TransferConfig,
    shared: transfer.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Late(transfer.Trainer):
        def epoch(self, **settings: Any) -> EpochLoss:
            outcome = super().epoch(**settings)
            return replace(outcome, diverged_at=0) if self.epochs == 2 else outcome

    monkeypatch.setattr(transfer, "Trainer", Late)
    text = replace(config, protocol="paper-text", epochs=(1, 2), text_epochs=1)
    report = run_all([text], shared, tmp_path)
    assert report.is_complete
    (arm,) = transfer_report.collect([text], shared, library(tmp_path))
    assert [(cell.name, len(cell.test), len(cell.source_diverged)) for cell in arm.cells] == [
        ("target only", 1, 0),
        ("never fine-tuned", 0, 1),
        ("1 epochs", 1, 0),
        ("2 epochs", 0, 1),
    ]


def test_missing_source_is_an_error(
    config: TransferConfig, shared: transfer.Study, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match="pre-training is not there"):
        transfer.source_weights(transfer.source_run(config, shared, library(tmp_path)), 2)


def test_other_number_of_classes_gets_a_new_head(config: TransferConfig, tmp_path: Path) -> None:
    other = replace(
        config, target=str(write(tmp_path / "three.npz", seed=2, channels=1, classes=3))
    )
    shared = transfer.study([other])
    assert not shared.pair.keeps_head
    assert run_all([other], shared, tmp_path).is_complete


def test_own_pipeline_can_be_given(config: TransferConfig, shared: transfer.Study) -> None:
    changed = transfer.study([config], matched=replace(shared.pair, target=shared.pair.source))
    assert changed.target_identity != shared.target_identity


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_set_that_holds_out_classes_is_refused(config: TransferConfig, side: str) -> None:
    with pytest.raises(UsageError, match=rf"`{side}` must test new images .*; omniglot tests"):
        transfer.study([replace(config, **{side: "omniglot"})])  # type: ignore[arg-type]


def test_missing_data_name_what_works_now(config: TransferConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="metaact transfer printed-digits street-digits"):
        transfer.study([replace(config, target=str(tmp_path / "nowhere.npz"))])


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": ()},
        {"epochs": (0,)},
        {"pretrain_epochs": 0},
        {"pretrain_lr": float("nan")},
        {"lr": -1.0},
        {"text_epochs": 0},
        {"protocol": "text"},
    ],
)
def test_settings_outside_their_range_are_refused(change: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=next(iter(change))):
        TransferConfig(**change)
