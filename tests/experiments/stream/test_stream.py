"""`stream` on short streams: pairing, companions, resuming, what was lost, divergence, reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metaact import experiments, reports
from metaact.errors import UsageError
from metaact.experiments import STREAM, Measure, StreamConfig
from metaact.experiments import stream as declared
from metaact.experiments.stream import run as stream
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
    assert arm.columns["dead units"].share
    assert not arm.columns["lost"].share
    text = reports.text.plain(document)
    row = next(line for line in text.splitlines() if line.startswith("arelu"))
    assert f"{mean:.2f}"[:3] in row
    assert "points" not in text
    assert "Gain of the weights of the hidden layer at the start: 1.41 for relu, arelu" in text
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
