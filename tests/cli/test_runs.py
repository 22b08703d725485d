"""`metaact runs`: a store in a few lines, one run in full, and removing only what was meant."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from metaact.experiments import ConvergeConfig, MamlConfig, TransferConfig
from metaact.runs import Run, RunStore

Cli = Callable[..., Any]

RIGHT = [[True, False, True, True]] * 3


@pytest.fixture
def call(cli: Cli) -> Cli:
    """`metaact runs`, in the folder of the store."""
    return partial(cli, "runs")


@pytest.fixture
def store(tmp_path: Path, synthetic: ModuleType) -> Path:
    """Four complete runs, one diverged, one unfinished, one damaged; in ./runs."""
    path = tmp_path / "runs"
    for activation in ("arelu", "relu"):
        for seed in (0, 1):
            synthetic.maml(path, activation, seed, [0.5, 0.75])
    synthetic.maml(path, "relu", 2, None, test_episodes=2)
    _unfinished(path)
    broken = synthetic.maml(path, "relu", 3, [0.5, 0.75])
    (broken.directory / "metrics.jsonl").write_bytes(b"\xff" * 700)
    return path


def _unfinished(store: Path, name: str = "selu-seed0") -> Run:
    hashes = {"train_sha256": "a" * 64, "test_episodes_sha256": "b" * 64}
    config = MamlConfig(activation="selu", iterations=9).fields() | hashes
    run = RunStore(store).open(kind="maml", name=name, config=config)
    with run.lock():
        run.start({"data": {}})
        run.resume()
        for iteration in range(4):
            run.append({"iteration": iteration, "train_loss": 1.0, "train_accuracy": 0.5})
        run.checkpoint({})
    return run


def _paths(store: Path) -> set[Path]:
    return set(store.rglob("*"))


def test_a_line_stands_for_a_comparison(call: Cli, store: Path) -> None:
    code, out, err = call("list")
    assert code == 0
    lines = [line.split("  ") for line in out.splitlines()[2:]]
    assert len(lines) == 3
    assert "5-way, 1-shot, held-out images" in out
    assert "5 iterations" in out
    assert "4 complete, 1 diverged" in out
    assert "0-2" in out
    assert "1 unfinished" in out
    assert err.count("metaact: damaged: ") == 1
    assert "delete the directory" in err


def test_each_run_has_a_line(call: Cli, store: Path) -> None:
    code, out, _ = call("list", "runs", "--each")
    assert code == 0
    assert len(out.splitlines()) == 2 + 7
    assert "unfinished at iteration 4 of 9" in out
    assert "diverged at iteration 4" in out
    assert out.count("62.5 %") == 4


def test_the_document_holds_everything(call: Cli, store: Path) -> None:
    code, out, _ = call("list", "--json")
    assert code == 0
    found = json.loads(out)
    assert [group["runs"] for group in found["groups"]] == [5, 1, 1]
    assert found["groups"][0]["statuses"] == {"complete": 4, "diverged": 1}
    assert len(found["runs"]) == 7
    files = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    assert sum(group["bytes"] for group in found["groups"]) == files


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--unfinished"], 1),
        (["--damaged"], 1),
        (["--damaged", "--diverged"], 2),
        (["--activation", "arelu"], 2),
        (["--activation", "arelu,selu", "--unfinished"], 1),
        (["--dataset", "mnist"], 5),
        (["--kind", "maml"], 7),
        (["--activation", "tanh"], 0),
    ],
)
def test_filters(options: list[str], count: int, call: Cli, store: Path) -> None:
    assert len(json.loads(call("list", "--json", *options)[1])["runs"]) == count


def test_groups_that_would_read_alike_are_told_apart(
    call: Cli, store: Path, synthetic: ModuleType
) -> None:
    synthetic.maml(store, "arelu", 0, [0.5, 0.75], hashes={"train_sha256": "f" * 64})
    out = call("list", "--dataset", "mnist")[1]
    assert "train ffffffff" in out
    assert "train aaaaaaaa" in out


def test_several_stores_and_the_folder_of_a_kind(
    call: Cli, store: Path, tmp_path: Path, synthetic: ModuleType
) -> None:
    synthetic.maml(tmp_path / "été 二", "prelu", 0, [0.5, 0.5])
    code, out, _ = call("list", "runs", "été 二", "--each")
    assert code == 0
    assert len(out.splitlines()) == 2 + 8
    assert len(json.loads(call("list", "runs/maml", "--json")[1])["runs"]) == 7


def test_no_store(call: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign" / "a" / "b").mkdir(parents=True)
    for place, word in (("runs", "begin with"), ("file", "is a file"), ("", "expected a path")):
        code, out, err = call("list", place)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert word in err
    for place in ("empty", "foreign"):
        code, out, err = call("list", place)
        assert (code, err) == (0, "")
        assert out.startswith(f"no runs in {place} yet; begin with `metaact maml")
    assert json.loads(call("list", "empty", "--json")[1])["runs"] == []
    code, _, err = call("rm", "--unfinished", "--yes")
    assert code == 2
    assert "not there" in err


def test_an_unknown_kind_is_refused(call: Cli, store: Path) -> None:
    code, _, err = call("list", "--kind", "mamml")
    assert code == 2
    assert "--kind must be maml" in err


def test_a_run_itself_is_no_store(call: Cli, store: Path) -> None:
    (directory, *_) = sorted((store / "maml").iterdir())
    code, _, err = call("list", directory)
    assert code == 2
    assert "itself one run" in err


def test_show_says_what_it_is(call: Cli, store: Path) -> None:
    code, out, _ = call("show", "mnist-5way-1shot-arelu-seed1")
    assert code == 0
    assert out.startswith("arelu, seed 1: meta-learned on mnist (5-way, 1-shot, ")
    rows = {line[:12].strip(): line[12:] for line in out.splitlines()}
    assert rows["status"] == "complete"
    assert rows["differs"].startswith("seed 1, dataset mnist, ")
    assert rows["differs"].endswith("iterations 5, test episodes 2")
    assert "activation arelu" in rows["as default"]
    assert "official" in rows["data"]
    assert "test accuracy 0.625" in rows["result"]
    again = "metaact maml --dataset mnist --iterations 5 --test-episodes 2 --seed 1"
    assert rows["again"] == again
    assert call("show", "mnist-5way-1shot-arelu-seed1", "--json").json["command"] == again


def test_show_takes_directories_and_identities(call: Cli, store: Path) -> None:
    (run,) = (r for r in RunStore(store).scan().runs if r.name == "mnist-5way-1shot-arelu-seed0")
    for name in (run.directory, f"maml/{run.directory.name}", run.identity, run.identity[:12]):
        found = json.loads(call("show", name, "--json")[1])
        assert found["identity"] == run.identity
        assert found["official"] is True
        assert found["files"]["result.json"] > 0


def test_show_of_an_unfinished_and_a_damaged_run(call: Cli, store: Path) -> None:
    assert "unfinished at iteration 4 of 9" in call("show", "selu")[1]
    code, out, _ = call("show", "mnist-5way-1shot-relu-seed3")
    assert code == 0
    assert "damaged: `" in out
    (store / "maml" / "x-0123456789").mkdir()
    (store / "maml" / "x-0123456789" / "config.json").write_text("{")
    assert "damaged: `" in call("show", "x-0123456789")[1]


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("mnist-5way-1shot-relu", 2, "begins 4"),
        ("nothing", 1, "begins with 'nothing'"),
        ("", 1, "begins with ''"),
        ("runs", 1, "no run directory"),
        ("../etc", 1, "no run in"),
    ],
)
def test_names_that_mean_no_run(name: str, code: int, word: str, call: Cli, store: Path) -> None:
    for verb in ("show", "rm"):
        found, out, err = call(verb, name)
        assert (found, out, len(err.splitlines())) == (code, "", 1)
        assert word in err


def test_rm_asks_for_more_than_a_pipe_can_say(call: Cli, store: Path) -> None:
    before = _paths(store)
    code, out, err = call("rm", "mnist-5way-1shot-arelu-seed0")
    assert (code, out) == (2, "")
    assert "--yes" in err
    assert "maml/mnist-5way-1shot-arelu-seed0" in err
    assert _paths(store) == before


@pytest.mark.parametrize("answer", [True, False])
def test_rm_does_what_is_answered(
    answer: bool, call: Cli, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def confirm(text: str, **_: object) -> None:
        if not answer:
            raise click.Abort

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    code, _, _ = call("rm", "mnist-5way-1shot-arelu-seed0")
    assert (code == 0) is answer
    assert (len(list((store / "maml").iterdir())) == 6) is answer


def test_rm_takes_what_was_chosen(call: Cli, store: Path) -> None:
    code, out, _ = call("rm", "--unfinished", "--damaged", "--yes")
    assert (code, out) == (0, "removed 2 runs.\n")
    assert [r.name for r in RunStore(store).runs()] == [
        *(f"mnist-5way-1shot-{a}-seed{s}" for a in ("arelu", "relu") for s in (0, 1)),
        "mnist-5way-1shot-relu-seed2",
    ]
    assert call("rm", "--unfinished", "--yes")[1] == "nothing to remove.\n"


def test_rm_of_nothing_is_refused(call: Cli, store: Path) -> None:
    code, _, err = call("rm", "--yes")
    assert code == 2
    assert "--unfinished" in err


def test_rm_leaves_what_is_busy(call: Cli, store: Path) -> None:
    run = _unfinished(store, "held")
    with run.lock():
        code, out, err = call("rm", "held", "mnist-5way-1shot-arelu-seed0", "--yes")
        assert (code, out) == (1, "removed 1 run.\n")
        assert "in use" in err
        call("rm", "--unfinished", "--yes")
        assert run.is_started
    assert call("rm", "held", "--yes")[0] == 0


def test_rm_leaves_a_foreign_folder(call: Cli, store: Path) -> None:
    foreign = store / "hub" / "model"
    foreign.mkdir(parents=True)
    (foreign / "config.json").write_text('{"layers": 12}')
    (foreign / "model.bin").write_text("large")
    named = store / "hub" / "model-0123456789"
    named.mkdir()
    (named / "model.bin").write_text("large")
    before = _paths(store / "hub")
    code, _, err = call("rm", "--damaged", "--yes")
    assert code == 1
    assert "hub/model` is not removed: it is no run directory" in err
    assert "holds model.bin, which is no file of a run" in err
    assert _paths(store / "hub") == before


def test_rm_of_checkpoints_keeps_results(call: Cli, store: Path) -> None:
    (run,) = (r for r in RunStore(store).scan().runs if r.name == "mnist-5way-1shot-arelu-seed0")
    (run.directory / "checkpoint.pt").write_bytes(b"x" * 2000)
    code, out, _ = call("rm", "--checkpoints", "--yes")
    assert (code, out) == (0, "removed the checkpoints of 4 runs.\n")
    assert run.is_complete
    left = [path.parent.name for path in store.glob("maml/*/checkpoint.pt")]
    assert not any("arelu" in name for name in left)
    (waiting,) = (r for r in RunStore(store).scan().runs if r.name == "selu-seed0")
    assert (waiting.directory / "checkpoint.pt").exists()


def test_a_pre_training_says_who_needs_it(call: Cli, store: Path, synthetic: ModuleType) -> None:
    config = TransferConfig()
    source = synthetic.source(store, config, RIGHT, epochs=2)
    assert "needed by" not in call("show", source.directory).out
    assert "start from" not in call("rm", source.directory).err
    tuned = synthetic.transfer(store, config, RIGHT, pretrained=3)
    synthetic.transfer(store, config, RIGHT, pretrained=0)
    out = call("show", source.directory).out
    assert "runs in this store: 1" in out
    assert "metaact transfer printed-digits street-digits" in out
    found = call("show", source.directory, "--json").json
    assert found["dependents"] == [str(tuned.directory)]
    code, out, err = call("rm", source.directory, "--yes")
    assert (code, out) == (0, "removed 1 run.\n")
    assert "other runs start from 1 of these: they are made again" in err
    assert not source.directory.exists()


def test_the_groups_are_the_studies_of_compare(
    cli: Cli, store: Path, synthetic: ModuleType
) -> None:
    """Two rates of pre-training are arms of one study; shots make another."""
    other = store.parent / "other"
    for rate in (0.01, 0.02):
        config = TransferConfig(pretrain_lr=rate)
        synthetic.source(other, config, RIGHT, epochs=2)
        synthetic.transfer(other, config, RIGHT, pretrained=3)
    synthetic.transfer(other, TransferConfig(), RIGHT, pretrained=0)
    synthetic.converge(other, ConvergeConfig(), RIGHT)
    synthetic.converge(other, ConvergeConfig(optimizer="adam", lr=0.1), RIGHT)
    for shots in (1, 5):
        for arm in ("arelu", "relu"):
            synthetic.maml(other, arm, 0, [0.5, 0.75], shots=shots)
    studies = cli("compare", other, "--json").json["studies"]
    compared = {
        frozenset(Path(run).name for arm in study["arms"] for run in arm["runs"])
        for study in studies
    }
    groups = cli("runs", "list", other, "--json").json
    assert sum(group["kind"] == "transfer" for group in groups["groups"]) == 2  # and the baseline
    assert sum(group["kind"] == "source" for group in groups["groups"]) == 1
    listed = {
        frozenset(entry.directory.name for entry in group.entries)
        for group in _groups(other)
        if group.kind != "source" and not _is_baseline(group)
    }
    assert listed == compared
    assert len(listed) == 5


def _groups(store: Path) -> list[Any]:
    from metaact.reports.store_list import groups
    from metaact.runs import entries

    return groups(list(entries(RunStore(store))))


def _is_baseline(group: Any) -> bool:
    return group.kind == "transfer" and not group.entries[0].config["pretrained"]


def test_listing_needs_no_torch(call: Cli, store: Path) -> None:
    code = (
        "import sys\n"
        "from metaact.cli import cli\n"
        "for words in (['list'], ['show', 'selu'], ['show', 'mnist-5way-1shot-arelu-seed0']):\n"
        "    cli.main(['runs', *words], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_typing_error_hits_no_run(call: Cli, tmp_path: Path, synthetic: ModuleType) -> None:
    run = synthetic.maml(tmp_path, "arelu", 0, [0.5, 0.6])
    for name in (run.identity[:1], run.name[:3]):
        code, _, err = call("rm", name, "--out", tmp_path, "--yes")
        assert code == 2
        assert "at least 4 characters" in err
    assert run.directory.is_dir()
