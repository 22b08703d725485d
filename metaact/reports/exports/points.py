"""What a program that plots runs is told of one: points over steps with times, and settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metaact.experiments.commands import merged
from metaact.experiments.evidence import Record
from metaact.reports._gather import Evidence
from metaact.reports._rows import plain, scalars
from metaact.runs.run import ENVIRONMENT, RESULT
from metaact.settings import completed


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was recorded at one place.

    Attributes:
        step: How many steps were done.
        time: When that was, in seconds since 1970, about.
        values: The figures by name, "/" between layer and parameter.
    """

    step: int
    time: float
    values: dict[str, float]


def records(evidence: Evidence) -> Iterator[Record]:
    """Every run."""
    return (record for study in evidence.studies for record in study.records)


def points(record: Record) -> list[Point]:
    """The metrics of a run that are there and finite; what only counts steps is none of them.

    A run does not record when each step was made: between its start and its end, as the times of
    its files tell them, steps are spread evenly.
    """
    axis, (start, end) = record.measure.axis, extent(record)
    last = max((axis.place(one) for one in record.seen), default=0.0)
    found = []
    for one in record.seen:
        place = axis.place(one)
        values = {
            name.replace(".", "/"): float(value)
            for name, value in scalars(one).items()
            if name not in (axis.key, "step") and value is not None
        }
        time = start + (end - start) * (place / last if last else 1.0)
        found.append(Point(step=round(place), time=time, values=values))
    return found


def final(record: Record) -> dict[str, float]:
    """The figures that a run ended with."""
    found = {record.measure.test: record.score, record.measure.validation: record.validation}
    return {name: value for name, value in found.items() if value is not None}


def extent(record: Record) -> tuple[float, float]:
    """When a run began and ended, by its files; where copies lost the order, its end twice."""
    folder = record.run.directory
    start, end = ((folder / name).stat().st_mtime for name in (ENVIRONMENT, RESULT))
    return min(start, end), end


def settings(record: Record) -> dict[str, Any]:
    """All settings of a run, lists as texts; what is not set is left out."""
    known = completed(record.experiment.config, record.run.config)
    return {name: plain(value) for name, value in known.items() if value is not None}


def about(record: Record) -> dict[str, Any]:
    """How a run ended, and by which version and command it was made."""
    command = record.run.about.get("command")
    return {
        "outcome": record.result.get("outcome"),
        "parameters": record.result.get("parameters"),
        "metaact": record.environment.get("metaact"),
        "device": record.environment.get("device"),
        "command": merged([command])[0] if command else None,
    }
