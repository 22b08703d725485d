"""Run directories into studies: what may be compared with what, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaact.errors import MetaactError, RunError, check_choice
from metaact.runs import Run, RunStore, read_run

from .records import EXPERIMENTS, UNITS, Array, Record, read_record

LOOSE = ("first_epoch_points", "validation_every", "activation_sha256", "engine")
"""Settings that change what is watched or how fast it is computed, not what is trained: runs that
differ in them may be compared. (The hash of a user's own activation belongs to the arm.)"""

PRETRAINING = "source"
"""Kind of the runs that others start from; they are evidence of nothing by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A directory that was not averaged in.

    Attributes:
        directory: Which.
        why: One sentence.
    """

    directory: Path
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arm:
    """One activation at one setting of its rates, over seeds.

    Attributes:
        name: How tables call it: the activation, and its rates where a study has several.
        activation: The activation.
        rates: Its learning rates by name.
        records: Its runs in the order of their seeds, diverged ones included.
    """

    name: str
    activation: str
    rates: Mapping[str, float]
    records: tuple[Record, ...]

    @property
    def converged(self) -> tuple[Record, ...]:
        """The runs that have an accuracy."""
        return tuple(record for record in self.records if not record.diverged)

    @property
    def diverged(self) -> tuple[int, ...]:
        """Seeds of the runs that have none."""
        return tuple(record.seed for record in self.records if record.diverged)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that have an accuracy."""
        return tuple(record.seed for record in self.converged)

    def matrix(self, seeds: Iterable[int] | None = None, *, per_unit: bool = True) -> Array:
        """Test scores [seeds, units], or [seeds, 1] mean accuracies.

        Args:
            seeds: Which seeds, in which order; None for all that converged.
            per_unit: Whether one column per episode or image is asked for.
        """
        by_seed = {record.seed: record for record in self.converged}
        chosen = [by_seed[seed] for seed in (self.seeds if seeds is None else seeds)]
        if per_unit:
            return np.array([record.scores for record in chosen], dtype=np.float64)
        return np.array([[record.accuracy] for record in chosen], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """All runs that share every setting but activation, seed and rates.

    Attributes:
        experiment: "maml", "converge" or "transfer".
        settings: What they share, hashes of the data included.
        arms: By activation and rates.
        at: Epoch at which supervised runs are read; None is their end.
    """

    experiment: str
    settings: Mapping[str, Any]
    arms: tuple[Arm, ...]
    at: int | None

    @property
    def unit(self) -> str:
        """What a test score is per: "test episodes" or "test images"."""
        return UNITS[self.experiment]

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs."""
        return tuple(record for arm in self.arms for record in arm.records)

    @property
    def per_unit(self) -> bool:
        """Whether every run kept its scores per unit: only then are arms paired over units."""
        return all(r.scores is not None for arm in self.arms for r in arm.converged)

    @property
    def trials_per_unit(self) -> int:
        """Answers behind one score: the query images of an episode, or one image."""
        if self.experiment == "maml":
            return int(self.settings["ways"]) * int(self.settings["test_queries"])
        return 1

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What was found in the directories.

    Attributes:
        studies: Each may be compared within, never across.
        left_out: Every directory that is in none of them, with the reason.
    """

    studies: tuple[Study, ...]
    left_out: tuple[LeftOut, ...]


def gather(
    paths: Sequence[str | Path],
    *,
    activations: Sequence[str] = (),
    at: int | None = None,
    tick: Callable[[int], None] = lambda runs: None,
) -> Evidence:
    """Read run directories, and folders of them, into studies.

    A directory that is named and cannot be used is refused. One that is found in a folder and
    cannot be used is left out, with the reason: it is damaged, not complete, of a kind that holds
    no evidence, or a second copy of a run.

    Args:
        paths: Run directories, folders of one kind, or whole stores.
        activations: Only these arms; empty for all.
        at: Epoch at which supervised runs are read; then runs of different lengths may be
            compared. None compares runs of one length at their end.
        tick: Told the number of directories that were read.

    Raises:
        RunError: If a path holds no run, or is one that cannot be used.
        UsageError: If no run has an activation that was asked for.
    """
    records: dict[str, Record] = {}
    left_out: list[LeftOut] = []
    there: set[str] = set()
    for path in paths:
        for run, named in _runs(Path(path), left_out):
            activation = str(run.config.get("activation"))
            there.add(activation)
            if not activations or activation in activations:
                _add(run, named, records, left_out, at=at)
            tick(1)
    for name in activations:
        check_choice("activation", name, sorted(there), why="the arms that are there")
    studies = _studies(records.values(), at, left_out)
    return Evidence(studies=tuple(studies), left_out=tuple(left_out))


def _runs(path: Path, left_out: list[LeftOut]) -> list[tuple[Run, bool]]:
    """The runs under a path, and whether it named one itself."""
    if (path / "config.json").exists():
        return [(read_run(path), True)]
    if not path.is_dir():
        raise RunError(f"`{path}` is no folder of runs (it is not there, or is a file).")
    listing = RunStore(path).scan()
    if not listing.runs and not listing.damaged:
        listing = RunStore(path.parent).scan(path.name)
    if not listing.runs and not listing.damaged:
        raise RunError(
            f"`{path}` holds no runs; name a run directory or the folder given to --out."
        )
    left_out += [LeftOut(directory=d.directory, why=d.reason) for d in listing.damaged]
    known = {run.directory for run in listing.runs} | {d.directory for d in listing.damaged}
    left_out += _foreign({directory.parent for directory in known}, known)
    return [(run, False) for run in listing.runs]


def _foreign(folders: Iterable[Path], known: Container[Path]) -> list[LeftOut]:
    """Folders beside runs that are none and hold something."""
    return [
        LeftOut(directory=place, why="it is no run directory (it holds no config.json)")
        for folder in sorted(folders)
        for place in sorted(folder.iterdir())
        if place.is_dir() and place not in known and not place.name.startswith(".")
        if any(not path.name.startswith(".") for path in place.iterdir())
    ]


def _add(
    run: Run,
    named: bool,
    records: dict[str, Record],
    left_out: list[LeftOut],
    *,
    at: int | None,
) -> None:
    """Read one run into `records`, or say in `left_out` why not."""
    try:
        why = _unusable(run)
        if why is None and run.identity in records:
            why = f"it is the same run as {records[run.identity].run.directory}"
        if why is None:
            records[run.identity] = read_record(run, at=at)
            return
    except (MetaactError, KeyError, TypeError, ValueError) as error:
        expected = isinstance(error, MetaactError)
        why = str(error) if expected else f"its records are not those of a {run.kind} run ({error})"
    if named:
        raise RunError(f"`{run.directory}` cannot be compared: {why}.")
    if run.kind != PRETRAINING:
        left_out.append(LeftOut(directory=run.directory, why=why))


def _unusable(run: Run) -> str | None:
    if run.kind == PRETRAINING:
        return "it is a pre-training, which fine-tunings start from"
    if run.kind not in EXPERIMENTS:
        return f"it is of kind {run.kind!r}, which holds no evidence that is known here"
    if not (run.directory / "result.json").exists():
        return "it is not complete; the command that began it continues it"
    return None


def _studies(records: Iterable[Record], at: int | None, left_out: list[LeftOut]) -> list[Study]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(_key(record, at), []).append(record)
    return [
        Study(
            experiment=group[0].experiment,
            settings=_shared(group[0], at),
            arms=tuple(_arms(group, left_out)),
            at=at,
        )
        for group in groups.values()
    ]


def _shared(record: Record, at: int | None) -> dict[str, Any]:
    dropped = LOOSE if at is None or record.experiment == "maml" else (*LOOSE, "epochs")
    return {k: v for k, v in record.settings.items() if k not in dropped}


def _key(record: Record, at: int | None) -> str:
    return json.dumps([record.experiment, _shared(record, at)], sort_keys=True)


def _arms(group: Sequence[Record], left_out: list[LeftOut]) -> list[Arm]:
    """Arms by activation and rates; a rate is part of the name where there are several."""
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in group:
        source = record.settings.get("activation_sha256")
        key = (record.activation, source, tuple(record.rates.items()))
        groups.setdefault(key, []).append(record)
    varying = [name for name in group[0].rates if len({record.rates[name] for record in group}) > 1]
    sources: dict[str, set[object]] = {}
    for activation, source, _ in groups:
        sources.setdefault(str(activation), set()).add(source)
    arms = []
    for (_, source, _), members in groups.items():
        first = members[0]
        parts = [first.activation]
        if len(sources[first.activation]) > 1:
            parts.append(f"(source {str(source)[:8]})")
        parts += [f"{name.replace('_', ' ')} {first.rates[name]:g}" for name in varying]
        arms.append(
            Arm(
                name=" ".join(parts),
                activation=first.activation,
                rates=first.rates,
                records=tuple(_by_seed(members, left_out)),
            )
        )
    return sorted(arms, key=lambda arm: (arm.activation, *arm.rates.values()))


def _by_seed(members: Sequence[Record], left_out: list[LeftOut]) -> list[Record]:
    """One run per seed, in order; a second one, which is watched otherwise, is left out."""
    kept: dict[int, Record] = {}
    for record in members:
        other = kept.setdefault(record.seed, record)
        if other is not record:
            why = f"it is the same arm and seed as {other.run.directory}, otherwise watched"
            left_out.append(LeftOut(directory=record.run.directory, why=why))
    return [kept[seed] for seed in sorted(kept)]
