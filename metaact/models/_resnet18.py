"""ResNet-18 for 32x32 images: a 3x3 stem without pooling."""

from __future__ import annotations

from torch import Tensor, nn

from metaact.activations import Entry

from .blocks import activated, convolution

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Width and stride of the four stages of two blocks."""


class Block(nn.Module):
    """x ↦ act(shortcut(x) + gate(conv(act(conv(x))))), each convolution 3x3 and normalised.

    The shortcut is the identity where both sides of the sum have one shape, else a normalised 1x1
    convolution (the paper's option B).

    Shapes: [batch, inputs, height, width] to [batch, width, height / stride, width / stride].
    """

    def __init__(
        self, activation: Entry, inputs: int, width: int, *, stride: int, batch_norm: str
    ) -> None:
        super().__init__()
        summed = activation.before(width)
        self.branch = nn.Sequential(
            *activated(activation, inputs, width, 3, batch_norm=batch_norm, stride=stride),
            *convolution(width, summed, 3, batch_norm=batch_norm),
        )
        self.gate = self.gate_of(activation, summed)
        changes = stride != 1 or inputs != summed
        self.shortcut = nn.Sequential()
        if changes:
            self.shortcut.extend(
                convolution(inputs, summed, 1, batch_norm=batch_norm, stride=stride)
            )
        self.activation = activation.factory()

    def gate_of(self, activation: Entry, width: int) -> nn.Module:
        """What weighs the branch before the sum: nothing."""
        return nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        y: Tensor = self.activation(self.shortcut(x) + self.gate(self.branch(x)))
        return y


class ResNet18(nn.Module):
    """A 3x3 stem, four stages of two residual blocks, the mean over positions, the head.

    With 100 classes and 3 channels there are 11.2 million parameters. Activations have 17 places:
    the stem's, and in each block one inside the branch and one after the sum.

    Shapes: input float [batch, channels, height, width] of at least 8x8, output logits [batch,
    classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    References:
        He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2015,
        https://arxiv.org/abs/1512.03385, table 1 and section 4.2.

    Deviation:
        Table 1 is for 224x224 images and begins with a 7x7 convolution of stride 2 and pooling;
        small images begin with a 3x3 convolution alone, as in section 4.2.
    """

    block: type[Block] = Block

    def __init__(self, activation: Entry, *, classes: int, channels: int, batch_norm: str) -> None:
        super().__init__()
        inputs = STAGES[0][0]
        self.stem = nn.Sequential(
            *activated(activation, channels, inputs, 3, batch_norm=batch_norm)
        )
        blocks = []
        for width, first in STAGES:
            for stride in (first, 1):
                blocks.append(
                    self.block(activation, inputs, width, stride=stride, batch_norm=batch_norm)
                )
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inputs, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.blocks(self.stem(images)).mean(dim=(2, 3)))
        return logits
