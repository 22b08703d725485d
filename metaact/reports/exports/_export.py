"""One door to all exports."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from metaact.errors import UsageError, check_choice
from metaact.reports._gather import Evidence

from . import csv_files, to_tensorboard, to_trackio

Target = Literal["tensorboard", "trackio", "csv"]

TARGETS = ("tensorboard", "trackio", "csv")


def export(evidence: Evidence, to: Target, folder: str | Path | None = None) -> str:
    """Write finished runs for another program.

    | `to` | what is written |
    | --- | --- |
    | "csv" | `runs.csv`, `epochs.csv` and `units.csv` in `folder`: the rows of `frame` |
    | "tensorboard" | event files of each run in `folder`: metrics, settings as hparams and text |
    | "trackio" | each run, in the project `metaact-EXPERIMENT` where trackio keeps it |

    Metrics stand at the steps that are done, α and β of each layer among them. Runs do not record
    when each step was made: times are spread evenly between the start of a run and its end. What is
    there already is not written again; CSV files are replaced.

    Args:
        evidence: What `gather` found.
        to: The program.
        folder: Where files go; none for trackio, which is told by `TRACKIO_DIR`.

    Returns:
        Where they are.

    Raises:
        MissingDependencyError: If the program is not installed.
        RunError: If something cannot be written.
        UsageError: If `to` is unknown, or goes without, or not with, a folder.
    """
    check_choice("to", to, TARGETS)
    if to == "trackio":
        if folder is not None:
            raise UsageError(
                "`folder` must not be given for trackio (it keeps its projects where TRACKIO_DIR "
                f"says); got {str(folder)!r}."
            )
        return to_trackio.write(evidence)
    if folder is None:
        raise UsageError(f"`folder` must be given for {to} (its files go there); got None.")
    write = {"csv": csv_files.write, "tensorboard": to_tensorboard.write}[to]
    return str(write(evidence, Path(folder)))
