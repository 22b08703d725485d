"""`converge` on a small pack: curves, pairs, selection, divergence, reuse, sizes, start values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaact import experiments, reports
from metaact.adaptation import Recipe
from metaact.errors import UsageError
from metaact.experiments import CONVERGE, ConvergeConfig, TransferConfig, declared
from metaact.experiments.arms import canonical
from metaact.experiments.converge import run as converge
from metaact.runs import Run, RunStore, unpack_bits


@pytest.fixture(scope="module")
def config(transfer_config: TransferConfig) -> ConvergeConfig:
    """Three epochs of 58 images: a tenth of a second."""
    return ConvergeConfig(
        dataset=transfer_config.source, lr=0.02, batch_size=16, epochs=3, first_epoch_points=2
    )


@pytest.fixture(scope="module")
def shared(config: ConvergeConfig) -> converge.ImageData:
    return converge.prepare([config])


@pytest.fixture(scope="module")
def store(config: ConvergeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the one run of `config`."""
    path = tmp_path_factory.mktemp("store")
    assert experiments.run(CONVERGE, [config], path).report.is_complete
    return path


@pytest.fixture(scope="module")
def run(store: Path) -> Run:
    (found,) = RunStore(store).runs()
    return found


def test_defaults_are_those_of_the_trainer() -> None:
    config = ConvergeConfig()
    assert config.decay == "all"  # of nothing: as it was recorded before the rule
    assert replace(config, weight_decay=0.1, decay=None).decay == Recipe(lr=0.1).decay
    assert declared.recipe(config, epochs=None) == Recipe(lr=config.lr, decay="all")


def test_watched_within_the_first_epoch_at_small_rates_only() -> None:
    assert ConvergeConfig(lr=1e-3).first_epoch_points == 4
    assert ConvergeConfig(lr=1e-2).first_epoch_points == 0
    assert converge.points(ConvergeConfig(), 128 * 100) == (20, 40, 60, 80)
    assert converge.points(ConvergeConfig(first_epoch_points=9), 256) == (1,)


def test_a_run_records_its_curve(
    config: ConvergeConfig, shared: converge.ImageData, run: Run
) -> None:
    records = run.metrics()
    updates = math.ceil(len(shared.train) / 16)
    steps = [0, *converge.points(config, len(shared.train)), updates, 2 * updates, 3 * updates]
    assert [record["step"] for record in records] == steps
    assert [record["epoch"] for record in records if "train_loss" in record] == [1, 2, 3]
    for record in records[1:]:
        assert {"test_loss", "test_accuracy", "validation_loss"} <= record.keys()
        assert set(record["attention"]) == {"act1", "act2", "act3"}
    assert run.result()["test_accuracy"] == records[-1]["test_accuracy"]
    fresh = converge.build(replace(config, seed=9), shared)
    fresh.load_state_dict(run.weights())


def test_it_is_recorded_which_test_images_were_right(
    config: ConvergeConfig, shared: converge.ImageData, run: Run
) -> None:
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
    config: ConvergeConfig, shared: converge.ImageData
) -> None:
    arms = [converge.trainer(replace(config, activation=a), shared) for a in ("relu", "prelu")]
    weights = [dict(t.model.named_parameters()) for t in arms]
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name])
    other = converge.build(replace(config, seed=1), shared).get_parameter("conv1.weight")
    assert not torch.equal(weights[0]["conv1.weight"], other)
    assert arms[0].seed == arms[1].seed == 0


def test_divergence_is_an_outcome(config: ConvergeConfig, tmp_path: Path) -> None:
    wild = replace(config, lr=1e25)
    outcome = experiments.run(CONVERGE, [wild, config], tmp_path)
    assert outcome.report.is_complete
    runs = {run.config["lr"]: run for run in RunStore(tmp_path).runs()}
    result = runs[1e25].result()
    assert (result["outcome"], result["epoch"], result["step"]) == ("diverged", 1, result["step"])
    assert 1 <= result["step"] <= 4
    document = reports.answer(outcome)
    found = {arm.rates["lr"]: arm for arm in document.studies[0].arms}
    assert (found[1e25].score, found[1e25].failed) == (None, [0])
    assert found[0.02].score is not None
    assert "every seed diverged" in reports.text.plain(document)
    assert "NaN" not in str(document.as_json())


def test_best_epoch_is_chosen_on_the_validation_part(store: Path, run: Run) -> None:
    (arm,) = reports.compare(reports.gather([store])).studies[0].arms
    records = [r for r in run.metrics() if "train_loss" in r]
    best = max(records, key=lambda r: r["validation_accuracy"])  # the first of equals
    assert arm.paper is not None
    assert arm.paper.held_out == best["test_accuracy"]
    assert arm.paper.held_out_is == "test images at the epoch best on validation"
    assert arm.paper.by_seed == {0: max(r["test_accuracy"] for r in records)}
    assert arm.score is not None
    assert arm.score.mean == records[-1]["test_accuracy"]  # the score itself is not selected


def test_papers_protocol_names_its_selection(config: ConvergeConfig, tmp_path: Path) -> None:
    under = replace(config, protocol="paper")
    outcome = experiments.run(CONVERGE, [under], tmp_path)
    assert converge.prepare([under]).validation is None
    assert outcome.validated is False
    document = reports.answer(outcome)
    (arm,) = document.studies[0].arms
    (run,) = RunStore(tmp_path).runs()
    accuracies = [r["test_accuracy"] for r in run.metrics() if "train_loss" in r]
    assert arm.paper is not None
    assert arm.paper.by_seed == {0: max(accuracies)}
    assert arm.paper.held_out == accuracies[-1]
    shown = reports.text.plain(document)
    assert "Selected: the best on test images, best epoch." in shown
    assert "which nothing selected" in shown


def test_a_comparison_is_paired_tuned_and_timed(config: ConvergeConfig, tmp_path: Path) -> None:
    configs = [
        replace(config, activation=a, lr=lr, seed=seed, epochs=2)
        for lr in (0.02, 1e-7)
        for a in ("arelu", "relu")
        for seed in (0, 1, 2)
    ]
    outcome = experiments.run(CONVERGE, configs, tmp_path)
    document = reports.answer(outcome, thresholds=(0.01, 1.0))
    (study,) = document.studies
    last = {
        (r.config["activation"], r.config["lr"], r.config["seed"]): r.metrics()[-1]
        for r in RunStore(tmp_path).runs()
    }

    def mean(
        activation: str, lr: float, key: str = "test_accuracy", seeds: Sequence[int] = (0, 1, 2)
    ) -> float:
        return float(np.mean([last[activation, lr, seed][key] for seed in seeds]))

    for found in study.comparisons:
        first, second = study.arm(found.first), study.arm(found.second)
        assert (first.value, second.value) == ("relu", "arelu")
        lr = first.rates["lr"]
        assert second.rates["lr"] == lr
        assert found.interval.mean == pytest.approx(mean("relu", lr) - mean("arelu", lr))
    assert len(study.comparisons) == 2

    assert study.tuned is not None
    for value, name in study.tuned.chosen.items():
        rates = {lr: mean(value, lr, "validation_accuracy", [0]) for lr in (0.02, 1e-7)}
        best = min(rates, key=lambda lr: (-rates[lr], lr))  # of equal ones the smaller rate
        assert study.arm(name).rates["lr"] == best
    (own,) = study.tuned.comparisons
    relu, arelu = (study.arm(name).rates["lr"] for name in (own.first, own.second))
    scoring = study.tuned.scored_on
    assert scoring == [1, 2]  # the first of the three seeds has chosen
    gap = mean("relu", relu, seeds=scoring) - mean("arelu", arelu, seeds=scoring)
    assert own.interval.mean == pytest.approx(gap)
    points = converge.points(config, len(converge.prepare([config]).train))
    reached, never = next(arm for arm in study.arms if arm.rates["lr"] == 0.02).times
    assert reached.curve == "test_accuracy"
    assert reached.by_seed == pytest.approx([points[0] / 4] * 3)
    assert study.arms[-1].times[1].by_seed == [None] * 3
    assert never.censored_at == 2
    json_text = str(document.as_json())
    assert "nan" not in json_text.lower().replace("tanh", "")
    written = reports.pictures.save(document, tmp_path / "figures")
    kinds = {path.stem.rsplit("-", 2)[-2] + "-" + path.stem.rsplit("-", 1)[-1] for path in written}
    assert "against-lr" in kinds
    assert len(written) == len(set(written))
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.parametrize("name", ["arelu-unit", "swish+elsa", "arelu", "prelu+elsa"])
def test_learned_shapes_are_the_functions_of_the_network(
    config: ConvergeConfig,
    shared: converge.ImageData,
    tmp_path: Path,
    name: str,
) -> None:
    """Drawn from the metrics alone; of NAME+elsa it is what ELSA adds to the activation."""
    one = replace(config, activation=name, epochs=1)
    (study,) = reports.answer(experiments.run(CONVERGE, [one], tmp_path)).studies
    drawn = reports.pictures.shapes(study)
    assert drawn is not None
    (run,) = RunStore(tmp_path).runs()
    model = converge.build(one, shared)
    model.load_state_dict(run.weights())
    lines = [
        (np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float))
        for axes in drawn.figure.axes
        for line in axes.lines
        if len(np.atleast_1d(line.get_xdata())) > 10
    ]
    for layer in study.arms[0].attention:
        function = model.get_submodule(layer)
        expected = [function(torch.tensor(x, dtype=torch.float32)) for x, _ in lines]
        assert any(
            np.allclose(y, e.detach().numpy(), rtol=1e-4, atol=1e-5)
            for (_, y), e in zip(lines, expected, strict=True)
        ), layer


def test_start_values_make_arms(config: ConvergeConfig) -> None:
    arms = canonical([config, replace(config, activation="relu")], alphas=(0.25, 0.5), betas=(1.0,))
    assert [c.activation for c in arms] == [
        "arelu(alpha=0.25,beta=1)",
        "arelu(alpha=0.5,beta=1)",
        "relu",
    ]
    with pytest.raises(UsageError, match="need an arm"):
        canonical([replace(config, activation="relu")], alphas=(0.5,))
    with pytest.raises(UsageError, match="finite"):
        canonical([config], betas=(math.nan,))


def test_options_reach_the_trainer(config: ConvergeConfig, shared: converge.ImageData) -> None:
    picked = replace(config, train_layers=("head",), layer_lrs=(("head", 0.5),), weight_decay=0.1)
    (group,) = converge.trainer(picked, shared).optimizer.param_groups
    assert (group["lr"], group["weight_decay"], len(group["params"])) == (0.5, 0.1, 2)


def test_a_batch_larger_than_the_training_part_is_refused(config: ConvergeConfig) -> None:
    with pytest.raises(UsageError, match="the training part has 58 images"):
        converge.prepare([replace(config, batch_size=1000)])


def test_a_set_that_holds_out_classes_is_refused() -> None:
    with pytest.raises(UsageError, match=r"`dataset` must test new images .*; omniglot tests"):
        converge.prepare([ConvergeConfig(dataset="omniglot")])


def test_images_are_brought_to_the_networks_size(striped_root: Path, tmp_path: Path) -> None:
    """MNIST-Conv takes 28x28 only; Conv-4 takes what there is."""
    small = ConvergeConfig(dataset="svhn", batch_size=64, epochs=1)
    conv4 = converge.prepare([replace(small, model="conv4")], root=striped_root)
    assert (conv4.train.size, conv4.notes) == ((32, 32), ())
    fitted = converge.prepare([small], root=striped_root)
    assert fitted.train.size == fitted.test.size == (28, 28)
    (note,) = fitted.notes
    assert note == "Images of svhn were cropped from 32x32 to 28x28."
    outcome = experiments.run(CONVERGE, [small], tmp_path / "runs", root=striped_root)
    (study,) = reports.answer(outcome).studies
    assert " ".join(note.split()) in [" ".join(found.split()) for found in study.data_notes]


@pytest.mark.data
def test_fewer_images_are_read_back_as_many_as_there_were(
    config: ConvergeConfig, tmp_path: Path
) -> None:
    fewer = replace(config, images=12, batch_size=8, epochs=1)
    outcome = experiments.run(CONVERGE, [fewer], tmp_path)
    (study,) = reports.answer(outcome).studies
    (run,) = RunStore(tmp_path).runs()
    parts = run.environment()["data"]
    assert {parts[name]["images"] for name in ("train", "test")} == {12}
    assert run.result()["test_images"] == 12
    assert study.arms[0].score is not None


def test_svhn_is_cropped_for_mnist_conv(data_root: Path) -> None:
    shared = converge.prepare([ConvergeConfig(dataset="svhn")], root=data_root)
    assert shared.train.size == (28, 28)
    assert "cropped from 32x32 to 28x28" in shared.notes[0]


PAPER: Mapping[str, Any] = {"dataset": "mnist", "protocol": "paper", "optimizer": "sgd"}


def test_convergence_has_the_cells_of_tables_1_and_6_only() -> None:
    from metaact import paper
    from metaact.experiments.converge import cell

    settings = ConvergeConfig(**PAPER).fields()
    for epochs, number in ((1, 1), (20, 6)):
        found = cell(settings, {"lr": 1e-4}, epochs)
        assert found == (number, "sgd_1e-4")
        assert found[1] in paper.table(number)["AReLU"]
    assert cell(settings, {"lr": 1e-4}, 5) is None
    for change in ({"protocol": "held-out"}, {"weight_decay": 1e-4}, {"batch_size": 64}):
        assert cell(settings | change, {"lr": 1e-4}, 1) is None
