"""Files that are there whole or not at all, also on a full disk and after `kill -9`."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from metaact.errors import RunError

LEFTOVER = ".tmp"
"""How the name of an unfinished file ends; it begins with a dot."""

CONTINUES = "the same command continues once there is room and permission"


def write_atomically(path: Path, content: bytes, *, remedy: str = CONTINUES) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one.

    The bytes go to a second file in the same folder, named after this process, reach the disk, and
    take the name in one step. Two processes that write the same path do not mix.

    Args:
        path: The file; its folder is there.
        content: All of it.
        remedy: What the user can do if it fails.

    Raises:
        RunError: If the disk is full or the folder cannot be written; the old file stays.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}{LEFTOVER}")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)  # noqa: PTH105 - one system call, named as in the docs
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise not_written(path, error, remedy) from error


def is_leftover(name: str, *, of: str) -> bool:
    """Whether a file's name is that of an unfinished write of the file `of`.

    Examples:
        >>> is_leftover(".result.json.4711.tmp", of="result.json")
        True
    """
    return re.fullmatch(rf"\.{re.escape(of)}(\.\d+)?{re.escape(LEFTOVER)}", name) is not None


def make_folder(path: Path, *, remedy: str = CONTINUES) -> None:
    """Create `path` and its parents.

    Raises:
        RunError: If it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error, remedy) from error


def not_written(path: Path, error: OSError, remedy: str = CONTINUES) -> RunError:
    """The error for a file that could not be written."""
    return RunError(
        f"`{path}` could not be written ({error.strerror or error}); nothing half-written is left; "
        f"{remedy}."
    )


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut, where the system can be asked to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
