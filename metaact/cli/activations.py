"""`metaact activations`: what there is to compare, as a table or a picture."""

from __future__ import annotations

from pathlib import Path

import click

from .base import Command, FileStem, Names
from .output import echo, echo_json


@click.group()
def activations() -> None:
    """List or plot the activation functions."""


@activations.command("list", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
def list_(as_json: bool) -> None:
    """Print every activation: formula, learnable scalars per layer, source."""
    from metaact.activations import entries
    from metaact.analysis import Column, render_table

    rows = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "learnable": entry.learnable,
            "formula": entry.formula,
            "aliases": ", ".join(entry.aliases),
            "paper protocol": entry.paper_form or "",
            "source": entry.citation,
        }
        for entry in entries()
    ]
    if as_json:
        echo_json(rows)
        return
    columns = [Column(name) for name in ("name", "kind", "learnable", "formula", "source")]
    echo(render_table(columns, rows))
    echo(
        "Any of them takes +elsa (e.g. relu+elsa) and its start values (arelu(alpha=0.25,beta=1)); "
        "your own is module:factory.",
        err=True,
    )


@activations.command("plot", cls=Command)
@click.option(
    "--activation",
    type=Names(),
    default="all",
    show_default=True,
    help="Names to draw; `all` for the paper's nineteen.",
)
@click.option(
    "--out",
    type=FileStem(),
    default=Path("activations"),
    show_default=True,
    help="Where to write, without suffix: OUT.png and OUT.svg.",
)
def plot(activation: tuple[str, ...], out: Path) -> None:
    """Draw each activation and its derivative at its start values."""
    from .activation_plot import plot_activations

    for path in plot_activations(activation, out):
        echo(path)
