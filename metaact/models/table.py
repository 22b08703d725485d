"""A network by name, for configs and the command line."""

from __future__ import annotations

import torch
from torch import nn

from metaact import activations
from metaact.errors import check_choice

from ._conv4 import conv4
from ._mnist_conv import mnist_conv

MODELS = ("mnist-conv", "conv4")
"""Names that `create` knows."""


def create(
    name: str,
    activation: str | activations.Entry,
    *,
    classes: int,
    channels: int,
    size: int | tuple[int, int] = 28,
    batch_norm: str = "off",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build the network called `name`.

    Args:
        name: "mnist-conv" or "conv4".
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images; one number for square ones.
        batch_norm: "batch" or "off"; mnist-conv has none.
        generator: Source of the weights; None draws from the global stream.

    Returns:
        A network with a linear layer `head`, logits [batch, classes].

    Raises:
        UsageError: If the name is unknown or an argument is not allowed.
    """
    check_choice("model", name, MODELS)
    sides = (size, size) if isinstance(size, int) else size
    if name == "mnist-conv":
        check_choice("batch_norm", batch_norm, ("off",), why="mnist-conv has no BatchNorm")
        return mnist_conv(
            activation,
            classes=classes,
            channels=channels,
            size=next((side for side in sides if side != 28), 28),
            generator=generator,
        )
    return conv4(
        activation,
        classes=classes,
        channels=channels,
        size=min(sides),
        batch_norm=batch_norm,
        generator=generator,
    )
