"""`metaact table`: ours beside a table of the paper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from .base import Command, Names, Several, common_options, open_store, pick_device, seeds_of
from .output import complain, echo, echo_json
from .sweeping import do_all, sweep_options


@click.command(cls=Command)
@click.argument("number", metavar="NUMBER", type=click.Choice(["1", "2", "4", "5", "6"]))
@click.option(
    "--activation",
    type=Names(),
    default="all",
    show_default=True,
    help="Rows; `all` for the paper's. Controls may be added: all,arelu-frozen.",
)
@click.option("--lr", type=Several(float), help="Columns, by learning rate. [default: the table's]")
@click.option("--optimizer", type=Names(), help="Columns, by optimizer. [default: the table's]")
@click.option(
    "--reading",
    type=click.Choice(["caption", "text"]),
    default="caption",
    show_default=True,
    help="Of table 2. caption: fine-tuned for 5, 10, 20 epochs. text: pre-trained for 5, 10, 20, "
    "then fine-tuned for 100.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="A first look in minutes: a few rows, SGD at 1e-3 and 1e-4; of table 2 one row of epochs "
    "after 2 of pre-training.",
)
def table(**given: Any) -> None:
    """Print table NUMBER (1, 2, 4, 5 or 6) of the paper with our figures beside it.

    Says for every cell whether the paper's figure lies in our interval and, with two seeds or
    more, whether five new runs of ours could have given it; the paper took five seeds. Runs that
    are in the store are not run again, and one of 20 epochs serves the tables of the first epoch.
    The JSON document is that of `metaact compare`, with the table in it.

    \b
        metaact table 1 --quick
        metaact table 1 --lr 1e-3,1e-4 --optimizer sgd --seeds 5
        metaact table 2 --activation arelu,relu,arelu-frozen,relu-gain --seeds 3
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    from metaact.experiments.paper.tables import paper_table

    seeds = seeds_of(given)
    found = paper_table(
        int(given["number"]),
        names=given["activation"],
        lrs=given["lr"],
        optimizers=given["optimizer"],
        seeds=seeds,
        text=given["reading"] == "text",
        quick=given["quick"],
    )
    device = pick_device(given["device"])

    from metaact import reports
    from metaact.experiments import study
    from metaact.reports import agreement

    ready = study.prepare(
        found.experiment,
        found.configs,
        open_store(given["out"]),
        root=given["data_root"],
        device=device,
    )
    document = reports.answer(do_all(ready, given))
    ours = agreement.table_report(found, document, seeds=len(seeds))
    if given["as_json"]:
        echo_json(replace(document, tables=[ours]).as_json())
    else:
        echo(agreement.render(ours))
    complain(document.missing)


table.params += [*sweep_options(), *common_options()]
