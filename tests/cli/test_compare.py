"""`metaact compare` as typed: result on stdout, what was left out on stderr, exit codes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from metaact.cli import cli

EPISODES = [0.5 + 0.013 * i for i in range(24)]


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(3):
            wobble = 0.002 * seed * (activation == "relu")
            values = [value + shift - wobble for value in EPISODES]
            synthetic.maml(tmp_path / "runs", activation, seed, values)
    return tmp_path / "runs"


def _run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, words)])


def test_a_table_and_a_verdict(store: Path) -> None:
    result = _run(store)
    assert result.exit_code == 0, result.stderr
    assert "arelu is better than relu by 10.2 points" in result.stdout
    assert result.stderr == ""


def test_forms(store: Path) -> None:
    document = json.loads(_run(store, "--json").stdout)
    assert document["studies"][0]["comparisons"][0]["first"] == "arelu"
    assert len(list(csv.DictReader(io.StringIO(_run(store, "--csv").stdout)))) == 2
    assert _run(store, "--latex").stdout.startswith(r"\begin{table}")
    assert "| arm | seeds |" in _run(store, "--markdown").stdout


def test_a_bootstrap_over_units_has_a_seed(store: Path) -> None:
    words = (store, "--over", "units", "--interval", "bca", "--json")
    ends = [
        json.loads(_run(*words, "--seed", seed).stdout)["studies"][0]["arms"][0]["accuracy"]["low"]
        for seed in (0, 0, 1)
    ]
    assert ends[0] == ends[1] != ends[2]


def test_what_is_left_out_is_named_on_stderr(store: Path) -> None:
    lost = sorted((store / "maml").glob("*-relu-seed1*"))[0]
    (lost / "result.json").unlink()
    result = _run(store, "--csv")
    assert result.exit_code == 0
    assert "relu-seed1" in result.stderr
    assert "not complete" in result.stderr
    assert "left out" not in result.stdout


def test_nothing_left_to_compare_fails(store: Path) -> None:
    for result in store.glob("maml/*/result.json"):
        result.unlink()
    result = _run(store)
    assert result.exit_code == 1
    assert result.stdout == ""


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
        (["--seed", "-1"], "--seed must be", 2),
        (["--interval", "bca"], "--interval must be", 2),
        (["--over", "images"], "--over", 2),
        (["no-such-folder"], "no-such-folder", 1),
    ],
)
def test_bad_input_is_one_line(store: Path, words: list[str], said: str, code: int) -> None:
    result = _run(store, *words)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_run_that_is_named_and_damaged_is_refused(store: Path) -> None:
    bad = sorted((store / "maml").iterdir())[0]
    (bad / "result.json").write_text("{")
    result = _run(bad)
    assert result.exit_code == 1
    assert bad.name in result.output


def test_without_runs_it_asks_for_them() -> None:
    result = _run()
    assert result.exit_code == 2
    assert "RUNS" in result.output
