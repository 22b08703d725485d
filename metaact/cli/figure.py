"""`metaact figure`: a figure of the paper from our runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from metaact.errors import MetaactError

from .base import Command, Names, Several, common_options, open_store, pick_device, seeds_of
from .groups import Option
from .network_options import network_options, of_networks
from .output import complain, echo, echo_json
from .sweeping import do_all, sweep_options


@click.command(cls=Command, short_help="Draw a figure of the paper from our runs.")
@click.argument("number", metavar="NUMBER", type=click.Choice(["2", "3", "4", "7", "8"]))
@click.option(
    "--activation",
    cls=Option,
    group="Network",
    type=Names(),
    default="all",
    show_default=True,
    help="Arms; `all` for the paper's. Figure 2 shows one that has α and β, AReLU unless named.",
)
@click.option(
    "--lr",
    cls=Option,
    group="Experiment",
    type=Several(float),
    help="Only panels at these rates. [default: the figure's]",
)
@click.option(
    "--quick",
    cls=Option,
    group="Experiment",
    is_flag=True,
    help="A first look in minutes: a few arms, 3 epochs; of figure 4 one small network, few images "
    "and epochs.",
)
def figure(**given: Any) -> None:
    """Draw figure NUMBER of the paper from our runs, and print ours beside its numbers.

    2: start values of α and β, their values over training, the learned functions. 3: test accuracy
    over epochs by SGD at 1e-4 and 1e-5. 4: test accuracy of networks on CIFAR-100 over epochs. 7
    and 8: training loss and test accuracy at larger and smaller rates. The paper's numbers (tables
    1 and 6, of figure 4 table 7) are drawn as rings. Runs that are in the store are reused.

    \b
        metaact figure 3 --quick
        metaact figure 3 --activation arelu,relu,selu,prelu,arelu-frozen --seeds 3
        metaact figure 4 --quick --dataset cifar10
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    from metaact.experiments.converge import CONVERGE
    from metaact.experiments.paper.figures import paper_figure

    found = paper_figure(
        int(given["number"]),
        names=given["activation"],
        lrs=given["lr"],
        seeds=seeds_of(given),
        quick=given["quick"],
        **of_networks(given),
    )
    device, out = pick_device(given["device"]), given["out"]

    from metaact import reports
    from metaact.experiments import study
    from metaact.experiments.paper.tables import convergence_table
    from metaact.reports import agreement, network_table, paper_figures

    ready = study.prepare(
        CONVERGE, found.configs, open_store(out), root=given["data_root"], device=device
    )
    outcome = do_all(ready, given)
    document = reports.answer(outcome)
    complaints, drawn = list(document.missing), list[Path]()
    try:
        drawn = paper_figures.draw(found, document, out / "figures")
    except MetaactError as error:
        complaints.append(f"no pictures: {error}")
    tables = []
    for number in found.tables:
        beside = convergence_table(number)
        at = replace(outcome, at=beside.epochs) if beside.epochs < found.epochs else outcome
        ours = agreement.table_report(beside, reports.answer(at), outcome.configs)
        tables.append(replace(ours, notes=[*ours.notes, *found.notes]))
    if found.beside is not None:
        ours = network_table.network_report(found.beside, outcome)
        tables.append(replace(ours, notes=[*ours.notes, *found.notes]))
    if given["as_json"]:
        whole = replace(document, tables=tables, figures=[str(path) for path in drawn])
        echo_json(whole.as_json())
    else:
        for ours in tables:
            echo(agreement.render(ours) + "\n")
        for note in () if tables else found.notes:
            echo(note)
        for path in drawn:
            echo(path)
    complain(complaints)


figure.params += [*network_options("figure 4"), *sweep_options(), *common_options()]
