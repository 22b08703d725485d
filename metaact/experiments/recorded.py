"""Whether a run that was read records the settings of its experiment. No torch, no NumPy."""

from __future__ import annotations

from dataclasses import replace

from metaact.errors import RunError, UsageError
from metaact.runs import Entry, Run
from metaact.runs.config_file import NAME as CONFIG
from metaact.runs.strict_json import damaged
from metaact.settings import check_recorded

from .experiment import Experiment
from .table import of_kind


def check_settings(run: Run, experiment: Experiment | None) -> None:
    """Refuse a run that records settings of other types than its experiment declares.

    Args:
        run: The run.
        experiment: What it is a run of; of one that is not known nothing is asked.

    Raises:
        RunError: If it does.
    """
    if experiment is None:
        return
    try:
        check_recorded(experiment.settings, run.config)
    except UsageError as error:
        raise damaged(run.directory / CONFIG, str(error).rstrip(".")) from error


def holds(run: Run, experiment: Experiment) -> bool:
    """Whether a run records settings of the types that its experiment declares, and a seed."""
    try:
        check_settings(run, experiment)
    except RunError:
        return False
    return "seed" in run.config


def checked(entry: Entry) -> Entry:
    """An entry as it is, or as a damaged one if its run records settings of other types."""
    if entry.run is None:
        return entry
    try:
        check_settings(entry.run, of_kind(entry.kind))
    except RunError as error:
        status = entry.status if entry.status == "busy" else "damaged"
        return replace(entry, status=status, run=None, why=str(error), result=None, last=None)
    return entry
