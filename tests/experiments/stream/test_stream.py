"""`stream` on short streams: pairing, companions, resuming, what was lost, divergence, reports."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metaact import activations, experiments, reports
from metaact.errors import UsageError
from metaact.experiments import STREAM, Measure, StreamConfig
from metaact.experiments import stream as declared
from metaact.experiments.stream import run as stream
from metaact.reports import pictures
from metaact.runs import Run, RunStore

ARMS = ("relu", "arelu", "crelu")


def configs_of(config: StreamConfig, seeds: int = 3, arms: tuple[str, ...] = ARMS) -> list[Any]:
    return [replace(config, activation=arm, seed=seed) for arm in arms for seed in range(seeds)]


@pytest.fixture(scope="module")
def store(stream_config: StreamConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    assert experiments.run(STREAM, configs_of(stream_config), path).report.is_complete
    return path


@pytest.fixture(scope="module")
def document(stream_config: StreamConfig, store: Path) -> reports.Document:
    return reports.answer(experiments.run(STREAM, configs_of(stream_config), store))


def metrics(store: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    return {
        (str(run.config["activation"]), int(run.config["seed"])): list(run.metrics())
        for run in RunStore(store).runs()
    }


def content(store: Path) -> dict[str, Any]:
    """Records and results, by run; of the weights their numbers."""
    found: dict[str, Any] = {}
    for run in RunStore(store).runs():
        name = run.directory.name
        found[f"{name} records"] = list(run.metrics())
        result = run.result()
        found[f"{name} result"] = {k: v for k, v in result.items() if k not in ("seal", "files")}
        found[f"{name} weights"] = {k: v.tolist() for k, v in run.weights().items()}
    return found


def test_arms_of_a_seed_see_the_same_stream_and_seeds_do_not(store: Path) -> None:
    hashes = {key: [m.get("stream_sha256") for m in found] for key, found in metrics(store).items()}
    for seed in range(3):
        assert hashes["relu", seed] == hashes["arelu", seed] == hashes["crelu", seed]
    assert len({found[-1] for found in hashes.values()}) == 3


def test_a_run_is_the_same_alone_and_beside_others(
    stream_config: StreamConfig, store: Path, tmp_path: Path
) -> None:
    alone = replace(stream_config, activation="arelu", seed=1)
    experiments.run(STREAM, [alone], tmp_path / "alone")
    found = content(tmp_path / "alone")
    whole = content(store)
    assert len(found) == 3
    assert found == {name: whole[name] for name in found}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_killed_sweep_continues_bit_for_bit(
    stream_config: StreamConfig,
    optimizer: str,
    tmp_path: Path,
    run_killed: Callable[..., Any],
) -> None:
    configs = configs_of(replace(stream_config, optimizer=optimizer, lr=0.003), arms=("arelu",))
    assert run_killed(STREAM, configs, tmp_path / "killed", after=4) is None
    experiments.run(STREAM, configs[:1], tmp_path / "killed")  # one by itself
    experiments.run(STREAM, configs, tmp_path / "killed")
    experiments.run(STREAM, configs, tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_an_activation_that_draws_continues_bit_for_bit(
    stream_config: StreamConfig, tmp_path: Path, run_killed: Callable[..., Any]
) -> None:
    configs = configs_of(stream_config, seeds=2, arms=("rrelu",))
    assert run_killed(STREAM, configs, tmp_path / "killed", after=2) is None
    experiments.run(STREAM, configs[:1], tmp_path / "killed")  # one by itself
    experiments.run(STREAM, configs, tmp_path / "killed")
    experiments.run(STREAM, configs, tmp_path / "whole")
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_longer_run_serves_a_shorter_one(
    stream_config: StreamConfig, store: Path, document: reports.Document
) -> None:
    shorter = configs_of(replace(stream_config, bins=2))
    outcome = experiments.run(STREAM, shorter, store)
    assert outcome.at == 2
    found = reports.answer(outcome).studies[0].arm("relu").by_seed
    assert found == {seed: metrics(store)["relu", seed][2]["test_error"] for seed in range(3)}


def test_lost_is_what_the_arm_lost_since_its_best_bins() -> None:
    rising = [[5.0, 3.0, *([1.0] * 4), *([2.0] * 4)], [5.0, 3.0, *([2.0] * 4), *([2.5] * 4)]]
    assert declared._lost(rising) == (2, [1.0, 2.0], [1.0, 0.5])
    falling = [[3.0, 2.0, 1.0], [3.0, 2.0, 2.0]]
    assert declared._lost(falling) == (1, [1.0, 2.0], [0.0, 0.0])


def test_a_network_that_diverges_is_told_with_its_step(
    stream_config: StreamConfig, tmp_path: Path
) -> None:
    configs = configs_of(replace(stream_config, lr=3.0), arms=("squared-relu", "relu"))
    document = reports.answer(experiments.run(STREAM, configs, tmp_path / "runs"))
    (study,) = document.studies
    arm = study.arm("squared-relu")
    assert arm.failed
    assert arm.counted is None
    assert arm.interquartile is None
    result = next(r.result() for r in RunStore(tmp_path / "runs").runs())
    assert result["outcome"] == "diverged"
    assert 1 <= result["step"] <= 180
    reports.text.plain(document)


def test_the_score_is_shown_as_it_is_and_columns_by_what_they_are(
    document: reports.Document,
) -> None:
    (study,) = document.studies
    arm = study.arm("arelu")
    assert arm.score is not None
    assert not arm.score.share
    mean = sum(arm.by_seed.values()) / 3
    assert arm.score.mean == pytest.approx(mean)
    assert arm.score.varies == "training seeds"
    assert arm.columns["saturated units"].share
    assert not arm.columns["lost"].share
    text = reports.text.plain(document)
    row = next(line for line in text.splitlines() if line.startswith("arelu"))
    assert f"{mean:.2f}"[:3] in row
    assert "points" not in text
    assert "Gain of initial weights: 1.41 for relu, arelu, crelu." in text
    assert "crelu: 5 units give 10 features." in text.replace("\n", " ")


def test_a_lower_error_is_better(document: reports.Document) -> None:
    (study,) = document.studies
    for comparison in study.comparisons:
        first, second = (study.arm(n).score for n in (comparison.first, comparison.second))
        assert first is not None
        assert second is not None
        assert comparison.mean == pytest.approx(second.mean - first.mean)


def test_the_document_is_json_without_infinities(document: reports.Document) -> None:
    found = json.loads(json.dumps(document.as_json(), allow_nan=False))
    (study,) = found["studies"]
    assert study["measure"]["bounds"] == [0.0, None]
    assert Measure.from_json(study["measure"]).bounds == (0.0, math.inf)


def test_more_units_than_fit_an_activation_are_refused(stream_config: StreamConfig) -> None:
    with pytest.raises(UsageError, match="hidden"):
        replace(stream_config, hidden=0)


def test_a_preview_knows_that_runs_share_their_time(
    stream_config: StreamConfig, tmp_path: Path
) -> None:
    config = replace(stream_config, bins=1, bin_steps=stream.TIMED, activation="relu")
    seconds = []
    for seeds in (1, 30):
        configs = configs_of(config, seeds=seeds, arms=("relu",))
        shared = stream.prepare(configs)
        planned = stream.plan(configs, shared)
        seconds.append(stream.estimate(planned[0], shared))
    assert 0 < seconds[1] < seconds[0]


def test_workers_give_the_same(stream_config: StreamConfig, store: Path, tmp_path: Path) -> None:
    configs = configs_of(stream_config, seeds=2)
    experiments.run(STREAM, configs, tmp_path / "runs", workers=2)
    whole = content(store)
    assert content(tmp_path / "runs").items() <= whole.items()


def test_weights_are_those_of_a_network(store: Path, stream_config: StreamConfig) -> None:
    runs = [run for run in RunStore(store).runs() if run.config["activation"] == "arelu"]
    weights = Run.weights(runs[0])
    assert weights["first.weight"].shape == (5, 20)
    assert weights["second.weight"].shape == (1, 5)
    assert set(weights) >= {"activation.alpha", "activation.beta", "first.bias", "second.bias"}


def test_activations_that_change_the_width_run_beside_the_others(cli: Any) -> None:
    words = ("--bins", "2", "--bin-steps", "60", "--task-steps", "25", "--json")
    ended = cli("stream", "--activation", "maxout,crelu,relu", *words)
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert {arm["name"] for arm in study["arms"]} == {"maxout", "crelu", "relu"}


def test_recovery_is_that_of_the_errors_and_compared_by_seed(
    store: Path, document: reports.Document
) -> None:
    (study,) = document.studies
    arm, task = study.arm("arelu"), 25
    for seed, found in arm.columns["recovery"].by_seed.items():
        tasks = [t for m in metrics(store)["arelu", seed] for t in m.get("recovery", ())]
        assert len(tasks) == 3 * 60 // task - 1, "all but the first, and none that was cut off"
        assert found == pytest.approx(sum(task if t is None else t for t in tasks) / len(tasks))
        never = arm.columns["unrecovered"].by_seed[seed]
        assert never == pytest.approx(tasks.count(None) / len(tasks))
    assert set(study.others) == {"lost", declared.AREA, "recovery"}
    (of_arelu,) = [c for c in study.others["recovery"] if c.first == "arelu"]
    means = [study.arm(n).columns["recovery"].by_seed for n in ("arelu", "relu")]
    assert of_arelu.mean == pytest.approx(sum(means[1][s] - means[0][s] for s in range(3)) / 3)
    assert of_arelu.compared == 2
    text = reports.text.plain(document)
    assert "Further figures: difference to relu" in text
    assert "unrecovered" in reports.page(document)


def test_the_area_is_the_mean_error_of_all_steps(store: Path, document: reports.Document) -> None:
    found = document.studies[0].arm("relu").columns[declared.AREA].by_seed
    for seed, area in found.items():
        errors = [m["test_error"] for m in metrics(store)["relu", seed][1:]]
        assert area == pytest.approx(sum(errors) / 3)


def test_layers_are_recorded_reported_and_exported(
    store: Path, document: reports.Document, tmp_path: Path
) -> None:
    record = metrics(store)["arelu", 0][-1]
    assert set(record["layers"]) == {"hidden", "output"}
    assert record["layers"]["hidden"]["alpha"] == record["attention"]["hidden"]["alpha"]
    assert record["weight_norm"] == pytest.approx(
        math.hypot(*(layer["weight_norm"] for layer in record["layers"].values()))
    )
    curve = document.studies[0].arm("arelu").diagnostics["hidden"]["alpha"]
    values = [metrics(store)["arelu", s][-1]["layers"]["hidden"]["alpha"] for s in range(3)]
    assert curve.mean[-1] == pytest.approx(sum(values) / 3)
    assert "alpha" not in document.studies[0].arm("relu").diagnostics["hidden"]
    drawn = {one.kind: one for one in pictures.pictures(document.studies[0])}
    titles = [axes.get_title() for axes in drawn["layers"].figure.axes if axes.get_visible()]
    assert {"recovery steps", "dormant units, hidden", "weight norm, output"} <= set(titles)
    reports.export(reports.gather([store]), "csv", tmp_path / "tidy")
    head = (tmp_path / "tidy" / "epochs.csv").read_text().splitlines()[0].split(",")
    assert {"layers.hidden.saturated_units", "layers.output.gradient_norm", "recovery_steps"} <= {
        *head
    }


def test_runs_of_before_that_recorded_no_layers_are_read(
    store: Path, tmp_path: Path, document: reports.Document
) -> None:
    """As they were: dead units, rank and norms beside the error."""
    old = tmp_path / "old"
    shutil.copytree(store, old)
    for run in RunStore(old).runs():
        file = run.directory / "metrics.jsonl"
        records = [json.loads(line) for line in file.read_text().splitlines()]
        for record in records:
            for name in ("recovery", "recovery_steps", "layers", "stuck_alpha", "dormant_units"):
                record.pop(name, None)
            if "saturated_units" in record:
                record["dead_units"] = record.pop("saturated_units")
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
        result = json.loads((run.directory / "result.json").read_text())
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        result["seal"]["files"]["metrics.jsonl"] = digest
        (run.directory / "result.json").write_text(json.dumps(result))
    found = reports.compare(reports.gather([old]))
    assert not found.left_out
    (study,) = found.studies
    arm = study.arm("relu")
    assert arm.by_seed == document.studies[0].arm("relu").by_seed
    assert arm.diagnostics == {}
    assert "recovery" not in arm.columns
    assert "dead units" in arm.columns
    assert "layers" not in {one.kind for one in pictures.pictures(study)}


def test_each_way_of_initialisation_has_the_gain_that_it_says(
    stream_config: StreamConfig, tmp_path: Path
) -> None:
    """Weights are uniform in ±g·sqrt(3/20): the largest of 5·20 is near the bound."""
    gains = {
        ("relu", "default"): 1 / math.sqrt(3),
        ("relu", "relu"): math.sqrt(2),
        ("relu", "measured"): math.sqrt(2),
        ("tanh", "published"): 5 / 3,
        ("tanh", "relu"): math.sqrt(2),
        ("crelu", "measured"): math.sqrt(2),
        ("maxout", "measured"): 1.0,  # E max(x, y)² = 1
        ("relu-gain", "measured"): math.sqrt(2),
        ("relu-gain", "relu"): math.sqrt(2) * activations.resolve("relu-gain").init_gain,
    }
    for (arm, init), gain in gains.items():
        config = replace(stream_config, activation=arm, init=init)
        shared = stream.prepare([config])
        course = shared.subject.course(config)
        layout = course.layout
        first = course.fresh(config)["numbers"][: layout.first - layout.hidden]
        bound = gain * math.sqrt(3 / 20)
        assert 0.95 * bound < float(first.abs().max()) <= bound * (1.004 if arm == "maxout" else 1)
    configs = [replace(stream_config, activation=a, init="measured") for a in ("relu", "arelu")]
    text = reports.text.plain(reports.answer(experiments.run(STREAM, configs, tmp_path)))
    said = " ".join(text.split())
    assert "Initialisation: each arm's own measured gain by Kaiming's rule." in said
    assert "Gain of initial weights: 1.41 for relu; 0.678 for arelu." in said


def test_a_run_keeps_its_name_beside_the_way_of_initialisation() -> None:
    assert "init" not in StreamConfig().fields()
    assert StreamConfig(init="relu").fields()["init"] == "relu"
