"""Conv4, the few-shot network of Finn et al. (2017) for Omniglot."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact import activations
from metaact.errors import check_int

from .blocks import normalisation
from .initialise import built
from .table import check_fits


class Conv4(nn.Module):
    """Four 3x3 convolutions of stride 2, each with BatchNorm (or none) and an activation.

    The last feature map is averaged over its positions, so any image of at least 16x16 fits.

    Shapes: input float [batch, channels, height, width], output logits [batch, classes].

    Attributes:
        head: The linear layer; all that MAML adapts in its head-only mode (ANIL).

    Reference:
        Finn, Abbeel, Levine. Model-Agnostic Meta-Learning, 2017, section 5.2.
        https://arxiv.org/abs/1703.03400
    """

    def __init__(
        self,
        activation: activations.Entry,
        *,
        classes: int,
        channels: int,
        batch_norm: str,
        filters: int = 64,
    ) -> None:
        super().__init__()
        blocks = []
        for depth in range(4):
            wide = activation.before(filters)
            block: list[nn.Module] = [
                nn.Conv2d(filters if depth else channels, wide, 3, stride=2, padding=1)
            ]
            block += [*normalisation(wide, batch_norm), activation.factory()]
            blocks.append(nn.Sequential(*block))
        self.features = nn.Sequential(*blocks)
        self.head = nn.Linear(filters, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [batch, classes] of images [batch, channels, height, width]."""
        logits: Tensor = self.head(self.features(images).mean(dim=(2, 3)))
        return logits


def conv4(
    activation: str | activations.Entry = "arelu",
    *,
    classes: int = 5,
    channels: int = 1,
    size: int = 28,
    filters: int = 64,
    batch_norm: str = "batch",
    generator: torch.Generator | None = None,
) -> Conv4:
    """Build Conv4 with a fresh instance of `activation` in each block.

    Args:
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images, at least 16.
        filters: Feature maps per block.
        batch_norm: One of `metaact.models.BATCH_NORM`.
        generator: Source of the weights; None draws from the global stream as PyTorch does.

    Returns:
        The network, logits [batch, classes].

    Raises:
        UsageError: If an argument is not allowed.
    """
    check_fits("conv4", classes=classes, channels=channels, size=size, batch_norm=batch_norm)
    check_int("filters", filters, minimum=1)
    entry = activations.resolve(activation) if isinstance(activation, str) else activation
    return built(
        lambda: Conv4(
            entry, classes=classes, channels=channels, filters=filters, batch_norm=batch_norm
        ),
        generator=generator,
        gain=entry.init_gain,
    )
