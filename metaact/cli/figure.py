"""`metaact figure`: a figure of the paper from our runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaact.errors import MetaactError

from .base import Command, Names, Numbers, common_options, open_store, pick_device, seed_range
from .output import complain, echo_json
from .progress import do_all


@click.command(cls=Command)
@click.argument("number", metavar="NUMBER", type=click.Choice(["2", "3", "7", "8"]))
@click.option(
    "--activation",
    type=Names(),
    default="all",
    show_default=True,
    help="Arms; `all` for the paper's. Figure 2 shows one that has α and β, AReLU unless named.",
)
@click.option(
    "--lr", type=Numbers(float), help="Only panels at these rates. [default: the figure's]"
)
@click.option("--quick", is_flag=True, help="A first look in minutes: a few arms, 3 epochs.")
@common_options
def figure(
    number: str,
    activation: tuple[str, ...],
    lr: tuple[float, ...] | None,
    quick: bool,
    seeds: int,
    device: str,
    data_root: Path | None,
    out: Path,
    as_json: bool,
    **settings: Any,
) -> None:
    """Draw figure NUMBER of the paper from our runs, and print ours beside its numbers.

    2: start values of α and β, their course, the learned curves. 3: test accuracy over epochs by
    SGD at 1e-4 and 1e-5. 7 and 8: training loss and test accuracy at larger and smaller rates. The
    paper's numbers (tables 1 and 6) are drawn as rings. Runs that are in the store are reused.

    \b
        metaact figure 3 --quick
        metaact figure 3 --activation arelu,relu,selu,prelu,arelu-frozen --seeds 3
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    chosen, seed_list = pick_device(device), seed_range(seeds)

    from metaact.experiments import comparison, figures

    prepared = figures.prepare(
        int(number),
        open_store(out),
        names=activation,
        lrs=lr,
        seeds=seed_list,
        quick=quick,
        root=data_root,
        device=chosen,
        **settings,
    )
    report = do_all(prepared.jobs, "epoch")
    complaints = report.complaints()
    try:
        drawn = [str(path) for path in prepared.draw(out / "figures")]
    except MetaactError as error:
        drawn = []
        complaints.append(f"no figures: {error}")
    tables = [
        comparison.document(n, lines, notes=prepared.notes, missing=report.complaints())
        for n, lines in prepared.tables()
    ]
    if as_json:
        summary = {"experiment": "figure", "figure": prepared.number, "tables": tables}
        echo_json({**summary, "notes": prepared.notes, "figures": drawn})
    else:
        for found in tables:
            click.echo(comparison.render(found) + "\n")
        for note in () if tables else prepared.notes:
            click.echo(note)
        for path in drawn:
            click.echo(path)
    complain(complaints)
