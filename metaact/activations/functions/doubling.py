"""Activations that give two channels for each that they get."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.errors import UsageError


class CReLU(nn.Module):
    r"""Concatenated ReLU: the channels max(0, x), then the channels max(0, −x).

    Every input is kept on one of the two sides, so that no unit is dead.

    Raises:
        UsageError: In use, if the input has no channels.

    Shape:
        Input [n, channels, ...], output [n, 2 * channels, ...].

    References:
        Shang, Sohn, Almeida and Lee, Understanding and Improving Convolutional Neural Networks via
        Concatenated Rectified Linear Units, 2016, https://arxiv.org/abs/1603.05201; for plasticity
        Abbas et al., Loss of Plasticity in Continual Deep Reinforcement Learning, 2023,
        https://arxiv.org/abs/2303.07507.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        check_channels(self, x)
        return torch.cat((x.clamp(min=0), (-x).clamp(min=0)), dim=1)


class DeepFourier(nn.Module):
    r"""Deep Fourier features: the channels sin x, then the channels cos x.

    Where one of the two is flat the other is steep: sin'² + cos'² = 1.

    Raises:
        UsageError: In use, if the input has no channels.

    Shape:
        Input [n, channels, ...], output [n, 2 * channels, ...].

    References:
        Lewandowski, Schuurmans and Machado, Plastic Learning with Deep Fourier Features, 2024,
        https://arxiv.org/abs/2410.20634.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        check_channels(self, x)
        return torch.cat((torch.sin(x), torch.cos(x)), dim=1)


def check_channels(activation: nn.Module, x: Tensor) -> None:
    """Refuse an input without channels.

    Raises:
        UsageError: If it has none.
    """
    if x.ndim < 2:
        raise UsageError(
            f"The input of {type(activation).__name__} must be [n, channels, ...] (it gives two "
            f"channels for each); got shape {list(x.shape)}."
        )
