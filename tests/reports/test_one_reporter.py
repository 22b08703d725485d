"""What a verb prints is what `metaact compare` prints of the same runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaact.cli import cli

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


def printed(words: list[str]) -> str:
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


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
    return list(studies)


@pytest.mark.parametrize("verb", VERBS)
def test_verb_and_compare_print_one_document(verb: str, pack: Path, tmp_path: Path) -> None:
    words = [str(pack) if word == "PACK" else word for word in VERBS[verb]]
    out = str(tmp_path / "runs")
    ours = json.loads(printed([*words, "--out", out, "--json"]))
    theirs = json.loads(printed(["compare", out, "--reference", "prelu", "--json"]))
    assert by_name(ours) == by_name(theirs)
    assert ours["studies"][0]["reference"] == "prelu"
    plain = printed([*words, "--out", out]).splitlines()
    again = printed(["compare", out, "--reference", "prelu"]).splitlines()
    assert sorted(plain) == sorted(again)


def test_a_verb_takes_its_first_arm_and_a_store_relu_or_the_table(
    pack: Path, tmp_path: Path
) -> None:
    words = ["converge", "--dataset", str(pack), "--epochs", "1", "--lr", "0.1", "--batch-size"]
    out = ["32", "--out", str(tmp_path / "runs"), "--json"]
    document = json.loads(printed([*words, *out, "--activation", "tanh,elu"]))
    assert document["studies"][0]["reference"] == "tanh"
    named = [*words, *out, "--activation", "tanh,elu", "--reference", "elu"]
    assert json.loads(printed(named))["studies"][0]["reference"] == "elu"
    store = ["compare", str(tmp_path / "runs"), "--json"]
    found = json.loads(printed(store))["studies"][0]
    assert found["reference"] == "elu"  # it stands before tanh in the table of activations
    assert [arm["name"] for arm in found["arms"]] == ["elu", "tanh"]
    printed([*words, *out, "--activation", "relu"])
    assert json.loads(printed(store))["studies"][0]["reference"] == "relu"


def test_times_are_read_alike_where_a_seed_never_arrives(pack: Path, tmp_path: Path) -> None:
    words = ["converge", "--dataset", str(pack), "--activation", "relu", "--seeds", "3"]
    words += ["--epochs", "2", "--lr", "0.02", "--batch-size", "32", "--to", "5,99"]
    out = str(tmp_path / "runs")
    (ours,) = json.loads(printed([*words, "--out", out, "--json"]))["studies"]
    (theirs,) = json.loads(printed(["compare", out, "--to", "5,99", "--json"]))["studies"]
    assert ours["arms"][0]["times"] == theirs["arms"][0]["times"]
    assert {time["curve"] for time in ours["arms"][0]["times"]} == {"test_accuracy"}
