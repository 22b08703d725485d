"""A folder of runs: where it may be, opening, and reading back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from metaact.errors import RunError, UsageError
from metaact.runs import Run, RunStore, read_run
from metaact.runs.store import read_written


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


def test_what_is_recorded_of_a_run_names_nothing_and_stays(tmp_path: Path) -> None:
    store, command = RunStore(tmp_path), {"verb": "maml", "arguments": [], "options": {}}
    first = store.open(kind="maml", name="a", config={"seed": 0}, about={"command": command})
    with first.lock():
        first.start({})
    other = store.open(kind="maml", name="a", config={"seed": 0}, about={"length": 5})
    assert other.directory == first.directory
    with other.lock():
        other.start({})
    assert read_run(first.directory).about == {"command": command}
    with pytest.raises(UsageError, match="length"):
        store.open(kind="maml", name="a", config={}, about={"length": object()})


def test_a_run_of_version_0_1_0_is_read(tmp_path: Path) -> None:
    """As that version wrote it: no word of measure or command, scores by episode."""
    directory = tmp_path / "maml" / "relu-seed0-838c5e12cf"
    directory.mkdir(parents=True)
    identity = "838c5e12cf24d94ad7f5364d46d7cb2cf4c86c0ce8ec1998ca46e7f1b994eeac"
    config = {"iterations": 1, "seed": 0}
    (directory / "config.json").write_text(
        json.dumps({"kind": "maml", "name": "relu-seed0", "identity": identity, "config": config})
    )
    metrics, episodes = '{"iteration": 0}\n', '{"episode": 0, "accuracy": 0.25}\n'
    (directory / "environment.json").write_text("{}")
    (directory / "metrics.jsonl").write_text(metrics)
    (directory / "episodes.jsonl").write_text(episodes)
    result = '{"outcome":"complete"}'
    seal = {
        "sha256": hashlib.sha256(result.encode()).hexdigest(),
        "metrics.jsonl": len(metrics),
        "episodes.jsonl": len(episodes),
    }
    (directory / "result.json").write_text(json.dumps({**json.loads(result), "seal": seal}))
    (run,) = RunStore(tmp_path).runs()
    assert (run.scores(), run.metrics(), run.length) == ([0.25], [{"iteration": 0}], 1)
    assert run.result() == {"outcome": "complete"}
    assert read_written(run).scores == [0.25]
    (directory / "episodes.jsonl").write_text(episodes + episodes)
    assert not run.is_complete


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


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"x": 1', "line 2: "),
        ('{"x": NaN}', "line 2: NaN is no number"),
        ("[1]", "line 2 does not hold"),
        ("", "line 2: "),
        ("1,2", "line 2"),
    ],
)
def test_damaged_records_are_reported(tmp_path: Path, line: str, reason: str) -> None:
    store = RunStore(tmp_path)
    run = _started(store, 0)
    metrics = run.directory / "metrics.jsonl"
    metrics.write_text('{"x": 0}\n' + line + '\n{"x": 2}\n{"x": 3')
    (item,) = store.scan().damaged
    assert f"`{metrics}` is damaged ({reason}" in item.reason
    assert item.reason.endswith("and run the same command again.")
    metrics.write_text('{"x": 0}\n{"x": 2}\n{"x": 3')  # a killed writer leaves such an end
    assert not store.scan().damaged


def test_a_result_without_its_seal_is_damaged(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    run = _started(store, 0, complete=True)
    (run.directory / "result.json").write_text('{"outcome": "complete"}')
    assert not run.is_complete
    with pytest.raises(RunError, match=r"result.json` is damaged .*was changed after the end"):
        run.result()
    assert [item.directory for item in store.scan().damaged] == [run.directory]


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "[" * 9999, "9" * 5000, '"\\x"'])
@pytest.mark.parametrize("name", ["result.json", "config.json"])
def test_a_document_that_is_no_strict_json_is_damaged(
    name: str, value: str, tmp_path: Path
) -> None:
    store = RunStore(tmp_path)
    path = _started(store, 0, complete=True).directory / name
    path.write_text(path.read_text().replace("{", f'{{"more": {value},', 1))
    (item,) = store.scan().damaged
    assert item.reason.startswith(f"`{path}` is damaged (")
    assert "\n" not in item.reason


def test_a_foreign_config_is_not_to_be_deleted(tmp_path: Path) -> None:
    foreign = tmp_path / "hub" / "model"
    foreign.mkdir(parents=True)
    (foreign / "config.json").write_text('{"layers": 12}')
    (item,) = RunStore(tmp_path).scan().damaged
    assert "is no run of metaact" in item.reason
    assert "delete" not in item.reason


def test_what_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(tmp_path)
    good, closed = _started(store, 0, complete=True), _started(store, 1, complete=True)

    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.parent == closed.directory:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    listing = store.scan()
    assert [run.directory for run in listing.runs] == [good.directory]
    (item,) = listing.damaged
    assert "could not be read (Permission denied)" in item.reason
    assert "delete" not in item.reason


def test_looking_whether_a_run_is_busy_leaves_no_trace(tmp_path: Path) -> None:
    run = RunStore(tmp_path / "store").open(kind="maml", name="x", config={})
    assert not run.is_busy
    assert not (tmp_path / "store").exists()
    with run.lock():
        assert run.is_busy
    assert not run.is_busy


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
    path.write_text(json.dumps({**stored, "kind": "converge"}))
    with pytest.raises(RunError, match="`kind`"):
        store.open(kind="maml", name="arelu-seed0", config={"seed": 0, "lr": 0.1})


@pytest.mark.parametrize(
    ("name", "value"),
    [("measure", []), ("measure", {"axis": 5}), ("command", "x"), ("needs", "x"), ("notes", None)],
)
def test_what_is_recorded_has_its_form(name: str, value: object, tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    path = _started(store, 0).directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    (item,) = store.scan().damaged
    assert f"`{path}` is damaged (`{name}" in item.reason


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
