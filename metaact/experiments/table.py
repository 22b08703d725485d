"""The experiments by name: a literal table, and how a script adds its own."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from metaact.errors import UsageError, check_choice

from .experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Where an experiment is declared, known before it is imported.

    Attributes:
        place: "module:NAME".
        more_kinds: Kinds of its runs beside the one that has its name.
    """

    place: str
    more_kinds: tuple[str, ...] = ()


EXPERIMENTS: dict[str, Row] = {
    "maml": Row(place="metaact.experiments.maml:MAML"),
    "converge": Row(place="metaact.experiments.converge:CONVERGE"),
    "transfer": Row(place="metaact.experiments.transfer:TRANSFER", more_kinds=("source",)),
    "segment": Row(place="metaact.experiments.segment:SEGMENT"),
    "stream": Row(place="metaact.experiments.stream:STREAM"),
}
"""Each experiment's name, and where it is declared."""


def kinds() -> dict[str, str]:
    """The experiment of each kind of run."""
    return {kind: name for name, row in EXPERIMENTS.items() for kind in (name, *row.more_kinds)}


def find(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        UsageError: If there is none; the message names the nearest.
    """
    check_choice("experiment", name, EXPERIMENTS)
    module, _, attribute = EXPERIMENTS[name].place.partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, Experiment):
        raise UsageError(
            f"`experiment` must be declared as an Experiment; {EXPERIMENTS[name].place} is a "
            f"{type(found).__name__}."
        )
    return found


def of_kind(kind: str) -> Experiment | None:
    """The experiment whose runs are of this kind; None for kinds that are not known here."""
    name = kinds().get(kind)
    return None if name is None else find(name)


def register(experiment: Experiment, place: str) -> None:
    """Add an experiment: it gets a command, and its runs are read like all others.

    Args:
        experiment: The experiment.
        place: Where it is declared: "module:NAME".

    Raises:
        UsageError: If its name, or a kind of its runs, is taken by another.
    """
    row = Row(place=place, more_kinds=tuple(k for k in experiment.kinds if k != experiment.name))
    there = kinds()
    taken = [
        kind for kind in experiment.kinds if there.get(kind, experiment.name) != experiment.name
    ]
    if EXPERIMENTS.get(experiment.name, row) != row or taken:
        raise UsageError(
            f"`name` and `kinds` of an experiment must be its own; {experiment.name!r} or "
            f"{', '.join(taken) or 'its place'} is taken."
        )
    EXPERIMENTS[experiment.name] = row
