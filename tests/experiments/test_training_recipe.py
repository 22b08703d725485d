"""Settings of training in runs: what they record, what they are reused for, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.transforms import v2

import metaact
from metaact import experiments, reports, tasks
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, TRANSFER, ConvergeConfig, TransferConfig
from metaact.experiments.converge import run as converge
from metaact.experiments.evidence import shared_settings
from metaact.runs import Run, RunStore

RECIPES: dict[str, dict[str, Any]] = {
    "step": {
        "schedule": "step",
        "milestones": (1, 2),
        "lr_factor": 0.5,
        "nesterov": True,
        "weight_decay": 0.01,
        "augmentation": "crop-flip",
    },
    "cosine": {"schedule": "cosine", "warmup_epochs": 1, "clip_norm": 0.5},
}


def only_run(store: Path) -> Run:
    (found,) = RunStore(store).runs()
    return found


def curve(run: Run) -> list[tuple[float, float]]:
    return [(m["epoch"], m["test_loss"]) for m in run.metrics() if "train_loss" in m]


@pytest.mark.parametrize(
    ("name", "expected"), [("step", [0.02, 0.01, 0.005]), ("cosine", [0.02, 0.02, 0.01])]
)
def test_the_rate_of_each_epoch_is_recorded(
    converge_config: ConvergeConfig, tmp_path: Path, name: str, expected: list[float]
) -> None:
    config = replace(converge_config, **RECIPES[name])
    assert experiments.run(CONVERGE, [config], tmp_path).report.is_complete
    run = only_run(tmp_path)
    assert [m["lr"] for m in run.metrics() if "train_loss" in m] == pytest.approx(expected)
    for record in run.metrics()[1:]:  # thirty classes
        assert record["test_accuracy"] <= record["test_top5_accuracy"] <= 1
    assert run.result()["test_top5_accuracy"] == run.metrics()[-1]["test_top5_accuracy"]


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_killed_run_ends_bit_for_bit_the_same(
    converge_config: ConvergeConfig,
    tmp_path: Path,
    name: str,
    run_killed: Callable[..., object],
) -> None:
    config = replace(converge_config, **RECIPES[name], normalisation="fitted")
    experiments.run(CONVERGE, [config], tmp_path / "whole")
    assert run_killed(CONVERGE, [config], tmp_path / "killed", after=2) is None
    assert not only_run(tmp_path / "killed").is_complete
    experiments.run(CONVERGE, [config], tmp_path / "killed")
    whole, killed = (only_run(tmp_path / name) for name in ("whole", "killed"))
    assert whole.metrics() == killed.metrics()
    weights = whole.weights(), killed.weights()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_a_shorter_cosine_is_another_run_and_a_shorter_step_schedule_is_not(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    """The property behind reuse: whether the first epochs of a longer run are the shorter run."""
    for name, recipe in (
        ("cosine", {"schedule": "cosine"}),
        ("step", {"schedule": "step", "milestones": (1,)}),
        ("constant", {}),
    ):
        longer = replace(converge_config, epochs=4, **recipe)
        shorter = replace(longer, epochs=2)
        for config in (longer, shorter):
            store = tmp_path / name / str(config.epochs)
            experiments.run(CONVERGE, [config], store)
        curves = [curve(only_run(tmp_path / name / n)) for n in ("4", "2")]
        same = curves[0][:2] == curves[1]
        assert same == (name != "cosine")

        outcome = experiments.run(CONVERGE, [shorter], tmp_path / name / "4")
        assert outcome.report.reused == same
        assert len(RunStore(tmp_path / name / "4").runs()) == (1 if same else 2)

        settings = [c.fields() for c in (longer, shorter)]
        studies = [shared_settings(CONVERGE, one, at=2) for one in settings]
        assert (studies[0] == studies[1]) == same


def test_cosines_of_two_lengths_are_two_studies_wherever_they_are_read(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    configs = [
        replace(converge_config, schedule="cosine", epochs=epochs, activation=name)
        for epochs in (2, 4)
        for name in ("relu", "arelu")
    ]
    experiments.run(CONVERGE, configs, tmp_path)
    document = reports.compare(reports.gather([tmp_path], at=2))
    assert [len(study.arms) for study in document.studies] == [2, 2]
    titles = [study.title for study in document.studies]
    assert sorted(title.count("4 epochs read after 2") for title in titles) == [0, 1]


def test_a_setting_that_was_added_can_be_the_question(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    """Runs that do not name it are the arm of its default."""
    configs = [converge_config, replace(converge_config, augmentation="crop-flip")]
    experiments.run(CONVERGE, configs, tmp_path)
    evidence = reports.gather([tmp_path], by="augmentation")
    assert not evidence.left_out
    (study,) = evidence.studies
    assert {arm.value for arm in study.arms} == {"none", "crop-flip"}


def test_normalisation_is_fitted_on_the_training_part_and_recorded(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    config = replace(converge_config, normalisation="fitted", lr=0.005)
    experiments.run(CONVERGE, [config], tmp_path)
    recorded = only_run(tmp_path).environment()["normalisation"]
    split = tasks.split(config.dataset, hold_out="images")
    pixels = split.train.pixels.double() / 255
    assert recorded["mean"] == pytest.approx([float(pixels.mean())])
    assert recorded["std"] == pytest.approx([float(pixels.std(correction=0))])
    shared = converge.prepare([config])
    model = converge.build(config, shared).eval()
    model.load_state_dict(only_run(tmp_path).weights())
    with torch.no_grad():
        seen = v2.functional.normalize(shared.test.pixels / 255, recorded["mean"], recorded["std"])
        right = (model(seen).argmax(dim=1) == shared.test.labels).float().mean()
    assert only_run(tmp_path).result()["test_accuracy"] == pytest.approx(float(right))
    loaded = metaact.load(only_run(tmp_path).directory)
    with torch.no_grad():
        torch.testing.assert_close(loaded(shared.test.pixels), model(seen))


def test_published_values_are_those_of_the_data_set(striped_root: Path) -> None:
    config = ConvergeConfig(dataset="mnist", normalisation="published")
    shared = converge.prepare([config], root=striped_root)
    assert shared.normalisation["mean"] == [0.1307]
    assert shared.normalisation["std"] == [0.3081]
    with pytest.raises(UsageError, match=r"none or fitted for svhn .*published for mnist"):
        converge.prepare([replace(config, dataset="svhn")], root=striped_root)


def test_arms_of_a_seed_see_the_same_augmented_batches(converge_config: ConvergeConfig) -> None:
    config = replace(converge_config, augmentation="crop-flip")
    shared = converge.prepare([config])
    crops = [
        converge.trainer(replace(config, activation=name, seed=seed), shared).crops()
        for name, seed in (("relu", 0), ("arelu", 0), ("relu", 1))
    ]
    assert crops[0] is not None
    assert crops[1] is not None
    assert torch.equal(crops[0], crops[1])
    assert crops[2] is not None
    assert not torch.equal(crops[0], crops[2])


def test_each_domain_of_a_transfer_is_normalised_by_itself(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    config = replace(
        transfer_config, normalisation="fitted", augmentation="crop-flip", epochs=(2,), **COSINE
    )
    assert experiments.run(TRANSFER, [config], tmp_path).report.is_complete
    runs = RunStore(tmp_path).runs()
    means = {run.directory.name: run.environment()["normalisation"]["mean"] for run in runs}
    assert len(runs) == 3
    source = next(mean for name, mean in means.items() if name.startswith("grey-arelu"))
    targets = [mean for name, mean in means.items() if not name.startswith("grey-arelu")]
    assert targets[0] == targets[1] != source
    for run in runs:
        # Pre-training does not depend on how fine-tuning is done.
        assert ("augmentation" in run.config) == (run.kind == "transfer")
        assert run.config["normalisation"] == "fitted"


COSINE: dict[str, Any] = {"schedule": "cosine"}


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        (ConvergeConfig(), {"warmup_epochs": 20}, "less than the 20 planned epochs"),
        (ConvergeConfig(), {"schedule": "step", "milestones": (20,)}, "from 1 to 19"),
        (ConvergeConfig(), {"milestones": (5,)}, "unless `schedule` is step"),
        (ConvergeConfig(optimizer="adam"), {"nesterov": True}, "`nesterov` must be left out"),
        (TransferConfig(), COSINE, "one number with a cosine schedule .*; got 5,10,20"),
        (TransferConfig(), {"schedule": "step", "milestones": (20,)}, "from 1 to 19"),
    ],
)
def test_contradictions_are_refused_when_a_config_is_made(
    config: Any, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        replace(config, **change)


def test_mixed_precision_on_a_cpu_is_refused_before_anything_is_written(
    converge_config: ConvergeConfig, tmp_path: Path
) -> None:
    config = replace(converge_config, precision="bfloat16")
    with pytest.raises(UsageError, match="`precision` must be float32 on a CPU"):
        experiments.prepare(CONVERGE, [config], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_runs_of_a_recipe_stand_in_no_cell_of_the_papers_tables() -> None:
    paper = ConvergeConfig(dataset="mnist", protocol="paper", optimizer="adam")
    assert CONVERGE.cell(paper.fields(), {"lr": 1e-4}, 1) == (1, "adam_1e-4")
    changes: list[dict[str, Any]] = [
        {"augmentation": "crop-flip"},
        {"normalisation": "fitted"},
        {"schedule": "cosine"},
    ]
    for change in changes:
        other = replace(paper, **change)
        assert CONVERGE.cell(other.fields(), {"lr": 1e-4}, 1) is None
    caption = TransferConfig(source="mnist", target="svhn", epochs=(20,))
    known = caption.fields() | {"epochs": 20, "pretrained": 20}
    assert TRANSFER.cell(known, {"lr": 1e-5, "pretrain_lr": 1e-2}, 20) is not None
    assert (
        TRANSFER.cell({**known, "augmentation": "crop-flip"}, {"lr": 1e-5, "pretrain_lr": 1e-2}, 20)
        is None
    )
