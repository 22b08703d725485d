"""Removing runs: the whole run, nothing else, and never one that is being worked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaact.errors import RunError
from metaact.runs import Run, RunBusyError, RunStore
from metaact.runs.removal import FILES, remove_checkpoint, remove_run
from metaact.runs.run import EPISODES


def _run(store: Path, *, complete: bool = True) -> Run:
    run = RunStore(store).open(kind="maml", name="arelu", config={"seed": 0})
    with run.lock():
        run.start({})
        run.resume()
        run.append({"iteration": 0})
        run.checkpoint({"iteration": 1})
        if complete:
            run.save_weights({})
            run.finish({"outcome": "complete"}, [0.5])
    return run


def test_a_run_goes_as_a_whole(tmp_path: Path) -> None:
    run = _run(tmp_path)
    assert {path.name for path in run.directory.iterdir()} - {".lock"} == set(FILES) - {EPISODES}
    (run.directory / ".result.json.tmp").write_text("left by a killed writer")
    (run.directory / EPISODES).write_text("of version 0.1.0")
    remove_run(run.directory)
    assert list((tmp_path / "maml").iterdir()) == []


def test_a_busy_run_stays_whole(tmp_path: Path) -> None:
    run = _run(tmp_path)
    with run.lock(), pytest.raises(RunBusyError, match="in use"):
        remove_run(run.directory)
    assert run.is_complete


def test_what_no_run_has_is_kept(tmp_path: Path) -> None:
    run = _run(tmp_path)
    (run.directory / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds notes.txt"):
        remove_run(run.directory)
    assert run.is_complete
    (run.directory / "notes.txt").unlink()
    (run.directory / "weights.pt").unlink()
    (run.directory / "weights.pt").mkdir()
    with pytest.raises(RunError, match=r"holds weights.pt"):
        remove_run(run.directory)


def test_what_is_no_run_is_kept(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(RunError, match="no run directory"):
            remove_run(directory)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    run = _run(tmp_path / "real")
    (tmp_path / "store" / "maml").mkdir(parents=True)
    link = tmp_path / "store" / "maml" / run.directory.name
    link.symlink_to(run.directory)
    (tmp_path / "store" / "behind").symlink_to(run.directory.parent)
    for directory in (link, tmp_path / "store" / "behind" / run.directory.name):
        with pytest.raises(RunError, match="link"):
            remove_run(directory)
    outside = tmp_path / "outside.pt"
    outside.write_text("mine")
    (run.directory / "weights.pt").unlink()
    (run.directory / "weights.pt").symlink_to(outside)
    remove_run(run.directory)
    assert outside.read_text() == "mine"


def test_only_a_complete_run_gives_its_checkpoint(tmp_path: Path) -> None:
    run = _run(tmp_path, complete=False)
    with pytest.raises(RunError, match="not complete"):
        remove_checkpoint(run.directory)
    assert run.state() == {"iteration": 1}
    run = _run(tmp_path)
    remove_checkpoint(run.directory)
    assert run.is_complete
    assert run.weights() == {}
    assert run.state() is None
