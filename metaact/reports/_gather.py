"""Run directories into studies: what may be compared with what, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metaact.activations.order import place
from metaact.display import brief
from metaact.errors import MetaactError, RunError, check_choice
from metaact.experiments.evidence import (
    Arm,
    Record,
    Study,
    dependent,
    divided,
    read_record,
    shared_settings,
    study_key,
)
from metaact.experiments.experiment import Experiment
from metaact.experiments.table import of_kind
from metaact.runs import Run, RunStore, read_run
from metaact.settings import completed, in_words

from .document import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What was found in the directories.

    Attributes:
        studies: Each may be compared within, never across.
        left_out: Every directory that is in none of them, with the reason.
    """

    studies: tuple[Study, ...]
    left_out: tuple[LeftOut, ...]

    def __repr__(self) -> str:
        return brief(self, studies=list(self.studies), left_out=len(self.left_out))


def gather(
    paths: Sequence[str | Path],
    *,
    arms: Sequence[str] = (),
    by: str = "activation",
    at: int | None = None,
    tick: Callable[[int], None] = lambda runs: None,
) -> Evidence:
    """Read run directories, and folders of them, into studies.

    A directory that is named and cannot be used is refused. One that is found in a folder and
    cannot be used is left out, with the reason: it is damaged, not complete, of a kind that holds
    no evidence, or a second copy of a run.

    Args:
        paths: Run directories, folders of one kind, or whole stores.
        arms: Only these arms; empty for all.
        by: The setting whose values are the arms: runs that differ in it are compared.
        at: Place at which runs that were tested along the way are read; then runs of different
            lengths may be compared. None compares runs of one length at their end.
        tick: Told the number of directories that were read.

    Raises:
        RunError: If a path holds no run, or is one that cannot be used.
        UsageError: If no run has an arm that was asked for, or the setting.
    """
    reader = _Reader(arms, by, at)
    for path in paths:
        for run, named in _runs(Path(path), reader.left_out):
            reader.add(run, named)
            tick(1)
    for name in arms:
        check_choice("arms", name, sorted(reader.there), why="the arms that are there")
    if reader.unknown and not reader.records and not arms:
        check_choice("by", by, sorted(reader.unknown), why="settings of these runs")
    studies = _studies(reader)
    return Evidence(studies=tuple(studies), left_out=tuple(reader.left_out))


class _Reader:
    """What has been read so far."""

    def __init__(self, arms: Sequence[str], by: str, at: int | None) -> None:
        self.arms, self.by, self.at = arms, by, at
        self.records: dict[str, Record] = {}
        self.left_out: list[LeftOut] = []
        self.there: set[str] = set()
        self.unknown: set[str] = set()

    def add(self, run: Run, named: bool) -> None:
        """Read one run, or say why not."""
        experiment = of_kind(run.kind)
        holds_evidence = experiment is not None and run.kind == experiment.name
        config = {} if experiment is None else completed(experiment.config, run.config)
        if holds_evidence and self.by in config:
            value = str(config[self.by])
            self.there.add(value)
            if self.arms and value not in self.arms:
                return
        try:
            why = self._unusable(run, experiment)
            if why is None and run.identity in self.records:
                why = f"it is the same run as {self.records[run.identity].run.directory}"
            if why is None and experiment is not None:
                record = read_record(run, experiment, by=self.by, at=self.at)
                self.records[run.identity] = record
                return
        except MetaactError as error:
            why = str(error)
        if named:
            said = str(run.directory) in str(why)
            raise RunError(str(why) if said else f"`{run.directory}` cannot be compared: {why}.")
        if experiment is None or holds_evidence:
            self.left_out.append(LeftOut(directory=str(run.directory), why=str(why)))

    def _unusable(self, run: Run, experiment: Experiment | None) -> str | None:
        if experiment is None:
            return f"it is of kind {run.kind!r}, which this version does not know"
        if run.kind != experiment.name:
            return f"it is {experiment.kinds[run.kind]}, and has no test score of its own"
        if not (run.directory / "result.json").exists():
            return "it is not complete; the command that began it continues it"
        config = completed(experiment.config, run.config)
        if self.by not in config:
            self.unknown |= set(config)
            return f"it has no setting {self.by!r}"
        return None


def _runs(path: Path, left_out: list[LeftOut]) -> list[tuple[Run, bool]]:
    """The runs under a path, and whether it named one itself."""
    if (path / "config.json").exists():
        return [(read_run(path), True)]
    if not path.is_dir():
        raise RunError(f"`{path}` is no folder of runs (it is not there, or is a file).")
    listing = RunStore(path).scan(records=False)  # each is read once, as a record
    if not listing.runs and not listing.damaged:
        listing = RunStore(path.parent).scan(path.name, records=False)
    if not listing.runs and not listing.damaged:
        raise RunError(
            f"`{path}` holds no runs; name a run directory or the folder given to --out."
        )
    left_out += [LeftOut(directory=str(d.directory), why=d.reason) for d in listing.damaged]
    known = {run.directory for run in listing.runs} | {d.directory for d in listing.damaged}
    left_out += _foreign({directory.parent for directory in known}, known)
    return [(run, False) for run in listing.runs]


def _foreign(folders: Iterable[Path], known: Container[Path]) -> list[LeftOut]:
    """Folders beside runs that are none and hold something."""
    return [
        LeftOut(directory=str(found), why="it is no run directory (it holds no config.json)")
        for folder in sorted(folders)
        for found in sorted(folder.iterdir())
        if found.is_dir() and found not in known and not found.name.startswith(".")
        if any(not path.name.startswith(".") for path in found.iterdir())
    ]


def _studies(reader: _Reader) -> list[Study]:
    groups: dict[str, list[Record]] = {}
    for record in reader.records.values():
        groups.setdefault(study_key(record.experiment, record.settings), []).append(record)
    found = []
    for group in _agreeing(_with_followers(list(groups.values()), reader.by), reader.by):
        first = group[0]
        found.append(
            Study(
                experiment=first.experiment,
                by=reader.by,
                measure=first.measure,
                settings=first.settings,
                arms=tuple(_arms(group, reader.by, reader.left_out)),
                at=first.at,
            )
        )
    return found


def _with_followers(groups: list[list[Record]], by: str) -> list[list[Record]]:
    """The groups, those of one arm joined that differ in what follows from the arm alone.

    A network may bring BatchNorm along: by model, such runs are compared unless others share it.
    """
    if by == "activation":  # from which nothing follows
        return groups
    joined: dict[str, list[list[Record]]] = {}
    for number, group in enumerate(groups):
        alone = len({record.arm for record in group}) == 1
        key = study_key(group[0].experiment, _looser(group[0], by)) if alone else str(number)
        joined.setdefault(key, []).append(group)
    return [
        parts[0]
        if len(parts) == 1
        else [replace(record, settings=_looser(record, by)) for part in parts for record in part]
        for parts in joined.values()
    ]


def _agreeing(groups: list[list[Record]], by: str) -> list[list[Record]]:
    """The groups, those joined that differ in what some of their arms do not have at all."""
    alike: dict[str, list[Record]] = {}
    for group in groups:
        first = group[0]
        names = dependent(first.experiment, by)
        kept = {name: value for name, value in first.settings.items() if name not in names}
        alike.setdefault(study_key(first.experiment, kept), []).extend(group)
    return [part for records in alike.values() for part in divided(records, by=by)]


def _looser(record: Record, by: str) -> dict[str, object]:
    """What it shares with others, less what follows from other settings."""
    config = record.run.config
    return shared_settings(record.experiment, config, by=by, at=record.at, following=False)


def _arms(group: Sequence[Record], by: str, left_out: list[LeftOut]) -> list[Arm]:
    """Arms by value and rates; a rate is part of the name where there are several.

    They stand in the order of the values that the setting can have, or of the activations.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in group:
        key = (record.arm, record.source, tuple(record.rates.items()))
        groups.setdefault(key, []).append(record)
    names = dict.fromkeys(name for record in group for name in record.rates)
    varying = [name for name in names if _varies(name, group)]
    sources: dict[str, set[object]] = {}
    for value, source, _ in groups:
        sources.setdefault(str(value), set()).add(source)
    arms = []
    for (_, source, _), members in groups.items():
        first = members[0]
        parts = [first.arm]
        if len(sources[first.arm]) > 1:
            parts.append(f"(source {str(source)[:8]})")
        parts += [in_words(name, first.rates[name]) for name in varying if name in first.rates]
        arms.append(
            Arm(
                name=" ".join(parts),
                value=first.arm,
                rates=first.rates,
                records=tuple(_by_seed(members, left_out)),
            )
        )
    asked = group[0].experiment.settings.get(by)
    choices = asked.choices if asked else ()

    def order(arm: Arm) -> tuple[object, ...]:
        at = choices.index(arm.value) if arm.value in choices else len(choices)
        return (at, place(arm.value), *arm.rates.values())

    return sorted(arms, key=order)


def _varies(name: str, group: Sequence[Record]) -> bool:
    """Whether arms have a rate at several values, or one arm has it and has it not."""
    values = {record.rates[name] for record in group if name in record.rates}
    has = {(record.arm, name in record.rates) for record in group}
    return len(values) > 1 or len(has) > len({arm for arm, _ in has})


def _by_seed(members: Sequence[Record], left_out: list[LeftOut]) -> list[Record]:
    """One run per seed, in order; a second one, which is watched otherwise, is left out."""
    kept: dict[int, Record] = {}
    for record in members:
        other = kept.setdefault(record.seed, record)
        if other is not record:
            why = f"it is the same arm and seed as {other.run.directory}, recorded otherwise"
            left_out.append(LeftOut(directory=str(record.run.directory), why=why))
    return [kept[seed] for seed in sorted(kept)]
