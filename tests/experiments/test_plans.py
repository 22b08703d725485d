"""A plan of seeds: written before the first run, shown by every later report, not to be changed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaact.experiments.plans import FOLDER

Cli = Callable[..., Any]


@pytest.fixture
def words(pack: Path, tmp_path: Path) -> list[str]:
    """A comparison that takes a second."""
    return [
        *("converge", "--dataset", str(pack), "--activation", "relu,selu", "--epochs", "1"),
        *("--lr", "0.1", "--batch-size", "32", "--out", str(tmp_path / "runs")),
    ]


def _plan(cli: Cli, *words: str) -> dict[str, Any]:
    ended = cli(*words, "--json")
    assert ended.code == 0, ended.err
    plan: dict[str, Any] = ended.json["studies"][0]["plan"]
    return plan


def test_a_plan_that_is_kept(cli: Cli, words: list[str], tmp_path: Path) -> None:
    made = _plan(cli, *words, "--plan-seeds", "2")
    assert (made["seeds"], made["there"], made["state"], made["looks"]) == (2, [2, 2], "kept", [])
    later = _plan(cli, "compare", str(tmp_path / "runs"))
    assert later == made
    shown = cli("compare", str(tmp_path / "runs")).out
    assert "2 seeds an arm. Kept: every arm has them" in " ".join(shown.split())
    (file,) = (tmp_path / "runs" / FOLDER).iterdir()
    assert json.loads(file.read_text())["seeds"] == 2
    assert cli("runs", "list", str(tmp_path / "runs")).code == 0


def test_a_planned_arm_without_a_run_is_missed(cli: Cli, words: list[str], tmp_path: Path) -> None:
    limited = _plan(cli, *words, "--plan-seeds", "2", "--limit", "2")
    assert limited["state"] == "looked at early"
    assert limited["there"] != [2, 2]


def test_a_part_of_the_runs_neither_keeps_nor_spoils_a_plan(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    store = str(tmp_path / "runs")
    assert _plan(cli, *words, "--plan-seeds", "2")["state"] == "kept"
    one = next(path for path in (tmp_path / "runs" / "converge").iterdir() if "relu" in path.name)
    part = _plan(cli, "compare", str(one))
    assert (part["state"], part["looks"]) == ("kept", [])
    assert _plan(cli, "compare", store)["state"] == "kept"
    shutil.rmtree(one)
    removed = _plan(cli, "compare", store)
    assert removed["state"] == "kept"
    assert removed["sentence"].endswith("by now an arm has 1.")


def test_an_arm_that_is_added_can_be_looked_at_early(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    assert _plan(cli, *words, "--plan-seeds", "2")["state"] == "kept"
    more = [word if word != "relu,selu" else "relu,elu" for word in words]
    assert more != words
    added = _plan(cli, *more, "--seeds", "1")
    assert (added["state"], added["there"]) == ("looked at early", [1, 2])
    assert "Kept for the arms of " in added["sentence"]
    assert "Looked at early: now, with 1 of an arm." in added["sentence"]
    done = _plan(cli, *more, "--seeds", "2")
    assert (done["state"], done["there"]) == ("looked at early", [2, 2])
    assert "at 1 seed (" in done["sentence"]


def test_the_plan_stands_in_the_table_of_numbers(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    assert cli(*words, "--plan-seeds", "2").code == 0
    shown = cli("compare", str(tmp_path / "runs"), "--csv").out
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert {(row["planned_seeds"], row["plan"]) for row in rows} == {("2", "kept")}


def test_a_look_before_all_seeds_are_there_is_remembered(
    cli: Cli, words: list[str], tmp_path: Path
) -> None:
    early = _plan(cli, *words, "--plan-seeds", "3", "--seeds", "2")
    assert early["state"] == "looked at early"
    assert "now, with 2" in early["sentence"]
    done = _plan(cli, *words, "--seeds", "3")
    assert done["there"] == [3, 3]
    assert done["state"] == "looked at early"
    assert [seeds for seeds, _ in done["looks"]] == [2]
    assert "Looked at early: at 2 seeds (" in done["sentence"]
    more = _plan(cli, *words, "--seeds", "4")
    assert (more["state"], more["there"]) == ("not kept", [4, 4])
    assert "Not kept: an arm has 4" in more["sentence"]


def test_a_plan_comes_before_the_first_run(cli: Cli, words: list[str]) -> None:
    assert cli(*words, "--seeds", "1").code == 0
    late = cli(*words, "--plan-seeds", "2")
    assert late.code == 2
    assert "--plan-seeds must be given before the first run of a study" in late.err


def test_a_plan_is_not_changed(cli: Cli, words: list[str]) -> None:
    assert cli(*words, "--plan-seeds", "2").code == 0
    assert cli(*words, "--plan-seeds", "2").code == 0
    other = cli(*words, "--plan-seeds", "3")
    assert other.code == 2
    assert "--plan-seeds must be 2, as planned" in other.err
    many = cli(*words, "--plan-seeds", "2", "--seeds", "3")
    assert many.code == 2
    assert "no more than are planned" in many.err
    assert cli(*words, "--plan-seeds", "1").code == 2


def test_a_damaged_plan_is_refused(cli: Cli, words: list[str], tmp_path: Path) -> None:
    assert cli(*words, "--plan-seeds", "2").code == 0
    (file,) = (tmp_path / "runs" / FOLDER).iterdir()
    file.write_text("{}")
    found = cli("compare", str(tmp_path / "runs"))
    assert found.code == 1
    assert "must be a plan of seeds as --plan-seeds writes it" in found.err


def test_a_store_that_cannot_be_written_is_still_read(
    cli: Cli, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*words, "--plan-seeds", "3", "--seeds", "1").code == 0

    def full(*given: object, **more: object) -> None:
        from metaact.errors import RunError

        raise RunError("`plan` could not be written (no space left).")

    monkeypatch.setattr("metaact.experiments.plans.write_atomically", full)
    assert cli(*words, "--seeds", "2").code == 0
    found = cli("compare", str(tmp_path / "runs"))
    assert found.code == 0
    assert "this early look is not recorded" in found.err
