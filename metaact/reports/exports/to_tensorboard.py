"""Runs as TensorBoard event files."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from metaact.errors import MissingDependencyError, RunError
from metaact.experiments.evidence import Record
from metaact.reports._gather import Evidence
from metaact.runs.atomic import make_folder

from .points import about, extent, final, points, records, settings

PARTIAL = ".partial"


def write(evidence: Evidence, folder: Path) -> Path:
    """Write `folder/KIND/RUN/events.out.tfevents…` for every run that has none there yet.

    Raises:
        MissingDependencyError: If tensorboard is not installed.
        RunError: If a file cannot be written.
    """
    board = _tensorboard()
    make_folder(folder)
    for record in records(evidence):
        place = folder / record.run.kind / record.run.directory.name
        if place.exists():
            continue
        partial = place.with_name(place.name + PARTIAL)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            with board.SummaryWriter(str(partial)) as writer:
                _write(writer, record, board.summary.hparams)
            partial.replace(place)
        except OSError as error:
            raise RunError(
                f"`{place}` could not be written ({error.strerror or error}); choose another "
                "folder."
            ) from error
    return folder


def _tensorboard() -> Any:
    """PyTorch's writer, which needs tensorboard."""
    try:
        return importlib.import_module("torch.utils.tensorboard")
    except ImportError as error:
        raise MissingDependencyError(
            f"--to tensorboard needs tensorboard ({error}); install it by: "
            "pip install 'metaact[tensorboard]'"
        ) from error


def _write(writer: Any, record: Record, hparams: Callable[..., Any]) -> None:
    """One run: its metrics at their steps, its settings as hparams and as a text."""
    start, end = extent(record)
    found = points(record)
    for point in found:
        for name, value in point.values.items():
            writer.add_scalar(name, value, point.step, point.time)
    ended = {f"final/{name}": value for name, value in final(record).items()}
    for name, value in ended.items():
        writer.add_scalar(name, value, found[-1].step if found else 0, end)
    known = settings(record)
    writer.add_text("settings", _listed({**known, **about(record)}), 0, start)
    for summary in hparams(known, ended):  # as `add_hparams`, which would stamp them with now
        writer.file_writer.add_summary(summary, walltime=end)


def _listed(known: dict[str, Any]) -> str:
    """A table in Markdown."""
    rows = [f"| {name} | {str(value).replace('|', ' ')} |" for name, value in known.items()]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])
