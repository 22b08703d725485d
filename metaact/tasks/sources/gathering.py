"""Images that come one by one, gathered into one array of bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from metaact.errors import DataError
from metaact.tasks.forms.fitting import check_form, size_steps, stepped
from metaact.tasks.forms.steps import CentreCrop, Step, ToChannels
from metaact.tasks.sources.packs import MAX_BYTES


class Gathered:
    """Images of one data set in the form that was asked for, and what was done to them.

    They keep their size, which must be one, and their colour; where some are grey and some are
    not, grey is repeated to 3 channels.

    Args:
        dataset: Name of the data set, for messages.
        count: How many images there are.
        shown: How a message calls an image, by its number.
        size: Height and width afterwards, by the rule of `size_steps`; None for theirs.
        channels: 1 or 3; None for theirs.

    Raises:
        UsageError: If `size` or `channels` is not allowed.
    """

    def __init__(
        self,
        dataset: str,
        count: int,
        *,
        shown: Callable[[int], str],
        size: int | None,
        channels: int | None,
    ) -> None:
        check_form(size, channels)
        self.dataset, self.count, self.shown = dataset, count, shown
        self.size, self.channels = size, channels
        self._sizes: Counter[tuple[int, int]] = Counter()
        self._coloured = 0
        self._images: list[NDArray[np.uint8]] = []

    def add(self, image: NDArray[np.uint8]) -> None:
        """The next image, uint8 [1 or 3, height, width].

        Raises:
            DataError: If it has another size than those before it and none was asked for, has one
                pixel to enlarge, or all like it would not fit into memory.
        """
        shape = image.shape[1], image.shape[2]
        if self.size is None and self._sizes and shape not in self._sizes:
            first = next(iter(self._sizes))
            raise DataError(
                f"images of {self.dataset} must have one size, or be told which to get (`size`; "
                f"--size {min(*first, *shape)}); {self.shown(0)} is {first[0]}x{first[1]}, "
                f"{self.shown(len(self._images))} is {shape[0]}x{shape[1]}."
            )
        self._sizes[shape] += 1
        self._coloured += len(image) == 3
        formed = self._formed(image)
        if formed.nbytes * self.count > MAX_BYTES:
            raise DataError(
                f"images of {self.dataset} must fit into {MAX_BYTES // 2**30} GiB of memory; "
                f"{self.count} of {shape[0]}x{shape[1]} pixels do not: `size` (--size 84) makes "
                "them smaller."
            )
        self._images.append(formed)

    def replace(self, number: int, image: NDArray[np.uint8]) -> None:
        """Put another image of its size and colour in the place of one."""
        self._images[number] = self._formed(image)

    def pixels(self) -> torch.Tensor:
        """All images, uint8 [images, channels, height, width]; to be called once."""
        channels = max(len(image) for image in self._images)
        shape = len(self._images), channels, *self._images[0].shape[1:]
        every = np.empty(shape, dtype=np.uint8)
        for number, image in enumerate(self._images):
            every[number] = image
            self._images[number] = every[number]  # lets the copy go
        return torch.from_numpy(every)

    @property
    def form(self) -> str:
        """What was done to size and channels, in words."""
        done = []
        steps = [step for shape in self._sizes for step in self._size_steps(shape)[:1]]
        if steps:
            kinds = {"cropped" if isinstance(step, CentreCrop) else "resized" for step in steps}
            height, width = next(iter(self._sizes))
            several = f"{len(self._sizes)} sizes"
            before = several if len(self._sizes) > 1 else f"{height}x{width}"
            done.append(f"{' or '.join(sorted(kinds))} from {before} to {self.size}x{self.size}")
        if self.channels == 1 and self._coloured:
            done.append("made grey")
        if self.channels == 3 and not self._coloured:
            done.append("made RGB")
        if self.channels != 1 and 0 < self._coloured < self.count:
            done.append("made RGB where grey")
        return ", ".join(done)

    def _formed(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        steps = self._size_steps((image.shape[1], image.shape[2]))
        if self.channels is not None:
            steps += (ToChannels(self.channels),)
        if not steps:
            return image
        changed: NDArray[np.uint8] = stepped(torch.from_numpy(image)[None], steps)[0].numpy()
        return changed

    def _size_steps(self, shape: tuple[int, int]) -> tuple[Step, ...]:
        return size_steps(self.dataset, shape, self.size) if self.size else ()
