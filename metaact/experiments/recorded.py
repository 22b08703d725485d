"""Whether a run that was read holds what runs of its kind record. No torch, no NumPy.

What it is to hold stands in one place, the declaration of its experiment. Whatever reads a run
reads it through here: one that lacks anything, or records something else, is damaged, seal or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaact.errors import RunError, UsageError, reason_of
from metaact.runs import Run
from metaact.runs.config_file import NAME as CONFIG
from metaact.runs.form import Fields, Form, Maybe, Named, Text
from metaact.runs.run import ENVIRONMENT, METRICS, RESULT, SCORES
from metaact.runs.store import Reading, read_written
from metaact.runs.strict_json import damaged
from metaact.settings import check_recorded, completed, is_asked

from .experiment import Experiment, Measure
from .form import MEASURE, Facts, RunForm
from .table import of_kind


def check_settings(run: Run, experiment: Experiment | None) -> None:
    """Refuse a run that does not record the settings that runs of its kind have, and only those.

    A setting that was added later may be missing.

    Args:
        run: The run.
        experiment: What it is a run of; of one that is not known nothing is asked.

    Raises:
        RunError: If it lacks one, has one of another type, or one of which it has no use.
    """
    if experiment is None:
        return
    path, config, known = run.directory / CONFIG, run.config, experiment.settings
    try:
        check_recorded(known, config)
    except UsageError as error:
        raise damaged(path, str(error).rstrip(".")) from error
    unused = experiment.unused(run.kind, config)
    whole = completed(experiment.config, config)
    for name, one in known.items():
        needed = one.role != "computation" and not one.added and is_asked(one, known, whole)
        if needed and name not in unused and name not in config:
            raise damaged(path, f"a run of kind {run.kind} has a `{name}`, and it holds none")
        if name in unused and name in config:
            raise damaged(path, f"it must hold no `{name}` (a run of its kind has no use for it)")
    hashes = dict.fromkeys((name for name in config if name.endswith("_sha256")), Text())
    needed_hashes = {name: Text() for name in experiment.hashes if name not in unused}
    if fault := Fields(needed={**needed_hashes, **hashes}).fault(config, ""):
        raise damaged(path, fault)


def holds(run: Run, experiment: Experiment) -> bool:
    """Whether a run records the settings that runs of its kind have."""
    try:
        check_settings(run, experiment)
    except RunError:
        return False
    return True


def check(found: Reading) -> None:
    """Refuse a run that does not hold what runs of its kind record; it may be unfinished.

    Args:
        found: The run, and what it wrote; of a kind that is not known nothing is asked.

    Raises:
        RunError: If it does not; one sentence that names the file.
    """
    experiment = of_kind(found.run.kind)
    if experiment is not None:
        verified(found, experiment)


def verified(found: Reading, experiment: Experiment) -> Measure:
    """What a run is scored by; refuses one that does not hold what runs of its kind record.

    Args:
        found: The run, and what it wrote.
        experiment: What it is a run of.

    Raises:
        RunError: If it does not; one sentence that names the file.
    """
    run, result = found.run, found.result or {}
    check_settings(run, experiment)
    _refuse(run, ENVIRONMENT, _environment(experiment).fault(found.environment, ""))
    data = found.environment["data"]
    measure = _measure(run, experiment, data)
    facts = Facts(kind=run.kind, measure=measure, data=data, result=result)
    form = experiment.form(facts)
    if found.result is not None:
        _refuse(run, RESULT, form.result.fault(found.result, ""))
        _refuse(run, SCORES, form.scores.fault(found.scores, "score"))
    _refuse(run, METRICS, _records(run, form, found.metrics, measure, ended=facts.complete))
    layers = [frozenset(one["attention"]) for one in (*found.metrics, result) if "attention" in one]
    if len(set(layers)) > 1:
        _refuse(run, METRICS, "its records and its result must hold `attention` of the same layers")
    return measure


def fault(run: Run) -> str | None:
    """Why a run cannot be used, and what to do; None if it can."""
    try:
        check(read_written(run))
    except RunError as error:
        return str(error)
    return None


def _refuse(run: Run, name: str, why: str | None) -> None:
    if why:
        raise damaged(run.directory / name, why)


def _environment(experiment: Experiment) -> Form:
    return Fields(
        needed={"data": experiment.data},
        may={"metaact": Text(), "device": Text(), "normalisation": Maybe(Named())},
    )


def _measure(run: Run, experiment: Experiment, data: Mapping[str, Any]) -> Measure:
    """What a run is scored by; version 0.1.0 did not record it: then what the experiment says."""
    recorded = run.about.get("measure")
    try:
        expected = experiment.measure(run.config, data)
    except (KeyError, TypeError, ValueError) as error:  # an experiment may ask for more than ours
        why = f"its data do not say what it is scored by: {reason_of(error)}"
        raise damaged(run.directory / ENVIRONMENT, why) from error
    if recorded is None:
        return expected
    _refuse(run, CONFIG, MEASURE.fault(recorded, "measure"))
    try:
        measure = Measure.from_json(recorded)
    except (TypeError, UsageError) as error:  # an entry of another version, or bounds that are none
        raise damaged(run.directory / CONFIG, f"its measure is not known here: {error}") from error
    for name in ("name", "units", "direction", "bounds", "axis", "along"):
        if getattr(measure, name) != getattr(expected, name):
            why = f"its measure must have the {name} that runs of kind {run.kind} have"
            raise damaged(run.directory / CONFIG, why)
    return measure


def _records(
    run: Run,
    form: RunForm,
    metrics: Sequence[Mapping[str, Any]],
    measure: Measure,
    *,
    ended: bool,
) -> str | None:
    """What is wrong with the records of a run; None if nothing is."""
    key, coming, steps = measure.axis.key, 0, []
    for number, record in enumerate(metrics, start=1):
        place = run.steps(record)
        whole = place >= 1 and place == int(place)
        if why := (form.step if whole else form.start).fault(record, ""):
            return f"record {number}: {why}"
        steps += [record] if whole else []
        if form.every and record[key] == coming:
            coming += 1
        elif form.every and not coming - 1 < record[key] < coming:
            return f"record {number} must be of {key} {coming}; it is of {record[key]:g}"
    for name in form.throughout:
        if 0 < sum(name in record for record in steps) < len(steps):
            return f"its records must hold `{name}` throughout"
    if (form.every or measure.along) and ended:
        last = max((run.steps(record) for record in steps), default=0)
        if last != run.length:
            return f"it must go on to {key} {run.length}; it ends after {last:g}"
    return None
