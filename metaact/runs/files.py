"""The files of a run: records that only grow, and what a killed writer leaves."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from metaact.runs.atomic import LEFTOVER, not_written


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
                # frees space and needs none.
                os.truncate(file.fileno(), at)
                raise
    except OSError as error:
        with contextlib.suppress(OSError):
            os.truncate(path, at)  # closing may have written the buffer once more
        raise not_written(path, error) from error
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
            raise not_written(path, error) from error
