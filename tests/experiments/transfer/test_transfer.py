"""`transfer` on two small packs: readings, baselines, kept sources, divergence, reuse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from metaact import experiments, reports, tasks
from metaact.adaptation.supervised.trainer import EpochLoss
from metaact.errors import DataError, RunError, UsageError
from metaact.experiments import TRANSFER, Member, TransferConfig
from metaact.experiments.transfer import run as transfer
from metaact.reports import ArmReport
from metaact.runs import Run, RunStore


@pytest.fixture(scope="module")
def shared(transfer_config: TransferConfig) -> transfer.DomainData:
    return transfer.prepare([transfer_config])


@pytest.fixture(scope="module")
def store(transfer_config: TransferConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the three runs of `transfer_config`; to be read only."""
    path = tmp_path_factory.mktemp("store")
    assert experiments.run(TRANSFER, [transfer_config], path).report.is_complete
    return path


def run_of(config: TransferConfig, store: Path, pretrained: int | None) -> Run:
    """The pre-training (None), or the fine-tuning from so many epochs."""
    for job in experiments.prepare(TRANSFER, [config], store).jobs:
        if job.planned.identity.get("pretrained") == pretrained:
            return job.run
    raise AssertionError(pretrained)


def arms_of(configs: Sequence[TransferConfig], store: Path) -> list[ArmReport]:
    outcome = experiments.run(TRANSFER, configs, store)
    return [arm for study in reports.answer(outcome).studies for arm in study.arms]


def test_one_fine_tuning_serves_all_checkpoints(
    transfer_config: TransferConfig, store: Path
) -> None:
    assert len(RunStore(store).runs()) == 3
    records = {r["epoch"]: r for r in run_of(transfer_config, store, 2).metrics()}
    assert sorted(records) == [0, 1, 2, 3]
    only = run_of(transfer_config, store, 0).metrics()
    source = run_of(transfer_config, store, None).metrics()
    document = reports.answer(experiments.run(TRANSFER, [transfer_config], store))
    (study,) = document.studies
    (arm,) = study.arms
    assert {name: column.by_seed[0] for name, column in arm.columns.items()} == {
        "source": pytest.approx(source[-1]["test_accuracy"]),
        "target only": pytest.approx(only[-1]["test_accuracy"]),
        "never fine-tuned": pytest.approx(records[0]["test_accuracy"]),
        "epoch 1": pytest.approx(records[1]["test_accuracy"]),
    }
    assert arm.by_seed == {0: pytest.approx(records[3]["test_accuracy"])}
    shown = " ".join(reports.text.plain(document).split())
    assert "Reading of the paper: caption: pre-trained for 2 epochs, then fine-tuned for" in shown
    pair = tasks.pair(transfer_config.source, transfer_config.target)
    for pipeline in (pair.source_pipeline, pair.target_pipeline):
        assert " ".join(str(pipeline).split()) in shown


def test_fine_tuning_starts_from_the_source_and_the_baseline_from_scratch(
    transfer_config: TransferConfig, store: Path, shared: transfer.DomainData
) -> None:
    source = run_of(transfer_config, store, None)
    assert sorted(source.weights()) == ["epoch-1", "epoch-2"]
    plan = {p.identity.get("pretrained"): p for p in transfer.plan([transfer_config], shared)}

    def start(pretrained: int, needs: tuple[Run, ...] = ()) -> dict[str, torch.Tensor]:
        run = run_of(transfer_config, store, pretrained)
        member = Member(planned=plan[pretrained], run=run, needs=needs)
        found: dict[str, torch.Tensor] = transfer._finetuning(
            member, shared
        ).trainer.model.state_dict()
        return found

    tuned, scratch = start(2, (source,)), start(0)
    for name, tensor in source.weights()["epoch-2"].items():
        assert torch.equal(tuned[name], tensor)
    begin = transfer.build(transfer_config, shared.target.train, shared)
    for name, tensor in begin.state_dict().items():
        assert torch.equal(scratch[name], tensor)


def test_source_is_shared_by_rates_layers_and_readings(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    short = replace(transfer_config, epochs=(1,))
    experiments.run(TRANSFER, [short], tmp_path)
    frozen = replace(short, lr=0.02, freeze_activations=True, train_layers=("head",))
    report = experiments.run(TRANSFER, [short, frozen], tmp_path).report
    assert (report.reused, len(report.done)) == (3, 5)
    weights = run_of(frozen, tmp_path, 2).weights()
    before = run_of(frozen, tmp_path, None).weights()["epoch-2"]
    changed = {name for name in before if not torch.equal(weights[name], before[name])}
    assert changed == {"head.weight", "head.bias"}


def test_reading_of_the_text(transfer_config: TransferConfig, tmp_path: Path) -> None:
    text = replace(transfer_config, protocol="paper-text", epochs=(1, 2), text_epochs=2)
    assert text.pretrain_epochs == 2
    assert transfer.prepare([text]).target.validation is None
    assert [s.pretrained for s in transfer.stages(text)] == [1, 2, 0]
    outcome = experiments.run(TRANSFER, [text], tmp_path)
    assert len(outcome.report.done) == 4
    document = reports.answer(outcome)
    assert [study.settings["pretrained"] for study in document.studies] == [1, 2]
    for study in document.studies:
        (arm,) = study.arms
        assert set(arm.columns) == {"source", "target only", "never fine-tuned"}
        records = run_of(text, tmp_path, study.settings["pretrained"]).metrics()
        assert arm.by_seed == {0: pytest.approx(records[-1]["test_accuracy"])}
        assert "text: pre-trained for 1, 2 epochs, then fine-tuned for 2" in " ".join(
            study.data_notes
        )
        only = run_of(text, tmp_path, 0).metrics()[-1]["test_accuracy"]
        assert arm.columns["target only"].by_seed == {0: pytest.approx(only)}


def test_rates_are_tuned_on_the_targets_validation_part(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    configs = [
        replace(transfer_config, activation=a, lr=lr, seed=seed, pretrain_epochs=1)
        for lr in (1e-7, 0.01)
        for a in ("arelu", "relu")
        for seed in (0, 1)
    ]
    (study,) = reports.answer(experiments.run(TRANSFER, configs, tmp_path)).studies
    assert study.tuned is not None
    last = {
        (r.config["activation"], r.config["lr"], r.config["seed"]): r.metrics()[-1]
        for r in RunStore(tmp_path).runs("transfer")
        if r.config["pretrained"]
    }
    for value, name in study.tuned.chosen.items():
        scores = {lr: last[value, lr, 0]["validation_accuracy"] for lr in (1e-7, 0.01)}
        best = min(scores, key=lambda lr: (-scores[lr], lr))
        assert study.arm(name).rates["lr"] == best
    (own,) = study.tuned.comparisons
    assert study.reference == "arelu"

    def mean(name: str) -> float:
        arm = study.arm(name)
        scored: float = last[arm.value, arm.rates["lr"], 1]["test_accuracy"]
        return scored  # of the other seed than the one that chose

    assert own.interval.mean == pytest.approx(mean(own.first) - mean(own.second))


def test_an_arm_without_all_seeds_at_any_rate_is_named(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    short = replace(transfer_config, epochs=(1,), pretrain_epochs=1)
    configs = [replace(short, lr=lr) for lr in (1e-7, 0.01)]
    configs += [replace(c, activation="selu", pretrain_lr=1e25) for c in configs]
    (study,) = reports.answer(experiments.run(TRANSFER, configs, tmp_path)).studies
    assert study.tuned is not None
    assert list(study.tuned.chosen) == ["arelu"]
    assert study.tuned.budget.without == ("selu",)
    lacking = "At no rate all seeds that choose are there: selu."
    assert lacking in " ".join(study.tuned.notes)


@pytest.mark.parametrize("stack", [1, 4])
def test_diverged_source_is_an_outcome(
    transfer_config: TransferConfig, tmp_path: Path, stack: int
) -> None:
    base = replace(transfer_config, stack=stack, epochs=(1,), pretrain_epochs=1)
    wild = replace(base, pretrain_lr=1e25)
    configs = [wild, replace(wild, seed=1), base]
    outcome = experiments.run(TRANSFER, configs, tmp_path)
    assert outcome.report.is_complete
    assert run_of(wild, tmp_path, 1).result() == {"outcome": "source diverged", "epoch": 1}
    (study,) = reports.answer(outcome).studies
    found = {arm.rates["pretrain_lr"]: arm for arm in study.arms}
    assert (found[1e25].failed, found[1e25].score) == ([0, 1], None)
    assert found[0.05].seeds == [0]
    assert "1e+25: every seed diverged" in " ".join(study.notes)
    assert experiments.run(TRANSFER, [wild], tmp_path).report.reused == 3


def test_source_that_diverged_late_serves_what_starts_before(
    transfer_config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(transfer.Trainer):
        def epoch(self, **settings: Any) -> EpochLoss:
            outcome = super().epoch(**settings)
            return replace(outcome, diverged_at=0) if self.epochs == 2 else outcome

    monkeypatch.setattr(transfer, "Trainer", Late)
    text = replace(transfer_config, protocol="paper-text", epochs=(1, 2), text_epochs=1)
    outcome = experiments.run(TRANSFER, [text], tmp_path)
    assert outcome.report.is_complete
    found = {
        study.settings["pretrained"]: study.arms[0] for study in reports.answer(outcome).studies
    }
    assert (found[1].seeds, found[1].failed) == ([0], [])
    assert (found[2].seeds, found[2].failed) == ([], [0])
    assert run_of(text, tmp_path, 2).result() == {"outcome": "source diverged", "epoch": 2}
    assert found[2].columns["target only"].by_seed.keys() == {0}
    assert "never fine-tuned" not in found[2].columns


def test_missing_source_is_an_error(transfer_config: TransferConfig, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="pre-training is not there"):
        transfer.source_weights(run_of(transfer_config, tmp_path, None), 2)


def test_a_busy_source_is_waited_for(transfer_config: TransferConfig, tmp_path: Path) -> None:
    """Another command that needs it, too, may be making it: each is a job of its own elsewhere."""
    ready = experiments.prepare(TRANSFER, [replace(transfer_config, epochs=(1,))], tmp_path)
    holder = ready.jobs[0].run
    held = Run(holder.directory, kind=holder.kind, name=holder.name, config=holder.config)
    said: list[str] = []
    with ExitStack() as lock:
        lock.enter_context(held.lock())

        def say(line: str) -> None:
            said.append(line)
            if "waiting for it" in line:
                lock.close()

        report = ready.run(say=say).report
    assert report.complaints() == []
    assert [run.config["pretrained"] for run in report.done if run.kind == "transfer"] == [2, 0]
    (line,) = (line for line in said if "waiting for it" in line)
    assert line.startswith(ready.jobs[0].label)


def test_other_number_of_classes_gets_a_new_head(
    transfer_config: TransferConfig, tmp_path: Path, make_pack: Any
) -> None:
    three = make_pack(tmp_path / "three.npz", seed=2, channels=1, classes=3)
    other = replace(transfer_config, target=str(three), epochs=(1,), pretrain_epochs=1)
    assert not transfer.prepare([other]).keeps_head
    outcome = experiments.run(TRANSFER, [other], tmp_path / "runs")
    (study,) = reports.answer(outcome).studies
    assert study.settings["keeps_head"] is False
    assert study.measure.chance == pytest.approx(1 / 3)
    assert any("with a new, random head" in note for note in study.column_notes)


def test_own_pipeline_can_be_given(
    transfer_config: TransferConfig, shared: transfer.DomainData, tmp_path: Path
) -> None:
    pair = tasks.pair(transfer_config.source, transfer_config.target)
    pair = replace(pair, target=pair.source)
    changed = transfer.prepare([transfer_config], pair=pair)
    assert changed.target_identity != shared.target_identity
    given = experiments.prepare(TRANSFER, [transfer_config], tmp_path, pair=pair).jobs
    usual = experiments.prepare(TRANSFER, [transfer_config], tmp_path).jobs
    assert given[0].run.identity == usual[0].run.identity  # the same source
    assert given[1].run.identity != usual[1].run.identity


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_set_that_holds_out_classes_is_refused(
    transfer_config: TransferConfig, side: str
) -> None:
    with pytest.raises(UsageError, match=rf"`{side}` must test new images .*; omniglot tests"):
        transfer.prepare([replace(transfer_config, **{side: "omniglot"})])  # type: ignore[arg-type]


def test_missing_data_name_what_works_now(transfer_config: TransferConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="metaact transfer printed-digits street-digits"):
        transfer.prepare([replace(transfer_config, target=str(tmp_path / "nowhere.npz"))])


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


def test_transfer_has_the_cells_of_table_2_in_one_direction() -> None:
    from metaact import paper
    from metaact.experiments.transfer import cell

    settings = TransferConfig(source="mnist", target="svhn").fields()
    rates = {"lr": 1e-5, "pretrain_lr": 1e-2}
    found = cell(settings, rates, 10)
    assert found == (2, "finetune_10_epochs")
    assert found[1] in paper.table(2)["AReLU"]
    assert cell(settings, rates | {"lr": 1e-4}, 10) is None
    back = TransferConfig(source="svhn", target="mnist").fields()
    assert cell(back, rates, 10) is None
