"""`metaact table`: ours beside a table of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from metaact.errors import UsageError

from .base import Command, Names, Several, common_options, open_store, pick_device, seeds_of
from .groups import Option
from .network_options import READINGS, network_options, of_networks, refuse
from .output import complain, echo, echo_json
from .sweeping import do_all, sweep_options

if TYPE_CHECKING:
    from metaact.experiments.paper.networks import NetworkTable
    from metaact.experiments.paper.tables import PaperTable


@click.command(cls=Command, short_help="Print a table of the paper with our figures beside it.")
@click.argument("number", metavar="NUMBER", type=click.Choice(list("12345678")))
@click.option(
    "--activation",
    cls=Option,
    group="Network",
    type=Names(),
    default="all",
    show_default=True,
    help="Rows; `all` for the paper's. Controls may be added: all,arelu-frozen.",
)
@click.option(
    "--lr",
    cls=Option,
    group="Experiment",
    type=Several(float),
    help="Columns, by learning rate. [default: the table's]",
)
@click.option(
    "--optimizer",
    cls=Option,
    group="Experiment",
    type=Names(),
    help="Columns, by optimizer. [default: the table's]",
)
@click.option(
    "--shots",
    cls=Option,
    group="Data",
    type=Several(int),
    help="Columns of table 3. [default: 1,5]",
)
@click.option(
    "--quick",
    cls=Option,
    group="Experiment",
    is_flag=True,
    help="A first look in minutes: a few rows, SGD at 1e-3 and 1e-4; of table 2 one row of epochs "
    "after 2 of pre-training; of table 3 one shot; of tables 7 and 8 one small network, few images "
    "and epochs.",
)
def table(**given: Any) -> None:
    """Print table NUMBER (1 to 8) of the paper with our figures beside it.

    Says for every cell whether the paper's figure lies in our interval and, with two seeds or
    more, whether as many new runs of ours could have given it; the paper took five seeds, for table
    3 one. Runs that are in the store are not run again, and one of 20 epochs serves the tables of
    the first epoch. With --limit 0 nothing is run: the table has what is there, and says how far
    it is. Beside the best training iteration, which the paper reports in table 3, stands the
    accuracy on held-out tasks. Tables 7 and 8 are of networks on CIFAR, trained for long: beside
    the best test epoch, which the paper reports, stands one that the test images did not choose.
    The JSON document is that of `metaact compare`, with the table in it.

    \b
        metaact table 1 --quick
        metaact table 1 --lr 1e-3,1e-4 --optimizer sgd --seeds 5
        metaact table 2 --activation arelu,relu,arelu-frozen,relu-gain --seeds 3
        metaact table 3 --activation all,arelu-frozen --seeds 5
        metaact table 5 --seeds 5 --limit 0
        metaact table 8 --quick
        metaact table 7 --reading 300-epochs --model resnet18 --seeds 5
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    number = int(given["number"])
    of = _of_networks if number in (7, 8) else _of_one_network
    found = of(number, seeds_of(given), given)
    device = pick_device(given["device"])

    from metaact import reports
    from metaact.experiments import study
    from metaact.experiments.paper.networks import NetworkTable
    from metaact.reports.agreement import render, table_report
    from metaact.reports.network_table import network_report

    ready = study.prepare(
        found.experiment,
        found.configs,
        open_store(given["out"]),
        root=given["data_root"],
        device=device,
    )
    outcome = do_all(ready, given)
    document = reports.answer(outcome)
    if isinstance(found, NetworkTable):
        ours = network_report(found, outcome)
    else:
        ours = table_report(found, document, outcome.configs)
    if given["as_json"]:
        echo_json(replace(document, tables=[ours]).as_json())
    else:
        echo(render(ours))
    complain(document.missing)


def _of_one_network(number: int, seeds: Sequence[int], given: Mapping[str, Any]) -> PaperTable:
    """A table of MNIST-Conv."""
    from metaact.experiments.paper.tables import paper_table

    refuse(given, ("models", "dataset", "protocol"), "it is for tables 7 and 8")
    if given["reading"] in READINGS:
        raise UsageError(
            f"`reading` must be caption or text for table 2; got {given['reading']!r}."
        )
    return paper_table(
        number,
        names=given["activation"],
        lrs=given["lr"],
        optimizers=given["optimizer"],
        shots=given["shots"],
        seeds=seeds,
        text=given["reading"] == "text",
        quick=given["quick"],
    )


def _of_networks(number: int, seeds: Sequence[int], given: Mapping[str, Any]) -> NetworkTable:
    """Table 7 or 8."""
    from metaact.experiments.paper.networks import network_table

    refuse(given, ("lr", "optimizer"), f"table {number} has one")
    refuse(given, ("shots",), "it is for table 3")
    return network_table(
        number,
        names=given["activation"],
        seeds=seeds,
        quick=given["quick"],
        **of_networks(given),
    )


table.params += network_options(
    "tables 7 and 8",
    more="Of table 2. caption: fine-tuned for 5, 10, 20 epochs. text: pre-trained for 5, 10, 20, "
    "then fine-tuned for 100. ",
    readings=("caption", "text"),
)
table.params += [*sweep_options(), *common_options()]
