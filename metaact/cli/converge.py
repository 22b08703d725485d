"""`metaact converge`: train each activation at small learning rates and compare the curves."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import click

from metaact.experiments.config import PROTOCOLS
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.rates import CONVERGE_RATES, refuse_without_validation

from .arm_options import activation_option, dataset_option
from .base import (
    Command,
    Names,
    Numbers,
    common_options,
    defaults,
    open_store,
    pick_device,
    seed_range,
)
from .fairness_options import controlled, fairness_options, planned
from .learned_answer import with_answers
from .output import conclude
from .progress import do_all
from .training_options import training_options

DEFAULT = defaults(ConvergeConfig)


@click.command(cls=Command)
@activation_option(DEFAULT)
@dataset_option(DEFAULT)
@click.option(
    "--lr",
    type=Numbers(float),
    default=str(DEFAULT["lr"]),
    show_default=True,
    help="Learning rates; every arm is trained at each.",
)
@click.option(
    "--optimizer",
    type=Names(),
    default=DEFAULT["optimizer"],
    show_default=True,
    help="Optimizers: sgd (with momentum), adam.",
)
@click.option(
    "--epochs", type=int, default=DEFAULT["epochs"], show_default=True, help="Training epochs."
)
@click.option(
    "--first-epoch-points",
    type=int,
    help="Evaluations within the first epoch. [default: 4 at rates of 1e-3 or below, else 0]",
)
@click.option(
    "--alpha",
    "alphas",
    type=Numbers(float),
    help="Start values of α: a grid with --beta (figure 2a).",
)
@click.option("--beta", "betas", type=Numbers(float), help="Start values of β, likewise.")
@click.option(
    "--to",
    "thresholds",
    type=Numbers(float),
    default="50,90",
    show_default=True,
    help="Accuracies in percent whose first reaching is reported.",
)
@training_options(DEFAULT)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default=DEFAULT["protocol"],
    show_default=True,
    help="held-out: a validation part is taken out of training and the best epoch chosen there. "
    "paper: all training images train, the best test accuracy over epochs is reported by that "
    "name, and gelu, maxout, pau and slaf take the authors' forms.",
)
@fairness_options(CONVERGE_RATES)
@common_options
def converge(
    activation: tuple[str, ...],
    lr: tuple[float, ...],
    tune: str | dict[str, object] | None,
    controls: bool,
    optimizer: tuple[str, ...],
    alphas: tuple[float, ...] | None,
    betas: tuple[float, ...] | None,
    thresholds: tuple[float, ...],
    seeds: int,
    device: str,
    data_root: Path | None,
    out: Path,
    as_json: bool,
    stack: int | None,
    **settings: Any,
) -> None:
    """Train each activation from scratch, and compare how fast it gets anywhere.

    Every arm, learning rate, optimizer and seed is one run in the store. All arms of a seed see the
    same batches in the same order and, where shapes agree, start from the same weights, so that
    differences are paired. A killed command continues where it was when it is given again, and
    several processes may share one sweep.

    \b
        metaact converge --activation arelu,relu,arelu-frozen
        metaact converge --activation arelu,relu --tune lr=1e-3,1e-2 --controls --seeds 3
        metaact converge --dataset mnist --lr 1e-4,1e-5 --optimizer sgd,adam --activation all
        metaact converge --activation arelu --alpha 0.25,0.5,0.75 --beta 0,1,2
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    plan = planned(tune, CONVERGE_RATES, protocol=settings["protocol"], lr=lr)
    arms = [
        ConvergeConfig(activation=name, optimizer=o, seed=seed, **(settings | rates))
        for o, rates, name, seed in itertools.product(
            optimizer, plan.every, activation, seed_range(seeds)
        )
    ]
    goals = percentages(thresholds)
    chosen = pick_device(device)

    from metaact.experiments import converge as experiment
    from metaact.experiments import converge_figures, converge_report, examples
    from metaact.experiments.reuse import Library

    configs = experiment.expand(arms, alphas=alphas or (), betas=betas or ())
    configs = controlled(configs) if controls else configs
    library = Library(open_store(out), experiment.KIND)
    shared = experiment.study(configs, root=data_root, device=chosen)
    if tune is not None:
        refuse_without_validation(configs[0].protocol, validated=shared.validation is not None)
    at = None if tune is None else plan.shared
    jobs = experiment.jobs_of(configs, shared, library, stack=stack)
    examples.keep_images(shared, out)
    report = do_all(jobs, "epoch")
    summary = converge_report.summarise(
        configs, shared, library, report, thresholds=goals, shared_rates=at
    )
    table = with_answers(
        summary,
        converge_report.table,
        runs=report.done,
        plan=plan,
        rates=CONVERGE_RATES,
        at=configs[0].epochs,
    )
    conclude(
        summary,
        report,
        table=table,
        draw=lambda: converge_figures.draw(
            configs, shared, library, out / "figures", shared_rates=at
        ),
        as_json=as_json,
    )


def percentages(values: tuple[float, ...]) -> list[float]:
    """Thresholds in 0..1 from percentages."""
    for value in values:
        if not 0 < value <= 100:
            raise click.BadParameter(
                f"an accuracy must be a number in (0, 100] (percent); got {value:g}.",
                param_hint="--to",
            )
    return [value / 100 for value in values]
