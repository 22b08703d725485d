"""`maml` on a small pack: what a run learns, records and shares; the paper's protocol."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from metaact import adaptation, experiments, reports
from metaact.errors import MissingDependencyError
from metaact.experiments import MAML, MamlConfig
from metaact.experiments.maml import run as maml
from metaact.runs import Run, RunStore


@pytest.fixture(scope="module")
def shared(maml_config: MamlConfig) -> maml.EpisodeData:
    return maml.prepare([maml_config])


@pytest.fixture(scope="module")
def quick(maml_config: MamlConfig) -> MamlConfig:
    """A run of a fifth of a second."""
    steps = {"inner_steps": 1, "test_inner_steps": 1}
    few = {"tasks": 2, "iterations": 2, "test_episodes": 6, "validation_episodes": 2}
    return replace(maml_config, **steps, **few)


def only_run(store: Path) -> Run:
    (run,) = RunStore(store).runs()
    return run


def test_a_missing_engine_is_told_before_any_run(
    maml_config: MamlConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    # Also where it is not the first of the configs.
    configs = [maml_config, replace(maml_config, engine="learn2learn")]
    with pytest.raises(MissingDependencyError, match="pip install"):
        experiments.run(MAML, configs, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


class _ThroughNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.maximum(x.detach().numpy(), 0.0)) + 0 * x


def test_what_leaves_torch_is_told_how_to_run(
    quick: MamlConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(act=_ThroughNumpy, __file__=__file__))
    arm = replace(quick, activation="mine:act", iterations=1, test_inner_steps=1)
    ((_, reason),) = experiments.run(MAML, [arm], tmp_path).report.failed
    assert reason.endswith("; the option is --engine loop.")
    assert experiments.run(MAML, [replace(arm, engine="loop")], tmp_path).report.is_complete


def test_a_run_learns_and_leaves_what_it_must(maml_config: MamlConfig, tmp_path: Path) -> None:
    longer = replace(maml_config, iterations=30, inner_lr=0.01)
    document = reports.answer(experiments.run(MAML, [longer], tmp_path))
    (arm,) = document.studies[0].arms
    assert arm.score is not None
    assert arm.score.mean > 0.5  # chance is 1/3; 180 answers are within 0.11 of theirs
    assert arm.score.low < arm.score.mean <= arm.score.high
    run = only_run(tmp_path)
    assert [record["iteration"] for record in run.metrics()] == list(range(30))
    assert np.mean(run.scores()) == pytest.approx(arm.score.mean)
    assert len(run.scores()) == 12
    assert all(round(15 * score) == pytest.approx(15 * score) for score in run.scores())
    assert set(run.metrics()[0]["attention"]) == {"act1", "act2", "act3"}
    validated = [r["iteration"] + 1 for r in run.metrics() if "validation_accuracy" in r]
    assert validated == list(range(2, 31, 2))
    assert run.weights().keys() >= {"conv1.weight", "head.weight"}


def test_the_recorded_scores_are_those_of_the_kept_weights(
    quick: MamlConfig, tmp_path: Path
) -> None:
    """Adapted and tested again from `weights.pt`, every episode gives the same accuracy."""
    experiments.run(MAML, [quick], tmp_path)
    run, data = only_run(tmp_path), maml.prepare([quick])
    model = maml.build(quick, data)
    model.load_state_dict(run.weights())
    learner = adaptation.MAML(model, inner_lr=quick.inner_lr, inner_steps=1)
    again = torch.cat([learner.test(batch) for batch in data.test.batches(6)])
    assert again.tolist() == run.scores()


def test_divergence_is_an_outcome(quick: MamlConfig, tmp_path: Path) -> None:
    wild = replace(quick, inner_lr=1e12, inner_steps=5, activation="slaf-paper")
    fine = replace(quick, inner_lr=1e12, inner_steps=5, activation="tanh")
    outcome = experiments.run(MAML, [wild, fine], tmp_path)
    assert outcome.report.is_complete
    (study,) = reports.answer(outcome).studies
    diverged, other = study.arms
    assert (diverged.name, diverged.failed, diverged.score) == ("slaf-paper", [0], None)
    assert other.score is not None
    assert study.reference == "slaf-paper"
    shown = reports.text.plain(reports.answer(outcome))
    assert "slaf-paper: every seed diverged (at iteration" in " ".join(shown.split())
    result = next(r for r in RunStore(tmp_path).runs() if "slaf" in r.name).result()
    assert (result["outcome"], result["iteration"]) == ("diverged", 0)


def test_arms_of_a_seed_start_from_the_same_weights(
    maml_config: MamlConfig, shared: maml.EpisodeData
) -> None:
    def weights(name: str, seed: int = 0) -> torch.Tensor:
        built = maml.build(replace(maml_config, activation=name, seed=seed), shared)
        return built.get_parameter("conv1.weight")

    assert torch.equal(weights("arelu"), weights("relu"))
    assert not torch.equal(weights("arelu"), weights("arelu", seed=1))


def test_comparison_is_paired_and_corrected(quick: MamlConfig, tmp_path: Path) -> None:
    configs = [
        replace(quick, activation=name, seed=seed)
        for name in ("arelu", "relu", "tanh")
        for seed in (0, 1)
    ]
    first = reports.answer(experiments.run(MAML, configs, tmp_path))
    (study,) = first.studies
    assert [arm.name for arm in study.arms] == ["arelu", "relu", "tanh"]
    assert study.reference == "arelu"
    scores = {
        (r.config["activation"], r.config["seed"]): np.array(r.scores())
        for r in RunStore(tmp_path).runs()
    }
    assert len(study.comparisons) == 2
    for found in study.comparisons:
        gap = np.mean([scores[found.first, s] - scores["arelu", s] for s in (0, 1)])
        assert found.interval.mean == pytest.approx(gap)
        assert found.p_value >= found.p_alone
    assert "seeds" in study.arms[0].score.varies  # type: ignore[union-attr]
    again = reports.answer(experiments.run(MAML, configs, tmp_path))
    assert again.reused == 6
    assert again.studies[0].arms == study.arms
    assert again.studies[0].comparisons == study.comparisons


def test_paper_protocol_shows_the_gap(pack: Path, tmp_path: Path) -> None:
    config = MamlConfig(
        dataset=str(pack),
        protocol="paper",
        ways=3,
        tasks=2,
        task_pool=20,
        iterations=4,
        inner_steps=1,
        test_episodes=8,
    )
    assert config.queries == config.shots
    outcome = experiments.run(MAML, [config], tmp_path)
    (arm,) = reports.answer(outcome).studies[0].arms
    assert arm.paper is not None
    assert arm.score is not None
    best = max(m["train_accuracy"] for m in only_run(tmp_path).metrics())
    assert arm.paper.figure == pytest.approx(best)
    assert arm.paper.by_seed == {0: pytest.approx(best)}
    assert arm.paper.held_out == pytest.approx(arm.score.mean)
    assert arm.paper.gap == pytest.approx(best - arm.score.mean)
    assert "gap" in reports.text.plain(reports.answer(outcome))
    assert arm.validation is None
    assert outcome.validated is False


def test_task_pool_is_drawn_once_and_reused(
    maml_config: MamlConfig, shared: maml.EpisodeData
) -> None:
    """Ten meta-batches of four from a pool of three: no more than three episodes ever occur."""
    draw = maml.training_batches(replace(maml_config, task_pool=3), shared)
    seen = {row.numpy().tobytes() for i in range(10) for row in draw(i).support}
    assert len(seen) == 3
    assert torch.equal(draw(7).query, draw(7).query)
    fresh = maml.training_batches(maml_config, shared)
    assert len({row.numpy().tobytes() for i in range(10) for row in fresh(i).support}) == 40
    assert MamlConfig(protocol="paper").task_pool == 1000
    assert MamlConfig().task_pool == 0


def test_the_training_seed_changes_neither_split_nor_test_episodes(
    maml_config: MamlConfig, shared: maml.EpisodeData
) -> None:
    other = replace(maml_config, seed=5, activation="relu")
    again = maml.prepare([other])
    assert again.identity == shared.identity
    for name, images in shared.split.parts().items():
        assert images.sha256() == again.split.parts()[name].sha256()
    assert torch.equal(again.test.indices, shared.test.indices)
    trained = [maml.training_batches(c, shared)(0).support for c in (maml_config, other)]
    assert not torch.equal(*trained)


@pytest.mark.parametrize("activation", ["arelu", "rrelu"])
def test_the_evaluation_batch_changes_no_result(
    activation: str, maml_config: MamlConfig, shared: maml.EpisodeData
) -> None:
    model = maml.build(replace(maml_config, activation=activation), shared)

    def accuracies(size: int, chunk: int | None) -> torch.Tensor:
        learner = adaptation.MAML(model, inner_lr=0.05, inner_steps=3, chunk_size=chunk)
        return torch.cat([learner.test(batch) for batch in shared.test.batches(size)])

    expected = accuracies(12, None)
    assert len(expected.unique()) > 1
    for size, chunk in ((1, None), (5, None), (12, 1), (12, 5)):
        assert torch.equal(accuracies(size, chunk), expected)


def test_the_chunk_size_changes_no_run(quick: MamlConfig, tmp_path: Path) -> None:
    """It bounds memory: the same identity, and the same figures up to rounding."""
    experiments.run(MAML, [quick], tmp_path / "whole")
    experiments.run(MAML, [replace(quick, chunk_size=1)], tmp_path / "parts")
    whole, parts = only_run(tmp_path / "whole"), only_run(tmp_path / "parts")
    assert whole.identity == parts.identity
    losses = [[r["train_loss"] for r in run.metrics()] for run in (whole, parts)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    (found,) = reports.answer(experiments.run(MAML, [quick], tmp_path / "parts")).studies
    assert found.runs == 1


def test_an_arm_without_a_run_is_named(quick: MamlConfig, tmp_path: Path) -> None:
    missing = replace(quick, activation="tanh")
    held = experiments.prepare(MAML, [missing], tmp_path).jobs[0].run
    with held.lock():
        outcome = experiments.run(MAML, [quick, missing], tmp_path)
    document = reports.answer(outcome)
    assert [arm.name for arm in document.studies[0].arms] == ["arelu"]
    (line,) = document.missing
    assert line.startswith("busy: tanh inner lr 0.05 meta lr 0.005 seed 0:")


def test_what_a_result_says_about_its_making(quick: MamlConfig, tmp_path: Path) -> None:
    conv = replace(quick, model="conv4", batch_norm="off", iterations=1, activation="relu")
    document = reports.answer(experiments.run(MAML, [conv], tmp_path))
    (study,) = document.studies
    shared = maml.prepare([conv])
    assert study.settings["test_episodes_sha256"] == shared.test.sha256
    assert study.settings["batch_norm"] == "off"
    assert "conv4, no BatchNorm" in study.title
    run = only_run(tmp_path)
    assert run.config["batch_norm"] == "off"
    assert run.config["test_episodes_sha256"] == shared.test.sha256
    parts = json.loads((run.directory / "environment.json").read_text())["data"]
    for part, images in shared.split.parts().items():
        assert parts[part]["sha256"] == images.sha256()
        assert parts[part]["official"] is False
        assert parts[part]["note"] == "made by a test"
    found = run.environment()["normalisation"]
    assert (found["mean"], found["std"]) == (list(shared.mean), list(shared.std))


def test_pictures_of_a_comparison(quick: MamlConfig, tmp_path: Path) -> None:
    configs = [
        replace(quick, activation=a, seed=s, iterations=6)
        for a in ("arelu", "relu")
        for s in (0, 1)
    ]
    document = reports.answer(experiments.run(MAML, configs, tmp_path))
    (study,) = document.studies
    for arm in study.arms:
        curve = arm.curves["validation_accuracy"]
        assert curve.x == [2, 4, 6]
        assert curve.low is not None
        assert curve.high is not None
        rows = zip(curve.low, curve.mean, curve.high, strict=True)
        assert all(low <= mean <= high for low, mean, high in rows)  # type: ignore[operator]
    drawn = {one.kind: one.figure for one in reports.pictures.pictures(study)}
    assert set(drawn) >= {"learning-curves", "differences", "trajectories", "shapes"}
    heights = [
        np.asarray(line.get_ydata(), dtype=float) for line in drawn["learning-curves"].axes[0].lines
    ]
    for arm in study.arms:
        mean = np.array(arm.curves["validation_accuracy"].mean, dtype=float)
        assert any(h.shape == (3,) and np.allclose(h, mean) for h in heights), arm.name
    written = reports.pictures.save(document, tmp_path / "figures")
    assert [path.suffix for path in written] == [".png", ".svg"] * len(drawn)
    assert all(path.stat().st_size > 1000 for path in written)
    assert len(set(written)) == len(written)


def test_an_explosion_that_stays_finite_is_named(maml_config: MamlConfig, tmp_path: Path) -> None:
    configs = [replace(maml_config, seed=seed) for seed in (0, 1)]
    ready = experiments.prepare(MAML, configs, tmp_path)
    courses = [(1.1, 2.0, 3e30, 4.0, 3.0, 3.0), (1.1, 1.0, 0.9, 5.0, 0.8, 0.7)]
    for job, losses in zip(ready.jobs, courses, strict=True):
        with job.run.lock():
            job.run.start({"data": {"official": True}})
            job.run.resume()
            for iteration, loss in enumerate(losses):
                record = {"iteration": iteration, "train_loss": loss, "train_accuracy": 0.5}
                job.run.append(record)
            sizes: dict[str, Any] = {"parameters": 1, "stuck_alpha": 0, "attention_layers": 0}
            counts = {**sizes, "attention": {}}
            figures = {"test_accuracy": 0.4, "best_training_accuracy": 0.5}
            job.run.finish({"outcome": "complete", **figures, **counts}, [0.4] * 12)
    (study,) = reports.answer(ready.run()).studies
    (note,) = [note for note in study.notes if "exploded" in note]
    assert note.startswith("arelu: the training loss exploded in seed 0 and stayed finite")
