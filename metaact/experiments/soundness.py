"""Whether what a complete run recorded can be used: one damaged run must not stop a report."""

from __future__ import annotations

from pathlib import Path

from metaact.errors import RunError
from metaact.runs import Json, Run


def is_sound(run: Run) -> bool:
    """Whether a run is complete and its records can be used; a report skips it if not."""
    return run.is_complete and damage(run) is None


def damage(run: Run) -> str | None:
    """Why the records of a complete run cannot be used, with the mend; None if they can.

    The seal of a result knows the lengths of the records, not what they say.
    """
    counter = "iteration" if "iterations" in run.config else "epoch"
    try:
        _check(run.directory, run.metrics(), "metrics.jsonl", counter)
        _check(run.directory, run.episodes(), "episodes.jsonl", "accuracy")
    except RunError as error:
        return str(error)
    return None


def _check(directory: Path, records: list[dict[str, Json]], file: str, name: str) -> None:
    for number, record in enumerate(records, start=1):
        value = record.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RunError(
                f"`{directory / file}` is damaged (line {number} holds no {name}); delete the "
                f"directory `{directory}` and run the same command again."
            )
