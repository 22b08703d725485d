"""Options that the verbs that compare arms share: the arms, and what they learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from .base import F
from .parameters import Names


def activation_option(default: Mapping[str, Any]) -> Callable[[F], F]:
    """`--activation`, with the default of one experiment's config."""
    return click.option(
        "--activation",
        type=Names(),
        default=default["activation"],
        show_default=True,
        help="Arms to compare: names from `metaact activations list`, NAME+elsa, your own "
        "module:factory, or `all` for the paper's nineteen. The first is the reference.",
    )


def dataset_option(default: Mapping[str, Any]) -> Callable[[F], F]:
    """`--dataset`, with the default of one experiment's config."""
    return click.option(
        "--dataset",
        default=default["dataset"],
        show_default=True,
        help="A name from `metaact data list`, a folder of class folders, or an .npz pack.",
    )
