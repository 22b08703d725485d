"""Version 0.1.0: its runs have the identities of today's, are found, read, compared and reused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metaact import experiments, reports
from metaact.errors import RunError
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    Experiment,
    MamlConfig,
    TransferConfig,
    find,
)
from metaact.reports import run_page
from metaact.runs import RunStore, entry, pack_bits
from metaact.settings import Config

MORE_MAML: dict[str, Any] = {
    "activation": "relu",
    "seed": 3,
    "first_order": True,
    "head_only": True,
    "inner_steps": 2,
    "test_inner_steps": 4,
    "meta_lr": 0.01,
    "replacement": False,
    "model": "conv4",
    "batch_norm": "batch",
    "task_pool": 7,
    "hold_out": "images",
    "test_queries": 2,
    "test_episodes": 8,
    "engine": "loop",
}
MORE_CONVERGE: dict[str, Any] = {
    "activation": "relu",
    "seed": 2,
    "optimizer": "adam",
    "momentum": 0.5,
    "weight_decay": 0.1,
    "decay": "weights",
    "train_layers": ("head", "features"),
    "layer_lrs": (("head", 0.5), ("activations", 1e-3)),
    "freeze_activations": True,
    "model": "conv4",
    "batch_norm": "batch",
    "lr": 1e-4,
    "first_epoch_points": None,
}
MORE_TRANSFER: dict[str, Any] = {
    "activation": "relu",
    "seed": 2,
    "optimizer": "adam",
    "weight_decay": 0.1,
    "decay": "all",
    "train_layers": ("head",),
    "layer_lrs": (("head", 0.5),),
    "freeze_activations": True,
}
TEXT: dict[str, Any] = {"protocol": "paper-text", "epochs": (1, 2), "text_epochs": 2}
PAPER: dict[str, Any] = {"protocol": "paper", "activation": "gelu", "queries": 3, "task_pool": 0}

# Printed by version 0.1.0 (its `open_run`, `source_run`, `target_run`) for these settings and data.
KNOWN: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "maml",
        {},
        [
            "maml/blobs-3way-1shot-arelu-seed0-1f71d9f660",
            "1f71d9f6609c7edc7ea96a40b6c8690c11d66c22d26870a186c3ee1d56c8ea92",
        ],
    ),
    (
        "maml",
        MORE_MAML,
        [
            "maml/blobs-3way-1shot-relu-seed3-15b456b23b",
            "15b456b23b82a4ef23f4c40f60ce79807bf5fa3811fcbc88f8e33ea786225bf5",
        ],
    ),
    (
        "maml",
        PAPER,
        [
            "maml/blobs-3way-1shot-gelu-paper-seed0-6fb7686933",
            "6fb7686933d81f01d0ca97677e116f2cc37434e6df035f349b10fe10fd2d855d",
        ],
    ),
    (
        "converge",
        {},
        [
            "converge/blobs-sgd-lr0.02-arelu-seed0-e4068b4e20",
            "e4068b4e20af2dc36862ba08296fe1f83940d07cd9548bd4ff49e79006bec5dd",
        ],
    ),
    (
        "converge",
        MORE_CONVERGE,
        [
            "converge/blobs-adam-lr0.0001-relu-seed2-374030578f",
            "374030578fe48311ef508af11a794af003781c5e32297635c652bab5ef0c03c6",
        ],
    ),
    (
        "converge",
        {"protocol": "paper", "activation": "slaf"},
        [
            "converge/blobs-sgd-lr0.02-slaf-paper-seed0-127baf2bcb",
            "127baf2bcb81a898664297bc02a89743c92440a12bf95ef33f45bdfc72b25f5c",
        ],
    ),
    (
        "transfer",
        {},
        [
            "source/grey-arelu-seed0-db2018cef9",
            "db2018cef9ee6a49dd4b907247d4763d6fd10b8c930c5d806dd4791e433f94ec",
            "transfer/grey-colour-pre2-lr0.01-arelu-seed0-93064939b6",
            "93064939b6ab2a61f71a7f80093d9f51b9ea8f7c248771042f684c03786c9df0",
            "transfer/colour-pre0-lr0.01-arelu-seed0-42861735e1",
            "42861735e157183e1ae2611f15b960e80428f9b8115db1d329de404fe63e0e13",
        ],
    ),
    (
        "transfer",
        MORE_TRANSFER,
        [
            "source/grey-relu-seed2-c85ef042c8",
            "c85ef042c8946b7e0b7c1e86b37e5330764b068b878aac834501122fa3db9be3",
            "transfer/grey-colour-pre2-lr0.01-relu-seed2-b84293fb0c",
            "b84293fb0c6dfda5b45428126993d0cb106daca61e26a2bdc8166c6ef1db7583",
            "transfer/colour-pre0-lr0.01-relu-seed2-290d832b35",
            "290d832b356f3b5ba52802c5478271e9986bb588a43ca219e97f1724e77eb46a",
        ],
    ),
    (
        "transfer",
        TEXT,
        [
            "source/grey-arelu-seed0-6a7c7a181b",
            "6a7c7a181b4e90f15c1e2b8a6d0eca7d4ea7f42a459d94dd5b3252a9f08c386f",
            "transfer/grey-colour-pre1-lr0.01-arelu-seed0-0de28eb0ff",
            "0de28eb0ffb53816118503363556bf72e5d78d230602aa43d55bd3a91081fe7d",
            "transfer/grey-colour-pre2-lr0.01-arelu-seed0-56c53e16d6",
            "56c53e16d6bfec7ae34aab070cd0694497a910c1d99c4666fdd89f6d4aa16306",
            "transfer/colour-pre0-lr0.01-arelu-seed0-7055b43db0",
            "7055b43db0a310ee2266c7bab3e7a7ccd11e4c1673c927fd12aaf5161f1fde2f",
        ],
    ),
]


@pytest.mark.parametrize(("name", "change", "known"), KNOWN, ids=lambda v: str(v)[:40])
def test_runs_are_named_as_by_version_0_1_0(
    name: str,
    change: dict[str, Any],
    known: list[str],
    configs: dict[str, Config],
    tmp_path: Path,
) -> None:
    config: Any = replace(configs[name], **change)  # type: ignore[type-var]
    ready = experiments.prepare(find(name), [config], tmp_path)
    runs = [job.run for job in ready.jobs]
    found = [t for r in runs for t in (f"{r.kind}/{r.directory.name}", r.identity)]
    assert found == known


SIZES = {"parameters": 12649, "attention": {}, "stuck_alpha": 0, "attention_layers": 0}

Write = Callable[..., Path]


def planned_config(experiment: Experiment, config: Config, folder: Path) -> list[Any]:
    """What names the runs of a config, by today's plan; nothing is written."""
    return [job.planned for job in experiments.prepare(experiment, [config], folder).jobs]


def write_maml(
    store: Path, config: MamlConfig, accuracies: list[float] | None, write: Write
) -> Path:
    (planned,) = planned_config(MAML, config, store)
    part = {"dataset": "blobs", "split": "test", "official": False, "note": "made by a test"}
    metrics = [
        {"iteration": i, "train_loss": 1.0 - 0.1 * i, "train_accuracy": 0.5 + 0.05 * i}
        for i in range(6 if accuracies is not None else 2)
    ]
    for record in metrics[1::2]:
        record["validation_accuracy"] = 0.6
    result: dict[str, Any] = {"outcome": "diverged", "iteration": 2, **SIZES}
    if accuracies is not None:
        mean = sum(accuracies) / len(accuracies)
        figures = {"test_accuracy": mean, "best_training_accuracy": 0.75}
        result = {"outcome": "complete", **figures, **SIZES}
    return write(
        store,
        kind="maml",
        name=planned.name,
        config=dict(planned.identity),
        data={"held_out": "classes", "official": False, "test": {**part, "images": 120}},
        metrics=metrics,
        result=result,
        accuracies=accuracies or (),
    )


ANSWERS = {
    ("arelu", 0): [k / 15 for k in (9, 10, 11, 12, 8, 7, 9, 10, 11, 12, 13, 14)],
    ("arelu", 1): [k / 15 for k in (8, 11, 10, 12, 9, 7, 8, 10, 13, 12, 12, 14)],
    ("relu", 0): [k / 15 for k in (5, 6, 7, 8, 5, 5, 6, 7, 7, 8, 9, 10)],
    ("relu", 1): [k / 15 for k in (6, 6, 8, 8, 4, 5, 5, 7, 9, 8, 9, 11)],
}


def test_meta_learning_of_0_1_0_is_read_compared_and_reused(
    maml_config: MamlConfig, tmp_path: Path, write_old_run: Write
) -> None:
    runs = {key: replace(maml_config, activation=key[0], seed=key[1]) for key in sorted(ANSWERS)}
    for key, config in runs.items():
        write_maml(tmp_path, config, ANSWERS[key], write_old_run)
    listing = RunStore(tmp_path).scan()
    assert not listing.damaged
    assert [run.about for run in listing.runs] == [{}] * 4

    evidence = reports.gather([tmp_path])
    assert not evidence.left_out
    (study,) = evidence.studies
    assert (study.measure.units, study.measure.chance) == (12, pytest.approx(1 / 3))
    for arm in study.arms:
        for record in arm.records:
            assert record.scores is not None
            assert record.scores.tolist() == ANSWERS[arm.value, record.seed]
            assert record.validation == 0.6

    (found,) = reports.compare(evidence).studies
    means = {key: sum(a) / 12 for key, a in ANSWERS.items()}
    assert found.arm("arelu").by_seed == pytest.approx({0: means["arelu", 0], 1: means["arelu", 1]})
    (comparison,) = found.comparisons
    gap = (means["arelu", 0] + means["arelu", 1] - means["relu", 0] - means["relu", 1]) / 2
    assert (comparison.first, comparison.second) == ("arelu", "relu")
    assert comparison.interval.mean == pytest.approx(gap)
    assert found.commands == []  # version 0.1.0 recorded none

    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json*")}
    outcome = experiments.run(MAML, list(runs.values()), tmp_path)
    assert outcome.report.reused == 4
    answer = reports.answer(outcome)
    assert answer.reused == 4
    assert not answer.missing
    assert answer.studies[0].arms[0].by_seed == found.arm("arelu").by_seed
    assert answer.studies[0].comparisons[0].interval.mean == pytest.approx(-gap)  # relu - arelu
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json*")} == before


def test_a_seed_of_0_1_0_that_diverged_is_counted(
    maml_config: MamlConfig, tmp_path: Path, write_old_run: Write
) -> None:
    write_maml(tmp_path, maml_config, ANSWERS["arelu", 0], write_old_run)
    write_maml(tmp_path, replace(maml_config, seed=1), None, write_old_run)
    (found,) = reports.compare(reports.gather([tmp_path])).studies
    assert (found.arms[0].seeds, found.arms[0].failed) == ([0], [1])


def test_old_and_new_runs_stand_in_one_study(
    maml_config: MamlConfig, tmp_path: Path, write_old_run: Write
) -> None:
    write_maml(tmp_path, maml_config, ANSWERS["arelu", 0], write_old_run)
    both = [maml_config, replace(maml_config, activation="relu", seed=0)]
    document = reports.answer(experiments.run(MAML, both, tmp_path))
    assert document.reused == 1
    (found,) = document.studies
    assert [arm.name for arm in found.arms] == ["arelu", "relu"]
    assert found.arms[0].by_seed == {0: pytest.approx(sum(ANSWERS["arelu", 0]) / 12)}
    assert len(found.comparisons) == 1


def supervised_metrics(right: list[list[bool]], *, first: int) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "step": 12 * epoch,
            "attention": {},
            **({"train_loss": 1.0} if epoch else {}),
            "test_loss": 1.0,
            "test_accuracy": sum(answers) / len(answers),
            "test_right": pack_bits(answers),
            "validation_loss": 1.0,
            "validation_accuracy": 0.5,
        }
        for epoch, answers in enumerate(right, start=first)
    ]


def supervised_result(metrics: list[dict[str, Any]], images: int) -> dict[str, Any]:
    figures = {"test_accuracy": metrics[-1]["test_accuracy"], "test_images": images}
    return {"outcome": "complete", "epochs": metrics[-1]["epoch"], **figures, **SIZES}


def test_training_of_0_1_0_is_read_compared_and_reused(
    converge_config: ConvergeConfig, tmp_path: Path, write_old_run: Write
) -> None:
    (planned,) = planned_config(CONVERGE, converge_config, tmp_path)
    right = [[i < n for i in range(120)] for n in (30, 60, 90)]
    start = [{"epoch": 0, "step": 0, "attention": {}}]
    metrics = supervised_metrics(right, first=1)
    write_old_run(
        tmp_path,
        kind="converge",
        name=planned.name,
        config=dict(planned.identity),
        data={"official": False, "test": {"dataset": "blobs", "images": 120, "classes": 30}},
        metrics=start + metrics,
        result=supervised_result(metrics, 120),
    )
    (study,) = reports.gather([tmp_path]).studies
    (record,) = study.records
    assert record.scores is not None
    assert record.scores.tolist() == [float(answer) for answer in right[-1]]
    assert record.score == 0.75
    outcome = experiments.run(CONVERGE, [converge_config], tmp_path)
    assert outcome.report.reused == 1
    # It serves shorter runs, too.
    short = experiments.run(CONVERGE, [replace(converge_config, epochs=2)], tmp_path)
    assert short.report.reused == 1
    assert reports.answer(short).studies[0].arms[0].by_seed == {0: 0.5}


def test_transfer_of_0_1_0_is_read_compared_and_reused(
    transfer_config: TransferConfig, tmp_path: Path, write_old_run: Write
) -> None:
    _, tuned, only = planned_config(TRANSFER, transfer_config, tmp_path)
    counts = {tuned: (4, 8, 12, 16), only: (3, 5, 7, 9)}
    data = {"target_test": {"dataset": "colour", "official": False, "images": 19}}
    for planned, rights in counts.items():
        metrics = supervised_metrics([[i < n for i in range(19)] for n in rights], first=0)
        write_old_run(
            tmp_path,
            kind="transfer",
            name=planned.name,
            config=dict(planned.identity),
            data=data,
            metrics=metrics,
            result=supervised_result(metrics, 19),
        )
    (found,) = reports.compare(reports.gather([tmp_path])).studies
    (arm,) = found.arms
    assert arm.by_seed == {0: pytest.approx(16 / 19)}
    assert arm.columns["target only"].by_seed == {0: pytest.approx(9 / 19)}
    assert arm.columns["never fine-tuned"].by_seed == {0: pytest.approx(4 / 19)}
    outcome = experiments.run(TRANSFER, [transfer_config], tmp_path)
    assert outcome.report.reused == 2  # the pre-training was not there
    (answered,) = reports.answer(outcome).studies
    assert answered.arms[0].by_seed == arm.by_seed
    assert answered.arms[0].columns["epoch 1"].by_seed == {0: pytest.approx(8 / 19)}


def test_an_unfinished_run_of_0_1_0_begins_again_where_it_left_no_checkpoint(
    maml_config: MamlConfig,
    tmp_path: Path,
    write_old_run: Write,
    content: Callable[[Path], dict[str, bytes]],
) -> None:
    directory = write_maml(tmp_path / "old", maml_config, ANSWERS["arelu", 0], write_old_run)
    (directory / "result.json").unlink()
    assert experiments.run(MAML, [maml_config], tmp_path / "old").report.is_complete
    experiments.run(MAML, [maml_config], tmp_path / "new")
    old, new = content(tmp_path / "old"), content(tmp_path / "new")
    for name, bytes_ in new.items():
        if name.endswith("result.json"):
            # Its seal holds the hash of the config, to which a newer version adds the command.
            results = [json.loads(content) for content in (old[name], bytes_)]
            assert all(result.pop("seal") for result in results)
            assert results[0] == results[1]
        elif not name.endswith("config.json"):
            assert old[name] == bytes_, name


def test_what_an_old_seal_does_not_hold_is_said(
    maml_config: MamlConfig, tmp_path: Path, write_old_run: Write
) -> None:
    old = write_maml(tmp_path / "old", maml_config, ANSWERS["arelu", 0], write_old_run)
    experiments.run(MAML, [maml_config], tmp_path / "new")
    (new,) = (tmp_path / "new" / "maml").iterdir()
    for directory, seal in ((old, "lengths"), (new, "hashes")):
        found = entry(directory)
        assert run_page.document(found)["seal"] == seal
        assert ("of equal length" in run_page.page(found)) == (seal == "lengths")


def test_a_changed_result_of_0_1_0_is_refused(
    maml_config: MamlConfig, tmp_path: Path, write_old_run: Write
) -> None:
    directory = write_maml(tmp_path, maml_config, ANSWERS["arelu", 0], write_old_run)
    result = json.loads((directory / "result.json").read_text())
    (directory / "result.json").write_text(json.dumps({**result, "test_accuracy": 0.99}))
    (damaged,) = RunStore(tmp_path).scan().damaged
    assert "changed after the end" in damaged.reason
    with pytest.raises(RunError, match="changed after the end"):
        reports.gather([directory])
