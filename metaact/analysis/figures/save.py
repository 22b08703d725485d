"""Figures as files: PNG and SVG, there whole or not at all."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from metaact.runs.atomic import make_folder, write_atomically

from .canvas import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160

REMEDY = "choose a folder that can be written"


def file_name(text: str) -> str:
    r"""What of a text can be the name of a file that nothing takes for a command or a formula.

    Examples:
        >>> file_name("=1+1 \x1b[31mred")
        '1+1-31mred'
    """
    return re.sub(r"[^\w.=,+-]+", "-", text).strip("-.=+,")[:120] or "figure"


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
        make_folder(target.parent, remedy=REMEDY)
        write_atomically(target, buffer.getvalue(), remedy=REMEDY)
        written.append(target)
    return written
