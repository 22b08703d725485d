"""`metaact compare` as typed: result on stdout, what was left out on stderr, exit codes."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Cli = Callable[..., Any]

EPISODES = [0.5 + 0.013 * i for i in range(24)]


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(3):
            wobble = 0.002 * seed * (activation == "relu")
            values = [value + shift - wobble for value in EPISODES]
            synthetic.maml(tmp_path / "runs", activation, seed, values)
    return tmp_path / "runs"


def test_a_table_and_a_verdict(cli: Cli, store: Path) -> None:
    result = cli("compare", store)
    assert result.code == 0, result.err
    assert "arelu is better than relu by 10.2 points" in result.out
    assert result.err.startswith("next: `metaact report ")
    assert result.err.count("\n") == 1


def test_forms(cli: Cli, store: Path) -> None:
    document = cli("compare", store, "--json").json
    assert document["studies"][0]["comparisons"][0]["first"] == "arelu"
    assert len(list(csv.DictReader(io.StringIO(cli("compare", store, "--csv").out)))) == 2
    assert cli("compare", store, "--latex").out.startswith(r"\begin{table}")
    assert "| arm | seeds |" in cli("compare", store, "--markdown").out


@pytest.mark.parametrize("name", ["forest", "forest.png", "forest.svg"])
def test_a_picture_of_all_studies_as_png_and_svg(
    cli: Cli, store: Path, tmp_path: Path, name: str
) -> None:
    result = cli("compare", store, "--json", "--picture", tmp_path / name)
    assert result.json["studies"]
    files = sorted(path.name for path in tmp_path.glob("forest*"))
    assert files == ["forest.png", "forest.svg"]
    assert all(file in result.err for file in files)
    drawn = (tmp_path / "forest.svg").read_text("utf-8")
    assert "maml: mnist, against relu" in drawn
    assert "+10.2 [" in drawn


def test_a_picture_of_nothing_that_can_be_compared_is_refused(
    cli: Cli, store: Path, tmp_path: Path
) -> None:
    result = cli("compare", store, "--activation", "relu", "--picture", tmp_path / "forest")
    assert result.code == 1
    assert "--picture" in result.err
    assert not list(tmp_path.glob("forest*"))


def test_a_bootstrap_over_units_has_a_seed(cli: Cli, store: Path) -> None:
    words = (store, "--over", "units", "--interval", "bca", "--json")
    ends = [
        cli("compare", *words, "--bootstrap-seed", seed).json["studies"][0]["arms"][0]["score"][
            "low"
        ]
        for seed in (0, 0, 1)
    ]
    assert ends[0] == ends[1] != ends[2]


def test_what_is_left_out_is_named_on_stderr(cli: Cli, store: Path) -> None:
    lost = sorted((store / "maml").glob("*-relu-seed1*"))[0]
    (lost / "result.json").unlink()
    result = cli("compare", store, "--csv")
    assert result.code == 0
    assert "relu-seed1" in result.err
    assert "not complete" in result.err
    assert "left out" not in result.out


def test_nothing_left_to_compare_fails(cli: Cli, store: Path) -> None:
    for result in store.glob("maml/*/result.json"):
        result.unlink()
    result = cli("compare", store)
    assert result.code == 1
    assert result.out == ""


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--reference", "rellu"], "--reference must be one of arelu, relu", 2),
        (["--activation", "gelu"], "--activation must be one of arelu, relu", 2),
        (["--margin", "0"], "--margin must be", 2),
        (["--margin", "nan"], "--margin must be", 2),
        (["--margin", "101"], "--margin must be", 2),
        (["--level", "95"], "--level must be", 2),
        (["--at", "-1"], "--at must be", 2),
        (["--to", "90,101"], "--to must be", 2),
        (["--to", "0"], "--to must be", 2),
        (["--bootstrap-seed", "-1"], "--bootstrap-seed must be", 2),
        (["--interval", "bca"], "--interval must be", 2),
        (["--over", "images"], "--over", 2),
        (["--by", "activaton"], "--by must be one of", 2),
        (["--by", "shots", "--activation", "7"], "--activation must be 1", 2),
        (["no-such-folder"], "no-such-folder", 1),
    ],
)
def test_bad_input_is_one_line(
    cli: Cli, store: Path, words: list[str], said: str, code: int
) -> None:
    result = cli("compare", store, *words)
    assert (result.code, result.out, result.err.count("\n")) == (code, "", 1), result.err
    assert said in result.err


def test_a_run_that_is_named_and_damaged_is_refused(cli: Cli, store: Path) -> None:
    bad = sorted((store / "maml").iterdir())[0]
    (bad / "result.json").write_text("{")
    result = cli("compare", bad)
    assert result.code == 1
    assert bad.name in result.err


def test_a_copy_of_a_run_is_left_out_in_one_line_whatever_it_is_called(
    cli: Cli, store: Path
) -> None:
    run = sorted((store / "maml").iterdir())[0]
    shutil.copytree(run, store / "maml" / "zz\nline")
    (line, _) = cli("compare", store).err.splitlines()
    assert line.startswith("metaact: left out ")
    assert "zz line: it is the same run as" in line


def test_without_runs_it_reads_the_folder_runs(cli: Cli, store: Path, tmp_path: Path) -> None:
    assert cli("compare").out == cli("compare", store).out != ""
    store.rename(tmp_path / "elsewhere")
    result = cli("compare")
    assert result.code == 2
    assert "begin with `metaact maml" in result.err


def test_the_arms_are_those_of_the_setting_asked_about(
    cli: Cli, store: Path, synthetic: ModuleType
) -> None:
    for seed in range(3):
        values = [value + 0.2 for value in EPISODES]
        synthetic.maml(store, "relu", seed, values, inner_steps=1)
    found = cli("compare", store, "--json").json
    assert sorted(len(study["arms"]) for study in found["studies"]) == [1, 2]
    found = cli("compare", store, "--by", "inner_steps", "--json").json
    studies = {study["settings"]["activation"]: study for study in found["studies"]}
    assert [arm["value"] for arm in studies["relu"]["arms"]] == ["1", "5"]
    assert studies["relu"]["by"] == "inner_steps"
    words = ("--by", "inner-steps", "--reference", "5", "--activation", "1,5")
    assert "1 is better than 5 by 20." in cli("compare", store, *words).out
