"""Squared ReLU."""

from __future__ import annotations

from torch import Tensor, nn


class SquaredReLU(nn.Module):
    r"""max(0, x)².

    Its slope 2·max(0, x) is continuous, and grows without bound.

    References:
        So, Mańke, Liu, Dai, Shazeer and Le, Primer: Searching for Efficient Transformers for
        Language Modeling, 2021, https://arxiv.org/abs/2109.08668.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a tensor of any shape."""
        return x.clamp(min=0).square()
