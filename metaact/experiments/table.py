"""The experiments by name: a literal table, and how a script adds its own."""

from __future__ import annotations

import importlib

from metaact.errors import UsageError, check_choice

from .experiment import Experiment

EXPERIMENTS: dict[str, str] = {
    "maml": "metaact.experiments.maml:MAML",
    "converge": "metaact.experiments.converge:CONVERGE",
    "transfer": "metaact.experiments.transfer:TRANSFER",
}
"""Each experiment's name, and where it is declared: "module:NAME"."""

_KINDS = {"maml": "maml", "converge": "converge", "transfer": "transfer", "source": "transfer"}
"""Which experiment a kind of run belongs to."""


def find(name: str) -> Experiment:
    """The experiment called `name`.

    Raises:
        UsageError: If there is none; the message names the nearest.
    """
    check_choice("experiment", name, EXPERIMENTS)
    module, _, attribute = EXPERIMENTS[name].partition(":")
    found: object = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, Experiment):
        raise UsageError(
            f"`experiment` must be declared as an Experiment; {EXPERIMENTS[name]} is a "
            f"{type(found).__name__}."
        )
    return found


def of_kind(kind: str) -> Experiment | None:
    """The experiment whose runs are of this kind; None for kinds that are not known here."""
    name = _KINDS.get(kind)
    return None if name is None else find(name)


def register(experiment: Experiment, place: str) -> None:
    """Add an experiment: it gets a command, and its runs are read like all others.

    Args:
        experiment: The experiment.
        place: Where it is declared: "module:NAME".

    Raises:
        UsageError: If its name, or a kind of its runs, is taken by another.
    """
    taken = [
        kind for kind in experiment.kinds if _KINDS.get(kind, experiment.name) != experiment.name
    ]
    if EXPERIMENTS.get(experiment.name, place) != place or taken:
        raise UsageError(
            f"`name` and `kinds` of an experiment must be its own; {experiment.name!r} or "
            f"{', '.join(taken) or 'its place'} is taken."
        )
    EXPERIMENTS[experiment.name] = place
    _KINDS.update(dict.fromkeys(experiment.kinds, experiment.name))
