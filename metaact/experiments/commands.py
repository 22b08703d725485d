"""The command that makes a run, and one that makes several: from settings to words. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaact.errors import UsageError
from metaact.settings import Config, Setting, is_asked, settings_of, shown, usual

from .experiment import Experiment
from .table import EXPERIMENTS, find

ARM, SEED, SEEDS = "activation", "--seed", "--seeds"

Command = dict[str, Any]
"""A command: "verb", "arguments", and "options" with their values, "" for a flag."""


def command(experiment: Experiment, config: Config) -> Command:
    """The command that makes the runs of one config, and no others.

    Args:
        experiment: What they are runs of.
        config: The settings, data named as the user did.
    """
    options: dict[str, str] = {}
    for one in settings_of(type(config)):
        value = getattr(config, one.name)
        if one.role == "seed":
            options[SEED] = str(value)
        elif one.name in experiment.arguments or value == one.default or value is None:
            continue
        elif isinstance(value, bool):
            options[one.flag if value else one.off] = ""
        else:
            options[one.flag] = shown(value)
    for one in settings_of(type(config)):
        if one.default is None and one.flag in options and _follows(config, one.name):
            del options[one.flag]
    replaced = {s.stands_for for s in settings_of(type(config)) if getattr(config, s.name)}
    arguments = [str(getattr(config, n)) for n in experiment.arguments if n not in replaced]
    return {"verb": experiment.name, "arguments": arguments, "options": options}


def words(experiment: Experiment, config: Config) -> list[str]:
    """The words of the command that makes the runs of one config, without the program.

    Examples:
        >>> from metaact.experiments import CONVERGE, ConvergeConfig
        >>> words(CONVERGE, ConvergeConfig(activation="relu", seed=3, lr=0.01))
        ['converge', '--activation', 'relu', '--seed', '3', '--lr', '0.01']
    """
    found = command(experiment, config)
    options = [word for pair in found["options"].items() for word in pair if word != ""]
    return [str(found["verb"]), *found["arguments"], *options]


def typed_paths(experiment: Experiment, found: Mapping[str, Any]) -> dict[str, str]:
    """Data and files as the user named them in the command of a run, by setting.

    A run itself records the last part of a path alone, which is the same on every machine.

    Args:
        experiment: What it is a run of.
        found: The command as the run recorded it.

    Examples:
        >>> from metaact.experiments import CONVERGE
        >>> options = {"--dataset": "data/birds", "--lr": "0.1"}
        >>> typed_paths(CONVERGE, {"verb": "converge", "arguments": [], "options": options})
        {'dataset': 'data/birds'}
    """
    known = settings_of(experiment.config)
    options: Mapping[str, str] = found["options"]
    replaced = {one.stands_for for one in known if one.flag in options}
    arguments = [name for name in experiment.arguments if name not in replaced]
    given = dict(zip(arguments, map(str, found["arguments"]), strict=False))
    given |= {one.name: options[one.flag] for one in known if one.flag in options}
    return {one.name: given[one.name] for one in known if one.path and one.name in given}


def _follows(config: Config, name: str) -> bool:
    """Whether a setting has the value that it would be given if it were left out."""
    given = {s.name: getattr(config, s.name) for s in settings_of(type(config)) if s.name != name}
    try:
        without = type(config)(**given)
    except UsageError:  # others say nothing without it
        return False
    return bool(getattr(without, name) == getattr(config, name))


def merged(commands: Sequence[Mapping[str, Any]], *, by: str = "activation") -> list[str]:
    """The fewest commands that make all the runs: one for each verb with its arguments.

    Options of which the runs have several values get them all, those of runs that left them out
    included; runs that differ in what takes one value only have commands of their own.

    Args:
        commands: As runs recorded them.
        by: The setting whose values are compared.

    Returns:
        Command lines.

    Examples:
        >>> one = {"verb": "maml", "arguments": [], "options": {"--activation": "relu"}}
        >>> merged([{**one, "options": {**one["options"], "--seed": str(s)}} for s in range(2)])
        ['metaact maml --activation relu --seeds 2']
        >>> merged([one, {**one, "options": {}}])
        ['metaact maml --activation relu,arelu']
    """
    groups: dict[tuple[object, ...], list[Mapping[str, str]]] = {}
    for found in commands:
        verb, options = str(found["verb"]), found["options"]
        key = (verb, *map(str, found["arguments"])), _apart(_settings(verb), options)
        groups.setdefault(key, []).append(options)
    asked = [] if by == ARM else ["--by", by]
    return [
        shlex.join(["metaact", *words, *_options(_settings(words[0]), options), *asked])  # type: ignore[index,misc]
        for (words, _), options in groups.items()
    ]


def _settings(verb: str) -> dict[str, Setting]:
    """The settings of a verb by option; none where it is not known here."""
    known = settings_of(find(verb).config) if verb in EXPERIMENTS else ()
    return {one.flag: one for one in known if one.role != "seed"}


def _apart(known: Mapping[str, Setting], options: Mapping[str, str]) -> tuple[object, ...]:
    """What two commands must share to be written as one."""
    found: list[object] = []
    for name, value in options.items():
        one = known.get(name)
        if value == "" or (one and (one.many or one.path or one.role == "computation")):
            found.append((name, value))  # it takes one value
        elif one and one.default is None and not one.implies:
            found.append(name)  # what it is where it is left out has no name
    return tuple(found)


def _options(known: Mapping[str, Setting], commands: Sequence[Mapping[str, str]]) -> Iterable[str]:
    order = {name: place for place, name in enumerate((*known, SEED))}
    names = dict.fromkeys(name for options in commands for name in options)
    for name in sorted(names, key=lambda name: order.get(name, len(order))):
        given = (options.get(name) or _left_out(known, name, options) for options in commands)
        values = dict.fromkeys(value for value in given if value is not None)
        if name == SEED and all(value.isdecimal() for value in values):
            yield from _seeds(sorted(int(value) for value in values))
        elif not values:
            yield name
        else:
            yield from (name, ",".join(values))


def _left_out(known: Mapping[str, Setting], name: str, options: Mapping[str, str]) -> str | None:
    """The value of an option that a command leaves out; None if it has none there, or is a flag."""
    if name in options or name not in known:
        return None
    one, named = known[name], {other.name: other for other in known.values()}
    values: dict[str, object] = {
        known[flag].name: value or True for flag, value in options.items() if flag in known
    }
    left = {n: usual(s, values) for n, s in named.items() if n not in values}
    value = left[one.name]
    return shown(value) if value is not None and is_asked(one, named, {**left, **values}) else None


def _seeds(seeds: Sequence[int]) -> list[str]:
    if list(seeds) == list(range(len(seeds))):
        return [SEEDS, str(len(seeds))] if len(seeds) > 1 else []
    return [SEED, ",".join(str(seed) for seed in seeds)]
