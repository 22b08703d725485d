"""What the networks for small images are made of: a convolution, its normalisation, an activation.

The widths that a paper gives are those after an activation: the layer before one that changes the
width is made so much wider or narrower (`Entry.before`), and all else of a network stays as it is.
"""

from __future__ import annotations

import math

from torch import nn

from metaact.activations import Entry

GROUPS = 32
"""Groups of GroupNorm, at most: what Wu and He (2018) found best."""


def convolution(
    inputs: int, outputs: int, kernel: int, *, batch_norm: str, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution that keeps the size (over its stride), and its normalisation.

    Args:
        inputs: Channels it gets.
        outputs: Channels it gives.
        kernel: Height and width of its kernel, odd.
        batch_norm: As `normalisation` takes it; a bias is left to it where there is one.
        stride: Stride.
        groups: Groups of channels.
    """
    plain = nn.Conv2d(
        inputs,
        outputs,
        kernel,
        stride=stride,
        padding=kernel // 2,
        groups=groups,
        bias=batch_norm == "off",
    )
    return [plain, *normalisation(outputs, batch_norm)]


def normalisation(width: int, batch_norm: str) -> list[nn.Module]:
    """What normalises feature maps of so many channels; nothing where it is off.

    Args:
        width: Channels.
        batch_norm: One of `metaact.models.table.BATCH_NORM`.

    References:
        Ioffe and Szegedy, Batch Normalization, 2015, https://arxiv.org/abs/1502.03167.
        Wu and He, Group Normalization, 2018, https://arxiv.org/abs/1803.08494.
    """
    if batch_norm == "off":
        return []
    if batch_norm == "group":
        return [nn.GroupNorm(math.gcd(GROUPS, width), width)]
    return [nn.BatchNorm2d(width, track_running_stats=batch_norm == "running")]


def activated(
    activation: Entry, inputs: int, width: int, kernel: int, *, batch_norm: str, stride: int = 1
) -> list[nn.Module]:
    """A convolution, its normalisation and an activation that gives `width` channels."""
    made = activation.before(width)
    layers = convolution(inputs, made, kernel, batch_norm=batch_norm, stride=stride)
    return [*layers, activation.factory()]
