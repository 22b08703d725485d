"""Files that are there whole or not at all, also on a full disk and after `kill -9`."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from metaact.errors import RunError

LEFTOVER = ".tmp"


def make_folder(path: Path) -> None:
    """Create `path` and its parents.

    Raises:
        RunError: If it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader sees the old file or the whole new one.

    The bytes go to a second file in the same folder, reach the disk, and take the name in one
    step.

    Raises:
        RunError: If the disk is full or the folder cannot be written; the old file stays.
    """
    fresh = path.with_name(f".{path.name}{LEFTOVER}")
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
        raise _refused(path, error) from error


def extend(path: Path, content: bytes, *, at: int) -> int:
    """Cut `path` to `at` bytes, add `content`, and return the new length.

    Raises:
        RunError: If it cannot be written; the file then ends at `at`, with whole lines only.
    """
    try:
        with path.open("r+b" if path.exists() else "x+b") as file:
            file.truncate(at)
            file.seek(at)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                # The buffer may still hold what did not fit: cut through the descriptor, which
                # frees space and cannot fail for want of it.
                os.truncate(file.fileno(), at)
                raise
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, at)  # closing may have written the buffer once more
        raise _refused(path, error) from error
    return at + len(content)


def remove_leftovers(folder: Path) -> None:
    """Delete the unfinished files that a killed writer left in `folder`.

    Raises:
        RunError: If one cannot be deleted.
    """
    for path in folder.glob(f".*{LEFTOVER}"):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _refused(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut, where the system can be asked to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(
        f"`{path}` could not be written ({error.strerror or error}); nothing half-written is left, "
        "and the same command continues once there is room and permission."
    )
