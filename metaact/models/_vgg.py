"""VGG with BatchNorm, for 32x32 images: eleven and thirteen layers with weights."""

from __future__ import annotations

from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated

HIDDEN = 4096
"""Width of the two layers between the convolutions and the head."""


class VGG(nn.Module):
    """Five stages of 3x3 convolutions, each followed by 2x2 max-pooling; two wide layers; the head.

    The last feature map is averaged over its positions, of which a 32x32 image leaves one. Dropout
    with probability 1/2 follows each of the two wide layers, as published.

    With 100 classes and 3 channels VGG-11 has 28.5 million parameters and VGG-13 28.7.

    Shapes: input float [batch, channels, height, width] of at least 32x32, output logits [batch,
    classes].

    Attributes:
        head: The last linear layer; all that MAML adapts in its head-only mode (ANIL).

    References:
        Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition,
        2014, https://arxiv.org/abs/1409.1556, table 1, columns A and B.
        Ioffe and Szegedy, Batch Normalization, 2015, https://arxiv.org/abs/1502.03167.

    Deviation:
        Published without BatchNorm and for 224x224 images, of which 7x7 positions are left.
    """

    stages: tuple[tuple[int, ...], ...]

    def __init__(self, activation: Entry, *, classes: int, channels: int, batch_norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for stage in self.stages:
            for width in stage:
                layers += activated(activation, inputs, width, 3, batch_norm=batch_norm)
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        wide: list[nn.Module] = []
        for before in (inputs, HIDDEN):
            wide += [nn.Linear(before, activation.before(HIDDEN)), activation.factory()]
            wide.append(nn.Dropout(0.5))
        self.wide = nn.Sequential(*wide)
        self.head = nn.Linear(HIDDEN, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.wide(self.features(images).mean(dim=(2, 3))))
        return logits


class VGG11(VGG):
    """Eight convolutions: column A."""

    stages = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG13(VGG):
    """Ten convolutions: column B."""

    stages = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
