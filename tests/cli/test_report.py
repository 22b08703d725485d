"""`metaact report` as typed: one page, its path on stdout, errors in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Cli = Callable[..., Any]

EPISODES = [0.5, 0.6, 0.7, 0.8] * 5


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(2):
            values = [value + shift + 0.01 * seed for value in EPISODES]
            synthetic.maml(tmp_path / "runs", activation, seed, values)
    return tmp_path / "runs"


def test_a_page_with_the_verdict_and_the_title(cli: Cli, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    result = cli("report", store, "-o", path, "--title", "Mine & yours")
    assert result.code == 0, result.err
    assert result.out == f"{path}\n"
    found = path.read_text("utf-8")
    assert "<h1>Mine &amp; yours</h1>" in found
    sentence = cli("compare", store, "--json").json["studies"][0]["comparisons"][0]["sentence"]
    assert sentence.replace("[-", "[−") in found
    assert "by 10.0 points" in sentence
    assert "α and β of arelu" in found
    assert list(tmp_path.glob(".*")) == []


def test_an_older_page_is_replaced(cli: Cli, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    assert cli("report", store, "-o", path, "--pictures", 0).code == 0
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_options_of_compare_hold(cli: Cli, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    words = ("--reference", "arelu", "--margin", 1, "--over", "units", "--level", 0.9)
    assert cli("report", store, "-o", path, *words).code == 0
    found = path.read_text("utf-8")
    assert "relu is worse than arelu" in found
    assert "Within 1 points" in found
    assert "Intervals are at 90 %" in found


def test_what_is_left_out_stands_on_the_page_and_on_stderr(
    cli: Cli, store: Path, tmp_path: Path
) -> None:
    lost = sorted((store / "maml").glob("*-relu-seed1*"))[0]
    (lost / "result.json").unlink()
    path = tmp_path / "report.html"
    result = cli("report", store, "-o", path)
    assert result.code == 0
    assert lost.name in result.err
    found = path.read_text("utf-8")
    assert found.index(lost.name) < found.index("Verdict on every arm")


def test_what_is_no_page_is_not_overwritten(cli: Cli, store: Path, tmp_path: Path) -> None:
    other = tmp_path / "results.csv"
    other.write_text("precious")
    (tmp_path / "folder.html").mkdir()
    places = [other, tmp_path / "folder.html", tmp_path / "nowhere" / "report.html"]
    for place in places:
        result = cli("report", store, "-o", place)
        assert result.code == 2
        assert str(place) in result.err
    assert other.read_text() == "precious"


def test_no_runs_fail_in_one_line_and_leave_the_old_page(
    cli: Cli, store: Path, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    for runs, options, status in (
        (tmp_path / "nothing", [], 1),
        (store, ["--pictures", "-1"], 2),
        (store, ["--reference", "gelu"], 2),
    ):
        done = cli("report", runs, "-o", path, *options)
        assert (done.code, done.out, done.err.count("\n")) == (status, "", 1), done.err
        assert done.err.startswith("metaact: ")
    assert path.read_text() == "old"


def test_a_page_is_made_without_torch(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from metaact.cli import cli\n"
        "cli(['report', *sys.argv[1:]], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(store), "-o", str(tmp_path / "report.html")]
    subprocess.run(words, check=True, capture_output=True)
