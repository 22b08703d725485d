"""Which runs are meant: folders of runs, directories, and the beginnings of their names."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metaact.errors import RunError, UsageError, renamed

if TYPE_CHECKING:
    from metaact.runs import Entry

MOST_NAMED = 5

FEWEST = 4
"""Least characters that name a run: fewer may hit one by accident, which `rm` would remove."""


def read_store(path: Path, *, name: str, kind: str | None = None) -> list[Entry]:
    """The runs of a store, or of the folder of one kind in it.

    Args:
        path: The folder.
        name: What messages call it.
        kind: Only this kind of run; None for all.

    Raises:
        UsageError: If it is not there, or no folder of runs.
        RunError: If it may not be read.
    """
    from metaact.experiments.recorded import check
    from metaact.runs import RunStore, entries
    from metaact.runs.store import looks_like_run

    with renamed(path=name):
        store = RunStore(path)
    if not path.is_dir():
        raise UsageError(
            f"`{name}` must be a folder of runs, such as --out of `metaact maml`; got "
            f"{str(path)!r}, which is not there."
        )
    found = list(entries(store, kind, check=check))
    resolved = path.resolve()
    if not found and any(looks_like_run(place) for place in _folders(resolved)):
        within = RunStore(resolved.parent)
        if kind in (None, resolved.name):
            found = list(entries(within, resolved.name, check=check))
    return found


def _folders(path: Path) -> list[Path]:
    return [place for place in path.iterdir() if place.is_dir()]


def dependents(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """The runs among `entries` that start from a run.

    They read it as often as their command is given, also when they are complete: without it, it is
    made again. Version 0.1.0 did not record from which run others start.
    """
    place = f"{entry.kind}/{entry.directory.name}"
    return [
        other
        for other in entries
        if other.run is not None and place in (other.run.about.get("needs") or ())
    ]


def find_runs(names: Sequence[str], out: Path) -> list[Entry]:
    """The run that each name means: a directory, or the beginning of one name in the store.

    Args:
        names: Directories, or beginnings of a run's name, directory name or identity.
        out: The store in which beginnings are looked up.

    Raises:
        RunError: If one means no run.
        UsageError: If one means several, or the store is none.
    """
    from metaact.experiments.recorded import check
    from metaact.runs import entry

    found: dict[Path, Entry] = {}
    stored: list[Entry] | None = None
    for name in names:
        directory = next((p for p in (Path(name), out / name) if name and p.is_dir()), None)
        if directory is not None:
            one = entry(_checked(directory), check=check)
        else:
            stored = read_store(out, name="out") if stored is None else stored
            one = _by_beginning(name, stored, out)
        found.setdefault(one.directory.resolve(), one)
    return list(found.values())


def _checked(directory: Path) -> Path:
    from metaact.runs.store import looks_like_run

    if not looks_like_run(directory):
        raise RunError(
            f"`{directory}` is no run directory (it holds no config.json); `metaact runs list "
            f"--each {shlex.quote(str(directory))}` names the runs in a folder."
        )
    return directory if directory.name not in ("", "..") else directory.resolve()


def _by_beginning(name: str, entries: Sequence[Entry], out: Path) -> Entry:
    exact = [e for e in entries if name in (e.name, e.directory.name)]
    begun = [e for e in entries if any(text.startswith(name) for text in _texts(e))]
    matches = exact if len(exact) == 1 else begun
    if not exact and 0 < len(name) < FEWEST:
        raise UsageError(
            f"`run` must have at least {FEWEST} characters of a name or identity (a typing "
            f"error must not hit a run); got {name!r}."
        )
    if name and len(matches) == 1:
        return matches[0]
    if not matches or not name:
        raise RunError(
            f"no run in {out} has a name or identity that begins with {name!r}; "
            f"`metaact runs list --each {shlex.quote(str(out))}` names them."
        )
    named = ", ".join(entry.directory.name for entry in matches[:MOST_NAMED])
    more = f" and {len(matches) - MOST_NAMED} more" if len(matches) > MOST_NAMED else ""
    raise UsageError(
        f"`run` must be the beginning of one run's name or identity; {name!r} begins "
        f"{len(matches)}: {named}{more}."
    )


def _texts(entry: Entry) -> tuple[str, ...]:
    directory = entry.directory.name
    identity = directory.rpartition("-")[2] if entry.run is None else entry.run.identity
    return entry.name, directory, f"{entry.kind}/{directory}", identity
