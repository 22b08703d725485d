"""U-Net, which gives one logit a pixel, in the form of Buda and others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated

FEATURES = 32
"""Channels of the first stage, as published; every stage below has twice as many."""

DEPTH = 4
"""How often the image is halved on the way down, and doubled on the way up."""


class Decoder(nn.Module):
    """Doubles height and width, appends what the encoder had there, and convolves both.

    Shapes: [batch, inputs, height, width] and [batch, width, 2·height, 2·width] to the latter.
    """

    def __init__(self, activation: Entry, inputs: int, width: int, *, batch_norm: str) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, width, 2, stride=2)
        self.block = double(activation, 2 * width, width, batch_norm=batch_norm)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        """Apply to a batch."""
        found: Tensor = self.block(torch.cat((self.up(below), beside), dim=1))
        return found


class UNet(nn.Module):
    """U-Net with BatchNorm: images to a logit a pixel, above 0 where the object is.

    With 3 channels, one output and 32 features there are 7,763,041 parameters. Activations have 18
    places: two in each of four stages down, one at the bottom, four up.

    Shapes: [batch, channels, height, width] to [batch, classes, height, width], both sides
    divisible by 16.

    References:
        Ronneberger, Fischer and Brox, U-Net, 2015, https://arxiv.org/abs/1505.04597.
        Buda, Saha and Mazurowski, Association of genomic subtypes of lower-grade gliomas with shape
        features automatically extracted by a deep learning algorithm, 2019,
        https://arxiv.org/abs/1906.03720, and its PyTorch port, of which the form is.

    Deviation:
        The sigmoid at its end is part of the loss.
    """

    def __init__(
        self,
        activation: Entry,
        *,
        classes: int = 1,
        channels: int = 3,
        features: int = FEATURES,
        batch_norm: str = "running",
    ) -> None:
        super().__init__()
        widths = [features * 2**stage for stage in range(DEPTH + 1)]
        before = [channels, *widths[:-1]]
        self.encoders = nn.ModuleList(
            double(activation, inputs, width, batch_norm=batch_norm)
            for inputs, width in zip(before, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoders = nn.ModuleList(
            Decoder(activation, 2 * width, width, batch_norm=batch_norm)
            for width in reversed(widths[:-1])
        )
        self.head = nn.Conv2d(features, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Apply to a batch."""
        found: Tensor = self.encoders[0](images)
        passed = []
        for encoder in self.encoders[1:]:
            passed.append(found)
            found = encoder(self.pool(found))
        for decoder in self.decoders:
            found = decoder(found, passed.pop())
        logits: Tensor = self.head(found)
        return logits


def double(activation: Entry, inputs: int, width: int, *, batch_norm: str) -> nn.Sequential:
    """Two convolutions 3x3, each with its normalisation and an activation."""
    return nn.Sequential(
        *activated(activation, inputs, width, 3, batch_norm=batch_norm),
        *activated(activation, width, width, 3, batch_norm=batch_norm),
    )
