"""Options under headings: what `--help` of a command with many options is ordered by."""

from __future__ import annotations

from typing import Any, get_args

import click

from metaact.settings import Group

GROUPS: tuple[Group, ...] = get_args(Group)
"""The headings, in their order."""

FEW = 2
"""Headings from which on they help."""


class Option(click.Option):
    """An option that stands under a heading.

    Args:
        declarations: Its names.
        group: The heading.
        more: What click's option takes.
    """

    def __init__(self, declarations: list[str], *, group: Group, **more: Any) -> None:
        super().__init__(declarations, **more)
        self.group = group


def grouped(command: click.Command, ctx: click.Context) -> dict[str, list[click.Parameter]]:
    """The options that the help of a command lists, by heading; few need none but "Options".

    Args:
        command: The command.
        ctx: Its context.
    """
    params = command.get_params(ctx)
    headings = {param.group for param in params if isinstance(param, Option)}
    if len(headings) < FEW:
        return {"Options": [param for param in params if isinstance(param, click.Option)]}
    found: dict[str, list[click.Parameter]] = {f"{g} options": [] for g in GROUPS if g in headings}
    last = next(reversed(found))
    for param in params:
        # Arguments are told of above; --help, which click makes, comes last.
        if isinstance(param, click.Option):
            found[f"{param.group} options" if isinstance(param, Option) else last].append(param)
    return found
