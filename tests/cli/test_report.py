"""`metaact report` as typed: one page, its path on stdout, errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from metaact.cli import cli

EPISODES = [0.5, 0.6, 0.7, 0.8] * 5


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    for activation, shift in (("arelu", 0.1), ("relu", 0.0)):
        for seed in range(2):
            values = [value + shift + 0.01 * seed for value in EPISODES]
            synthetic.maml(tmp_path / "runs", activation, seed, values)
    return tmp_path / "runs"


def _run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)])


def test_a_page_with_the_verdict_and_the_title(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    result = _run(store, "-o", path, "--title", "Mine & yours")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{path}\n"
    found = path.read_text("utf-8")
    assert "<h1>Mine &amp; yours</h1>" in found
    compared = CliRunner().invoke(cli, ["compare", str(store), "--json"]).stdout
    sentence = json.loads(compared)["studies"][0]["comparisons"][0]["sentence"]
    assert sentence.replace("[-", "[−") in found
    assert "+10.0" in sentence
    assert "α and β of arelu" in found
    assert list(tmp_path.glob(".*")) == []


def test_an_older_page_is_replaced(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    assert _run(store, "-o", path, "--pictures", 0).exit_code == 0
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_options_of_compare_hold(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    words = ("--reference", "arelu", "--margin", 1, "--over", "units", "--level", 0.9)
    assert _run(store, "-o", path, *words).exit_code == 0
    found = path.read_text("utf-8")
    assert "relu is worse than arelu" in found
    assert "Within 1 points" in found
    assert "Intervals are at 90 %" in found


def test_what_is_left_out_stands_on_the_page_and_on_stderr(store: Path, tmp_path: Path) -> None:
    lost = sorted((store / "maml").glob("*-relu-seed1*"))[0]
    (lost / "result.json").unlink()
    path = tmp_path / "report.html"
    result = _run(store, "-o", path)
    assert result.exit_code == 0
    assert lost.name in result.stderr
    found = path.read_text("utf-8")
    assert found.index(lost.name) < found.index("Questions and verdicts")


def test_what_is_no_page_is_not_overwritten(store: Path, tmp_path: Path) -> None:
    other = tmp_path / "results.csv"
    other.write_text("precious")
    (tmp_path / "folder.html").mkdir()
    places = [other, tmp_path / "folder.html", tmp_path / "nowhere" / "report.html"]
    for place in places:
        result = CliRunner().invoke(
            cli, ["report", str(store), "-o", str(place)], standalone_mode=True
        )
        assert result.exit_code == 2
        assert str(place) in result.stderr
    assert other.read_text() == "precious"


def test_no_runs_fail_in_one_line_and_leave_the_old_page(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    code = "from metaact.cli import main; main()"
    for runs, options, status in (
        (tmp_path / "nothing", [], 1),
        (store, ["--pictures", "-1"], 2),
        (store, ["--reference", "gelu"], 2),
    ):
        words = [sys.executable, "-c", code, "report", runs, "-o", path, *options]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("metaact: ")
        assert done.stderr.count("\n") == 1
    assert path.read_text() == "old"


def test_a_page_is_made_without_torch(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from metaact.cli import cli\n"
        "cli(['report', *sys.argv[1:]], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    words = [sys.executable, "-c", code, str(store), "-o", str(tmp_path / "report.html")]
    subprocess.run(words, check=True, capture_output=True)
