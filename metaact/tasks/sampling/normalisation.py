"""Mean and standard deviation of pixels."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from metaact.errors import DataError
from metaact.tasks._images import Provenance


class Pixels(Protocol):
    """Images as bytes; `metaact.tasks.Images` and `metaact.tasks.Volumes`."""

    @property
    def pixels(self) -> Tensor:
        """uint8 [images, channels, height, width]."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def provenance(self) -> Provenance:
        """Where they come from."""


def statistics(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel, over all pixels scaled to [0, 1].

    Computed from a count of the 256 values, in float64: exact, and the same on every machine.

    Args:
        images: Usually those of the training part.

    Returns:
        Means and population standard deviations, one of each per channel.

    Raises:
        DataError: If a channel has one value throughout: nothing can be learned from it.

    Examples:
        >>> from metaact.tasks import Images, Provenance
        >>> origin = Provenance(dataset="toy", split="train", official=True)
        >>> pixels = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
        >>> statistics(
        ...     Images(
        ...         pixels=pixels,
        ...         labels=torch.tensor([0, 1]),
        ...         class_names=("a", "b"),
        ...         provenance=origin,
        ...     )
        ... )
        ((0.5,), (0.5,))
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.channels):
        counts = torch.bincount(images.pixels[:, channel].reshape(-1).cpu(), minlength=256)
        share = counts.double() / counts.sum()
        mean = (share * values).sum()
        std = (share * (values - mean) ** 2).sum().sqrt()
        if int((counts > 0).sum()) < 2:
            raise DataError(
                f"the images of {images.provenance.dataset} must not all be blank; every pixel of "
                f"channel {channel} is {int(counts.argmax())}."
            )
        means.append(float(mean))
        stds.append(float(std))
    return tuple(means), tuple(stds)
