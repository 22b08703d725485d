"""A fully connected network, as networks of streams of tasks are."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact import activations
from metaact.errors import check_int

from .gains import factor_of, spread_of
from .initialise import built
from .table import check_fits

WIDTH, LAYERS = 100, 3
"""Features of a hidden layer, and hidden layers, unless asked otherwise."""


class MLP(nn.Module):
    """Hidden linear layers of one width, each with an activation; then one linear layer.

    Shapes: input float [batch, channels, height, width], output logits [batch, classes].

    Attributes:
        head: The last linear layer; all that MAML adapts in its head-only mode (ANIL).

    Reference:
        Dohare et al. Loss of plasticity in deep continual learning, 2024, online permuted MNIST:
        three layers of 2,000, 1,000 or 100. https://www.nature.com/articles/s41586-024-07711-7
    """

    def __init__(
        self,
        activation: activations.Entry,
        *,
        classes: int,
        channels: int,
        size: tuple[int, int],
        width: int = WIDTH,
        layers: int = LAYERS,
    ) -> None:
        super().__init__()
        self.hidden = nn.Sequential()
        inputs = channels * size[0] * size[1]
        for depth in range(1, layers + 1):
            self.hidden.add_module(f"linear{depth}", nn.Linear(inputs, activation.before(width)))
            self.hidden.add_module(f"act{depth}", activation.factory())
            inputs = width
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.hidden(images.flatten(1)))
        return logits


def mlp(
    activation: str | activations.Entry = "arelu",
    *,
    classes: int = 10,
    channels: int = 1,
    size: int | tuple[int, int] = 28,
    width: int = WIDTH,
    layers: int = LAYERS,
    init: str | float = "default",
    generator: torch.Generator | None = None,
) -> MLP:
    """Build an MLP with a fresh instance of `activation` after each hidden layer.

    Args:
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images.
        width: Features that each hidden layer gives after its activation.
        layers: Hidden layers.
        init: One of `INITS`, with which gain the hidden layers start, or the gain itself.
        generator: Source of the weights; None draws from the global stream as PyTorch does.

    Returns:
        The network, logits [batch, classes].

    Raises:
        UsageError: If an argument is not allowed.

    Examples:
        >>> sum(p.numel() for p in mlp("relu", classes=10).parameters())
        99710
    """
    check_fits("mlp", classes=classes, channels=channels, size=size, batch_norm="off")
    check_int("width", width, minimum=1)
    check_int("layers", layers, minimum=1)
    entry = activations.resolve(activation) if isinstance(activation, str) else activation
    sides = (size, size) if isinstance(size, int) else size
    return built(
        lambda: MLP(
            entry, classes=classes, channels=channels, size=sides, width=width, layers=layers
        ),
        generator=generator,
        gain=factor_of(entry, init),
        spread=spread_of(entry, init),
    )
