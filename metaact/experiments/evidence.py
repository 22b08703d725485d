"""Runs read back: one complete run, an arm of runs over seeds, and a study of arms. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaact.display import brief
from metaact.errors import RunError
from metaact.runs import Run, unpack_bits
from metaact.runs.store import Reading, read_written
from metaact.settings import (
    Role,
    completed,
    counted,
    defaults,
    is_divided,
    is_read,
    shown,
    text_of,
)

from .experiment import Experiment, Measure
from .images import RIGHT as RIGHT
from .recorded import verified

Array: TypeAlias = NDArray[np.float64]

SOURCES = {"activation": "activation_sha256", "model": "model_sha256"}
"""Settings that may name a user's own code, and what the hash of its file is called.

It belongs to what the setting names: where that is the arm, to the arm.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """One complete run.

    Attributes:
        run: Its directory.
        experiment: What it is a run of.
        measure: What it is scored by.
        arm: The value of the setting that tells arms apart.
        seed: Its training seed.
        rates: Its learning rates by name.
        settings: What it shares with the other runs of its study.
        source: Hash of the file of the user's own code that its arm names; "" for others.
        result: What the run finished with.
        environment: Versions, machine, data and their provenance.
        metrics: Everything recorded along the way, one mapping a record.
        at: Place at which it is read; None is its end.
        failed: Whether it diverged before that, or had nothing to start from.
        score: Mean test score; None if it failed.
        scores: The same per test unit [units]; None if it failed or did not keep them.
        validation: Score on the validation part there; None without one.
    """

    run: Run
    experiment: Experiment
    measure: Measure
    arm: str
    seed: int
    rates: Mapping[str, float]
    settings: Mapping[str, Any]
    source: str
    result: Mapping[str, Any]
    environment: Mapping[str, Any]
    metrics: tuple[Mapping[str, Any], ...] = field(repr=False)
    at: int | None
    failed: bool
    score: float | None
    scores: Array | None = field(repr=False)
    validation: float | None

    def __repr__(self) -> str:
        return brief(self, self.arm, seed=self.seed, score=self.score, run=self.run)

    @property
    def seen(self) -> tuple[Mapping[str, Any], ...]:
        """The records up to where the run is read."""
        if self.at is None or not self.measure.along:
            return self.metrics
        place = self.measure.axis.place
        return tuple(record for record in self.metrics if place(record) <= self.at)

    def test_scores(self, place: float | None) -> Array | float | None:
        """Test scores at a place along the way: per unit if they were kept, else their mean.

        None has none.
        """
        record = next((r for r in self.metrics if self.measure.axis.place(r) == place), None)
        if record is None or record.get(self.measure.test) is None:
            return None
        units = _units(record, self.result, self.measure)
        return float(record[self.measure.test]) if units is None else units


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One arm at one setting of its rates, over seeds.

    Attributes:
        name: How tables call it: its value, and its rates where a study has several.
        value: The value of the setting that tells arms apart: the activation.
        rates: Its learning rates by name.
        records: Its runs in the order of their seeds, failed ones included.
    """

    name: str
    value: str
    rates: Mapping[str, float]
    records: tuple[Record, ...]

    def __repr__(self) -> str:
        return brief(self, self.name, seeds=self.seeds, failed=self.failed)

    @property
    def scored(self) -> tuple[Record, ...]:
        """The runs that have a score."""
        return tuple(record for record in self.records if not record.failed)

    @property
    def failed(self) -> tuple[int, ...]:
        """Seeds of the runs that have none."""
        return tuple(record.seed for record in self.records if record.failed)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that have a score."""
        return tuple(record.seed for record in self.scored)

    @property
    def validations(self) -> dict[int, float]:
        """Score on the validation part by seed, of the runs that have one."""
        return {r.seed: r.validation for r in self.scored if r.validation is not None}

    def matrix(self, seeds: Iterable[int] | None = None, *, per_unit: bool = True) -> Array:
        """Test scores [seeds, units], or [seeds, 1] mean scores.

        Args:
            seeds: Which seeds, in which order; None for all that have a score.
            per_unit: Whether one column per episode or image is asked for.
        """
        by_seed = {record.seed: record for record in self.scored}
        chosen = [by_seed[seed] for seed in (self.seeds if seeds is None else seeds)]
        if per_unit:
            return np.array([record.scores for record in chosen], dtype=np.float64)
        return np.array([[record.score] for record in chosen], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """All runs that may be compared: they share what they are trained and tested on, and how.

    Attributes:
        experiment: What they are runs of.
        by: The setting whose values are the arms.
        measure: What they are scored by.
        settings: What they share, hashes of the data included.
        arms: By value and rates.
        at: Place at which the runs are read; None is their end.
    """

    experiment: Experiment
    by: str
    measure: Measure
    settings: Mapping[str, Any]
    arms: tuple[Arm, ...]
    at: int | None

    def __repr__(self) -> str:
        return brief(self, self.experiment.name, by=self.by, arms=[arm.name for arm in self.arms])

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs."""
        return tuple(record for arm in self.arms for record in arm.records)

    @property
    def per_unit(self) -> bool:
        """Whether every run kept its scores per unit: only then are arms paired over units."""
        return all(r.scores is not None for arm in self.arms for r in arm.scored)

    @property
    def trials_per_unit(self) -> int | None:
        """Answers behind one score: the query images of an episode, or one image."""
        step = self.measure.resolution
        return None if step is None else round(1 / step)

    def like(self, other: Arm) -> Arm | None:
        """The arm of a baseline that belongs to another: of its value, at the rates that both have.

        What was never pre-trained has no rate of pre-training.
        """
        for arm in self.arms:
            alike = all(other.rates[name] == rate for name, rate in arm.rates.items())
            if alike and arm.value == other.value:
                return arm
        return None

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def alike(self, arm: Arm, value: str) -> list[Arm]:
        """The arms of another value at the rates of an arm, as far as both have them."""
        others = [other for other in self.arms if other.value == value]
        same = [other for other in others if other.rates == arm.rates]
        return same[:1] or [other for other in others if _agree(arm.rates, other.rates)]

    def beside(self, arm: Arm, value: str) -> Arm | None:
        """The one arm of another value at the rates of an arm; None if there is none, or several.

        Args:
            arm: An arm.
            value: The value of the other.
        """
        found = self.alike(arm, value)
        return found[0] if len(found) == 1 else None


FIGURES = ("parameters", "stuck_alpha", "attention_layers", "best_training_accuracy")
"""Numbers of a result that are read where they are there."""


def read_record(
    run: Run, experiment: Experiment, *, by: str = "activation", at: int | None = None
) -> Record:
    """Read a complete run.

    Args:
        run: The run.
        experiment: What it is a run of.
        by: The setting whose values are the arms.
        at: Place at which it is read, where it was tested along the way; None is its end.

    Raises:
        RunError: If it is not complete, damaged, shorter than `at`, or lacks what was recorded.
    """
    found = read_written(run)
    if found.result is None:
        raise RunError(f"`{run.directory}` holds no result (the run is not complete).")
    measure = verified(found, experiment)
    at = at if measure.along else None
    length = run.length or 0
    if at is not None and at > length:
        raise RunError(
            f"`{run.directory}` has {counted(measure.axis.name)(length)}, and is asked for at "
            f"{measure.axis.name} {at}."
        )
    place = length if at is None else at
    failed, score, scores, validation = _scores(found, found.result, measure, place)
    config = run.config
    whole = completed(experiment.config, config)
    read = [one for one in experiment.rates if is_read(one, whole)]
    return Record(
        run=run,
        experiment=experiment,
        measure=measure,
        arm=arm_of(experiment, by, whole[by]),
        seed=int(config["seed"]),
        rates={one.name: float(whole[one.name]) for one in read if one.name in whole},
        settings=shared_settings(experiment, config, by=by, at=at),
        source=str(config.get(SOURCES.get(by, ""), "")),
        result=found.result,
        environment=found.environment,
        metrics=tuple(found.metrics),
        at=at,
        failed=failed,
        score=score,
        scores=scores,
        validation=validation,
    )


_Scores: TypeAlias = tuple[bool, float | None, Array | None, float | None]


def _scores(found: Reading, result: Mapping[str, Any], measure: Measure, place: float) -> _Scores:
    complete = result["outcome"] == "complete"
    if measure.along:
        record = next((r for r in found.metrics if measure.axis.place(r) == place), None)
        lost = not complete and result.get(measure.axis.key, math.inf) <= place
        if lost or record is None or record.get(measure.test) is None:
            return True, None, None, None
        units = _units(record, result, measure)
        return False, float(record[measure.test]), units, record.get(measure.validation)
    if not complete:
        return True, None, None, None
    scores = np.array(found.scores, dtype=np.float64)
    validation = found.metrics[-1].get(measure.validation) if found.metrics else None
    return False, float(scores.mean()), scores, validation


def _units(record: Mapping[str, Any], result: Mapping[str, Any], measure: Measure) -> Array | None:
    """The scores per unit of a record; None if they were not kept."""
    units = measure.units or int(result.get("test_images", 0))
    if RIGHT in record and units:
        return unpack_bits(record[RIGHT], units).astype(np.float64)
    if "test_scores" in record:
        return np.array(record["test_scores"], dtype=np.float64)
    return None


ASIDE: tuple[Role, ...] = ("seed", "rate", "observation", "computation")
"""Roles of settings in which the runs of a study may differ, beside the one that is asked about."""


def shared_settings(
    experiment: Experiment,
    config: Mapping[str, Any],
    *,
    by: str = "activation",
    at: int | None = None,
    following: bool = True,
) -> dict[str, Any]:
    """What a run shares with those it may be compared with, by the roles of its settings.

    What says nothing beside its arm, or is what the arm stands for, is not among them: runs that
    agree in what they have in common may be compared.

    Args:
        experiment: What it is a run of.
        config: What names the run.
        by: The setting whose values are the arms.
        at: Place at which runs are read; then runs of any length are compared, unless what they do
            up to there depends on it.
        following: Whether settings that are as follows from others, BatchNorm as the network has it
            unless asked otherwise, are among them.
    """
    known = experiment.settings
    aside = {name for name, one in known.items() if one.role in ASIDE}
    aside |= {by, SOURCES.get(by, by)}
    if at is not None and is_divided(known, config):
        aside |= {name for name, one in known.items() if one.contains}
    if not following:
        follows = defaults(experiment.config, config)
        unset = [name for name, one in known.items() if one.default is None and name in follows]
        aside |= {name for name in unset if config.get(name) == follows[name]}
    varying = {name: known[name] for name in dependent(experiment, by) if name not in aside}
    if not varying:
        return {name: value for name, value in config.items() if name not in aside}
    whole = completed(experiment.config, config)
    implied = known[by].implies.get(whole[by], {})
    aside |= {n for n, one in varying.items() if n in implied or not is_read(one, whole)}
    there = {**config, **{name: whole[name] for name in varying if name in whole}}
    return {name: value for name, value in there.items() if name not in aside}


def dependent(experiment: Experiment, by: str) -> set[str]:
    """The settings that some arms do not read, or that some stand for."""
    known = experiment.settings
    found = {name for name, one in known.items() if one.only and one.only[0] == by}
    if by in known:
        found |= {name for others in known[by].implies.values() for name in others}
    return found


def divided(records: Sequence[Record], *, by: str) -> list[list[Record]]:
    """Runs that share a study's settings, in groups within which all agree in what they share.

    Each run is in every group that it agrees with: one that has no inner steps is compared with
    those of any number of them.

    Args:
        records: Runs of one experiment that differ in nothing but what depends on the arm.
        by: The setting whose values are the arms.
    """
    names = dependent(records[0].experiment, by)
    parts: dict[str, tuple[dict[str, Any], list[Record]]] = {}
    for record in records:
        own = {name: value for name, value in record.settings.items() if name in names}
        parts.setdefault(json.dumps(own, sort_keys=True), (own, []))[1].append(record)
    ordered = sorted(parts.values(), key=lambda part: -len(part[0]))
    groups: list[dict[str, Any]] = []
    for own, _ in ordered:
        if not any(_agree(own, group) for group in groups):
            groups.append({})
        for group in groups:
            if _agree(own, group):
                group |= own
    found = []
    for group in groups:
        members = [r for own, its in ordered if _agree(own, group) for r in its]
        settings = {name: value for record in members for name, value in record.settings.items()}
        found.append([replace(record, settings=settings) for record in members])
    return found


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(other[name] == value for name, value in one.items() if name in other)


def arm_of(experiment: Experiment, by: str, value: Any) -> str:
    """The name of an arm: a value of the setting that is asked about, as a text."""
    return text_of(experiment.settings[by], value) if by in experiment.settings else shown(value)


def study_key(experiment: Experiment, shared: Mapping[str, Any]) -> str:
    """A text that runs have in common just if they belong to one study.

    Args:
        experiment: What they are runs of.
        shared: Their `shared_settings`.
    """
    return json.dumps([experiment.name, shared], sort_keys=True)
