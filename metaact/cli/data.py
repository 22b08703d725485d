"""`metaact data`: list the data sets, fetch one, look at one."""

from __future__ import annotations

from pathlib import Path

import click

from metaact.experiments.maml.config import MamlConfig
from metaact.settings import by_name

from .base import Command, FileStem, data_root_option
from .next_step import suggest
from .output import echo, echo_json
from .parameters import Place

_HOLD_OUT, _SIZE, _CHANNELS = (
    by_name(MamlConfig)[name] for name in ("hold_out", "size", "channels")
)


@click.group()
def data() -> None:
    """List, fetch or show data sets."""


@data.command("list", cls=Command, short_help="List the data sets, and which of them are here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
def list_(data_root: Path | None, as_json: bool) -> None:
    """Print the data sets: what they are, how large, and whether they are here already."""
    from metaact.analysis import Column, render_table

    from .data_sets import listing

    rows = listing(data_root)
    if as_json:
        echo_json(rows)
    else:
        names = ("name", "classes", "images", "size", "kind", "here", "what")
        echo(render_table([Column(name) for name in names], rows))


@data.command("get", cls=Command, short_help="Download or draw data sets.")
@click.argument("name", nargs=-1, required=True, metavar="NAME...")
def get(name: tuple[str, ...], data_root: Path | None) -> None:
    """Download or draw the data sets NAME... into the data root, pack and check them."""
    from .data_sets import check_known, fetch

    check_known(name)
    for one in name:
        echo(fetch(one, data_root))
    suggest(f"metaact data show {name[0]}", "draws some of its images.")


@data.command("show", cls=Command, short_help="Draw a data set and one of its episodes.")
@click.argument("name", type=Place())
@click.option(
    "--out",
    type=FileStem(),
    help="Where to write, without suffix. [default: NAME in the current folder]",
)
@click.option("--ways", type=int, help="Classes. [default: 5, or as many as the test part has]")
@click.option("--shots", type=int, default=MamlConfig().shots, show_default=True, help="Support.")
@click.option("--queries", type=int, default=5, show_default=True, help="Query images per class.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which episode to draw.")
@click.option(
    "--hold-out",
    type=click.Choice(_HOLD_OUT.choices),
    help=f"{_HOLD_OUT.help} [default: {_HOLD_OUT.unset}]",
)
@click.option("--size", type=int, help=f"{_SIZE.help} [default: as they are]")
@click.option("--channels", type=int, help=f"{_CHANNELS.help} [default: as they are]")
def show(
    name: str,
    data_root: Path | None,
    out: Path | None,
    ways: int | None,
    shots: int,
    queries: int,
    seed: int,
    hold_out: str | None,
    size: int | None,
    channels: int | None,
) -> None:
    """Draw a contact sheet of data set NAME and one of its episodes (PNG and SVG)."""
    from metaact.analysis import file_name

    from .data_sets import pictures

    target = out or Path(file_name(Path(name).stem))
    written, note = pictures(
        name,
        data_root,
        target,
        ways=ways,
        shots=shots,
        queries=queries,
        seed=seed,
        hold_out=hold_out,
        size=size,
        channels=channels,
    )
    for path in written:
        echo(path)
    if note:
        echo(f"note: {note}", err=True)


for command in (list_, get, show):
    command.params.append(data_root_option())
