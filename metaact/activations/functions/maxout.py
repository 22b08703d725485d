"""Maxout over groups of channels."""

from __future__ import annotations

from torch import Tensor, nn

from metaact.activations.plotted import Plotted
from metaact.errors import UsageError, check_int


class Maxout(Plotted, nn.Module):
    r"""Maximum over groups of `pool` neighbouring channels.

    The layer before it needs `pool` times the channels. At a tie the gradient is shared equally.

    Args:
        pool: Channels per group; 1 is the identity, which the AReLU paper's code computes.

    Raises:
        UsageError: If `pool` is no int ≥ 1; in use, if it does not divide the channels.

    Shape:
        Input [n, pool * channels, ...], output [n, channels, ...]; `pool=1` takes any shape.

    References:
        Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout Networks, 2013,
        https://arxiv.org/abs/1302.4389.
    """

    def __init__(self, *, pool: int = 2) -> None:
        super().__init__()
        self.pool = check_int("pool", pool, minimum=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to a batch."""
        if self.pool == 1:
            return x
        if x.ndim < 2 or x.shape[1] % self.pool:
            raise UsageError(
                f"The input of Maxout must be [n, channels, ...] with channels a multiple of "
                f"{self.pool} (it takes the maximum over so many); got shape {list(x.shape)}."
            )
        groups = x.reshape(len(x), x.shape[1] // self.pool, self.pool, *x.shape[2:])
        return groups.amax(dim=2)

    def extra_repr(self) -> str:
        """The group size."""
        return f"pool={self.pool}"
