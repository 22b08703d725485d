"""SqueezeNet with simple bypass and BatchNorm, for 32x32 images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated

STEM = 96
FIRES = ((16, 128), (16, 128), (32, 256), (32, 256), (48, 384), (48, 384), (64, 512), (64, 512))
"""Width of the squeeze and of what is expanded from it, of the eight fire modules."""

POOLED = (2, 6)
"""Fire modules, by number from 0, that max-pooling follows."""


class Fire(nn.Module):
    """A narrow 1x1 convolution, then a 1x1 and a 3x3 of it side by side; added to x where it fits.

    Shapes: [batch, inputs, height, width] to [batch, width, height, width].
    """

    def __init__(
        self, activation: Entry, inputs: int, narrow: int, width: int, *, batch_norm: str
    ) -> None:
        super().__init__()
        half = width // 2
        self.squeeze = nn.Sequential(
            *activated(activation, inputs, narrow, 1, batch_norm=batch_norm)
        )
        self.ones = nn.Sequential(*activated(activation, narrow, half, 1, batch_norm=batch_norm))
        self.threes = nn.Sequential(*activated(activation, narrow, half, 3, batch_norm=batch_norm))
        self.bypass = inputs == width

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        squeezed = self.squeeze(x)
        y = torch.cat([self.ones(squeezed), self.threes(squeezed)], dim=1)
        return x + y if self.bypass else y


class SqueezeNet(nn.Module):
    """A 3x3 stem, eight fire modules, dropout, the mean over positions, the head.

    Max-pooling follows the stem, the third and the seventh fire module. The published network ends
    in a 1x1 convolution to the classes and the mean over positions; here the mean comes first,
    which is the same function of the same weights, and makes the head a linear layer.

    With 100 classes and 3 channels there are 0.78 million parameters. Activations have 25 places:
    the stem's, and three in each fire module.

    Shapes: input float [batch, channels, height, width] of at least 8x8, output logits [batch,
    classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    References:
        Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, SqueezeNet: AlexNet-level accuracy with
        50x fewer parameters and <0.5MB model size, 2016, https://arxiv.org/abs/1602.07360,
        figure 2 (middle) and table 1.

    Deviation:
        Published without BatchNorm and for 224x224 images, with a 7x7 stem of stride 2.
    """

    def __init__(self, activation: Entry, *, classes: int, channels: int, batch_norm: str) -> None:
        super().__init__()
        layers = activated(activation, channels, STEM, 3, batch_norm=batch_norm)
        layers.append(nn.MaxPool2d(2))
        inputs = STEM
        for number, (narrow, width) in enumerate(FIRES):
            layers.append(Fire(activation, inputs, narrow, width, batch_norm=batch_norm))
            if number in POOLED:
                layers.append(nn.MaxPool2d(2))
            inputs = width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.dropout(self.features(images)).mean(dim=(2, 3)))
        return logits
