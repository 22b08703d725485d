"""MobileNet, for 32x32 images."""

from __future__ import annotations

from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated, convolution

STEM = 32
LAYERS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Width and stride of the thirteen separable convolutions."""


def separable(
    activation: Entry, inputs: int, width: int, *, stride: int, batch_norm: str
) -> list[nn.Module]:
    """A 3x3 convolution channel by channel, then a 1x1 across channels, each with its activation.

    Each channel is convolved alone, so it cannot give fewer than one: what an activation doubles,
    the 1x1 convolution gets, and where one joins two, each channel is convolved twice.
    """
    deep = inputs * activation.width_factor.denominator
    return [
        *convolution(inputs, deep, 3, batch_norm=batch_norm, stride=stride, groups=inputs),
        activation.factory(),
        *activated(activation, activation.after(deep), width, 1, batch_norm=batch_norm),
    ]


class MobileNet(nn.Module):
    """A 3x3 stem, thirteen separable convolutions, the mean over positions, the head.

    With 100 classes and 3 channels there are 3.3 million parameters. Activations have 27 places,
    which the paper fills with ReLU (it is its second version that bounds it at 6).

    Shapes: input float [batch, channels, height, width] of at least 16x16, output logits [batch,
    classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    References:
        Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, MobileNets: Efficient
        Convolutional Neural Networks for Mobile Vision Applications, 2017,
        https://arxiv.org/abs/1704.04861, table 1 and figure 3.

    Deviation:
        Published for 224x224 images, whose stem has stride 2.
    """

    def __init__(self, activation: Entry, *, classes: int, channels: int, batch_norm: str) -> None:
        super().__init__()
        layers = activated(activation, channels, STEM, 3, batch_norm=batch_norm)
        inputs = STEM
        for width, stride in LAYERS:
            layers += separable(activation, inputs, width, stride=stride, batch_norm=batch_norm)
            inputs = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits
