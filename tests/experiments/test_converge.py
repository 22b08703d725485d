"""`metaact converge` on a small pack: curves, pairing, resume, divergence, reuse, stacking."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from metaact.experiments.converge_arms import absent, collect
from metaact.experiments.converge_config import ConvergeConfig

from metaact.adaptation.supervised import optimizers
from metaact.errors import UsageError
from metaact.experiments import converge, converge_config, converge_figures, converge_report
from metaact.experiments.reuse import Library
from metaact.experiments.sweep import SweepReport, sweep
from metaact.runs import Run, RunStore, unpack_bits


@pytest.fixture(scope="module")
def config(pack: Path) -> ConvergeConfig:
    return ConvergeConfig(dataset=str(pack), lr=0.02, batch_size=32, epochs=3, first_epoch_points=2)


@pytest.fixture(scope="module")
def shared(config: ConvergeConfig) -> converge.Study:
    return converge.study([config])


def library(path: Path) -> Library:
    return Library(RunStore(path), converge.KIND)


def run_all(
    configs: Sequence[ConvergeConfig], shared: converge.Study, path: Path, *, stack: int = 1
) -> SweepReport:
    jobs = converge.jobs_of(configs, shared, library(path), stack=stack)
    return sweep(jobs, tick=lambda n: None, say=lambda line: None)


def opened(config: ConvergeConfig, shared: converge.Study, path: Path) -> Run:
    return converge.open_run(config, shared, library(path))


def test_defaults_and_choices_are_those_of_the_trainer() -> None:
    assert converge_config.OPTIMIZERS == optimizers.OPTIMIZERS
    assert converge_config.DECAYS == optimizers.DECAYS
    plain = optimizers.Recipe(lr=ConvergeConfig().lr)
    assert converge.recipe(ConvergeConfig()) == plain


def test_watched_within_the_first_epoch_at_small_rates_only() -> None:
    assert ConvergeConfig(lr=1e-3).first_epoch_points == 4
    assert ConvergeConfig(lr=1e-2).first_epoch_points == 0
    assert converge.points(ConvergeConfig(), 128 * 100) == (20, 40, 60, 80)
    assert converge.points(ConvergeConfig(first_epoch_points=9), 256) == (1,)


def test_a_run_records_its_curve(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    report = run_all([config], shared, tmp_path)
    assert report.is_complete
    run = opened(config, shared, tmp_path)
    records = run.metrics()
    updates = math.ceil(len(shared.train) / 32)
    steps = [0, *converge.points(config, len(shared.train)), updates, 2 * updates, 3 * updates]
    assert [record["step"] for record in records] == steps
    assert [record["epoch"] for record in records if "train_loss" in record] == [1, 2, 3]
    for record in records[1:]:
        assert {"test_loss", "test_accuracy", "validation_loss"} <= record.keys()
        assert set(record["attention"]) == {"act1", "act2", "act3"}  # type: ignore[arg-type]
    assert run.result()["test_accuracy"] == records[-1]["test_accuracy"]
    fresh = converge.build(replace(config, seed=9), shared)
    fresh.load_state_dict(run.weights())


def test_it_is_recorded_which_test_images_were_right(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    run_all([config], shared, tmp_path)
    run = opened(config, shared, tmp_path)
    whole = [m for m in run.metrics() if m["epoch"] in (1, 2, 3)]
    kept = [unpack_bits(m["test_right"], len(shared.test)) for m in whole]
    assert [answers.mean() for answers in kept] == pytest.approx(
        [m["test_accuracy"] for m in whole]
    )
    model = converge.build(config, shared).eval()
    model.load_state_dict(run.weights())
    with torch.no_grad():
        guessed = model(shared.test.pixels / 255).argmax(dim=1)
    assert kept[-1].tolist() == (guessed == shared.test.labels).tolist()


def test_arms_of_a_seed_share_weights_and_batches(
    config: ConvergeConfig, shared: converge.Study
) -> None:
    arms = [converge.trainer(replace(config, activation=a), shared) for a in ("relu", "prelu")]
    weights = [dict(t.model.named_parameters()) for t in arms]
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name])
    other = converge.build(replace(config, seed=1), shared).get_parameter("conv1.weight")
    assert not torch.equal(weights[0]["conv1.weight"], other)
    assert arms[0].seed == arms[1].seed == 0


def test_interrupted_runs_end_bit_for_bit_the_same(
    config: ConvergeConfig,
    shared: converge.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("metaact.experiments.training.CHECKPOINT_SECONDS", 0.0)
    config = replace(config, activation="rrelu", optimizer="adam")
    run_all([config], shared, tmp_path / "whole")

    class KilledError(Exception):
        pass

    (job,) = converge.jobs_of([config], shared, library(tmp_path / "killed"), stack=1)
    ticks = []

    def kill_after_two() -> None:
        ticks.append(1)
        if len(ticks) == 2:
            raise KilledError

    with pytest.raises(KilledError), job.run.lock():
        job.work(kill_after_two)
    assert job.run.state() is not None
    run_all([config], shared, tmp_path / "killed")
    whole, killed = (opened(config, shared, tmp_path / n) for n in ("whole", "killed"))
    assert killed.metrics() == whole.metrics()
    for name, tensor in whole.weights().items():
        assert torch.equal(killed.weights()[name], tensor)


def test_divergence_is_an_outcome(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    wild = replace(config, lr=1e25)
    report = run_all([wild, config], shared, tmp_path)
    assert report.is_complete
    result = opened(wild, shared, tmp_path).result()
    assert (result["outcome"], result["epoch"]) == ("diverged", 1)
    summary = converge_report.summarise([wild, config], shared, library(tmp_path), report)
    assert summary["arms"][0]["diverged"] == [1]
    assert summary["arms"][0]["after_last_epoch"] is None
    assert "1 diverged in epoch 1" in converge_report.table(summary)
    json.dumps(summary, allow_nan=False)


def test_stacked_runs_end_where_single_ones_do(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    configs = [
        replace(config, seed=seed, lr=lr, epochs=1) for seed in (0, 1) for lr in (0.02, 0.005)
    ]
    configs.append(replace(config, activation="rrelu", epochs=1))
    assert run_all(configs, shared, tmp_path / "alone").is_complete
    assert run_all(configs, shared, tmp_path / "stack", stack=3).is_complete
    for one in configs:
        alone, stacked = (opened(one, shared, tmp_path / n) for n in ("alone", "stack"))
        for name, tensor in alone.weights().items():
            torch.testing.assert_close(stacked.weights()[name], tensor, rtol=1e-3, atol=1e-5)
        assert [r["step"] for r in stacked.metrics()] == [r["step"] for r in alone.metrics()]


def test_a_longer_run_serves_a_shorter_one(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    run_all([config], shared, tmp_path)
    short = replace(config, epochs=1, first_epoch_points=0)
    report = run_all([short], shared, tmp_path)
    assert report.reused == 1
    (arm,) = collect([short], shared, library(tmp_path))
    assert arm.traces[0].records[-1]["epoch"] == 1
    assert not opened(replace(config, epochs=4), shared, tmp_path).is_complete
    assert not opened(replace(short, lr=0.03), shared, tmp_path).is_complete


def test_best_epoch_is_chosen_on_the_validation_part(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    report = run_all([config], shared, tmp_path)
    summary = converge_report.summarise([config], shared, library(tmp_path), report)
    (row,) = summary["arms"]
    records = [r for r in opened(config, shared, tmp_path).metrics() if "train_loss" in r]
    best = max(records, key=lambda r: r["validation_accuracy"])  # the first of equals
    assert row["selected_epochs"] == [best["epoch"]]
    assert row["selected_by_seed"] == {0: best["test_accuracy"]}
    assert "best_test" not in row


def test_papers_protocol_names_its_selection(config: ConvergeConfig, tmp_path: Path) -> None:
    under = replace(config, protocol="paper")
    everything = converge.study([under])
    assert everything.validation is None
    report = run_all([under], everything, tmp_path)
    summary = converge_report.summarise([under], everything, library(tmp_path), report)
    (row,) = summary["arms"]
    accuracies = [
        r["test_accuracy"]
        for r in opened(under, everything, tmp_path).metrics()
        if "train_loss" in r
    ]
    assert row["best_test_by_seed"] == {0: max(accuracies)}
    assert "selected on the test set" in converge_report.table(summary)


def test_summary_pairs_tunes_and_times(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    configs = [
        replace(config, activation=a, lr=lr, seed=seed, epochs=2)
        for lr in (0.05, 0.001)
        for a in ("arelu", "relu")
        for seed in (0, 1, 2)
    ]
    report = run_all(configs, shared, tmp_path)
    summary = converge_report.summarise(
        configs, shared, library(tmp_path), report, thresholds=(0.01, 1.0)
    )
    arelu, relu = summary["arms"][:2]
    last = [
        [opened(c, shared, tmp_path).metrics()[-1]["test_accuracy"] for c in configs[i : i + 3]]
        for i in (0, 3)
    ]
    gaps = [b - a for a, b in zip(*last, strict=True)]
    assert relu["difference"]["interval"]["mean"] == pytest.approx(sum(gaps) / 3)
    assert "difference" not in arelu
    first = converge.points(config, len(shared.train))[0]
    epochs = first / math.ceil(len(shared.train) / 32)
    assert arelu["time_to"][0]["epochs_by_seed"] == pytest.approx([epochs] * 3)
    best = {row["activation"]: row for row in summary["tuned"]}
    assert best["arelu"]["lr"] == 0.05
    gap = best["relu"]["after_last_epoch"]["mean"] - best["arelu"]["after_last_epoch"]["mean"]
    assert best["relu"]["difference"]["interval"]["mean"] == pytest.approx(gap)
    assert "never" in converge_report.table(summary)
    json.dumps(summary, allow_nan=False)
    written = converge_figures.draw(configs, shared, library(tmp_path), tmp_path / "figures")
    assert len(written) == len(set(written)) == 2 * (1 + 2 + 2 * 2)
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.parametrize("name", ["arelu-unit", "swish+elsa", "arelu", "prelu+elsa"])
def test_learned_curves_are_the_functions_of_the_network(
    config: ConvergeConfig,
    shared: converge.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    one = replace(config, activation=name, epochs=1)
    run_all([one], shared, tmp_path)
    (arm,) = collect([one], shared, library(tmp_path))
    drawn = {}
    monkeypatch.setattr(converge_figures.analysis, "activation_range", lambda a, **b: drawn | a)
    curves = converge_figures.learned_curves(arm, title="")
    if name == "prelu+elsa":  # its slope is not in the metrics
        assert curves is None
        return
    model = converge.build(one, shared)
    model.load_state_dict(arm.traces[0].run.weights())
    for layer, (x, values) in curves.items():  # type: ignore[union-attr]
        function = model.get_submodule(layer.removesuffix(".elsa"))
        with torch.no_grad():
            expected = function(torch.tensor(x, dtype=torch.float32))
        np.testing.assert_allclose(values[0], expected.numpy(), rtol=1e-4, atol=1e-6)


def test_pictures_say_what_they_do_not_show(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    arms = [replace(config, epochs=1, seed=s) for s in (0, 1)]
    wild = [replace(config, epochs=1, activation=a, seed=0) for a in ("relu", "selu")]
    run_all(arms[:1], shared, tmp_path)
    found = collect([*arms, *wild], shared, library(tmp_path))
    assert absent(found) == (
        "; without arelu 1 of 2 seeds missing, relu 1 of 1 seeds missing, selu 1 of 1 seeds missing"
    )
    assert absent(collect(arms[:1], shared, library(tmp_path))) == ""


def test_damaged_runs_are_told(
    config: ConvergeConfig, shared: converge.Study, tmp_path: Path
) -> None:
    short = replace(config, epochs=1)
    report = run_all([short], shared, tmp_path)
    spoiled = opened(short, shared, tmp_path).directory
    (spoiled / "result.json").write_text("{", encoding="utf-8")
    other = replace(short, activation="relu")
    report = run_all([other], shared, tmp_path)
    summary = converge_report.summarise([other], shared, library(tmp_path), report)
    (reason,) = summary["damaged"]
    assert spoiled.name in reason
    assert f"Not read: {reason}"[:60] in converge_report.table(summary)


def test_a_set_that_holds_out_classes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`dataset` must test new images .*; omniglot tests"):
        converge.study([ConvergeConfig(dataset="omniglot")])


def test_an_arm_that_raises_does_not_stop_the_others(
    config: ConvergeConfig,
    shared: converge.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    first, second = (replace(config, epochs=1, seed=seed) for seed in (0, 1))
    build = converge.build

    def broken(one: ConvergeConfig, study: converge.Study) -> torch.nn.Module:
        if one.seed == 0:
            raise KeyError("mine")
        return build(one, study)

    monkeypatch.setattr(converge, "build", broken)
    caplog.set_level("DEBUG")
    report = run_all([first, second], shared, tmp_path)
    assert report.failed == (("arelu sgd lr 0.02 seed 0", "KeyError: 'mine'"),)
    assert [run.is_complete for run in report.done] == [True]
    assert "Traceback" in caplog.text


def test_grid_over_start_values(config: ConvergeConfig) -> None:
    arms = converge.expand(
        [config, replace(config, activation="relu")], alphas=(0.25, 0.5), betas=(1.0,)
    )
    assert [c.activation for c in arms] == [
        "arelu(alpha=0.25,beta=1)",
        "arelu(alpha=0.5,beta=1)",
        "relu",
    ]
    with pytest.raises(UsageError, match="need an arm"):
        converge.expand([replace(config, activation="relu")], alphas=(0.5,))


def test_options_reach_the_trainer(config: ConvergeConfig, shared: converge.Study) -> None:
    picked = replace(config, train_layers=("head",), layer_lrs=(("head", 0.5),), weight_decay=0.1)
    optimizer = converge.trainer(picked, shared).optimizer
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.5, 0.1, 2)


def test_images_are_brought_to_the_networks_size(tmp_path: Path) -> None:
    folder = tmp_path / "big"
    from matplotlib.image import imsave

    draw = torch.Generator().manual_seed(0)
    for name in "ab":
        (folder / name).mkdir(parents=True)
        for i in range(10):
            pixels = torch.randint(256, (28, 28, 3), dtype=torch.uint8, generator=draw)
            imsave(folder / name / f"{i}.png", pixels.numpy())
    conv4 = converge.study([ConvergeConfig(dataset=str(folder), model="conv4")])
    assert conv4.pipeline == ""


@pytest.mark.data
def test_svhn_is_cropped_for_mnist_conv(data_root: Path) -> None:
    shared = converge.study([ConvergeConfig(dataset="svhn")], root=data_root)
    assert shared.train.size == (28, 28)
    assert "CentreCrop" in shared.pipeline
