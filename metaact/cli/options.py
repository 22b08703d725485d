"""The options of a verb, made from the settings of its experiment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from metaact.settings import GROUPS, Setting, settings_of, shown

from .groups import Option
from .parameters import LayerRates, Names, Place, Several


def setting_options(config: type, *, arguments: Sequence[str] = ()) -> list[click.Parameter]:
    """Options, and arguments for some, of all settings of a config; seeds are asked for elsewhere.

    Args:
        config: The class of the config.
        arguments: Settings that are arguments, in their order.
    """
    declared = {one.name: one for one in settings_of(config) if one.role != "seed"}
    made: list[click.Parameter] = [
        click.Argument([name], type=kind_of(declared[name]), default=declared[name].default)
        for name in arguments
    ]
    return made + [_option(one) for one in declared.values() if one.name not in arguments]


def _option(one: Setting) -> click.Option:
    help, group = one.help, one.group or GROUPS[one.role]
    if one.unset:
        help = f"{help} [default: {one.unset}]"
    if one.kind is bool:
        flags = f"{one.flag}/{one.off}" if one.off else one.flag
        return Option(
            [one.name, flags, *one.aliases],
            group=group,
            is_flag=True,
            default=one.default,
            show_default=bool(one.off),
            help=help,
        )
    return Option(
        [one.name, one.flag, *one.aliases],
        group=group,
        type=kind_of(one),
        default=one.default if one.default in (None, ()) else shown(one.default),
        show_default=one.default not in (None, ()),
        help=f"{help}{_several(one)}",
        metavar=_metavar(one),
        shell_complete=partial(_begun, one.choices),
    )


def _begun(
    choices: Sequence[str], ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str]:
    """The choices that the last word of a list may become."""
    before, comma, word = incomplete.rpartition(",")
    return [f"{before}{comma}{choice}" for choice in choices if choice.startswith(word)]


def kind_of(one: Setting) -> click.ParamType:  # type: ignore[type-arg]  # generic from click 8.3
    """How the values of a setting are read from the command line."""
    if one.layers:
        return LayerRates()
    if one.many:
        return Names() if one.kind is str else Several(one.kind)
    if one.path:
        return Place()
    return Names() if one.kind is str else Several(one.kind)


def _several(one: Setting) -> str:
    if one.role == "rate":
        return " Several values: every arm is run at each, and its best on validation is marked."
    return ""


def _metavar(one: Setting) -> str | None:
    if one.choices:
        return f"[{'|'.join(one.choices)}]"
    return "TEXT" if one.path else None


def values_of(one: Setting, given: Any) -> tuple[Any, ...]:
    """The values that an option was given, each one that a config takes.

    Args:
        one: The setting.
        given: What click made of the option.
    """
    if given is None:
        return (None,)
    if one.many or one.kind is bool or one.path:
        return (given,)
    return tuple(given)
