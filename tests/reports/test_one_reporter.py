"""What a verb prints is what `metaact compare` prints of the same runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

VERBS = {
    "maml": [
        *("maml", "--dataset", "PACK", "--activation", "prelu,relu,arelu", "--seeds", "2"),
        *("--ways", "3", "--tasks", "2", "--iterations", "2", "--test-episodes", "6"),
        *("--validation-episodes", "3", "--inner-lr", "0.01,0.1", "--inner-steps", "1"),
    ],
    "converge": [
        *("converge", "--dataset", "PACK", "--activation", "prelu,relu,arelu", "--seeds", "2"),
        *("--epochs", "3", "--lr", "1e-2,1e-1", "--batch-size", "32"),
    ],
    "transfer": [
        *("transfer", "PACK", "PACK", "--activation", "prelu,relu", "--seeds", "2"),
        *("--epochs", "1,2", "--lr", "1e-3", "--pretrain-epochs", "1", "--batch-size", "32"),
    ],
}


Cli = Callable[..., Any]


def printed(cli: Cli, words: list[str]) -> str:
    ended = cli(*words)
    assert ended.code == 0, ended.err
    return str(ended.out)


def by_name(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The studies, what is in the order of the arms put into one order."""
    studies = document["studies"]
    for study in studies:
        study["arms"].sort(key=lambda arm: arm["name"])
        study["comparisons"].sort(key=lambda comparison: comparison["first"])
        study["environments"].sort(key=json.dumps)
        study["commands"] = [sorted(line.replace(",", " ").split()) for line in study["commands"]]
        study["question"] = sorted(study["question"].replace(",", "").split())
        if study["ranks"]:  # equal ranks stand in the order of the arms
            groups = study["ranks"]["found"]["groups"]
            study["ranks"]["found"]["groups"] = sorted(sorted(group) for group in groups)
        if study["tuned"]:
            study["tuned"]["comparisons"].sort(key=lambda comparison: comparison["first"])
            study["tuned"]["notes"].sort()
            study["tuned"]["arms"].sort(key=lambda arm: arm["name"])
    return list(studies)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_and_compare_print_one_document(
    verb: str, pack: Path, tmp_path: Path, cli: Cli
) -> None:
    words = [str(pack) if word == "PACK" else word for word in VERBS[verb]]
    out = str(tmp_path / "runs")
    ours = json.loads(printed(cli, [*words, "--out", out, "--json"]))
    theirs = json.loads(printed(cli, ["compare", out, "--reference", "prelu", "--json"]))
    assert by_name(ours) == by_name(theirs)
    assert ours["studies"][0]["reference"] == "prelu"
    plain = printed(cli, [*words, "--out", out]).splitlines()
    again = printed(cli, ["compare", out, "--reference", "prelu"]).splitlines()
    assert sorted(plain) == sorted(again)


def test_a_verb_takes_its_first_arm_and_a_store_relu_or_the_table(
    pack: Path, tmp_path: Path, cli: Cli
) -> None:
    words = ["converge", "--dataset", str(pack), "--epochs", "1", "--lr", "0.1", "--batch-size"]
    out = ["32", "--out", str(tmp_path / "runs"), "--json"]
    document = json.loads(printed(cli, [*words, *out, "--activation", "tanh,elu"]))
    assert document["studies"][0]["reference"] == "tanh"
    named = [*words, *out, "--activation", "tanh,elu", "--reference", "elu"]
    assert json.loads(printed(cli, named))["studies"][0]["reference"] == "elu"
    store = ["compare", str(tmp_path / "runs"), "--json"]
    found = json.loads(printed(cli, store))["studies"][0]
    assert found["reference"] == "elu"  # it stands before tanh in the table of activations
    assert [arm["name"] for arm in found["arms"]] == ["elu", "tanh"]
    printed(cli, [*words, *out, "--activation", "relu"])
    assert json.loads(printed(cli, store))["studies"][0]["reference"] == "relu"


def test_times_are_read_alike_where_a_seed_never_arrives(
    pack: Path, tmp_path: Path, cli: Cli
) -> None:
    words = ["converge", "--dataset", str(pack), "--activation", "relu", "--seeds", "3"]
    words += ["--epochs", "2", "--lr", "0.02", "--batch-size", "32", "--to", "5,99"]
    out = str(tmp_path / "runs")
    (ours,) = json.loads(printed(cli, [*words, "--out", out, "--json"]))["studies"]
    (theirs,) = json.loads(printed(cli, ["compare", out, "--to", "5,99", "--json"]))["studies"]
    assert ours["arms"][0]["times"] == theirs["arms"][0]["times"]
    assert {time["curve"] for time in ours["arms"][0]["times"]} == {"test_accuracy"}


def test_a_baseline_is_that_of_the_same_length(pack: Path, tmp_path: Path, cli: Cli) -> None:
    """A store that also holds a longer transfer gives no study the other's "target only"."""
    words = ["transfer", str(pack), str(pack), "--activation", "relu", "--lr", "0.05"]
    words += ["--pretrain-epochs", "1", "--batch-size", "32", "--out", str(tmp_path / "runs")]
    ours = {
        epochs: json.loads(printed(cli, [*words, "--epochs", str(epochs), "--json"]))
        for epochs in (1, 4)
    }
    found = json.loads(printed(cli, ["compare", str(tmp_path / "runs"), "--json"]))
    by_length = {study["settings"]["epochs"]: study for study in found["studies"]}
    assert sorted(by_length) == [1, 4]
    for epochs, document in ours.items():
        (mine,) = document["studies"][0]["arms"]
        (theirs,) = by_length[epochs]["arms"]
        assert mine["columns"]["target only"] == theirs["columns"]["target only"]
        assert max(mine["baseline"]["test_accuracy"]["x"]) == epochs
    only = [study["arms"][0]["columns"]["target only"] for study in by_length.values()]
    assert only[0] != only[1]


@pytest.mark.parametrize("by", ["train-layers", "freeze-activations"])
def test_arms_of_lists_and_flags_are_read_alike(by: str, pack: Path, tmp_path: Path) -> None:
    from metaact import experiments, reports

    values: dict[str, Any] = {
        "train-layers": (("head",), ("all",)),
        "freeze-activations": (True, False),
    }
    name = by.replace("-", "_")
    configs = [
        experiments.ConvergeConfig(
            dataset=str(pack), epochs=1, batch_size=32, lr=0.1, **{name: value}
        )
        for value in values[by]
    ]
    outcome = experiments.run(experiments.CONVERGE, configs, tmp_path / "runs")
    (study,) = reports.answer(outcome, by=name).studies
    told = {"train-layers": ["head", "all"], "freeze-activations": None}[by]
    assert [arm.value for arm in study.arms] == (
        told or ["freeze activations", "no freeze activations"]
    )
    assert study.reference == study.arms[0].value
