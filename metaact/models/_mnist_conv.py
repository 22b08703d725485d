"""MNIST-Conv, the paper's small network (its figure 6 and its authors' code)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact import activations

from .initialise import built
from .table import check_fits


class MNISTConv(nn.Module):
    """Three blocks of convolution, 2x2 max-pooling, activation; then one linear layer.

    The activation comes *after* the pooling, as in the authors' code. With one channel and ten
    classes there are 12,930 weights before the activations' own.

    Shapes: input float [batch, channels, 28, 28], output logits [batch, classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    Reference:
        Chen, Xu. AReLU: Attention-based Rectified Linear Unit, 2020, appendix A.
        https://arxiv.org/abs/2006.13858
    """

    def __init__(self, activation: activations.Entry, *, classes: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, activation.before(10), 5)
        self.act1 = activation.factory()
        self.conv2 = nn.Conv2d(10, activation.before(20), 5)
        self.act2 = activation.factory()
        self.conv3 = nn.Conv2d(20, activation.before(40), 3)
        self.act3 = activation.factory()
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(40, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, 28, 28]."""
        hidden: Tensor = self.act1(self.pool(self.conv1(images)))
        hidden = self.act2(self.pool(self.conv2(hidden)))
        hidden = self.act3(self.pool(self.conv3(hidden)))
        logits: Tensor = self.head(hidden.flatten(1))
        return logits


def mnist_conv(
    activation: str | activations.Entry = "arelu",
    *,
    classes: int = 10,
    channels: int = 1,
    size: int = 28,
    generator: torch.Generator | None = None,
) -> MNISTConv:
    """Build MNIST-Conv with a fresh instance of `activation` after each pooling.

    Args:
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images; only 28 fits this network.
        generator: Source of the weights; None draws from the global stream as PyTorch does.

    Returns:
        The network, logits [batch, classes].

    Raises:
        UsageError: If an argument is not allowed.

    Examples:
        >>> model = mnist_conv("relu", classes=10)
        >>> sum(p.numel() for p in model.parameters())
        12930
    """
    check_fits("mnist-conv", classes=classes, channels=channels, size=size, batch_norm="off")
    entry = activations.resolve(activation) if isinstance(activation, str) else activation
    return built(
        lambda: MNISTConv(entry, classes=classes, channels=channels),
        generator=generator,
        gain=entry.init_gain,
    )
