"""What the networks for small images are made of: a convolution, its normalisation, an activation.

The widths that a paper gives are those after an activation: the layer before one that changes the
width is made so much wider or narrower (`Entry.before`), and all else of a network stays as it is.
"""

from __future__ import annotations

from torch import nn

from metaact.activations import Entry

GROUP = 16
"""Least number of channels in a group of GroupNorm: of fixed ones Wu and He (2018) found 16 best.

Small maps need it: one channel of one position, normalised by itself, is always zero.
"""


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
        return [nn.GroupNorm(groups(width), width)]
    return [nn.BatchNorm2d(width, track_running_stats=batch_norm == "running")]


def groups(width: int) -> int:
    """In how many groups GroupNorm divides so many channels: the most that have `GROUP` each.

    Examples:
        >>> groups(64), groups(58), groups(10)
        (4, 2, 1)
    """
    return width // next((size for size in range(GROUP, width) if width % size == 0), width)


def activated(
    activation: Entry, inputs: int, width: int, kernel: int, *, batch_norm: str, stride: int = 1
) -> list[nn.Module]:
    """A convolution, its normalisation and an activation that gives `width` channels."""
    made = activation.before(width)
    layers = convolution(inputs, made, kernel, batch_norm=batch_norm, stride=stride)
    return [*layers, activation.factory()]
