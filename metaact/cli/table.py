"""`metaact table`: ours beside a table of the paper."""

from __future__ import annotations

import json
from pathlib import Path

import click

from metaact.errors import UsageError
from metaact.paper.protocols import TRANSFER

from .base import Command, Names, Numbers, common_options, pick_device, seed_range
from .progress import progress

QUICK = ("arelu", "relu", "selu", "prelu")


@click.command(cls=Command)
@click.argument("number", type=click.Choice(["1", "2", "4", "5", "6"]))
@click.option(
    "--activation",
    type=Names(),
    default="all",
    show_default=True,
    help="Rows; `all` for the paper's. Controls may be added: all,arelu-frozen.",
)
@click.option("--lr", type=Numbers(float), help="Columns, by learning rate. [default: the table's]")
@click.option("--optimizer", type=Names(), help="Columns, by optimizer. [default: the table's]")
@click.option(
    "--reading",
    type=click.Choice(["caption", "text"]),
    default="caption",
    show_default=True,
    help="Of table 2: its caption's (fine-tuned for 5, 10, 20 epochs) or the text's (pre-trained "
    "for 5, 10, 20, then fine-tuned for 100).",
)
@click.option(
    "--quick",
    is_flag=True,
    help="A first look in minutes: few rows, SGD at 1e-3 and 1e-4; table 2 with 2 epochs of "
    "pre-training and 5 of fine-tuning.",
)
@common_options
def table(
    number: str,
    activation: tuple[str, ...],
    lr: tuple[float, ...] | None,
    optimizer: tuple[str, ...] | None,
    reading: str,
    quick: bool,
    seeds: int,
    device: str,
    data_root: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    r"""Print table NUMBER of the paper with our figures beside it.

    Says for every cell whether the paper's figure lies in our interval, and, with two seeds or
    more, whether five new runs of ours could have given it. The paper took five seeds. Runs that
    are in the store are not run again, and one of 20 epochs serves the tables of the first epoch.

    \b
        metaact table 1 --quick
        metaact table 1 --lr 1e-3,1e-4 --optimizer sgd --seeds 5
        metaact table 2 --activation arelu,relu,arelu-frozen,relu-gain --seeds 3
    """
    names = QUICK if quick and activation == ("all",) else activation
    chosen, seed_list = pick_device(device), seed_range(seeds)

    from metaact.experiments import converge, tables, transfer
    from metaact.experiments.reuse import Library
    from metaact.experiments.sweep import sweep
    from metaact.runs import RunStore

    store = RunStore(out)
    if number == "2":
        if optimizer is not None:
            raise UsageError("`optimizer` must be left out (table 2 is SGD throughout).")
        if lr is not None and len(lr) != 1:
            raise UsageError(f"`lr` must be one rate for table 2; got {len(lr)}.")
        rate = lr[0] if lr else TRANSFER.lr
        arms = tables.transfer_configs(
            names=_published_rows(names),
            lr=rate,
            seeds=seed_list,
            text=reading == "text",
            quick=quick,
        )
        library = Library(store, transfer.SOURCE, transfer.TARGET)
        pair = transfer.study(arms, root=data_root, device=chosen)
        jobs = transfer.jobs_of(arms, pair, library)
    else:
        if quick:
            lr, optimizer = lr or (1e-3, 1e-4), optimizer or ("sgd",)
            names = names[:2] if number in ("5", "6") and names == QUICK else names
        cells = tables.convergence_configs(
            int(number), names=names, lrs=lr, optimizers=optimizer, seeds=seed_list
        )
        library = Library(store, converge.KIND)
        data = converge.study(cells, root=data_root, device=chosen)
        jobs = converge.jobs_of(cells, data, library)
    with progress(sum(job.steps for job in jobs), "epoch") as (tick, say):
        report = sweep(jobs, tick=tick, say=say)
    if number == "2":
        lines, notes = tables.transfer_lines(arms, pair, library), tables.transfer_notes(arms, pair)
    else:
        lines = tables.convergence_lines(int(number), cells, data, library)
        notes = tables.convergence_notes(int(number), data)
    found = tables.document(int(number), lines, notes=notes, missing=report.complaints())
    click.echo(json.dumps(found, indent=2) if as_json else tables.render(found))
    for line in report.complaints():
        click.echo(f"metaact: {line}", err=True)
    if not report.is_complete:
        raise click.exceptions.Exit(1)
