"""--tune and --controls on the command line: the two readings, refusals, what is run and reused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

MAML = (
    *("maml", "--iterations", "1", "--tasks", "2", "--ways", "2", "--steps", "1"),
    *(
        "--queries",
        "2",
        "--test-episodes",
        "4",
        "--test-queries",
        "2",
        "--validation-episodes",
        "2",
    ),
)
SMALL = ("--epochs", "1", "--batch-size", "128")


def test_maml_tunes_two_rates_with_one_budget(cli: Cli, pack: Path) -> None:
    words = (*MAML, "--dataset", pack, "--activation", "arelu,relu")
    tune = ("--inner-lr", "0.05", "--tune", "inner-lr=0.01,lr=0.005,0.001")
    ended = cli(*words, *tune, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    budget = study["tuned"]["budget"]
    assert budget["grid"] == {"inner_lr": [0.01, 0.05], "meta_lr": [0.001, 0.005]}
    assert (budget["combinations"], budget["runs_per_arm"], budget["equal"]) == (4, 4, True)
    assert list(study["tuned"]["chosen"]) == ["arelu", "relu"]
    assert len(study["arms"]) == 8
    pairs = [(c["first"], c["second"]) for c in study["comparisons"]]
    shared = ("inner lr 0.05 meta lr 0.005", "inner lr 0.01 meta lr 0.001")
    assert {(f"relu {rates}", f"arelu {rates}") for rates in shared} < set(pairs)
    drawn = [Path(name).name for name in ended.json["figures"]]
    assert sum("against-inner-lr" in name for name in drawn) == 2  # PNG and SVG
    again = cli(*words, *tune)
    assert again.code == 0, again.err
    titles = [
        "MAML on blobs.npz: ",
        "Each arm at its own best rate, chosen",
        "Every arm at every rate",
    ]
    places = [again.out.index(title) for title in titles]
    assert places == sorted(places)
    assert "best at the edge of the grid" in again.out
    assert "no test figure played a part" in " ".join(again.out.split())
    # A run that served tuning is the run of its own settings.
    ended = cli(*words, "--inner-lr", "0.01", "--lr", "0.001")
    assert ended.err.count("complete already, reused") == 2


def test_several_values_and_tune_choose_alike(cli: Cli, pack: Path) -> None:
    words = ("converge", "--dataset", pack, *SMALL, "--activation", "relu,tanh", "--json")
    several = cli(*words, "--lr", "0.001,0.05").json
    tuned = cli(*words, "--lr", "0.001", "--tune", "lr=0.05").json
    assert (several["reused"], tuned["reused"]) == (0, 4)
    assert tuned["studies"] == several["studies"]
    assert tuned["studies"][0]["tuned"]["budget"]["grid"] == {"lr": [0.001, 0.05]}


def test_transfer_tunes_the_rate_of_pre_training_too(cli: Cli, pack: Path) -> None:
    words = ("transfer", pack, pack, *SMALL, "--pretrain-epochs", "1", "--activation", "relu")
    tune = ("--lr", "0.001", "--tune", "pretrain-lr=0.02,lr=0.01")
    ended = cli(*words, *tune, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    grid = {"lr": [0.001, 0.01], "pretrain_lr": [0.01, 0.02]}
    assert study["tuned"]["budget"]["grid"] == grid
    assert not {"lr", "pretrain_lr"} & set(study["settings"])
    assert sum("-against-lr." in name for name in ended.json["figures"]) == 2
    assert len(list(Path("runs/source").iterdir())) == 2
    names = {arm["name"] for arm in study["arms"]}
    assert names == {
        f"relu lr {lr:g} pretrain lr {p:g}" for lr in (0.001, 0.01) for p in (0.01, 0.02)
    }
    # One line a comparison, whatever its rates.
    groups = cli("runs", "list", "--kind", "transfer", "--json").json["groups"]
    assert [group["runs"] for group in groups] == [4, 2]


def test_controls_join_their_arms_once(cli: Cli, pack: Path) -> None:
    words = ("converge", "--dataset", pack, *SMALL, "--lr", "0.01", "--controls")
    ended = cli(*words, "--activation", "arelu,relu,prelu,arelu-frozen", "--json")
    assert ended.code == 0, ended.err
    arms = [arm["value"] for arm in ended.json["studies"][0]["arms"]]
    assert arms == ["arelu", "relu", "prelu", "arelu-frozen", "relu-gain"]
    (note,) = [line for line in ended.err.splitlines() if line.startswith("note: ")]
    assert "no control for prelu (" in note
    ended = cli(*words, "--activation", "arelu,relu")
    assert ended.code == 0, ended.err
    assert ended.err.count("complete already, reused") == 4
    assert "note: " not in ended.err


def test_controls_are_tuned_as_the_arms_are(cli: Cli, pack: Path) -> None:
    words = (*MAML, "--dataset", pack, "--controls", "--tune", "lr=0.01")
    ended = cli(*words, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert list(study["tuned"]["chosen"]) == ["arelu", "arelu-frozen"]
    for found in (study["learned"], study["tuned"]["learned"]):
        assert [part["name"] for part in found["parts"]] == ["learning"]
    own = study["tuned"]["chosen"]["arelu"], study["tuned"]["chosen"]["arelu-frozen"]
    (part,) = study["tuned"]["learned"]["parts"]
    assert (part["difference"]["first"], part["difference"]["second"]) == own
    ended = cli(*words)
    assert ended.code == 0, ended.err
    assert ended.out.count("Learned, or only scaled?") == 2
    assert ended.out.index("Every arm at every rate") < ended.out.index("Learned, or only scaled?")


def test_the_question_is_answered_after_the_table(cli: Cli, pack: Path) -> None:
    words = ("converge", "--dataset", pack, *SMALL, "--lr", "0.01", "--seeds", "2")
    ended = cli(*words, "--activation", "arelu,relu", "--controls")
    assert ended.code == 0, ended.err
    table, _, answer = ended.out.partition("Learned, or only scaled?")
    assert "Training from scratch on blobs.npz: mnist-conv" in table
    for pair in ("arelu − relu", "arelu − arelu-frozen", "relu-gain − relu"):
        assert pair in answer
    ended = cli(*words, "--activation", "arelu,relu")
    assert ended.code == 0, ended.err
    assert "Learned, or only" not in ended.out


def test_each_verb_leaves_a_picture_of_its_tests(cli: Cli, pack: Path) -> None:
    ended = cli(*MAML, "--dataset", pack, "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    sha256 = study["settings"]["test_episodes_sha256"]
    (picture,) = Path("runs", "examples").iterdir()
    assert picture.name == f"episodes-{sha256[:12]}.png"
    assert [Path(example["path"]) for example in study["examples"]] == [picture]
    assert cli("converge", "--dataset", pack, *SMALL, "--lr", "0.01").code == 0
    assert cli("transfer", pack, pack, *SMALL, "--pretrain-epochs", "1").code == 0
    # All three verbs test on the same images of this pack: one picture serves.
    assert len(list(Path("runs/examples").glob("images-*.png"))) == 1
    code, out, err = cli("runs", "list")
    assert code == 0, err
    assert "examples" not in out + err
    assert "damaged" not in err


USAGE = [
    (["maml", "--tune", "outer-lr=0.1"], "--tune must be one of inner-lr, meta-lr"),
    (["maml", "--tune", "0.1"], "(rates: inner-lr, meta-lr, outer-step)"),
    (["maml", "--tune", ""], "(rates: inner-lr, meta-lr, outer-step)"),
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
def test_wrong_use_is_one_line(cli: Cli, tmp_path: Path, arguments: list[str], words: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("metaact: ")
    assert words in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", ['"lr=0.01,0.02"', "{lr = [0.01, 0.02]}"])
def test_a_config_file_may_hold_the_grid(cli: Cli, pack: Path, tmp_path: Path, value: str) -> None:
    (tmp_path / "study.toml").write_text(f'dataset = "{pack}"\ntune = {value}\ncontrols = true\n')
    ended = cli("converge", "--config", "study.toml", *SMALL, "--lr", "0.02", "--json")
    assert ended.code == 0, ended.err
    (study,) = ended.json["studies"]
    assert study["tuned"]["budget"]["grid"] == {"lr": [0.01, 0.02]}
    assert {arm["value"] for arm in study["arms"]} == {"arelu", "arelu-frozen"}


@pytest.mark.parametrize("value", ["0.1", "{lr = true}", '{lr = ["0.1"]}', "{}"])
def test_a_config_file_with_no_grid(cli: Cli, tmp_path: Path, value: str) -> None:
    (tmp_path / "study.toml").write_text(f"tune = {value}\n")
    code, _, err = cli("converge", "--config", "study.toml")
    assert (code, err.count("\n")) == (2, 1), err
    assert "'tune' must be a table of rate = numbers, or text" in err
