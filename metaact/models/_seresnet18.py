"""ResNet-18 with squeeze-and-excitation, for 32x32 images."""

from __future__ import annotations

from torch import Tensor, nn

from metaact.activations import Entry

from ._resnet18 import Block, ResNet18

REDUCTION = 16
"""By how much the excitation narrows the channels: the paper's r."""


class Excitation(nn.Module):
    """y ↦ y · σ(W₂ act(W₁ mean(y))), the mean over positions, one weight a channel.

    The sigmoid is the gate and no place of an activation; the activation before it is one.

    Shapes: [batch, width, height, width] to the same.
    """

    def __init__(self, activation: Entry, width: int) -> None:
        super().__init__()
        hidden = width // REDUCTION
        self.squeeze = nn.Linear(width, activation.before(hidden))
        self.activation = activation.factory()
        self.gate = nn.Linear(hidden, width)
        self.sigmoid = nn.Sigmoid()

    def forward(self, y: Tensor) -> Tensor:
        """Apply to a batch."""
        squeezed = self.activation(self.squeeze(y.mean(dim=(2, 3))))
        weights: Tensor = self.sigmoid(self.gate(squeezed))
        return y * weights[:, :, None, None]


class SEBlock(Block):
    """A residual block whose branch is weighed channel by channel before the sum."""

    def gate_of(self, activation: Entry, width: int) -> nn.Module:
        """Squeeze and excitation."""
        return Excitation(activation, width)


class SEResNet18(ResNet18):
    """ResNet-18 with squeeze and excitation in every block.

    With 100 classes and 3 channels there are 11.3 million parameters. Activations have 25 places:
    those of ResNet-18, and one before each gate.

    Shapes: as of `ResNet18`.

    References:
        Hu, Shen, Albanie, Sun and Wu, Squeeze-and-Excitation Networks, 2017,
        https://arxiv.org/abs/1709.01507, figures 2 and 3, reduction 16.

    Deviation:
        As of `ResNet18`.
    """

    block = SEBlock
