"""Several values of a setting: arms where it is asked about, else studies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaact.cli.verb import configs_of, verb
from metaact.experiments import CONVERGE, MAML, TRANSFER, Experiment
from metaact.runs import RunStore

Cli = Callable[..., Any]

MAML_WORDS = (
    *("maml", "--iterations", "1", "--tasks", "2", "--ways", "2", "--queries", "2", "--steps", "1"),
    *("--test-episodes", "4", "--test-queries", "2", "--validation-episodes", "2"),
)


def configs(experiment: Experiment, *words: str) -> list[Any]:
    """What a command line asks for."""
    given = verb(experiment).make_context(experiment.name, list(words)).params
    return list(configs_of(experiment, given, by=given["by"], tune=given["tune"]))


def _made(found: list[Any], *names: str) -> list[tuple[object, ...]]:
    return [tuple(getattr(config, name) for name in names) for config in found]


def test_an_alias_is_the_option() -> None:
    aliased = configs(MAML, "--lr", "0.1", "--steps", "2", "--test-steps", "3")
    assert aliased == configs(
        MAML, "--meta-lr", "0.1", "--inner-steps", "2", "--test-inner-steps", "3"
    )
    assert _made(aliased, "meta_lr", "inner_lr", "inner_steps", "test_inner_steps") == [
        (0.1, 0.005, 2, 3)
    ]


def test_every_combination_is_a_run_arms_in_their_order() -> None:
    found = configs(
        MAML, "--activation", "tanh,relu", "--shots", "5,1", "--inner-lr", "0.1", "--seed", "3,5"
    )
    assert _made(found, "shots", "activation", "seed") == [
        (shots, arm, seed) for shots in (5, 1) for arm in ("tanh", "relu") for seed in (3, 5)
    ]
    found = configs(CONVERGE, "--lr", "0.1,0.01", "--tune", "lr=0.01,1", "--seeds", "2")
    assert _made(found, "lr", "seed") == [(lr, s) for lr in (0.1, 0.01, 1.0) for s in (0, 1)]
    found = configs(TRANSFER, "--optimizer", "sgd,adam", "--epochs", "5,10")
    assert _made(found, "optimizer", "epochs") == [("sgd", (5, 10)), ("adam", (5, 10))]


def test_what_is_compared_is_listed_innermost() -> None:
    found = configs(
        MAML, "--by", "model", "--model", "conv4,mnist-conv", "--activation", "relu,selu"
    )
    assert _made(found, "activation", "model", "batch_norm") == [
        ("relu", "conv4", "batch"),
        ("relu", "mnist-conv", "off"),
        ("selu", "conv4", "batch"),
        ("selu", "mnist-conv", "off"),
    ]


def test_values_of_another_setting_are_studies(cli: Cli, pack: Path, tmp_path: Path) -> None:
    ended = cli(*MAML_WORDS, "--dataset", pack, "--shots", "1,2", "--seed", "3,5", "--json")
    assert ended.code == 0, ended.err
    studies = ended.json["studies"]
    assert {study["settings"]["shots"]: len(study["arms"]) for study in studies} == {1: 1, 2: 1}
    assert [study["arms"][0]["seeds"] for study in studies] == [[3, 5], [3, 5]]
    assert len({study["title"] for study in studies}) == 2
    groups = cli("runs", "list", "--json").json["groups"]
    assert sorted(group["runs"] for group in groups) == [2, 2]
    lines = [line for study in studies for line in study["commands"]]
    assert all("--seed 3,5" in line for line in lines)
    seeds = sorted(run.config["seed"] for run in RunStore(tmp_path / "runs").runs("maml"))
    assert seeds == [3, 3, 5, 5]


def test_values_of_the_setting_asked_about_are_arms(cli: Cli, pack: Path) -> None:
    words = (*MAML_WORDS, "--dataset", pack, "--activation", "relu", "--seeds", "2")
    ended = cli(*words, "--by", "model", "--model", "mnist-conv,conv4", "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert [arm["value"] for arm in study["arms"]] == ["mnist-conv", "conv4"]
    assert (study["by"], study["reference"]) == ("model", "mnist-conv")
    (comparison,) = study["comparisons"]
    assert (comparison["first"], comparison["second"]) == ("conv4", "mnist-conv")
    assert study["settings"]["activation"] == "relu"
    assert len({arm["parameters"] for arm in study["arms"]}) == 2
    (line,) = study["commands"]
    assert "--model mnist-conv,conv4" in line
    assert line.endswith("--by model")
    # `compare` makes the same of the store, and by activation they are not mixed.
    (found,) = cli("compare", "runs", "--by", "model", "--reference", "mnist-conv", "--json").json[
        "studies"
    ]
    assert found["comparisons"] == study["comparisons"]
    assert len(cli("compare", "runs", "--json").json["studies"]) == 2
    shown = cli(*words, "--by", "model", "--model", "mnist-conv,conv4")
    assert shown.err.count("complete already, reused") == 4
    assert "conv4" in shown.out


def test_batch_norm_can_be_asked_about(cli: Cli, pack: Path) -> None:
    words = ("converge", "--dataset", pack, "--epochs", "1", "--batch-size", "128", "--lr", "0.05")
    words += ("--model", "conv4", "--activation", "relu", "--by", "batch-norm")
    ended = cli(*words, "--batch-norm", "off,batch", "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert [arm["value"] for arm in study["arms"]] == ["off", "batch"]
    assert "batch_norm" not in study["settings"]


@pytest.mark.parametrize("dash", ["-", "_"])
def test_a_config_file_takes_lists_aliases_and_both_dashes(
    dash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {
        "shots": [1, 5],
        "test-steps": 3,
        "lr": [0.1, 0.2],
        "inner-lr": 0.3,
        "head-only": True,
        "by": "shots",
        "seed": [4],
        "replacement": False,
    }
    lines = [f"{key.replace('-', dash)} = {json.dumps(value)}" for key, value in keys.items()]
    Path("study.toml").write_text("\n".join(lines))
    found = configs(MAML, "--config", "study.toml", "--head-only", "--seed", "7")
    assert found == configs(
        MAML,
        *("--shots", "1,5", "--test-inner-steps", "3", "--meta-lr", "0.1,0.2", "--inner-lr", "0.3"),
        *("--head-only", "--by", "shots", "--seed", "7", "--without-replacement"),
    )
    assert len(found) == 4
