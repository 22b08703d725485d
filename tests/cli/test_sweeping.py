"""Options of a sweep: --dry-run, --list-commands, --limit, --workers, and its talk on stderr."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shlex
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaact.cli.progress import progress
from metaact.cli.sweeping import program
from metaact.runs import RunStore

Cli = Callable[..., Any]

MAML = (
    *("maml", "--iterations", "2", "--tasks", "2", "--ways", "2", "--queries", "2", "--steps", "1"),
    *("--test-episodes", "4", "--test-queries", "2", "--validation-episodes", "2"),
)
CONVERGE = ("converge", "--epochs", "1", "--batch-size", "64", "--lr", "0.02")
TRANSFER = ("--epochs", "1", "--pretrain-epochs", "1", "--batch-size", "64", "--lr", "1e-3,1e-2")


def content(store: Path) -> dict[str, object]:
    """What the runs of a store hold, but for the command, of which several make the same run."""
    found: dict[str, object] = {}
    for path in store.glob("*/*/config.json"):
        config = json.loads(path.read_text())
        del config["command"]
        found[path.parent.name] = config
        for name in ("metrics.jsonl", "scores.jsonl"):
            found[f"{path.parent.name}/{name}"] = (path.parent / name).read_bytes()
        result = json.loads((path.parent / "result.json").read_text())
        del result["seal"]  # which covers the command and the machine
        found[f"{path.parent.name}/result.json"] = result
    return found


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is most of the time of a small run, and is tested elsewhere."""
    monkeypatch.setattr("metaact.reports.pictures.save", lambda document, folder: [])


def words_of(name: str, pack: Path) -> list[str]:
    """A small sweep of each experiment: names and texts that a shell would take apart."""
    if name == "transfer":
        return ["transfer", str(pack), str(pack), *TRANSFER, "--layer-lrs", "head=0.001"]
    words = [*MAML, "--seeds", "2"] if name == "maml" else [*CONVERGE, "--controls"]
    arms = "arelu(alpha=0.25,beta=1),relu" if name == "maml" else "arelu,relu"
    return [*words, "--dataset", str(pack), "--activation", arms]


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_the_listed_commands_make_the_same_store(
    name: str, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    words = words_of(name, pack)
    listed = cli(*words, "--out", "apart", "--list-commands")
    assert (listed.code, listed.err) == (0, "")
    assert not (tmp_path / "apart").exists()
    lines = listed.out.splitlines()
    assert len(lines) == {"maml": 4, "converge": 4, "transfer": 2}[name]
    for line in reversed(lines):  # in any order
        program, *rest = shlex.split(line)
        assert program == "metaact"
        ended = cli(*rest)
        assert ended.code == 0, ended.err
    assert cli(*words, "--out", "whole").code == 0
    assert content(tmp_path / "apart") == content(tmp_path / "whole")
    again = cli(*words, "--out", "apart", "--list-commands")
    assert (again.code, again.out) == (0, "")
    assert "all runs are there" in again.err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("metaact", ["metaact"]),
        ("/env/bin/metaact", ["/env/bin/metaact"]),
        ("/env/lib/metaact/__main__.py", [sys.executable, "-m", "metaact"]),
        ("spirals.py", [sys.executable, "spirals.py"]),
    ],
)
def test_a_command_begins_as_this_one_did(
    typed: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [typed, "maml"])
    assert program() == words


@pytest.mark.parametrize("name", ["maml", "converge", "transfer"])
def test_a_dry_run_writes_nothing_and_tells_what_is_there(
    name: str, cli: Cli, pack: Path, tmp_path: Path
) -> None:
    words = words_of(name, pack)
    before = cli(*words, "--dry-run")
    assert (before.code, before.err) == (0, "")
    assert not (tmp_path / "runs").exists()
    runs = {"maml": 4, "converge": 4, "transfer": 5}[name]
    counts, estimate = before.out.splitlines()[-2:]
    assert counts == f"0 of {runs} runs are there, {runs} missing."
    assert re.fullmatch(
        rf"{runs} to do, by this process: (about \d+|less than 1) s, an estimate from a few timed "
        r"steps of [24] runs\.",
        estimate,
    )
    limited = cli(*words, "--limit", "1")
    assert limited.code == 0, limited.err
    found = cli(*words, "--dry-run", "--json").json
    assert found["counts"] == {"complete": 1, "missing": runs - 1}
    assert found["entries"][0]["status"] == "complete"
    assert 0 < found["seconds"] < 60
    (run,) = RunStore(tmp_path / "runs").runs()
    assert found["entries"][0]["directory"].endswith(run.directory.name)
    *_, counts, estimate = cli(*words, "--dry-run").out.splitlines()
    assert counts == f"1 of {runs} runs are there, {runs - 1} missing."
    assert estimate.startswith(f"{runs - 1} to do, by this process: ")


def test_a_run_that_was_begun_is_told_with_its_steps(cli: Cli, pack: Path, tmp_path: Path) -> None:
    words = [*CONVERGE, "--dataset", str(pack), "--activation", "relu", "--epochs", "4"]
    assert cli(*words).code == 0
    (run,) = RunStore(tmp_path / "runs").runs()
    (run.directory / "result.json").unlink()
    records = (run.directory / "metrics.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in records if json.loads(line)["epoch"] <= 3]
    (run.directory / "metrics.jsonl").write_text("".join(kept))
    first = cli(*words, "--dry-run").out.splitlines()[0]
    assert "  started (3 of 4 epochs)  " in first
    whole = cli(*words, "--out", "other", "--dry-run", "--json").json["seconds"]
    assert cli(*words, "--dry-run", "--json").json["seconds"] < whole


def test_a_limit_says_what_is_left(cli: Cli, pack: Path, tmp_path: Path) -> None:
    words = words_of("maml", pack)
    ended = cli(*words, "--limit", "3", "--json")
    assert ended.code == 0, ended.err
    (line,) = ended.json["missing"]
    assert line.startswith("limited: 1 run is not begun (relu ")
    assert f"metaact: {line}" in ended.err
    assert len(RunStore(tmp_path / "runs").runs("maml")) == 3
    assert re.findall(r"^(\d)/3 .*: \d+\.\d %", ended.err, re.MULTILINE) == ["1", "2", "3"]
    none = cli(*words, "--limit", "0", "--json")
    assert (none.code, none.json["missing"], none.json["reused"]) == (0, [line], 3)
    assert none.json["studies"] == ended.json["studies"]
    assert cli(*words, "--limit", "0", "--dry-run").out.endswith(
        "3 of 4 runs are there, 1 missing.\n"
    )
    rest = cli(*words, "--json")
    assert (rest.json["missing"], rest.json["reused"]) == ([], 3)


@pytest.mark.parametrize(("option", "least"), [("--workers", 1), ("--limit", 0)])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_numbers_that_are_too_small_are_refused(
    option: str, least: int, more: list[str], cli: Cli, pack: Path, tmp_path: Path
) -> None:
    ended = cli(*words_of("maml", pack), option, str(least - 1), *more)
    assert ended.code == 2
    assert ended.err == f"metaact: {option} must be an int >= {least}; got {least - 1}.\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("size", [(0, 0), (24, 80)])
def test_lines_and_the_bar_do_not_garble_each_other(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a terminal that does not know its size."""
    outer, inner = os.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    with os.fdopen(inner, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with progress(3, "step") as (tick, say):
            tick(1)
            say("1/3 first: 90.0 %")
            tick(1)
            say("2/3 second: 91.0 %")
            tick(1)
        stderr.flush()
        shown = ""
        while select.select([outer], [], [], 0.1)[0]:
            shown += os.read(outer, 100_000).decode()
    os.close(outer)
    rows = [row.split("\r")[-1] for row in shown.replace("\r\n", "\n").split("\n")]
    assert "1/3 first: 90.0 %" in rows
    assert "2/3 second: 91.0 %" in rows
    assert "3/3" in shown  # the bar at its end
