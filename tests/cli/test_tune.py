"""--tune and --controls on the command line: the two readings, refusals, what is run and reused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metaact.cli import main

Run = Callable[..., tuple[int, str, str]]

MAML = (
    *("maml", "--iterations", "1", "--tasks", "2", "--ways", "2", "--steps", "1"),
    *("--queries", "2", "--test-episodes", "4", "--test-queries", "2"),
)
SMALL = ("--epochs", "1", "--batch-size", "128")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Call the program in-process; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "empty"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["metaact", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return call


def test_maml_tunes_two_rates_with_one_budget(run: Run, pack: Path) -> None:
    arguments = (*MAML, "--dataset", str(pack), "--activation", "arelu,relu")
    tune = ("--inner-lr", "0.05", "--tune", "inner-lr=0.01,lr=0.005,0.001")
    code, out, err = run(*arguments, *tune, "--json")
    assert code == 0, err
    summary = json.loads(out)
    tuning = summary["tuning"]
    assert tuning["grid"] == {"inner_lr": [0.01, 0.05], "meta_lr": [0.001, 0.005]}
    assert tuning["shared"] == [{"inner_lr": 0.05, "meta_lr": 0.005}]
    assert (tuning["combinations"], tuning["runs_per_arm"]) == (4, 4)
    assert [c["arm"] for c in tuning["chosen"]] == ["arelu", "relu"]
    assert len(summary["arms"]) == 8
    assert sum("accuracy-against" in name for name in summary["figures"]) == 4
    code, out, err = run(*arguments, *tune)
    assert code == 0, err
    titles = ["At the shared rate inner lr 0.05, lr 0.005", "Each arm at its own best rate, chosen"]
    places = [out.index(title) for title in (*titles, "Every arm at every rate")]
    assert places == sorted(places)
    assert "best at the edge of the grid" in out
    # A run that served tuning is the run of its own settings.
    code, _, err = run(*arguments, "--inner-lr", "0.01", "--lr", "0.001")
    assert err.count("complete already, reused") == 2


def test_several_values_and_tune_choose_alike(run: Run, pack: Path) -> None:
    arguments = ("converge", "--dataset", str(pack), *SMALL, "--activation", "relu,tanh", "--json")
    several = json.loads(run(*arguments, "--lr", "0.001,0.05")[1])
    tuned = json.loads(run(*arguments, "--lr", "0.001", "--tune", "lr=0.05")[1])
    assert tuned["reused_runs"] == 4
    assert [row["lr"] for row in tuned["tuned"]] == [row["lr"] for row in several["tuned"]]
    assert tuned["tuning"]["chosen"] == several["tuning"]["chosen"]
    assert several["tuning"]["shared"] == [{"lr": 0.001}, {"lr": 0.05}]
    assert tuned["tuning"]["shared"] == [{"lr": 0.001}]


def test_transfer_tunes_the_rate_of_pre_training_too(run: Run, pack: Path) -> None:
    code, out, err = run(
        *("transfer", str(pack), str(pack), *SMALL, "--pretrain-epochs", "1"),
        *("--activation", "relu", "--lr", "0.001", "--tune", "pretrain-lr=0.02,lr=0.01", "--json"),
    )
    assert code == 0, err
    summary = json.loads(out)
    assert summary["tuning"]["grid"] == {"lr": [0.001, 0.01], "pretrain_lr": [0.01, 0.02]}
    assert "pretrain_lr" not in summary["settings"]
    assert sum("accuracy-against-pretrain-lr" in name for name in summary["figures"]) == 2
    assert len(list(Path("runs/source").iterdir())) == 2
    code, out, _ = run(
        *("transfer", str(pack), str(pack), *SMALL, "--pretrain-epochs", "1"),
        *("--activation", "relu", "--lr", "0.001", "--tune", "pretrain-lr=0.02,lr=0.01"),
    )
    assert "At the shared rate lr 0.001, pre-training lr 0.01" in out


def test_controls_join_their_arms_once(run: Run, pack: Path) -> None:
    arguments = ("converge", "--dataset", str(pack), *SMALL, "--lr", "0.01", "--controls")
    code, out, err = run(*arguments, "--activation", "arelu,relu,prelu,arelu-frozen", "--json")
    assert code == 0, err
    arms = [row["activation"] for row in json.loads(out)["arms"]]
    assert arms == ["arelu", "relu", "prelu", "arelu-frozen", "relu-gain"]
    (note,) = [line for line in err.splitlines() if line.startswith("note: ")]
    assert "no control for prelu (" in note
    code, out, err = run(*arguments, "--activation", "arelu,relu")
    assert code == 0, err
    assert err.count("complete already, reused") == 4
    assert "note: " not in err


def test_controls_are_tuned_as_the_arms_are(run: Run, pack: Path) -> None:
    arguments = (*MAML, "--dataset", str(pack), "--controls", "--tune", "lr=0.01")
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert [c["arm"] for c in summary["tuning"]["chosen"]] == ["arelu", "arelu-frozen"]
    readings = ["at inner lr 0.005, lr 0.005", "each arm at its own best rate"]
    assert [answer["reading"] for answer in summary["learned"]] == readings
    assert [part["name"] for part in summary["learned"][0]["parts"]] == ["learning"]
    code, out, err = run(*arguments)
    assert code == 0, err
    assert out.count("Learned, or only scaled?") == 2
    assert out.index("Every arm at every rate") < out.index("Learned, or only scaled?")


def test_the_question_is_answered_after_the_table(run: Run, pack: Path) -> None:
    arguments = ("converge", "--dataset", str(pack), *SMALL, "--lr", "0.01", "--seeds", "2")
    code, out, err = run(*arguments, "--activation", "arelu,relu", "--controls")
    assert code == 0, err
    table, _, answer = out.partition("Learned, or only scaled?")
    assert "mnist-conv on blobs.npz" in table
    for pair in ("arelu − relu", "arelu − arelu-frozen", "relu-gain − relu"):
        assert f"({pair})" in answer
    code, out, err = run(*arguments, "--activation", "arelu,relu")
    assert code == 0, err
    assert "Learned, or only" not in out


def test_each_verb_leaves_a_picture_of_its_tests(run: Run, pack: Path) -> None:
    code, out, err = run(*MAML, "--dataset", str(pack), "--json")
    assert code == 0, err
    sha256 = json.loads(out)["test_episodes_sha256"]
    assert Path("runs", "examples", f"episodes-{sha256[:12]}.png").is_file()
    assert run("converge", "--dataset", str(pack), *SMALL, "--lr", "0.01")[0] == 0
    assert run("transfer", str(pack), str(pack), *SMALL, "--pretrain-epochs", "1")[0] == 0
    # All three verbs test on the same images of this pack: one picture serves.
    assert len(list(Path("runs/examples").glob("images-*.png"))) == 1
    code, out, err = run("runs", "list")
    assert code == 0, err
    assert "examples" not in out + err
    assert "damaged" not in err


USAGE = [
    (["maml", "--tune", "outer-lr=0.1"], "--tune must be one of inner-lr, lr"),
    (["maml", "--tune", "0.1"], "(rates: inner-lr, lr)"),
    (["maml", "--tune", ""], "(rates: inner-lr, lr)"),
    (["maml", "--tune", "lr=0.1,lr=0.2"], "--tune must name each rate once"),
    (["maml", "--tune", "lr=0.1,0.1"], "--tune must list each value of lr once"),
    (["maml", "--tune", "inner-lr=0"], "--tune must be a finite number > 0"),
    (["maml", "--tune", "lr=0.1", "--protocol", "paper"], "use --protocol held-out"),
    (["converge", "--tune", "inner-lr=0.1"], "--tune must be lr (the rates"),
    (["converge", "--tune", "lr=0.1", "--protocol", "paper"], "--tune must be left out"),
    (["transfer", "--tune", "inner-lr=0.1"], "one of lr, pretrain-lr"),
    (["transfer", "--tune", "lr=0.1", "--protocol", "paper-text"], "--protocol paper-text"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=lambda v: " ".join(v)[:40])
def test_wrong_use_is_one_line(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("metaact: ")
    assert words in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ['"lr=0.01,0.02"', "{lr = [0.01, 0.02]}"])
def test_a_config_file_may_hold_the_grid(run: Run, pack: Path, tmp_path: Path, value: str) -> None:
    (tmp_path / "study.toml").write_text(f'dataset = "{pack}"\ntune = {value}\ncontrols = true\n')
    code, out, err = run("converge", "--config", "study.toml", *SMALL, "--lr", "0.02", "--json")
    assert code == 0, err
    summary = json.loads(out)
    assert summary["tuning"]["grid"] == {"lr": [0.01, 0.02]}
    assert {row["activation"] for row in summary["arms"]} == {"arelu", "arelu-frozen"}


@pytest.mark.parametrize("value", ["0.1", "{lr = true}", '{lr = ["0.1"]}', "{}"])
def test_a_config_file_with_no_grid(run: Run, tmp_path: Path, value: str) -> None:
    (tmp_path / "study.toml").write_text(f"tune = {value}\n")
    code, _, err = run("converge", "--config", "study.toml")
    assert (code, err.count("\n")) == (2, 1), err
    assert "'tune' must be a table of rate = numbers, or text" in err
