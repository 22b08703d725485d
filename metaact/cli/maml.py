"""`metaact maml`: meta-learn with each activation and compare on frozen held-out episodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from metaact.experiments.config import ENGINES, MODELS, PROTOCOLS, MamlConfig
from metaact.experiments.rates import MAML_RATES, refuse_without_validation

from .arm_options import activation_option, dataset_option
from .base import (
    Command,
    F,
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

DEFAULT = defaults(MamlConfig)


def _count(flag: str, name: str, help: str) -> Callable[[F], F]:
    return click.option(
        flag,
        name,
        type=int,
        default=DEFAULT[name],
        show_default=DEFAULT[name] is not None,
        help=help,
    )


@click.command(cls=Command)
@activation_option(DEFAULT)
@dataset_option(DEFAULT)
@click.option(
    "--hold-out",
    type=click.Choice(["classes", "images"]),
    help="What test and training do not share. [default: what suits the data set]",
)
@click.option(
    "--model",
    type=click.Choice(MODELS),
    default=DEFAULT["model"],
    show_default=True,
    help="Network.",
)
@click.option(
    "--batch-norm",
    type=click.Choice(["batch", "off"]),
    help="Batch statistics, or none. [default: batch for conv4, off for mnist-conv]",
)
@_count("--ways", "ways", "Classes per episode.")
@_count("--shots", "shots", "Support images per class.")
@_count(
    "--queries",
    "queries",
    "Query images per class in training. [default: 15; the paper's protocol: as many as shots]",
)
@_count("--test-queries", "test_queries", "Query images per class in testing.")
@_count("--steps", "inner_steps", "Inner gradient steps.")
@_count("--test-steps", "test_inner_steps", "Inner steps in testing. [default: as in training]")
@_count("--tasks", "tasks", "Episodes per meta-batch.")
@_count(
    "--task-pool",
    "task_pool",
    "Training episodes drawn once and reused; 0: always fresh. [default: 0; the paper's protocol: "
    "1000]",
)
@click.option(
    "--inner-lr",
    type=Numbers(float),
    default=str(DEFAULT["inner_lr"]),
    show_default=True,
    help="Inner learning rate. Several: each arm is tried at each, and its best on the validation "
    "part is marked.",
)
@click.option(
    "--lr",
    "meta_lr",
    type=float,
    default=DEFAULT["meta_lr"],
    show_default=True,
    help="Adam's rate on the meta-parameters.",
)
@_count("--iterations", "iterations", "Meta-updates.")
@click.option("--first-order", is_flag=True, help="Ignore second derivatives (FOMAML).")
@click.option("--head-only", is_flag=True, help="Adapt only the last layer (ANIL).")
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default=DEFAULT["protocol"],
    show_default=True,
    help="held-out: frozen test episodes. paper: also the best training iteration, the authors' "
    "forms of gelu, maxout, pau and slaf, as many queries as shots, a pool of 1000 training "
    "episodes, and the gap between the two.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=DEFAULT["engine"],
    show_default=True,
    help="How tasks are adapted; all engines compute the same.",
)
@_count("--test-episodes", "test_episodes", "Frozen test episodes.")
@click.option(
    "--without-replacement",
    is_flag=True,
    help="No image occurs in two test episodes (Lafargue et al., 2024).",
)
@click.option(
    "--chunk-size",
    type=click.IntRange(min=1),
    help="Tasks computed at a time: bounds memory. [default: chosen by the engine]",
)
@fairness_options(MAML_RATES)
@common_options
def maml(
    activation: tuple[str, ...],
    inner_lr: tuple[float, ...],
    meta_lr: float,
    tune: str | dict[str, object] | None,
    controls: bool,
    seeds: int,
    device: str,
    data_root: Path | None,
    out: Path,
    as_json: bool,
    without_replacement: bool,
    chunk_size: int | None,
    **settings: Any,
) -> None:
    """Meta-learn with each activation and compare them on held-out episodes.

    Every arm and seed is one run in the store. All are tested on the same frozen episodes, so that
    differences are paired. A killed command continues where it was when it is given again.

    \b
        metaact maml --activation arelu
        metaact maml --dataset omniglot --activation arelu,relu,arelu-frozen --seeds 3
        metaact maml --activation arelu,relu --tune inner-lr=0.02,0.1,lr=0.001 --controls
        metaact maml --dataset mnist --protocol paper --activation all
    """  # noqa: D301
    plan = planned(
        tune, MAML_RATES, protocol=settings["protocol"], inner_lr=inner_lr, meta_lr=(meta_lr,)
    )
    arms = [
        MamlConfig(
            activation=name,
            seed=seed,
            replacement=not without_replacement,
            **(settings | rates),
        )
        for name in activation
        for rates in plan.every
        for seed in seed_range(seeds)
    ]
    chosen = pick_device(device)

    from metaact.experiments import examples, maml_figures, maml_report
    from metaact.experiments import maml as experiment

    configs = experiment.expand(arms)
    configs = controlled(configs) if controls else configs
    store = open_store(out)
    shared = experiment.study(configs[0], root=data_root, device=chosen)
    if tune is not None:
        refuse_without_validation(configs[0].protocol, validated=shared.validation is not None)
    at = None if tune is None else plan.shared
    jobs = [experiment.job(c, shared, store, chunk_size=chunk_size) for c in configs]
    examples.keep_episode(shared, out)
    report = do_all(jobs, "iteration")
    summary = maml_report.summarise(configs, shared, store, report, shared_rates=at)
    table = with_answers(summary, maml_report.table, runs=report.done, plan=plan, rates=MAML_RATES)
    conclude(
        summary,
        report,
        table=table,
        draw=lambda: maml_figures.draw(configs, shared, store, out / "figures", shared_rates=at),
        as_json=as_json,
    )
