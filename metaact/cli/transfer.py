"""`metaact transfer`: pre-train on a source, fine-tune on a target, beside two baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaact.experiments.rates import TRANSFER_RATES, refuse_without_validation
from metaact.experiments.transfer_config import PROTOCOLS, TransferConfig

from .arm_options import activation_option
from .base import (
    Command,
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

DEFAULT = defaults(TransferConfig)


@click.command(cls=Command)
@click.argument("source", default=DEFAULT["source"])
@click.argument("target", default=DEFAULT["target"])
@activation_option(DEFAULT)
@click.option(
    "--epochs",
    type=Numbers(int),
    default=",".join(str(n) for n in DEFAULT["epochs"]),
    show_default=True,
    help="Fine-tuning epochs at which the target is tested; one run serves all. Under paper-text: "
    "epochs of pre-training.",
)
@click.option(
    "--lr",
    type=Numbers(float),
    default=str(DEFAULT["lr"]),
    show_default=True,
    help="Rates of fine-tuning. Several: each arm is tried at each, and its best on the target's "
    "validation part is marked.",
)
@click.option(
    "--optimizer",
    type=click.Choice(["sgd", "adam"]),
    default=DEFAULT["optimizer"],
    show_default=True,
    help="Of fine-tuning.",
)
@click.option(
    "--pretrain-epochs",
    type=int,
    default=DEFAULT["pretrain_epochs"],
    show_default=True,
    help="Epochs on the source.",
)
@click.option(
    "--pretrain-lr",
    type=float,
    default=DEFAULT["pretrain_lr"],
    show_default=True,
    help="Rate on the source, by SGD with momentum.",
)
@click.option(
    "--text-epochs",
    type=int,
    default=DEFAULT["text_epochs"],
    show_default=True,
    help="Fine-tuning epochs of --protocol paper-text.",
)
@training_options(DEFAULT)
@click.option(
    "--protocol",
    type=click.Choice(PROTOCOLS),
    default=DEFAULT["protocol"],
    show_default=True,
    help="held-out: fine-tuned for --epochs, as table 2's caption says; a validation part is held "
    "out. paper: the same on all training images. paper-text: pre-trained for --epochs, then "
    "fine-tuned for --text-epochs, as the paper's text says.",
)
@fairness_options(TRANSFER_RATES)
@common_options
def transfer(
    source: str,
    target: str,
    activation: tuple[str, ...],
    lr: tuple[float, ...],
    pretrain_lr: float,
    tune: str | dict[str, object] | None,
    controls: bool,
    seeds: int,
    device: str,
    data_root: Path | None,
    out: Path,
    as_json: bool,
    stack: int | None,
    **settings: Any,
) -> None:
    """Pre-train on SOURCE, fine-tune on TARGET at a small rate, and test on TARGET.

    Beside it stand two baselines: trained on the target only, and never fine-tuned. Pre-trained
    networks are kept in the store and serve every later fine-tuning. Without arguments the pair is
    the built-in one, which needs no download.

    \b
        metaact transfer --activation arelu,relu,arelu-frozen
        metaact transfer --activation arelu,relu --tune lr=1e-4,1e-3 --controls --seeds 3
        metaact transfer mnist svhn --epochs 5,10,20 --seeds 3
        metaact transfer mnist my-digits/ --lr 1e-3,1e-4,1e-5 --train-layers head
    """  # noqa: D301 - click takes the backspace character itself as "do not wrap"
    plan = planned(
        tune, TRANSFER_RATES, protocol=settings["protocol"], lr=lr, pretrain_lr=(pretrain_lr,)
    )
    arms = [
        TransferConfig(
            activation=name, source=source, target=target, seed=seed, **(settings | rates)
        )
        for rates in plan.every
        for name in activation
        for seed in seed_range(seeds)
    ]
    chosen = pick_device(device)

    from metaact.experiments import examples, transfer_figures, transfer_report
    from metaact.experiments import transfer as experiment
    from metaact.experiments.reuse import Library

    configs = experiment.expand(arms)
    configs = controlled(configs) if controls else configs
    library = Library(open_store(out), experiment.SOURCE, experiment.TARGET)
    shared = experiment.study(configs, root=data_root, device=chosen)
    if tune is not None:
        validated = shared.pair.target.validation is not None
        refuse_without_validation(configs[0].protocol, validated=validated)
    at = None if tune is None else plan.shared
    jobs = experiment.jobs_of(configs, shared, library, stack=stack)
    examples.keep_domains(shared, out)
    report = do_all(jobs, "epoch")
    summary = transfer_report.summarise(configs, shared, library, report, shared_rates=at)
    last = experiment.stages(configs[0])[0].epochs
    table = with_answers(
        summary, transfer_report.table, runs=report.done, plan=plan, rates=TRANSFER_RATES, at=last
    )
    conclude(
        summary,
        report,
        table=table,
        draw=lambda: transfer_figures.draw(
            configs, shared, library, out / "figures", shared_rates=at
        ),
        as_json=as_json,
    )
