"""What stands on a node of a cluster: it starts a worker process there and passes on what it tells.

The class travels to the node as it is, whether metaact is there or not: until it starts the worker
it uses the standard library alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import queue
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "numpy", "scipy")
"""What figures depend on: their versions must be the same everywhere."""

POLL_SECONDS = 0.5
"""So long `poll` waits for something to tell."""

FIRST, SECOND = "result.json", "checkpoint.pt"
"""Read before the other files of a run, which may be written meanwhile: what these two say of the
others then holds."""


def versions() -> dict[str, str | None]:
    """The versions that are installed here, of metaact a hash of its code; None where it is not."""
    found: dict[str, str | None] = {"metaact": _code()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _code() -> str | None:
    """A hash of the source files of metaact."""
    spec = importlib.util.find_spec("metaact")
    if spec is None or spec.origin is None:
        return None
    root, seen = Path(spec.origin).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        seen.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()


class Node:
    """A place on a node, with a worker process and, where that is needed, a store of its own."""

    def __init__(self) -> None:
        self._events: queue.Queue[Any] = queue.Queue()
        self._worker: Any = None
        self._store: str | None = None

    def look(self, *, path: Sequence[str], folder: str, root: str) -> dict[str, Any]:
        """Take over what is here of the command's surroundings, and say what is.

        Args:
            path: Where the command finds modules: what is here of it comes first.
            folder: Its working folder, to which relative paths refer.
            root: Its data root.

        Returns:
            The node's name, the versions, and whether the data root is here.
        """
        here = [place for place in path if place and Path(place).exists()]
        sys.path[:] = [*here, *(place for place in sys.path if place not in here)]
        if Path(folder).is_dir():
            os.chdir(folder)
        return {"name": platform.node(), "versions": versions(), "root": Path(root).is_dir()}

    def start(self, recipe: bytes) -> None:
        """Start the worker; its recipe is pickled."""
        from metaact.experiments.processes import Process

        self._worker = Process(recipe, self._events)

    def sees(self, file: str, content: str) -> bool:
        """Whether a file of the machine that commands is here, too."""
        with suppress(OSError):
            return Path(file).read_text(encoding="ascii") == content
        return False

    def receive(self, files: Mapping[str, bytes]) -> str:
        """Put files into the store of this node; returns its folder."""
        if self._store is None:
            self._store = tempfile.mkdtemp(prefix="metaact-")
        for name, content in files.items():
            path = Path(self._store) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self._store

    def collect(self, folders: Sequence[str]) -> dict[str, bytes]:
        """The files of run directories in the store of this node."""
        assert self._store is not None
        return read(Path(self._store), folders)

    def send(self, order: object) -> None:
        """Have the worker carry out an order."""
        self._worker.send(order)

    def stop(self) -> None:
        """Have the worker save what it does at the end of the step, and end."""
        self._worker.stop()

    def poll(self) -> list[Any]:
        """What the worker has told since the last call, None if it ended."""
        found = []
        with suppress(queue.Empty):
            found.append(self._events.get(timeout=POLL_SECONDS)[1])
            while True:
                found.append(self._events.get_nowait()[1])
        return found

    def cause_of_death(self) -> str:
        """Why the worker ended, in a few words."""
        return str(self._worker.cause_of_death())

    def close(self) -> None:
        """End the worker, and leave nothing behind."""
        if self._worker is not None:
            self._worker.end()
        if self._store is not None:
            shutil.rmtree(self._store, ignore_errors=True)


def read(store: Path, folders: Iterable[str]) -> dict[str, bytes]:
    """The files of run directories, by their path in the store; what is hidden is left out."""
    found = {}
    for folder in folders:
        place = store / folder
        names = [path.name for path in place.iterdir()] if place.is_dir() else []
        for name in sorted(names, key=lambda one: (one != FIRST, one != SECOND, one)):
            if not name.startswith("."):
                found[f"{folder}/{name}"] = (place / name).read_bytes()
    return found
