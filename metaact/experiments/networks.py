"""From the settings of a run to its network and its training: what all experiments share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from metaact import activations, models
from metaact.adaptation import Recipe
from metaact.randomness import derived_seed
from metaact.tasks import Images

from .config import MamlConfig
from .converge_config import ConvergeConfig
from .transfer_config import TransferConfig

Config = TypeVar("Config", MamlConfig, ConvergeConfig, TransferConfig)


def canonical(configs: Iterable[Config], forms: Callable[[Config], str]) -> list[Config]:
    """Configs with canonical activation names; "all" stands for the paper's nineteen.

    Args:
        configs: The runs asked for.
        forms: The protocol of a config, as `activations.resolve` knows it: under the paper's, a
            name stands for what the paper's own code computes.

    Returns:
        The runs, without repeats.

    Raises:
        UsageError: If a name is unknown; nothing has run by then.
    """
    expanded = []
    for config in configs:
        names = activations.PAPER if config.activation == "all" else (config.activation,)
        for name in names:
            entry = activations.resolve(name, forms(config))
            expanded.append(replace(config, activation=entry.name))
    return list(dict.fromkeys(expanded))


def network(
    config: MamlConfig | ConvergeConfig | TransferConfig,
    images: Images,
    *,
    classes: int,
    forms: str,
    device: str,
) -> nn.Module:
    """The network of one seed before training.

    All arms of a seed draw from the same generator state, so where shapes agree they start from
    the same weights.

    Args:
        config: The settings.
        images: What it is to take: their channels and size.
        classes: Its outputs.
        forms: The protocol, as `activations.resolve` knows it.
        device: Where it is to be.
    """
    assert config.batch_norm is not None
    return models.create(
        config.model,
        activations.resolve(config.activation, forms),
        classes=classes,
        channels=images.channels,
        size=images.size,
        batch_norm=config.batch_norm,
        generator=torch.Generator().manual_seed(derived_seed("weights", config.seed)),
    ).to(device)


def recipe(config: ConvergeConfig | TransferConfig) -> Recipe:
    """The settings of supervised training; for a transfer those of fine-tuning."""
    return Recipe(
        lr=config.lr,
        optimizer=config.optimizer,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        decay=config.decay,
        batch_size=config.batch_size,
        train_layers=config.train_layers,
        layer_lrs=config.layer_lrs,
        freeze_activations=config.freeze_activations,
    )
