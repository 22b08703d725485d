"""ShuffleNet v2 at width 1, for 32x32 images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated, convolution

STEM, LAST = 24, 1024
STAGES = ((116, 4), (232, 8), (464, 4))
"""Width and units of the three stages; the first unit of each has stride 2."""


class Unit(nn.Module):
    """Two halves of the channels, one of them worked on, joined and shuffled.

    With stride 1 the one half is kept as it is; with stride 2 both are made of all inputs. What is
    worked on goes through a 1x1 convolution, a 3x3 one channel by channel, which no activation
    follows, and another 1x1.

    Shapes: [batch, inputs, height, width] to [batch, width, height / stride, width / stride].
    """

    def __init__(
        self, activation: Entry, inputs: int, width: int, *, stride: int, batch_norm: str
    ) -> None:
        super().__init__()
        half = width // 2
        own = inputs if stride == 2 else half

        def depthwise(channels: int) -> list[nn.Module]:
            return convolution(
                channels, channels, 3, batch_norm=batch_norm, stride=stride, groups=channels
            )

        self.branch = nn.Sequential(
            *activated(activation, own, half, 1, batch_norm=batch_norm),
            *depthwise(half),
            *activated(activation, half, half, 1, batch_norm=batch_norm),
        )
        self.other: nn.Module | None = None
        if stride == 2:
            self.other = nn.Sequential(
                *depthwise(inputs), *activated(activation, inputs, half, 1, batch_norm=batch_norm)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        if self.other is None:
            kept, own = x.chunk(2, dim=1)
        else:
            kept, own = self.other(x), x
        joined = torch.cat([kept, self.branch(own)], dim=1)
        # Channel i of either half comes to 2i and 2i + 1, so that the next unit mixes them.
        halves = joined.view(len(x), 2, -1, *joined.shape[2:])
        return halves.transpose(1, 2).flatten(1, 2)


class ShuffleNetV2(nn.Module):
    """A 3x3 stem, three stages of units, a 1x1 convolution, the mean over positions, the head.

    With 100 classes and 3 channels there are 1.36 million parameters. Activations have 37 places.

    Shapes: input float [batch, channels, height, width] of at least 8x8, output logits [batch,
    classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    References:
        Ma, Zhang, Zheng and Sun, ShuffleNet V2: Practical Guidelines for Efficient CNN
        Architecture Design, 2018, https://arxiv.org/abs/1807.11164, figure 3 and table 5.

    Deviation:
        Published for 224x224 images, whose stem has stride 2 and is followed by pooling.
    """

    def __init__(self, activation: Entry, *, classes: int, channels: int, batch_norm: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(*activated(activation, channels, STEM, 3, batch_norm=batch_norm))
        units, inputs = [], STEM
        for width, count in STAGES:
            for number in range(count):
                stride = 1 if number else 2
                units.append(Unit(activation, inputs, width, stride=stride, batch_norm=batch_norm))
                inputs = width
        self.units = nn.Sequential(*units)
        self.last = nn.Sequential(*activated(activation, inputs, LAST, 1, batch_norm=batch_norm))
        self.head = nn.Linear(LAST, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        features = self.last(self.units(self.stem(images)))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits
