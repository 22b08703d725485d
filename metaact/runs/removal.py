"""Removing run directories: nothing but the files of a run, and none that is being worked on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from metaact.errors import RunError
from metaact.runs.atomic import LEFTOVER, is_leftover

from .checkpoint import NAME as CHECKPOINT
from .checkpoint import WEIGHTS
from .config_file import NAME as CONFIG
from .run import ENVIRONMENT, EPISODES, LOCK, METRICS, RESULT, SCORES, RunBusyError
from .store import is_named_like_run, looks_like_run
from .strict_json import unreadable

FILES = (RESULT, CHECKPOINT, WEIGHTS, METRICS, SCORES, EPISODES, ENVIRONMENT, CONFIG)
"""The files of a run, in the order in which they are removed: one that is killed amid it leaves an
unfinished run, never one that seems complete."""


def check_removable(directory: Path) -> None:
    """Refuse what is not a run directory, or holds anything that no run has.

    Raises:
        RunError: If it is a link, no run directory, or holds other files.
    """
    if directory.is_symlink() or directory.parent.is_symlink():
        raise RunError(f"`{directory}` is not removed: it is a link, or lies behind one.")
    if not (is_named_like_run(directory) and directory.is_dir() and looks_like_run(directory)):
        raise RunError(f"`{directory}` is not removed: it is no run directory.")
    try:
        foreign = sorted(path.name for path in directory.iterdir() if not _is_of_run(path))
    except OSError as error:
        raise unreadable(directory, error) from error
    if foreign:
        raise RunError(
            f"`{directory}` is not removed: it holds {', '.join(foreign[:3])}, which is no file "
            "of a run; move that away first."
        )


def _is_of_run(path: Path) -> bool:
    leftover = any(is_leftover(path.name, of=name) for name in FILES)
    ours = path.name in (*FILES, LOCK) or leftover
    return ours and (path.is_symlink() or not path.is_dir())


def remove_run(directory: Path) -> None:
    """Remove a run directory, while its lock is held.

    A link among its files is removed, not what it points to.

    Raises:
        RunBusyError: If another process works on it.
        RunError: If it may not be removed, or the system refuses.
    """
    check_removable(directory)
    with _locked(directory):
        for path in [*(directory / name for name in FILES), *directory.glob(f".*{LEFTOVER}")]:
            path.unlink(missing_ok=True)
        (directory / LOCK).unlink(missing_ok=True)
        directory.rmdir()


def checkpoint_of(directory: Path) -> Path:
    """Where a run keeps its checkpoint."""
    return directory / CHECKPOINT


def remove_checkpoint(directory: Path) -> None:
    """Remove the checkpoint of a complete run, which nothing continues from any more.

    Raises:
        RunBusyError: If another process works on it.
        RunError: If it has no result yet, or the system refuses.
    """
    check_removable(directory)
    with _locked(directory):
        if not (directory / RESULT).exists():
            raise RunError(f"`{directory}` is not complete: its checkpoint is needed to continue.")
        checkpoint_of(directory).unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        with lock:
            yield
    except Timeout as error:
        raise RunBusyError(
            f"`{directory}` is in use (another process works on this run); stop it first."
        ) from error
    except OSError as error:
        raise RunError(
            f"`{directory}` could not be removed ({error.strerror or error})."
        ) from error
