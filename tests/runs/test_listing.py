"""How far a run got, how it stands, and what is said of one that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metaact.runs import Run, RunStore, entries, entry


def _run(store: Path, config: dict[str, object], records: list[dict[str, object]]) -> Run:
    run = RunStore(store).open(kind="maml", name="x", config=config)
    with run.lock():
        run.start({})
        run.resume()
        for record in records:
            run.append(record)
        run.checkpoint({})
    return run


@pytest.mark.parametrize(
    ("config", "records", "progress"),
    [
        ({"iterations": 5}, [], ("iteration", 0, 5)),
        ({"iterations": 5}, [{"iteration": 0}, {"iteration": 1}], ("iteration", 2, 5)),
        ({"epochs": 4}, [{"epoch": 0}, {"epoch": 0.5}], ("epoch", 0, 4)),
        ({"epochs": 4}, [{"epoch": 3}], ("epoch", 3, 4)),
        ({"steps": 4}, [{"step": 3}], ("epoch", 0, None)),
    ],
)
def test_progress_without_a_recorded_measure(
    config: dict[str, object],
    records: list[dict[str, object]],
    progress: tuple[str, int, int | None],
    tmp_path: Path,
) -> None:
    found = entry(_run(tmp_path, config, records).directory)
    assert (found.counter, found.done, found.length) == progress
    assert found.status == "unfinished"


def test_progress_is_counted_as_the_measure_says(tmp_path: Path) -> None:
    about = {"measure": {"axis": {"name": "batch", "key": "batch", "first": 0}}, "length": 8}
    run = RunStore(tmp_path).open(kind="toy", name="x", config={"epochs": 4}, about=about)
    with run.lock():
        run.start({})
        run.resume()
        run.append({"batch": 4})
        run.checkpoint({})
    found = entry(run.directory)
    assert (found.counter, found.done, found.length) == ("batch", 5, 8)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("complete", "complete"), ("diverged", "diverged"), ("source diverged", "diverged")],
)
def test_ends(outcome: str, status: str, tmp_path: Path) -> None:
    run = _run(tmp_path, {}, [])
    with run.lock():
        assert entry(run.directory).status == "busy"
        run.resume()
        run.finish({"outcome": outcome})
    assert entry(run.directory).status == status


def test_size_and_change_are_those_of_the_files(tmp_path: Path) -> None:
    run = _run(tmp_path, {}, [])
    for path in [run.directory, *run.directory.iterdir()]:
        os.utime(path, (1000, 1000))
    os.utime(run.directory / "config.json", (2000, 2000))
    os.utime(run.directory / ".lock", (3000, 3000))
    (found,) = entries(RunStore(tmp_path))
    assert found.size == sum(path.stat().st_size for path in run.directory.iterdir())
    assert found.changed == 2000


def test_a_run_that_is_just_being_made_is_busy(tmp_path: Path) -> None:
    run = RunStore(tmp_path).open(kind="maml", name="x", config={})
    with run.lock():
        (run.directory / "environment.json").write_text("{}")
        assert entry(run.directory).status == "busy"
    found = entry(run.directory)
    assert found.status == "damaged"
    assert "config.json" in found.why
