"""Max-pooling of many tasks at once, differentiable to any order by two cheap index moves.

PyTorch finds the maxima; after that pooling is linear in its input: it picks one pixel per window.
Picking and putting back are each other's derivative.

Shapes: x [tasks, images, channels, height, width]; y [tasks, images, channels, out height, out
width]. In memory the images come last, and a row is one channel of one task.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooling:
    """The arguments of `torch.max_pool2d`."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    ceil_mode: bool

    @property
    def overlaps(self) -> bool:
        """Whether a pixel may be the maximum of two windows."""
        return any(
            stride < dilation * (kernel - 1) + 1
            for stride, dilation, kernel in zip(
                self.stride, self.dilation, self.kernel, strict=True
            )
        )

    def values(self, x: Tensor) -> Tensor:
        """The maxima alone, where no derivative is asked for: in a third of the time."""
        if self.padding != (0, 0) or self.ceil_mode:
            return self.maxima(x)[0]
        planes = x.permute(0, 2, 3, 4, 1)
        for axis in (2, 3):
            planes = reduce(torch.maximum, self._met(planes, axis))
        return planes.permute(0, 4, 1, 2, 3)

    def _met(self, planes: Tensor, axis: int) -> list[Tensor]:
        """For each point of the kernel along an axis, the positions it meets."""
        kernel, stride, dilation = (
            pair[axis - 2] for pair in (self.kernel, self.stride, self.dilation)
        )
        out = (planes.shape[axis] - dilation * (kernel - 1) - 1) // stride + 1
        planes = planes.movedim(axis, 0)
        last = stride * (out - 1) + 1
        starts = (point * dilation for point in range(kernel))
        return [planes[start : start + last : stride].movedim(0, axis) for start in starts]

    def maxima(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maxima, and where they are.

        Returns:
            Maxima in the shape of y, and int64 [tasks, channels, columns of y]: each one's position
            among the height * width * images of its row.
        """
        tasks, images, channels, height, width = x.shape
        planes = _rows(x).view(tasks * channels, height, width, images)
        # With the images in the place of channels this is PyTorch's channels-last layout.
        values, index = torch.ops.aten.max_pool2d_with_indices(
            planes.permute(0, 3, 1, 2),
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )
        number = torch.arange(images, device=x.device)
        pixel = torch.add(number, index.permute(0, 2, 3, 1), alpha=images)
        out = torch.Size((tasks, images, channels, *values.shape[2:]))
        return _images(values.permute(0, 2, 3, 1), out), pixel.view(tasks, channels, -1)


def _rows(x: Tensor) -> Tensor:
    """One channel of one task per row: [tasks * channels, height * width * images]."""
    return x.permute(0, 2, 3, 4, 1).reshape(x.shape[0] * x.shape[2], -1)


def _images(rows: Tensor, shape: torch.Size) -> Tensor:
    """Undo `_rows`, as a view."""
    tasks, images, channels, height, width = shape
    return rows.view(tasks, channels, height, width, images).permute(0, 4, 1, 2, 3)


class MaxPool(Function):
    """y = the maxima of x, exactly as `torch.max_pool2d` finds them, ties and NaN included."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pooling: Pooling) -> Tensor:
        """Pool all tasks in one call."""
        values, index = pooling.maxima(x)
        index = index.flatten(0, 1)
        ctx.save_for_backward(index)
        ctx.save_for_forward(index)
        ctx.shape, ctx.overlaps, ctx.pooled = x.shape, pooling.overlaps, values.shape
        return values.detach()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """Put every gradient where its maximum was."""
        return Put.apply(g, *ctx.saved_tensors, ctx.shape, ctx.overlaps), None

    @staticmethod
    def jvp(ctx: Any, x_t: Tensor, *_: None) -> Tensor:
        """Pick the tangents of the maxima."""
        y_t: Tensor = Pick.apply(x_t, *ctx.saved_tensors, ctx.pooled, ctx.overlaps)
        return y_t


class Put(Function):
    """x = zeros, plus every element of y at its index."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, index: Tensor, shape: torch.Size, overlaps: bool) -> Tensor:
        """Scatter; adding is needed only where windows overlap."""
        ctx.save_for_backward(index)
        ctx.save_for_forward(index)
        ctx.shape, ctx.overlaps, ctx.whole = y.shape, overlaps, shape
        rows = _rows(y)
        x = rows.new_zeros(len(rows), shape[1] * shape[3] * shape[4])
        x = x.scatter_add_(1, index, rows) if overlaps else x.scatter_(1, index, rows)
        return _images(x, shape).detach()

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor, None, None, None]:
        """Pick."""
        return Pick.apply(v, *ctx.saved_tensors, ctx.shape, ctx.overlaps), None, None, None

    @staticmethod
    def jvp(ctx: Any, y_t: Tensor, *_: None) -> Tensor:
        """The same: it is linear."""
        x_t: Tensor = Put.apply(y_t, *ctx.saved_tensors, ctx.whole, ctx.overlaps)
        return x_t


class Pick(Function):
    """y = the elements of x at the indices."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, shape: torch.Size, overlaps: bool) -> Tensor:
        """Gather."""
        ctx.save_for_backward(index)
        ctx.save_for_forward(index)
        ctx.shape, ctx.overlaps, ctx.picked = x.shape, overlaps, shape
        return _images(_rows(x).gather(1, index), shape).detach()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
        """Put back."""
        return Put.apply(g, *ctx.saved_tensors, ctx.shape, ctx.overlaps), None, None, None

    @staticmethod
    def jvp(ctx: Any, x_t: Tensor, *_: None) -> Tensor:
        """The same: it is linear."""
        y_t: Tensor = Pick.apply(x_t, *ctx.saved_tensors, ctx.picked, ctx.overlaps)
        return y_t
