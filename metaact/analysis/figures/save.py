"""Figures as files: PNG and SVG, there whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from metaact.errors import RunError

from .canvas import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160


def save_figure(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure as `<path>.png` and `<path>.svg`; the same data give the same bytes.

    Args:
        figure: The figure.
        path: Where, without suffix; missing folders are made.

    Returns:
        The two files.

    Raises:
        RunError: If one cannot be written; no half-written file is left.
    """
    path = Path(path)
    written = []
    for suffix in ("png", "svg"):
        buffer = io.BytesIO()
        with style():
            metadata = {"Date": None} if suffix == "svg" else None
            figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata)
        target = path.with_name(f"{path.name}.{suffix}")
        _write(target, buffer.getvalue())
        written.append(target)
    return written


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        os.replace(fresh, path)  # noqa: PTH105 - the atomic step, by its own name
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise RunError(
            f"`{path}` could not be written ({error.strerror or error}); "
            "choose a folder that can be written."
        ) from error
