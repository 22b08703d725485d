"""One run: the order of writes, damage, divergence, full disks, two holders."""

from __future__ import annotations

import errno
import math
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from metaact.errors import RunError, UsageError
from metaact.runs import Run, RunBusyError, RunStore, environment, finite
from metaact.runs.store import read_written

STATE = {"weights": torch.arange(4.0), "step": 3, "nested": [{"lr": 0.1, "none": None}, (1, "a")]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return RunStore(tmp_path / "store").open(kind="maml", name="arelu", config={"seed": 0})


def _begin(run: Run, **environment: Any) -> dict[str, Any] | None:
    run.start(environment)
    return run.resume()


def test_the_whole_way(run: Run) -> None:
    assert not run.directory.exists()
    with run.lock():
        assert _begin(run, torch="x") is None
        run.append({"step": 0, "loss": 1.5})
        assert run.metrics() == []
        run.checkpoint(STATE)
        run.save_weights({"w": torch.ones(2)})
        run.append({"step": 1, "loss": 0.5})
        assert not run.is_complete
        assert run.scores() == []
        run.finish({"accuracy": 0.9}, [1.0, 0.8])
    assert run.is_complete
    assert run.result() == {"accuracy": 0.9}
    assert run.scores() == [1.0, 0.8]
    assert [record["loss"] for record in run.metrics()] == [1.5, 0.5]
    assert run.environment() == {"torch": "x"}
    assert torch.equal(run.weights()["w"], torch.ones(2))
    assert not list(run.directory.glob("*.tmp"))


def test_resume_returns_the_state_and_cuts_later_metrics(run: Run) -> None:
    with run.lock():
        _begin(run)
        run.append({"step": 0})
        run.checkpoint(STATE)
    with (run.directory / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 1}\n{"ste')
    assert [record["step"] for record in run.metrics()] == [0, 1]
    with run.lock():
        state = _begin(run)
        assert state is not None
        assert torch.equal(state["weights"], STATE["weights"])
        assert (state["step"], state["nested"]) == (3, STATE["nested"])
        assert [record["step"] for record in run.metrics()] == [0]


def test_metrics_before_the_first_checkpoint_are_dropped(run: Run) -> None:
    with run.lock():
        _begin(run)
    (run.directory / "metrics.jsonl").write_text('{"step": 0}\n')
    with run.lock():
        assert _begin(run) is None
    assert run.metrics() == []


def test_every_bit_of_a_checkpoint_counts(run: Run) -> None:
    """Each flipped byte is refused, or lies in padding and changes nothing."""
    with run.lock():
        _begin(run)
        run.checkpoint(STATE)
    path = run.directory / "checkpoint.pt"
    intact = path.read_bytes()
    refused = 0
    for place in range(0, len(intact), 17):
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 4]) + intact[place + 1 :])
        try:
            state = run.state()
        except RunError:
            refused += 1
            continue
        assert state is not None
        assert torch.equal(state["weights"], STATE["weights"])
        assert (state["step"], state["nested"]) == (3, STATE["nested"])
    assert refused > 10


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_damaged_checkpoint(run: Run, content: bytes) -> None:
    with run.lock():
        _begin(run)
        (run.directory / "checkpoint.pt").write_bytes(content)
        with pytest.raises(RunError, match=f"delete the directory `{run.directory}`"):
            run.resume()


def test_a_checkpoint_of_another_run_is_refused(run: Run, tmp_path: Path) -> None:
    other = RunStore(tmp_path / "store").open(kind="maml", name="arelu", config={"seed": 1})
    for one in (run, other):
        with one.lock():
            _begin(one)
            one.checkpoint(STATE)
    (run.directory / "checkpoint.pt").write_bytes((other.directory / "checkpoint.pt").read_bytes())
    with run.lock(), pytest.raises(RunError, match="another run"):
        _begin(run)


def test_a_checkpoint_cannot_run_code(run: Run, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "boom"),)

    with run.lock():
        _begin(run)
        with pytest.raises(UsageError, match=r"state\['bomb'\]"):
            run.checkpoint({"bomb": Bomb()})
        torch.save({"state": Bomb()}, run.directory / "checkpoint.pt")
        with pytest.raises(RunError, match="damaged"):
            run.resume()
    assert not (tmp_path / "boom").exists()


def test_metrics_shorter_than_the_checkpoint_says(run: Run) -> None:
    with run.lock():
        _begin(run)
        run.append({"step": 0})
        run.checkpoint(STATE)
    (run.directory / "metrics.jsonl").write_bytes(b"")
    with run.lock(), pytest.raises(RunError, match=r"metrics\.jsonl"):
        _begin(run)


def test_only_strict_json_and_a_recorded_outcome(run: Run) -> None:
    with run.lock():
        _begin(run)
        with pytest.raises(UsageError, match=r"record\.loss.*runs\.finite"):
            run.append({"loss": math.nan})
        with pytest.raises(UsageError, match="result"):
            run.finish({"accuracy": math.inf})
        with pytest.raises(UsageError, match=r"score\.score"):
            run.finish({}, [torch.tensor(1.0)])  # type: ignore[list-item]  # what is tested
        assert not (run.directory / "result.json").exists()
        run.finish(finite({"outcome": "diverged", "losses": [1.0, math.nan, -math.inf]}))
    assert run.result() == {"outcome": "diverged", "losses": [1.0, None, None]}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk(run: Run, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with run.lock():
        _begin(run)
        run.append({"step": 0})
        run.checkpoint(STATE)
        before = {p.name: p.read_bytes() for p in run.directory.iterdir()}

        def full(*arguments: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        run.append({"step": 1})
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(RunError, match="No space left on device"):
                run.finish({"accuracy": 1.0})
            with pytest.raises(RunError, match="No space left on device"):
                run.checkpoint({"step": 9})
        assert not run.is_complete
        if call == "fsync":
            assert {p.name: p.read_bytes() for p in run.directory.iterdir()} == before
        assert not list(run.directory.glob(".*.tmp"))
        run.finish({"accuracy": 1.0})
    assert [record["step"] for record in run.metrics()] == [0, 1]


@pytest.mark.skipif(os.name != "posix", reason="needs a file size limit")
def test_a_disk_that_really_runs_out(run: Run) -> None:
    """The kernel refuses bytes beyond a limit, after having taken the first of them."""
    import resource

    with run.lock():
        _begin(run)
        run.append({"step": 0})
        run.checkpoint(STATE)
        length = (run.directory / "metrics.jsonl").stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for step in range(1, 2000):
            run.append({"step": step})
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
        try:
            with pytest.raises(RunError, match=r"metrics\.jsonl"):
                run.checkpoint(STATE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (run.directory / "metrics.jsonl").stat().st_size == length
        run.finish({})
    assert [record["step"] for record in run.metrics()] == list(range(2000))


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    run = RunStore(tmp_path / "store").open(kind="maml", name="a", config={})
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match="Permission denied"), run.lock():
        pass


def test_two_holders(run: Run, tmp_path: Path) -> None:
    twin = RunStore(tmp_path / "store").open(kind="maml", name="arelu", config={"seed": 0})
    with run.lock():
        with pytest.raises(RunBusyError, match=re.escape(str(run.directory))), twin.lock():
            pass
        with pytest.raises(RunBusyError), run.lock():
            pass
        _begin(run)
    with twin.lock():
        _begin(twin)


def test_writing_needs_the_lock_and_resume(run: Run) -> None:
    with pytest.raises(RunError, match="locked"):
        run.start({})
    with run.lock():
        run.start({})
        run.append({})
        for write in (lambda: run.checkpoint({}), lambda: run.finish({})):
            with pytest.raises(RunError, match="resume"):
                write()
    with pytest.raises(RunError, match="locked"):
        run.append({})


def test_a_complete_run_is_not_started_again(run: Run) -> None:
    with run.lock():
        _begin(run)
        run.finish({})
        with pytest.raises(RunError, match="complete"):
            run.start({})


def test_other_environments_are_kept(run: Run) -> None:
    for name in ("a", "a", "b"):
        with run.lock():
            _begin(run, machine=name)
    assert run.environment() == {"machine": "b", "earlier": [{"machine": "a"}]}


def test_damaged_result_and_lines(run: Run) -> None:
    with run.lock():
        _begin(run)
        run.finish({"a": 1}, [1.0])
    for content, reason in (
        ('{"score": 1}\n{"b"', "cut off"),
        ('{"score": 1}\nwhat\n', "line 2"),
        ('{"score": 1}\n{"b": 1}\n', "line 2 holds no score"),
        ('{"score": true}\n', "line 1 holds no score"),
    ):
        (run.directory / "scores.jsonl").write_text(content)
        with pytest.raises(RunError, match=reason):
            run.scores()
    (run.directory / "result.json").write_text('{"a": 1')
    assert not run.is_complete
    with pytest.raises(RunError, match=r"result\.json"):
        run.result()


RECORDS = {
    "config.json": (b'"arelu"', b'"erelu"'),
    "environment.json": (b"here", b"hear"),
    "metrics.jsonl": (b'"loss": 0.25', b'"loss": 0.24'),
    "scores.jsonl": (b"0.5", b"0.9"),
    "result.json": (b'"accuracy": 0.5', b'"accuracy": 0.9'),
    "weights.pt": (b"PK", b"KP"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_edited_at_equal_length_breaks_the_seal(name: str, run: Run) -> None:
    with run.lock():
        _begin(run, place="here")
        run.append({"epoch": 1, "loss": 0.25})
        run.save_weights({"w": torch.zeros(2)})
        run.finish({"accuracy": 0.5}, [0.5])
    assert read_written(run).scores == [0.5]
    path = run.directory / name
    before = path.read_bytes()
    edited = before.replace(*RECORDS[name], 1)
    assert len(edited) == len(before)
    assert edited != before
    for content in (edited, None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        elif name == "result.json":
            continue  # without it the run is only unfinished
        read = run.weights if name == "weights.pt" else run.result
        with pytest.raises(RunError, match=rf"{name}` is damaged \(it was changed after the end"):
            read()
        if name != "weights.pt":
            assert not run.is_complete
            # To go on from the checkpoint would seal what was changed.
            with run.lock(), pytest.raises(RunError, match="was changed after the end"):
                run.start({"place": "here"})
        path.write_bytes(before)
    path.write_bytes(before)
    assert run.result() == {"accuracy": 0.5}
    assert run.weights()["w"].tolist() == [0.0, 0.0]


def test_what_is_whole_and_yet_no_record_is_found(run: Run) -> None:
    with run.lock():
        _begin(run)
        run.append({"depth": 1})
        run.finish({}, [0.5])
    assert run.is_complete
    (record,) = run.metrics()
    with pytest.raises(RunError, match="holds no epoch"):
        run.steps(record)


ITERATIONS = {"axis": {"name": "meta-iteration", "key": "iteration", "first": 0}}
DAYS = {"axis": {"name": "day", "key": "day", "first": 1}}


@pytest.mark.parametrize(
    ("config", "about", "counter", "length", "done"),
    [
        ({}, {"measure": ITERATIONS, "length": 7}, "iteration", 7, 4),
        ({}, {"measure": DAYS, "length": 9}, "day", 9, 3),
        # Version 0.1.0 recorded neither.
        ({"iterations": 5}, {}, "iteration", 5, 4),
        ({"epochs": 2}, {}, "epoch", 2, 3),
        ({"epochs": [5, 10]}, {}, "epoch", None, 3),
    ],
)
def test_what_a_run_counts_is_what_it_recorded(
    config: dict[str, Any],
    about: dict[str, Any],
    counter: str,
    length: int | None,
    done: int,
    tmp_path: Path,
) -> None:
    run = RunStore(tmp_path).open(kind="k", name="a", config=config, about=about)
    assert (run.counter, run.length) == (counter, length)
    assert run.steps({counter: 3, "loss": 1.0}) == done
    for lacking in ({}, {counter: None}, {counter: True}):
        with pytest.raises(RunError, match=f"holds no {counter}"):
            run.steps(lacking)


def test_environment_is_strict_and_stable() -> None:
    first = environment("cpu", {"sha256": "ab", "official": False}, {"mean": [0.1]})
    assert first == environment("cpu", {"sha256": "ab", "official": False}, {"mean": [0.1]})
    assert first["normalisation"] == {"mean": [0.1]}
    assert first["data"] == {"sha256": "ab", "official": False}
    packages = first["packages"]
    assert isinstance(packages, dict)
    assert packages["torch"] == torch.__version__
    assert first["threads"] == torch.get_num_threads()
