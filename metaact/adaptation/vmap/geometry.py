"""The sizes of a convolution over the images of several tasks, and views of its patches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# A buffer of patches holds at most this many numbers per thread: 1 MiB of float32, which fits the
# second-level cache of current cores. Half or four times as many cost up to 15 % more time.
BUFFER_NUMBERS = 2**18

Pair = tuple[int, int]


# Not slotted, because slots leave no room for cached properties.
@dataclass(frozen=True, kw_only=True)
class Geometry:
    """One convolution without groups.

    Images lie as [tasks, channels, height, width, images] in memory. Then all positions and images
    of one row of a patch matrix [channels * kernel, positions * images] are copied in long runs.

    Attributes:
        channels: Input channels.
        input: Height and width of the input.
        images: Images per task.
        kernel: Height and width of the kernel.
        stride: Steps of the window down and right.
        padding: Zeros above and below, left and right.
        dilation: Distances of the kernel's points down and right.
    """

    channels: int
    input: Pair
    images: int
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @cached_property
    def size(self) -> Pair:
        """Height and width with padding."""
        return self.input[0] + 2 * self.padding[0], self.input[1] + 2 * self.padding[1]

    @cached_property
    def out(self) -> Pair:
        """Height and width of the output; not positive where the kernel does not fit."""
        return self._along(0), self._along(1)

    def _along(self, axis: int) -> int:
        covered = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (self.size[axis] - covered) // self.stride[axis] + 1

    @cached_property
    def rows(self) -> int:
        """Rows of the patch matrix: one per input channel and point of the kernel."""
        return self.channels * self.kernel[0] * self.kernel[1]

    @cached_property
    def columns(self) -> int:
        """Columns of the patch matrix: one per output position and image."""
        return self.out[0] * self.out[1] * self.images

    def laid_out(self, x: Tensor) -> Tensor:
        """Images [tasks, images, channels, height, width] as windows want them, padded."""
        x = x.permute(0, 2, 3, 4, 1)
        if self.padding == (0, 0):
            return x.contiguous()
        (down, right), (height, width) = self.padding, self.input
        padded = x.new_zeros(len(x), self.channels, *self.size, self.images)
        padded[:, :, down : down + height, right : right + width] = x
        return padded

    def given_back(self, x: Tensor) -> Tensor:
        """Undo `laid_out`, as a view."""
        (down, right), (height, width) = self.padding, self.input
        return x[:, :, down : down + height, right : right + width].permute(0, 4, 1, 2, 3)

    def windows(self, x: Tensor) -> Tensor:
        """View laid-out x as overlapping patches [tasks, channels, *kernel, *out, images]."""
        (height, width), n = self.size, self.images
        return x.as_strided(
            (len(x), self.channels, *self.kernel, *self.out, n),
            (
                self.channels * height * width * n,
                height * width * n,
                self.dilation[0] * width * n,
                self.dilation[1] * n,
                self.stride[0] * width * n,
                self.stride[1] * n,
                1,
            ),
        )

    def patches(self, buffer: Tensor) -> Tensor:
        """View the patch rows of a buffer [tasks, >= rows, columns] in the shape of `windows`."""
        rows = buffer[:, : self.rows]
        return rows.view(len(buffer), self.channels, *self.kernel, *self.out, self.images)

    def tile(self, tasks: int) -> int:
        """Number of tasks whose patches fit the buffer; at least one per thread."""
        per_thread = max(1, BUFFER_NUMBERS // max(1, self.rows * self.columns))
        return max(1, min(tasks, per_thread * torch.get_num_threads()))

    def met_by(self, axis: int, point: int) -> slice:
        """The input positions along an axis that one point of the kernel meets."""
        start, step = point * self.dilation[axis], self.stride[axis]
        return slice(start, start + step * (self.out[axis] - 1) + 1, step)
