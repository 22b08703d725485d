"""An experiment of one file outside the package has all that the built-in ones have."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TOY = Path(__file__).with_name("toy_experiment.py")


def toy(*words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOY), *words],
        capture_output=True,
        text=True,
        check=check,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms with two controls at two rates, three seeds each."""
    out = tmp_path_factory.mktemp("toy") / "runs"
    words = ["--activation", "arelu,relu,tanh", "--controls", "--tune", "lr=0.3", "--seeds", "3"]
    verb = toy("toy", *words, "--out", str(out), "--json")
    (out / "verb.json").write_text(verb.stdout)
    return out


def document(store: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(toy("compare", str(store), "--json", *words).stdout)
    return found


def test_it_has_a_command_with_its_settings() -> None:
    shown = toy("toy", "--help").stdout
    assert "Answer questions with each activation." in shown
    for option in ("--questions [easy|hard]", "--lr FLOAT", "--steps", "--patience", "--tune"):
        assert option in shown
    assert "toy" in toy("--help").stdout


def test_a_bad_setting_is_one_sentence(tmp_path: Path) -> None:
    bad = toy("toy", "--questions", "esy", "--out", str(tmp_path / "runs"), check=False)
    assert bad.returncode == 2
    assert bad.stderr == (
        "metaact: --questions must be one of easy, hard; got 'esy'. Did you mean 'easy'?\n"
    )
    words = ["--questions", "hard", "--lr", "2", "--out", str(tmp_path / "runs")]
    bad = toy("toy", *words, check=False)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "runs").exists()


def test_it_reads_a_config_file(tmp_path: Path) -> None:
    file = tmp_path / "toy.toml"
    file.write_text('activation = ["relu", "elu"]\nsteps = 3\nlr = [0.1, 0.2]\n')
    toy("toy", "--config", str(file), "--out", str(tmp_path / "runs"))
    (study,) = document(tmp_path / "runs")["studies"]
    assert study["settings"]["steps"] == 3
    assert {arm["name"] for arm in study["arms"]} == {
        f"{name} lr {rate}" for name in ("relu", "elu") for rate in (0.1, 0.2)
    }
    file.write_text("stps = 3\n")
    bad = toy("toy", "--config", str(file), "--out", str(tmp_path / "runs"), check=False)
    assert bad.returncode == 2
    assert "unknown key 'stps'" in bad.stderr


def test_compare_finds_what_the_verb_printed(store: Path) -> None:
    verb = json.loads((store / "verb.json").read_text())
    found = document(store, "--reference", "arelu")
    for one in (verb, found):
        for study in one["studies"]:
            study["arms"].sort(key=lambda arm: arm["name"])
            study["comparisons"].sort(key=lambda comparison: comparison["first"])
    (ours,), (theirs,) = verb["studies"], found["studies"]
    for part in ("arms", "comparisons", "measure", "settings", "title", "reference", "notes"):
        assert ours[part] == theirs[part]


def test_each_arm_is_tuned_and_the_difference_is_taken_apart(store: Path) -> None:
    (study,) = document(store)["studies"]
    assert study["tuned"]["budget"]["grid"] == {"lr": [0.1, 0.3]}
    assert study["tuned"]["chosen"]["relu"] == "relu lr 0.3"
    assert study["tuned"]["budget"]["without"] == ["tanh"]
    assert [part["name"] for part in study["learned"]["parts"]] == [
        *("total", "learning", "shape", "gain"),
    ]
    tanh = next(arm for arm in study["arms"] if arm["value"] == "tanh")
    assert (tanh["seeds"], tanh["failed"], tanh["score"]) == ([], [0, 1, 2], None)
    assert study["measure"]["chance"] == 0.25


def test_runs_that_differ_in_how_they_are_watched_are_one_study(tmp_path: Path) -> None:
    for words in (["--loudness", "1"], ["--loudness", "2", "--seed", "1"], ["--patience", "3"]):
        toy("toy", "--activation", "relu", *words, "--out", str(tmp_path / "runs"))
    (study,) = document(tmp_path / "runs")["studies"]
    assert study["arms"][0]["seeds"] == [0, 1]  # patience names no run: the third was the first


def test_the_runs_are_listed_shown_and_reported(store: Path, tmp_path: Path) -> None:
    listed = json.loads(toy("runs", "list", str(store), "--json").stdout)
    (group,) = listed["groups"]
    assert (group["kind"], group["runs"], group["seeds"]) == ("toy", 30, [0, 1, 2])
    assert group["statuses"] == {"complete": 24, "diverged": 6}
    one = next(run for run in listed["runs"] if run["name"] == "relu-seed2")
    shown = toy("runs", "show", one["directory"]).stdout
    assert "metaact toy --activation relu" in shown
    assert "--seed 2" in shown
    page = tmp_path / "toy.html"
    toy("report", str(store), "-o", str(page))
    assert "Toy: 6 steps" in page.read_text()


def test_a_killed_command_continues_where_it_was(tmp_path: Path) -> None:
    words = ["toy", "--activation", "relu,elu", "--steps", "12", "--out"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    toy(*words, str(whole))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "METAACT_TOY_SECONDS": "1.5"}
    process = subprocess.Popen([sys.executable, str(TOY), *words, str(killed)], env=environment)
    for _ in range(600):
        if list(killed.glob("toy/*/checkpoint.pt")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    checkpoints = list(killed.glob("toy/*/checkpoint.pt"))
    assert checkpoints
    assert not list(killed.glob("toy/*/result.json"))
    toy(*words, str(killed))
    for directory in (whole / "toy").iterdir():
        for name in ("config.json", "metrics.jsonl", "scores.jsonl", "result.json"):
            again = killed / "toy" / directory.name / name
            assert again.read_bytes() == (directory / name).read_bytes()
