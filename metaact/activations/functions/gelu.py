"""The AReLU authors' GELU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.activations.plotted import Plotted

# The authors' code has this number where the tanh form of GELU has √(2/π) = 0.7978846.
AUTHORS_CONSTANT = 0.7979946


class PaperGELU(Plotted, nn.Module):
    r"""GELU in the tanh form of the AReLU authors' code.

    PaperGELU(x) = x/2·(1 + tanh(0.7979946·(x + 0.044715x³))).

    It differs from the exact x·Φ(x), `torch.nn.GELU`, by less than 5e-4.

    References:
        Hendrycks and Gimpel, Gaussian Error Linear Units, 2016, https://arxiv.org/abs/1606.08415.

    Deviation:
        The constant, as said above; this form exists to repeat the AReLU paper's figures.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        inner = x + 0.044715 * x**3
        return 0.5 * x * (1 + torch.tanh(AUTHORS_CONSTANT * inner))
