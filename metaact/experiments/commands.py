"""The command that makes a run, and one that makes several: from settings to words. No torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaact.settings import Config, settings_of, shown

from .experiment import Experiment
from .table import find

SEED, SEEDS = "--seed", "--seeds"

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
    arguments = [str(getattr(config, name)) for name in experiment.arguments]
    return {"verb": experiment.name, "arguments": arguments, "options": options}


def _follows(config: Config, name: str) -> bool:
    """Whether a setting has the value that it would be given if it were left out."""
    given = {s.name: getattr(config, s.name) for s in settings_of(type(config)) if s.name != name}
    return bool(getattr(type(config)(**given), name) == getattr(config, name))


def merged(commands: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fewest commands that make all the runs.

    Options of which runs have several values get them all, where one command takes several.

    Args:
        commands: As runs recorded them.

    Returns:
        Command lines.

    Examples:
        >>> def one(seed, **options):
        ...     return {"verb": "maml", "arguments": [], "options": {"--seed": seed, **options}}
        >>> merged([one("0"), one("1"), one("0", **{"--activation": "relu"})])
        ['metaact maml --activation arelu,relu --seeds 2']
    """
    groups: dict[tuple[object, ...], list[dict[str, str]]] = {}
    for found in commands:
        usual = _several(str(found["verb"]))
        options = {**usual, **found["options"]}
        fixed = tuple((k, v) for k, v in options.items() if k not in usual and k != SEED)
        groups.setdefault((found["verb"], *found["arguments"], None, *fixed), []).append(options)
    lines = []
    for (verb, *rest), members in groups.items():
        arguments = rest[: rest.index(None)]
        words = _options(members, _several(str(verb)))
        lines.append(shlex.join(["metaact", str(verb), *map(str, arguments), *words]))
    return lines


def _several(verb: str) -> dict[str, str]:
    """The options of which a command takes several values, with their defaults."""
    return {
        one.flag: shown(one.default)
        for one in settings_of(find(verb).config)
        if one.role not in ("seed", "computation")
        if one.default is not None and not (one.many or one.path or one.kind is bool)
    }


def _options(commands: Sequence[Mapping[str, str]], usual: Mapping[str, str]) -> Iterable[str]:
    for name in dict.fromkeys(name for options in commands for name in options):
        values = list(dict.fromkeys(options[name] for options in commands))
        if name == SEED:
            yield from _seeds(sorted(int(value) for value in values))
        elif values == [""]:
            yield name
        elif values != [usual.get(name)]:
            yield from (name, ",".join(values))


def _seeds(seeds: Sequence[int]) -> list[str]:
    if list(seeds) == list(range(len(seeds))):
        return [SEEDS, str(len(seeds))] if len(seeds) > 1 else []
    return [SEED, ",".join(str(seed) for seed in seeds)]
