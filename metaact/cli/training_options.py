"""Options of the verbs that train networks in the ordinary way: converge and transfer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from metaact.experiments.config import BATCH_NORM, MODELS
from metaact.experiments.converge_config import DECAYS

from .base import F, LayerRates, Names


def training_options(default: Mapping[str, Any]) -> Callable[[F], F]:
    """The options, with the defaults of one experiment's config."""
    decorators = [
        click.option(
            "--model",
            type=click.Choice(MODELS),
            default=default["model"],
            show_default=True,
            help="Network.",
        ),
        click.option(
            "--batch-norm",
            type=click.Choice(BATCH_NORM),
            default=default["batch_norm"],
            show_default=True,
            help="Statistics of the batch at hand, in evaluation too, or none.",
        ),
        click.option(
            "--momentum",
            type=float,
            default=default["momentum"],
            show_default=True,
            help="Of SGD.",
        ),
        click.option(
            "--weight-decay",
            type=float,
            default=default["weight_decay"],
            show_default=True,
            help="L2 penalty.",
        ),
        click.option(
            "--decay",
            type=click.Choice(DECAYS),
            default=default["decay"],
            show_default=True,
            help="What the penalty applies to; `weights` spares activations (decay pushes α to 0).",
        ),
        click.option(
            "--batch-size",
            type=int,
            default=default["batch_size"],
            show_default=True,
            help="Images per update.",
        ),
        click.option(
            "--train-layers",
            type=Names(),
            default=",".join(default["train_layers"]),
            show_default=True,
            help="What is trained: all, weights, activations, or layers by name (head, conv3).",
        ),
        click.option(
            "--layer-lrs",
            type=LayerRates(),
            default="",
            help="Rates other than --lr: head=1e-3,activations=1e-4; the first that fits wins.",
        ),
        click.option(
            "--freeze-activations",
            is_flag=True,
            help="Keep α, β and all other parameters of activations as they are.",
        ),
        click.option(
            "--stack",
            type=click.IntRange(min=1),
            help="Most runs trained in one vectorised call. [default: 1 on a CPU, 32 on a GPU]",
        ),
    ]

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate
