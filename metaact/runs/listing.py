"""What lies in a store, run by run: how far each got, how large it is, when it last changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaact.display import brief
from metaact.errors import RunError

from .run import LOCK, Run, is_held
from .store import Check, RunStore, read_checked

STATUSES = ("complete", "diverged", "unfinished", "busy", "damaged")
"""How a run stands. `busy`: a process works on it; `diverged`: complete, without an accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run directory as a list shows it.

    Attributes:
        directory: Which.
        kind: Kind of run, by the folder it lies in.
        status: One of `STATUSES`.
        run: The run, if it can be read.
        why: Why it is damaged, one sentence; else empty.
        result: What it finished with; None before the end.
        last: Its last record; None if it has none.
        counter: What `done` counts: "iteration" or "epoch".
        done: How far it got.
        length: How far it is to go; None if its config does not say.
        size: Bytes of its files.
        changed: When a file of it last changed, in seconds since 1970.
    """

    directory: Path
    kind: str
    status: str
    run: Run | None = None
    why: str = ""
    result: dict[str, Any] | None = field(default=None, repr=False)
    last: dict[str, Any] | None = field(default=None, repr=False)
    counter: str = "epoch"
    done: int = 0
    length: int | None = None
    size: int = 0
    changed: float = 0.0

    def __repr__(self) -> str:
        return brief(self, str(self.directory), self.status, done=self.done, length=self.length)

    @property
    def config(self) -> dict[str, Any]:
        """Its settings; none where it cannot be read."""
        return {} if self.run is None else self.run.config

    @property
    def name(self) -> str:
        """Its readable name, or the directory's."""
        return self.directory.name if self.run is None else self.run.name


def entries(
    store: RunStore, kind: str | None = None, *, check: Check = lambda found: None
) -> Iterator[Entry]:
    """Every run directory of a store, readable as such or not, by kind and name.

    Args:
        store: The store.
        kind: Only this kind; None for all.
        check: What it refuses is damaged.
    """
    return (entry(directory, check=check) for directory in store.directories(kind))


def entry(directory: Path, *, check: Check = lambda found: None) -> Entry:
    """Read one run directory; what is wrong with it is said in the entry.

    Args:
        directory: Which.
        check: What it refuses is damaged.
    """
    kind = directory.parent.name
    try:
        size, changed = _extent(directory)
    except OSError as error:
        why = f"`{directory}` could not be read ({error.strerror or error})."
        return Entry(directory=directory, kind=kind, status="damaged", why=why)
    try:
        read = read_checked(directory)
        check(read)
    except RunError as error:
        held = is_held(directory)  # one that is just being made holds no config yet
        return Entry(
            directory=directory,
            kind=kind,
            status="busy" if held else "damaged",
            why="" if held else str(error),
            size=size,
            changed=changed,
        )
    run, last = read.run, read.metrics[-1] if read.metrics else None
    return Entry(
        directory=directory,
        kind=run.kind,
        status=_status(run, read.result),
        run=run,
        result=read.result,
        last=last,
        counter=run.counter,
        done=_done(run, last),
        length=run.length,
        size=size,
        changed=changed,
    )


def _status(run: Run, result: dict[str, Any] | None) -> str:
    if result is not None:
        return "complete" if result.get("outcome", "complete") == "complete" else "diverged"
    return "busy" if run.is_busy else "unfinished"


def _extent(directory: Path) -> tuple[int, float]:
    """Bytes of the files of a directory, and when one last changed; links are not followed."""
    size, changed = 0, directory.stat().st_mtime
    with os.scandir(directory) as files:
        for file in files:
            about = file.stat(follow_symlinks=False)
            size += about.st_size
            if file.name != LOCK:  # every look at it touches it
                changed = max(changed, about.st_mtime)
    return size, changed


def _done(run: Run, last: dict[str, Any] | None) -> int:
    """How far the last record is."""
    try:
        return int(run.steps(last or {}))
    except RunError:
        return 0  # it has no record yet, or one that does not say
