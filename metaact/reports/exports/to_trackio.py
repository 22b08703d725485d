"""Runs in trackio's local store."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from metaact.errors import MissingDependencyError
from metaact.experiments.evidence import Record
from metaact.reports._gather import Evidence

from .points import about, extent, final, points, records, settings


def write(evidence: Evidence) -> str:
    """Add every run to the project `metaact-EXPERIMENT`; one that is there stays as it is.

    Returns:
        The folder that trackio keeps its projects in.

    Raises:
        MissingDependencyError: If trackio is not installed.
    """
    storage, folder = _storage()
    for record in records(evidence):
        rows = [(point.step, point.time, point.values) for point in points(record)]
        last = rows[-1][0] if rows else 0
        ended = {f"final/{name}": value for name, value in final(record).items()}
        rows += [(last, extent(record)[1], ended)] if ended else []
        storage.SQLiteStorage.bulk_log(
            project=f"metaact-{record.experiment.name}",
            run=record.run.directory.name,
            run_id=record.run.identity,
            metrics_list=[values for _, _, values in rows],
            steps=[step for step, _, _ in rows],
            timestamps=[_moment(time) for _, time, _ in rows],
            config=_config(record),
            # What is there under the same name is not added a second time.
            log_ids=[f"{record.run.identity}-{number}" for number in range(len(rows))],
        )
    return folder


def _storage() -> tuple[ModuleType, str]:
    """Where trackio's own importers write, of which the times of steps are kept."""
    try:
        from trackio import sqlite_storage, utils
    except ImportError as error:
        raise MissingDependencyError(
            f"--to trackio needs trackio ({error}); install it by: pip install 'metaact[trackio]'"
        ) from error
    return sqlite_storage, str(utils.TRACKIO_DIR)


def _config(record: Record) -> dict[str, Any]:
    made = datetime.fromtimestamp(extent(record)[0], UTC).isoformat()
    return {**settings(record), **about(record), "_Created": made, "_Group": record.arm}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
