"""From the settings of a run to its network: what all experiments share."""

from __future__ import annotations

import torch
from torch import nn

from metaact import activations, models
from metaact.adaptation import Recipe
from metaact.randomness import derived_seed
from metaact.runs import finite
from metaact.tasks import Images

from .declared import TrainingConfig
from .maml.config import MamlConfig


def network(
    config: MamlConfig | TrainingConfig, images: Images, *, classes: int, device: str
) -> nn.Module:
    """The network of one seed before training.

    All arms of a seed draw from the same generator state, so where shapes agree they start from
    the same weights.

    Args:
        config: The settings.
        images: What it is to take: their channels and size.
        classes: Its outputs.
        device: Where it is to be.
    """
    assert config.batch_norm is not None
    return models.create(
        config.model,
        activations.resolve(config.activation, config.forms),
        classes=classes,
        channels=images.channels,
        size=images.size,
        batch_norm=config.batch_norm,
        generator=torch.Generator().manual_seed(derived_seed("weights", config.seed)),
    ).to(device)


def recipe(config: TrainingConfig) -> Recipe:
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


def counts(model: nn.Module) -> dict[str, object]:
    """Sizes and final α, β of a model, for `result.json`."""
    values = activations.attention_values(model)
    return {
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "attention": finite(values),
        "stuck_alpha": activations.stuck_count(model),
        "attention_layers": len(values),
    }


def run_name(*parts: object, activation: str, seed: int) -> str:
    """A readable name of a run: its data, the arm, the seed."""
    return "-".join([*map(str, parts), activation.replace(":", "."), f"seed{seed}"])
