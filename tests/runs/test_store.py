"""A folder of runs: where it may be, opening, and reading back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaact.errors import RunError, UsageError
from metaact.runs import Run, RunStore, read_run


def _started(store: RunStore, seed: int, kind: str = "maml", complete: bool = False) -> Run:
    run = store.open(kind=kind, name=f"arelu-seed{seed}", config={"seed": seed, "lr": 0.1})
    with run.lock():
        run.start({})
        run.resume()
        if complete:
            run.finish({"seed": seed})
    return run


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "deep" / "store")
    assert store.runs() == []
    store.open(kind="maml", name="x", config={})
    assert not (tmp_path / "deep").exists()


def test_reads_back_complete_and_incomplete(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    _started(store, 0, complete=True)
    _started(store, 1)
    _started(store, 2, kind="converge", complete=True)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").touch()
    found = [(run.kind, run.config["seed"], run.is_complete) for run in store.runs()]
    assert found == [("converge", 2, True), ("maml", 0, True), ("maml", 1, False)]
    assert [run.config["seed"] for run in store.runs("maml")] == [0, 1]
    again = store.open(kind="maml", name="arelu-seed0", config={"lr": 0.1, "seed": 0})
    assert again.result() == {"seed": 0}
    assert read_run(again.directory).identity == again.identity


def test_damage_is_reported(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    good = _started(store, 0, complete=True)
    config, result, missing = (_started(store, seed, complete=True) for seed in (1, 2, 3))
    (config.directory / "config.json").write_text("{")
    (result.directory / "result.json").write_text("[]")
    (missing.directory / "config.json").unlink()
    locked = store.open(kind="maml", name="never-started", config={"seed": 9})
    with locked.lock():
        pass
    listing = store.scan()
    assert [run.directory for run in listing.runs] == [good.directory]
    broken = {item.directory for item in listing.damaged}
    assert broken == {config.directory, result.directory, missing.directory}
    with pytest.raises(RunError) as caught:
        store.runs()
    assert all(directory.name in str(caught.value) for directory in broken)


def test_an_edited_config_names_the_fields(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = _started(store, 0)
    path = run.directory / "config.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "config": {"seed": 0, "lr": 0.2, "ways": 5}}))
    with pytest.raises(RunError, match=r"`lr` is 0.2 there, 0.1 asked.*`ways` is 5 there"):
        store.open(kind="maml", name="arelu-seed0", config={"seed": 0, "lr": 0.1})
    with pytest.raises(RunError, match="identity"):
        read_run(run.directory)
    path.write_text(json.dumps({**stored, "seed": 5}))
    with pytest.raises(RunError, match="`seed`"):
        store.open(kind="maml", name="arelu-seed0", config={"seed": 0, "lr": 0.1})


def test_places_that_are_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(UsageError, match="file"):
            RunStore(path)
    run = _started(RunStore(tmp_path / "store"), 0)
    with pytest.raises(UsageError, match="itself one run"):
        RunStore(run.directory)
    with pytest.raises(RunError, match="no run directory"):
        read_run(tmp_path)


@pytest.mark.parametrize("kind", ["", "../up", "a/b", "MAML", "-x"])
def test_kinds_that_name_no_folder(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UsageError, match="kind"):
        RunStore(tmp_path).open(kind=kind, name="x", config={})


@pytest.mark.parametrize("name", ["../../up", "/etc/x", "my.module:Act", "..", "", "a" * 500])
def test_any_name_stays_inside(tmp_path: Path, name: str) -> None:
    run = RunStore(tmp_path).open(kind="maml", name=name, config={})
    assert run.directory.parent == tmp_path / "maml"
    with run.lock():
        run.start({})
    assert len(RunStore(tmp_path).runs()) == 1
