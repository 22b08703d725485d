"""Options of `table` and `figure` that are for tables 7 and 8 and figure 4."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from metaact.errors import UsageError

from .groups import Option
from .parameters import Names, Place

NAMES = ("models", "reading", "dataset", "protocol")
"""Arguments of `network_table` that these options give."""


READINGS = ("200-epochs", "300-epochs")
"""Of table 7 and figure 4."""


def network_options(what: str, *, more: str = "", readings: tuple[str, ...] = ()) -> list[Any]:
    """The options.

    Args:
        what: What they are for.
        more: Help of further readings.
        readings: Their names.
    """
    return [
        Option(
            ["models", "--model"],
            group="Network",
            type=Names(),
            help=f"Networks of {what}. [default: the table's]",
        ),
        Option(
            ["--reading"],
            group="Fairness",
            type=click.Choice([*readings, *READINGS]),
            help=f"{more}The schedule of table 7, which the paper does not give. 200-epochs: x0.2 "
            "at 60, 120 and 160. 300-epochs: x0.1 at 150 and 225. [default: the first]",
        ),
        Option(
            ["--dataset"],
            group="Data",
            type=Place(),
            help=f"Other data for {what}: then no published figure stands beside ours. [default: "
            "the paper's]",
        ),
        Option(
            ["--protocol"],
            group="Fairness",
            type=click.Choice(["paper", "held-out"]),
            help=f"Of {what}. paper: all training images train, and beside the best test epoch "
            "stands the last. held-out: a validation part is taken out and chooses the epoch that "
            "stands beside it. [default: paper]",
        ),
    ]


def of_networks(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of them was given."""
    return {name: given[name] for name in NAMES if given[name] is not None}


def refuse(given: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    """Refuse options that say nothing here.

    Args:
        given: The options of the command.
        names: Which.
        why: The reason.

    Raises:
        UsageError: If one was given.
    """
    for name in names:
        if given[name] is not None:
            raise UsageError(f"`{name}` must be left out ({why}); got {given[name]!r}.")
