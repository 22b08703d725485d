"""`metaact activations`: what there is to compare, as a table or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from metaact.errors import UsageError

from .base import Command, FileStem, Names, pick_device
from .output import echo, echo_json

if TYPE_CHECKING:
    from metaact.activations import Entry


@click.group()
def activations() -> None:
    """List, plot or measure the activation functions."""


@activations.command("list", cls=Command, short_help="List every activation with its shape.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
def list_(as_json: bool) -> None:
    """Print every activation: formula, learnable scalars per layer, shape, source.

    The shape at the start values, for standard normal inputs x: gain √E[f²]; left: the mean slope
    for x < 0; dead: the length within [-4, 4] without a slope; floor: the least slope there; kink:
    how much the slope jumps at 0; on which side it saturates.
    """
    from metaact.activations import entries
    from metaact.analysis import Column, render_table

    rows = [
        {
            "name": entry.name,
            "kind": entry.kind,
            "learnable": entry.learnable,
            "formula": entry.formula,
            **_shape(entry),
            "aliases": ", ".join(entry.aliases),
            "paper protocol": entry.paper_form or "",
            "source": entry.citation,
        }
        for entry in entries()
    ]
    if as_json:
        echo_json(rows)
        return
    columns = [Column(name) for name in _LISTED]
    echo(render_table(columns, rows))
    echo(
        "Any of them takes +elsa (e.g. relu+elsa) and its start values (arelu(alpha=0.25,beta=1)); "
        "your own is module:factory.",
        err=True,
    )


_LISTED = (
    *("name", "kind", "learnable", "formula"),
    *("gain", "left", "dead", "floor", "kink", "saturates", "source"),
)


def _shape(entry: Entry) -> dict[str, object]:
    """The shape of an activation for a reader; nothing where it mixes channels."""
    from metaact.activations import shape_of

    try:
        found = shape_of(entry.factory())
    except UsageError:
        return {}
    return {
        "gain": round(found.gain, 3),
        "left": round(found.negative_slope, 3),
        "dead": round(found.dead_band, 2),
        "floor": round(found.floor, 3),
        "kink": round(found.kink, 3),
        "saturates": found.saturates,
    }


@activations.command("plot", cls=Command, short_help="Draw activations and their derivatives.")
@click.option(
    "--activation",
    type=Names(),
    default="paper",
    show_default=True,
    help="Names to draw; `paper` for the paper's nineteen, `modern` for those of today, `all`.",
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


@activations.command("cost", cls=Command, short_help="Measure what activations cost in a network.")
@click.option(
    "--model",
    type=Names(),
    default="mnist-conv",
    show_default=True,
    help="Networks, as the verbs name them.",
)
@click.option(
    "--activation",
    type=Names(),
    default="relu,prelu,arelu",
    show_default=True,
    help="What is measured; the ratios are to the first.",
)
@click.option("--batch-size", default=32, show_default=True, help="Images of a step.")
@click.option("--channels", default=3, show_default=True, help="Channels of the images.")
@click.option(
    "--size", type=int, help="Their height and width. [default: 28 for mnist-conv, else 32]"
)
@click.option("--classes", default=100, show_default=True, help="Outputs of the network.")
@click.option("--batch-norm", help="As for the verbs. [default: as published]")
@click.option("--turns", default=9, show_default=True, help="Timed steps of each, in turns.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
def cost(
    model: tuple[str, ...],
    activation: tuple[str, ...],
    batch_size: int,
    channels: int,
    size: int | None,
    classes: int,
    batch_norm: str | None,
    turns: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure what activations cost in a network: parameters, time of a step, memory."""
    from dataclasses import asdict

    from metaact import models
    from metaact.analysis import Column, render_table

    device = pick_device(device)
    found = [
        one
        for name in model
        for one in models.costs(
            name,
            activation,
            classes=classes,
            channels=channels,
            size=size or models.network_of(name).size or 32,
            batch_size=batch_size,
            turns=turns,
            batch_norm=batch_norm,
            device=device,
        )
    ]
    if as_json:
        echo_json([asdict(one) for one in found])
        return
    headings = [
        *("network", "activation", "parameters", "of activations"),
        *("ms a step", "time", "MiB kept", "memory"),
    ]
    rows = [
        (
            one.model,
            one.activation,
            f"{one.parameters:,}",
            one.of_activations,
            f"{one.step_ms:.1f}",
            f"{one.step_ratio:.2f}x",
            f"{one.kept_mib:.1f}",
            f"{one.kept_ratio:.2f}x",
        )
        for one in found
    ]
    note = (
        f"A step is forward, loss and backward of {batch_size} images, on {device}; medians of "
        f"{turns} turns. Time (of the processor, on a CPU) and memory (kept for the backward pass) "
        f"over those of {activation[0]} in the same turns."
    )
    echo(render_table([Column(name) for name in headings], rows, footnotes=(note,)))
