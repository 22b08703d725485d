"""`metaact maml` end to end on a small pack: outcome, resume, divergence, pairing, reuse."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from metaact.experiments.config import MamlConfig
from torch import nn

from metaact.adaptation import MAML
from metaact.errors import MissingDependencyError
from metaact.experiments import maml, maml_figures, maml_report
from metaact.experiments.sweep import Job, sweep
from metaact.runs import RunStore


@pytest.fixture(scope="module")
def config(pack: Path) -> MamlConfig:
    return MamlConfig(
        dataset=str(pack),
        tasks=4,
        iterations=6,
        inner_lr=0.05,
        queries=2,
        test_queries=5,
        test_episodes=12,
        validation_episodes=4,
        validation_every=2,
        ways=3,
    )


@pytest.fixture(scope="module")
def shared(config: MamlConfig) -> maml.Study:
    return maml.study(config)


def _sweep(configs: list[MamlConfig], shared: maml.Study, store: RunStore) -> dict[str, object]:
    jobs = [maml.job(c, shared, store) for c in configs]
    report = sweep(jobs, tick=lambda n: None, say=lambda line: None)
    return maml_report.summarise(configs, shared, store, report)


def test_a_missing_engine_is_told_before_any_run(
    config: MamlConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        maml.study(replace(config, engine="learn2learn"))


class _ThroughNumpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.maximum(x.detach().numpy(), 0.0)) + 0 * x


def test_what_leaves_torch_is_told_how_to_run(
    config: MamlConfig, shared: maml.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(act=_ThroughNumpy, __file__=__file__))
    arm = replace(config, activation="mine:act", iterations=1, inner_steps=1, test_inner_steps=1)
    job = maml.job(arm, shared, RunStore(tmp_path))
    report = sweep([job], tick=lambda n: None, say=lambda line: None)
    ((_, reason),) = report.failed
    assert reason.endswith("; the option is --engine loop.")
    job = maml.job(replace(arm, engine="loop"), shared, RunStore(tmp_path))
    assert sweep([job], tick=lambda n: None, say=lambda line: None).is_complete


def test_a_run_learns_and_leaves_what_it_must(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    longer = replace(config, iterations=30)
    summary = _sweep([longer], shared, RunStore(tmp_path))
    (arm,) = summary["arms"]
    assert arm["held_out"]["mean"] > 0.5  # chance is 1/3; 180 answers are within 0.11 of theirs
    assert arm["held_out"]["low"] < arm["held_out"]["mean"] < arm["held_out"]["high"]
    run = maml.open_run(longer, shared, RunStore(tmp_path))
    assert len(run.metrics()) == 30
    assert len(run.episodes()) == 12
    assert set(run.metrics()[0]["attention"]) == {"act1", "act2", "act3"}
    assert "validation_accuracy" in run.metrics()[-1]
    assert json.loads((run.directory / "environment.json").read_text())["data"]


def test_resume_ends_bit_equal(config: MamlConfig, shared: maml.Study, tmp_path: Path) -> None:
    """RReLU draws in training: its noise must be the same after a resume."""
    config = replace(config, activation="rrelu")
    whole = maml.open_run(config, shared, RunStore(tmp_path / "whole"))
    with whole.lock():
        maml.train(config, shared, whole)

    class StopError(Exception):
        pass

    ticks = 0

    def stop_at_four() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 4:
            raise StopError

    parts = maml.open_run(config, shared, RunStore(tmp_path / "parts"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maml, "CHECKPOINT_SECONDS", 0.0)
        with parts.lock(), pytest.raises(StopError):
            maml.train(config, shared, parts, tick=stop_at_four)
    with parts.lock():
        maml.train(config, shared, parts)
    assert parts.result() == whole.result()
    assert parts.metrics() == whole.metrics()
    assert parts.episodes() == whole.episodes()


@pytest.mark.slow
def test_kill_nine_at_random_moments(pack: Path, tmp_path: Path) -> None:
    def command(out: str) -> list[str]:
        options = "--iterations 60 --tasks 4 --test-episodes 8 --activation arelu"
        program = (
            "from metaact.experiments import maml; maml.CHECKPOINT_SECONDS = 0.05\n"
            "from metaact.cli import main; main()"
        )
        paths = ["--dataset", str(pack), "--out", str(tmp_path / out)]
        return [sys.executable, "-c", program, "maml", *options.split(), *paths]

    subprocess.run(command("whole"), check=True, capture_output=True)
    moments = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        runs = tmp_path / "killed" / "maml"
        deadline = time.monotonic() + 60
        while not list(runs.glob("*/checkpoint.pt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command("killed"), check=True, capture_output=True)
    (whole,) = (tmp_path / "whole" / "maml").iterdir()
    (killed,) = (tmp_path / "killed" / "maml").iterdir()
    for name in ("config.json", "metrics.jsonl", "episodes.jsonl", "result.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def test_divergence_is_an_outcome(config: MamlConfig, shared: maml.Study, tmp_path: Path) -> None:
    wild = replace(config, inner_lr=1e12, inner_steps=5, activation="slaf-paper")
    summary = _sweep([wild, config], shared, RunStore(tmp_path))
    diverged, fine = summary["arms"]
    assert diverged["diverged"] == [0]
    assert diverged["held_out"] is None
    assert fine["held_out"] is not None
    assert "diverged at iteration 0" in maml_report.table(summary)


def test_arms_of_a_seed_start_from_the_same_weights(config: MamlConfig, shared: maml.Study) -> None:
    def weights(name: str, seed: int = 0) -> torch.Tensor:
        return maml.build(replace(config, activation=name, seed=seed), shared).conv1.weight

    assert torch.equal(weights("arelu"), weights("relu"))
    assert not torch.equal(weights("arelu"), weights("arelu", seed=1))


def test_comparison_is_paired_and_corrected(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    configs = [
        replace(config, activation=name, seed=seed)
        for name in ("arelu", "relu", "tanh")
        for seed in (0, 1)
    ]
    summary = _sweep(configs, shared, RunStore(tmp_path))
    reference, relu, tanh = summary["arms"]
    assert "difference" not in reference
    for row in (relu, tanh):
        expected = row["held_out"]["mean"] - reference["held_out"]["mean"]
        assert row["difference"]["interval"]["mean"] == pytest.approx(expected)
        assert row["difference"]["p_holm"] >= row["difference"]["p_value"]
    assert "seeds" in reference["held_out"]["varies"]
    again = _sweep(configs, shared, RunStore(tmp_path))
    assert again["reused_runs"] == 6
    assert again["arms"] == summary["arms"]


def test_several_inner_rates_are_chosen_on_validation(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    configs = [
        replace(config, activation=name, inner_lr=rate)
        for name in ("arelu", "relu")
        for rate in (1e-9, 0.05)
    ]
    summary = _sweep(configs, shared, RunStore(tmp_path))
    assert [row["activation"] for row in summary["tuned"]] == ["arelu", "relu"]
    for row in summary["tuned"]:
        mine = [r for r in summary["arms"] if r["activation"] == row["activation"]]
        assert row["validation_accuracy"] == max(r["validation_accuracy"] for r in mine)


def test_paper_protocol_prints_the_gap(pack: Path, tmp_path: Path) -> None:
    config = MamlConfig(
        dataset=str(pack), protocol="paper", ways=3, tasks=4, iterations=4, test_episodes=8
    )
    assert config.queries == config.shots
    shared = maml.study(config)
    summary = _sweep([config], shared, RunStore(tmp_path))
    (arm,) = summary["arms"]
    run = maml.open_run(config, shared, RunStore(tmp_path))
    best = max(m["train_accuracy"] for m in run.metrics())
    assert arm["paper_protocol"] == pytest.approx(best)
    assert arm["gap"] == pytest.approx(best - arm["held_out"]["mean"])
    assert "gap" in maml_report.table(summary)


def test_a_failed_and_a_busy_run_are_named(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    store = RunStore(tmp_path)
    busy = maml.job(replace(config, seed=7), shared, store)
    other = maml.open_run(replace(config, seed=7), shared, RunStore(tmp_path))
    broken = maml.open_run(replace(config, seed=8), shared, store)

    def fail(tick: object) -> None:
        from metaact.errors import RunError

        raise RunError("no space left.")

    jobs = [busy, Job(label="broken", run=broken, steps=1, work=fail)]
    with other.lock():
        report = sweep(jobs, tick=lambda n: None, say=lambda line: None)
    assert not report.is_complete
    assert report.busy == (busy.label,)
    assert report.failed == (("broken", "no space left."),)
    assert len(report.complaints()) == 2


def test_task_pool_is_drawn_once_and_reused(config: MamlConfig, shared: maml.Study) -> None:
    """Ten meta-batches of four from a pool of three: no more than three episodes ever occur."""
    draw = maml.training_batches(replace(config, task_pool=3), shared)
    seen = {row.numpy().tobytes() for i in range(10) for row in draw(i).support}
    assert len(seen) == 3
    assert torch.equal(draw(7).query, draw(7).query)
    fresh = maml.training_batches(config, shared)
    assert len({row.numpy().tobytes() for i in range(10) for row in fresh(i).support}) == 40
    assert MamlConfig(protocol="paper").task_pool == 1000
    assert MamlConfig().task_pool == 0


def test_the_training_seed_changes_neither_split_nor_test_episodes(
    config: MamlConfig, shared: maml.Study
) -> None:
    other = replace(config, seed=5, activation="relu")
    again = maml.study(other)
    assert again.identity == shared.identity
    for name, images in shared.split.parts().items():
        assert images.sha256() == again.split.parts()[name].sha256()
    assert torch.equal(again.test.indices, shared.test.indices)
    trained = [maml.training_batches(c, shared)(0).support for c in (config, other)]
    assert not torch.equal(*trained)


@pytest.mark.parametrize("activation", ["arelu", "rrelu"])
def test_the_evaluation_batch_changes_no_result(
    activation: str, config: MamlConfig, shared: maml.Study
) -> None:
    model = maml.build(replace(config, activation=activation), shared)

    def accuracies(size: int, chunk: int | None) -> torch.Tensor:
        learner = MAML(model, inner_lr=0.05, inner_steps=3, chunk_size=chunk)
        return torch.cat([learner.test(batch) for batch in shared.test.batches(size)])

    expected = accuracies(12, None)
    assert len(expected.unique()) > 1
    for size, chunk in ((1, None), (5, None), (12, 1), (12, 5)):
        assert torch.equal(accuracies(size, chunk), expected)


def test_an_arm_without_a_run_stays_in_the_table(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    store, missing = RunStore(tmp_path), replace(config, activation="tanh")
    holder = maml.open_run(missing, shared, RunStore(tmp_path))
    with holder.lock():
        summary = _sweep([config, missing], shared, store)
    assert [row["activation"] for row in summary["arms"]] == ["arelu", "tanh"]
    assert summary["arms"][1]["complete"] == 0
    assert any("tanh" in line for line in summary["missing"])
    (line,) = [row for row in maml_report.table(summary).splitlines() if row.startswith("tanh")]
    assert "1 missing" in line


def test_what_a_result_says_about_its_making(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    conv = replace(config, model="conv4", batch_norm="off", iterations=1, activation="relu")
    summary = _sweep([conv], shared, RunStore(tmp_path))
    assert summary["test_episodes_sha256"] == shared.test.sha256
    assert summary["settings"]["batch_norm"] == "off"
    assert "conv4 (BatchNorm: off)" in maml_report.table(summary)
    run = maml.open_run(conv, shared, RunStore(tmp_path))
    assert run.config["batch_norm"] == "off"
    assert run.config["test_episodes_sha256"] == shared.test.sha256
    parts = run.environment()["data"]
    for part, images in shared.split.parts().items():
        assert parts[part]["sha256"] == images.sha256()
        assert parts[part]["official"] is False
        assert parts[part]["note"] == "made by a test"


def test_pictures_of_a_comparison(config: MamlConfig, shared: maml.Study, tmp_path: Path) -> None:
    configs = [replace(config, activation=a, seed=s) for a in ("arelu", "relu") for s in (0, 1)]
    store = RunStore(tmp_path)
    _sweep(configs, shared, store)
    with pytest.MonkeyPatch.context() as patch:
        drawn = {}
        curves = maml_figures.analysis.learning_curves

        def spy(arms: dict[str, tuple], **options: object) -> object:
            drawn.update(arms)
            return curves(arms, **options)

        patch.setattr(maml_figures.analysis, "learning_curves", spy)
        written = maml_figures.draw(configs, shared, store, tmp_path / "figures")
    assert [path.suffix for path in written] == [".png", ".svg"] * 2
    assert all(path.stat().st_size > 1000 for path in written)
    assert ["arelu-attention" in path.name for path in written] == [False] * 2 + [True] * 2
    for steps, mean, low, high in drawn.values():
        assert steps.tolist() == [2, 4, 6]
        assert (low <= mean).all()
        assert (mean <= high).all()
        assert (low < high).any()


def test_an_explosion_that_stays_finite_is_named(
    config: MamlConfig, shared: maml.Study, tmp_path: Path
) -> None:
    store = RunStore(tmp_path)
    configs = [replace(config, seed=seed) for seed in (0, 1)]
    for seed, losses in enumerate([(1.1, 2.0, 3e30, 4.0), (1.1, 1.0, 0.9, 5.0)]):
        run = maml.open_run(configs[seed], shared, store)
        with run.lock():
            run.start({})
            run.resume()
            for iteration, loss in enumerate(losses):
                run.append({"iteration": iteration, "train_loss": loss})
            counts = {"parameters": 1, "stuck_alpha": 0, "attention_layers": 0}
            episodes = [{"episode": i, "accuracy": 0.4} for i in range(12)]
            run.finish({"outcome": "complete", **counts}, episodes=episodes)
    summary = _sweep(configs, shared, store)
    assert summary["arms"][0]["exploded"] == [2]
    text = " ".join(maml_report.table(summary).split())
    assert "the training loss exploded in 1 of 2 runs (iteration 2)" in text
