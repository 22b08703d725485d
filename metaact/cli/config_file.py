"""`--config file.toml`: values for a command's options, checked before any is used."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import click
from click.types import BoolParamType, FloatParamType, IntParamType

from metaact.errors import UNREADABLE, reason_of

from .parameters import Grid, LayerRates, Names, Several

FILE, KEYS = "metaact.config", "metaact.keys"
"""Where a command keeps the name of its config file, and what each option is called in it."""


LONGEST_SHOWN = 200
"""Characters of a value that a message shows."""


def read_config(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Take the file's values as defaults; options given on the command line win.

    Raises:
        BadParameter: If the file cannot be read, or holds an unknown key or a value of a wrong
            type, whether or not the command line gives the option, too.
    """
    if value is None:
        return
    options = [p for p in ctx.command.params if p is not param]
    known = {name.removeprefix("--"): p for p in options for name in p.opts}
    taken: dict[str, object] = {}
    keys: dict[str, str] = {}
    for key, entry in _table(ctx, param, value).items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            problem = f"unknown key {key!r}; allowed: {', '.join(sorted(_names(options)))}"
        elif option.name in taken:
            problem = f"{key!r} is given twice, by two of its names"
        elif (wanted := _wrong_type(option, entry)) is not None:
            problem = f"{key!r} must be {wanted}; got {_seen(entry)}"
        else:
            taken[option.name or key] = entry
            keys[option.name or key] = key
            continue
        raise click.BadParameter(f"{value}: {problem}.", ctx, param)
    ctx.default_map = taken
    ctx.meta[FILE] = value
    ctx.meta[KEYS] = keys


def _names(options: list[click.Parameter]) -> list[str]:
    """What each option is called first."""
    return [option.opts[0].removeprefix("--") for option in options]


def _table(ctx: click.Context, param: click.Parameter, path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, *UNREADABLE) as error:
        reason = error.strerror if isinstance(error, OSError) else reason_of(error)
        raise click.BadParameter(f"{path} cannot be read as TOML: {reason}.", ctx, param) from error


def _seen(value: object) -> str:
    """A value as it is shown: the beginning of a long one."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out numbers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_int(value: object) -> bool:
    """Whether a value is a whole number of TOML, which has 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and not _is_long(value)


def _is_long(value: object) -> bool:
    return isinstance(value, int) and abs(value) > 2**63


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_list(value: object, of: Callable[[object], bool]) -> bool:
    return isinstance(value, list) and all(of(item) for item in value)


def _wrong_type(option: click.Parameter, value: object) -> str | None:
    """What the option takes, if that is not `value`.

    click converts what it is given: without this, `ways = true` would be one way, and
    `ways = 5.5` five.
    """
    kind = option.type
    numbers = value if isinstance(value, list) else [value]
    if any(_is_long(one) for one in numbers):
        return "at most 64 bits long, as whole numbers of TOML are"
    if isinstance(kind, Several):
        one = _is_int if kind.kind is int else _is_number
        fits = one(value) or _is_list(value, one) or _is_text(value)
        wanted = (
            "a whole number or a list of them" if one is _is_int else "a number or a list of them"
        )
    elif isinstance(kind, Names):
        fits, wanted = _is_text(value) or _is_list(value, _is_text), "text or a list of texts"
    elif isinstance(kind, LayerRates):
        table = isinstance(value, dict) and _is_list(list(value.values()), _is_number)
        fits, wanted = table or _is_text(value), "a table of layer = rate"
    elif isinstance(kind, Grid):
        rows = list(value.values()) if isinstance(value, dict) else []
        table = bool(rows) and all(_is_number(row) or _is_list(row, _is_number) for row in rows)
        fits, wanted = table or _is_text(value), "a table of rate = numbers, or text"
    elif isinstance(kind, BoolParamType):
        fits, wanted = isinstance(value, bool), "true or false"
    elif isinstance(kind, IntParamType):
        fits, wanted = _is_int(value), "a whole number"
    elif isinstance(kind, FloatParamType):
        fits, wanted = _is_number(value), "a number"
    else:
        fits, wanted = _is_text(value), "text"
    return None if fits else wanted
