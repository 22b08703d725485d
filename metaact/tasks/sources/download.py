"""Bring published files into the data root, through torchvision."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from metaact.errors import DataError, reason_of
from metaact.tasks.sources import catalogue
from metaact.tasks.sources.raw import RAW
from metaact.tasks.sources.roots import VARIABLE, is_writable

# A network that drops packets would otherwise block the command for minutes per file.
_TIMEOUT = 20.0


def download(name: str, part: str, root: Path) -> None:
    """Download the files of one part into `root`; torchvision checks their MD5.

    The progress bar is on stderr. Folders left empty by a failure are removed.

    Args:
        name: A downloadable data set.
        part: Its published part.
        root: The data root; made if missing.

    Raises:
        DataError: If the files cannot be had or cannot be stored.
    """
    if not is_writable(root):
        raise DataError(_advice(name, part, root, "and that folder is read-only"))
    from torchvision import datasets

    raw = RAW[name]
    existed = set(root.rglob("*")) if root.exists() else None
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _patience(), contextlib.redirect_stdout(sys.stderr):
            getattr(datasets, raw.torchvision)(root, download=True, **raw.arguments[part])
    # torchvision raises RuntimeError for a wrong MD5 or when all mirrors fail, OSError (URLError)
    # for the network and the disk.
    except (OSError, RuntimeError, EOFError) as error:
        _remove_empty(root, existed)
        why = f"and fetching failed ({reason_of(error)})"
        raise DataError(_advice(name, part, root, why)) from error


def _advice(name: str, part: str, root: Path, reason: str) -> str:
    """What is missing, where it was looked for, and what to do: one sentence each, one line."""
    title = name if name in catalogue.names() else RAW[name].title
    page = catalogue.find(title).page
    raw = ", ".join(RAW[name].missing(root, part))
    return (
        f"dataset {name!r} is not here: looked in {root} for {name}-{part}.npz or {raw}, {reason}. "
        f"Get the files from {page} and put them there, or name the folder that has them "
        f"(--data-root or {VARIABLE}). With nothing to download: metaact maml --dataset glyphs, "
        "metaact converge --dataset printed-digits."
    )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _remove_empty(root: Path, existed: set[Path] | None) -> None:
    """Remove the folders that the failed attempt made and left empty."""
    if not root.exists():
        return
    made = [p for p in root.rglob("*") if p.is_dir() and p not in (existed or ())]
    for folder in [*sorted(made, reverse=True), *([root] if existed is None else [])]:
        if not any(folder.iterdir()):
            folder.rmdir()
