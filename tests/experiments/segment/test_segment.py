"""`segment` on squares: what is recorded, folds, both protocols, pairs, overlays, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaact import experiments, reports
from metaact.adaptation import evaluate_volumes
from metaact.errors import MetaactError, UsageError
from metaact.experiments import SEGMENT, SegmentConfig
from metaact.experiments.segment import overlays
from metaact.experiments.segment import run as segment
from metaact.runs import Run, RunStore


@pytest.fixture(scope="module")
def shared(segment_config: SegmentConfig) -> segment.VolumeData:
    return segment.prepare([segment_config])


@pytest.fixture(scope="module")
def store(segment_config: SegmentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms with two seeds, and the paper's protocol with one."""
    path = tmp_path_factory.mktemp("store")
    configs = [
        replace(segment_config, activation=name, seed=seed)
        for seed in (0, 1)
        for name in ("arelu", "relu")
    ]
    assert experiments.run(SEGMENT, configs, path).report.is_complete
    paper = replace(segment_config, protocol="paper", folds=None)
    assert experiments.run(SEGMENT, [paper], path).report.is_complete
    return path


def runs(store: Path, protocol: str = "held-out") -> list[Run]:
    found = [run for run in RunStore(store).runs() if run.config["protocol"] == protocol]
    return sorted(found, key=lambda run: (run.config["activation"], run.config["seed"]))


def test_defaults() -> None:
    config = SegmentConfig()
    assert (config.optimizer, config.batch_size, config.features) == ("adam", 16, 8)
    assert config.batch_norm == "running"
    with pytest.raises(UsageError, match="`folds` must be left out in the paper's protocol"):
        SegmentConfig(protocol="paper", folds=3)


def test_a_run_records_every_patient_and_both_losses(store: Path) -> None:
    run = runs(store)[0]
    records = [record for record in run.metrics() if "train_loss" in record]
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for record in records:
        assert record["test_dice"] == pytest.approx(np.mean(record["test_scores"]))
        assert len(record["test_scores"]) == 6
        assert record["validation_dice"] == pytest.approx(
            np.mean(record["validation_dice_by_fold"])
        )
        assert 0 < record["validation_loss"] < 1
    result = run.result()
    assert result["patients"] == [f"p{number}" for number in range(6)]
    assert sorted(set(result["fold_of"])) == [1, 2]
    assert result["test_dice"] == records[-1]["test_dice"]


def test_each_patient_is_scored_by_the_network_that_never_saw_it(
    store: Path, segment_config: SegmentConfig, shared: segment.VolumeData
) -> None:
    """The recorded Dice is found again with the weights of the fold, patient by patient."""
    run = next(run for run in runs(store) if run.config["activation"] == "arelu")
    scores = run.metrics()[-1]["test_scores"]
    config = replace(segment_config, activation="arelu")
    for number, fold in enumerate(shared.folds):
        model = segment.build(config, shared, number)
        model.load_state_dict(run.weights()[f"fold-{number + 1}"])
        test = shared.volumes.take(fold.test)
        found = evaluate_volumes(
            model, test, normalisation=shared.fitted[number], largest=shared.largest
        )
        assert [scores[patient] for patient in fold.test] == found.dice.tolist()
        assert not {*fold.train, *fold.validation} & set(fold.test)


def test_arms_of_a_seed_see_the_same_slices_and_folds_differ(
    segment_config: SegmentConfig, shared: segment.VolumeData
) -> None:
    made = [
        segment.learner(replace(segment_config, activation=name), shared)
        for name in ("relu", "arelu")
    ]
    for one, other in zip(made[0].parts, made[1].parts, strict=True):
        assert one.trainer.seed == other.trainer.seed
        first, second = one.trainer.crops(), other.trainer.crops()
        assert first is not None
        assert second is not None
        assert first.equal(second)
        weights = one.trainer.model.state_dict()["head.weight"]
        assert weights.equal(other.trainer.model.state_dict()["head.weight"])
    first, second = (part.trainer.model.state_dict()["head.weight"] for part in made[0].parts)
    assert not first.equal(second)


def test_normalisation_is_of_the_training_slices_alone(shared: segment.VolumeData) -> None:
    for fold, fitted in zip(shared.folds, shared.fitted, strict=True):
        assert fitted is not None
        pixels = shared.volumes.take(fold.train).pixels.double() / 255
        assert fitted.mean[0] == pytest.approx(float(pixels.mean()))
        assert fitted.std[0] == pytest.approx(float(pixels.std(correction=0)))


def test_the_document(store: Path) -> None:
    document = reports.compare(reports.gather([store]), reference="relu")
    study = next(s for s in document.studies if s.settings["protocol"] == "held-out")
    assert study.measure.name == "dice"
    assert study.measure.units == 6
    arelu = study.arm("arelu")
    assert arelu.score is not None
    assert "test patients" in arelu.score.varies
    assert {"median patient", "worst patient", "Dice 0"} <= arelu.columns.keys()
    assert {"train_loss", "validation_loss", "test_dice"} <= arelu.curves.keys()
    assert [(c.first, c.second) for c in study.comparisons] == [("arelu", "relu")]
    notes = " ".join(study.data_notes)
    assert "nested in 2 folds" in notes
    assert "training set to training set is not covered" in notes
    assert {drawn.kind for drawn in reports.pictures.pictures(study)} >= {
        "learning-curves",
        "losses",
        "differences",
    }


def test_the_best_epoch_is_optimistic_and_chosen_fold_by_fold(store: Path) -> None:
    """By hand from the records: of each fold the best epoch on test, and on validation."""
    document = reports.compare(reports.gather([store]))
    study = next(s for s in document.studies if s.settings["protocol"] == "held-out")
    optimism = study.arm("arelu").paper
    assert optimism is not None
    best, held = [], []
    for run in (run for run in runs(store) if run.config["activation"] == "arelu"):
        seen = [record for record in run.metrics() if "test_scores" in record]
        folds = np.array(run.result()["fold_of"])
        scores = np.array([record["test_scores"] for record in seen])
        chosen = [np.argmax([r["validation_dice_by_fold"][f] for r in seen]) for f in (0, 1)]
        best.append(
            np.mean([scores[:, folds == f].mean(axis=1).max() for f in (1, 2)])
        )  # of equal folds
        held.append(np.mean([scores[chosen[f - 1], folds == f].mean() for f in (1, 2)]))
    assert optimism.figure == pytest.approx(np.mean(best))
    assert optimism.held_out == pytest.approx(np.mean(held))
    assert optimism.gap is not None
    assert optimism.gap >= 0


def test_the_papers_protocol(store: Path) -> None:
    (run,) = runs(store, "paper")
    assert len(run.result()["patients"]) == 1
    assert "validation_dice" not in run.metrics()[-1]
    document = reports.compare(reports.gather([store]))
    study = next(s for s in document.studies if s.settings["protocol"] == "paper")
    optimism = study.arms[0].paper
    assert optimism is not None
    scores = [r["test_dice"] for r in run.metrics() if "test_dice" in r]
    assert optimism.figure == pytest.approx(max(scores))
    assert optimism.held_out == pytest.approx(scores[-1])
    assert "nothing selected" in optimism.held_out_is


def test_a_patient_with_dice_0_is_named(segment_config: SegmentConfig, tmp_path: Path) -> None:
    """A rate at which nothing is learned in an epoch: networks mark next to nothing."""
    config = replace(segment_config, lr=1e-9, epochs=1, components="largest")
    experiments.run(SEGMENT, [config], tmp_path)
    (run,) = RunStore(tmp_path).runs()
    zeros = [
        name
        for name, score in zip(
            run.result()["patients"], run.metrics()[-1]["test_scores"], strict=True
        )
        if score == 0
    ]
    study = reports.compare(reports.gather([tmp_path])).studies[0]
    said = " ".join(study.column_notes)
    for name in zeros:
        assert f"{name} (seed 0)" in said
    share = np.mean(list(study.arms[0].columns["Dice 0"].by_seed.values()))
    assert share == pytest.approx(len(zeros) / 6)


def test_overlays_show_what_was_scored(store: Path, segment_config: SegmentConfig) -> None:
    marked = overlays.read_marked(runs(store)[:2], dataset=segment_config.dataset)
    patients = overlays.typical(marked)
    means = {n: np.mean([one.dice[n] for one in marked]) for n in marked[0].dice}
    assert means[patients[0]] == min(means.values())
    assert means[patients[-1]] == max(means.values())
    figure = overlays.draw(marked, patients)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0].startswith(f"{marked[0].name}\n{patients[0]}")
    assert f"{100 * marked[0].dice[patients[0]]:.1f} %" in titles[0]
    with pytest.raises(UsageError, match="`patient` must be one of"):
        overlays.draw(marked, ["p9"])


def test_overlays_on_other_data_are_refused(
    store: Path, tmp_path: Path, make_masked: Callable[..., Path]
) -> None:
    with pytest.raises(MetaactError, match="are not those that"):
        overlays.read_marked(
            runs(store)[:1], dataset=str(make_masked(tmp_path / "squares", size=32))
        )


Cli = Callable[..., Any]


BAD = [
    (["--model", "resnet18"], "--model must be unet"),
    (["--features", "0"], "--features must be an int >= 1"),
    (["--size", "40"], "--size must be a multiple of 16"),
    (["--folds", "99"], "--folds must be an int in [2, 6]"),
    (["--protocol", "paper", "--folds", "2"], "--folds must be left out in the paper's protocol"),
    (["--protocol", "paper", "--tune", "lr=0.1"], "--tune"),
    (["--blocks", "3"], "--blocks must be left out"),
    (["--activation", "arleu"], "arelu"),
    (["--channels", "2"], "--channels must be 1 (grey) or 3"),
    (["--components", "biggest"], "--components must be one of largest, all"),
    (["--batch-size", "4000"], "--batch-size must be an int in [1, 128]"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[said for _, said in BAD])
def test_bad_settings_are_one_line_before_anything_is_written(
    segment_config: SegmentConfig, tmp_path: Path, cli: Cli, words: list[str], said: str
) -> None:
    out = tmp_path / "runs"
    ended = cli("segment", "--dataset", segment_config.dataset, *words, "--out", str(out))
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not out.exists()


def test_bad_data_are_one_line_before_anything_is_written(
    tmp_path: Path, cli: Cli, make_masked: Callable[..., Path]
) -> None:
    folder = make_masked(tmp_path / "squares")
    (folder / "masks" / "p0" / "0.png").unlink()
    ended = cli("segment", "--dataset", str(folder), "--out", str(tmp_path / "runs"))
    assert ended.code == 1
    assert "images/p0/0.png has no mask" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_writes_nothing_and_estimates(
    segment_config: SegmentConfig, tmp_path: Path, cli: Cli
) -> None:
    words = ["--dataset", segment_config.dataset, "--features", "2", "--folds", "2"]
    found = cli("segment", *words, "--out", "runs", "--dry-run", "--json").json
    assert found["counts"] == {"missing": 1}
    assert 0 < found["seconds"] < 600
    assert not (tmp_path / "runs").exists()


def test_the_command_and_its_overlays(
    segment_config: SegmentConfig, tmp_path: Path, cli: Cli
) -> None:
    words = ["--dataset", segment_config.dataset, "--features", "2", "--folds", "2"]
    words += ["--epochs", "1", "--batch-size", "4", "--out", str(tmp_path)]
    ended = cli("segment", *words, "--activation", "arelu,relu", "--controls", "--json")
    document = json.loads(ended.out)
    names = [arm["name"] for arm in document["studies"][0]["arms"]]
    assert sorted(names) == ["arelu", "arelu-frozen", "relu", "relu-gain"]
    places = [arm["runs"][0] for arm in document["studies"][0]["arms"]]
    drawn = cli("overlays", *places, "--dataset", segment_config.dataset, "--out", str(tmp_path))
    assert drawn.code == 0
    written = [Path(line) for line in drawn.out.split()]
    assert [path.suffix for path in written] == [".png", ".svg"]
    assert all(path.is_file() for path in written)
