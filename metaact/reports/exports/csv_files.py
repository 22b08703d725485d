"""Runs as a folder of tidy CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from metaact.reports._gather import Evidence
from metaact.reports._rows import PER, Per, blocks, table
from metaact.reports.render.text import safe_cell
from metaact.runs.atomic import make_folder, write_atomically


def write(evidence: Evidence, folder: Path) -> Path:
    """Write `runs.csv`, `epochs.csv` and `units.csv`, the rows of `metaact.frame`.

    Settings are in the first alone; the column `run` joins the others to it.

    Raises:
        RunError: If a file cannot be written.
    """
    make_folder(folder)
    for per in PER:
        write_atomically(folder / f"{per}s.csv", _csv(evidence, per).encode("utf-8", "replace"))
    return folder


def _csv(evidence: Evidence, per: Per) -> str:
    columns = table(blocks(evidence, per), settings=per == "run")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(safe_cell, columns))
    for row in zip(*columns.values(), strict=True):
        writer.writerow(map(safe_cell, row))
    return file.getvalue()
