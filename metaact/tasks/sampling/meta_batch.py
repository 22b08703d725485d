"""Episodes as tensors: what an adaptation algorithm is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metaact.devices import sent
from metaact.display import brief, html_facts
from metaact.errors import UsageError, check_count, check_int, check_rate
from metaact.tasks._images import Images
from metaact.tasks._shown import episodes
from metaact.tasks.sampling.draws import Indices

MOST_IMAGES = 30_000_000
"""Image numbers in one list of episodes: drawing takes some 40 bytes for each, 1.2 GB in all."""

MOST_PIXELS = 2**32
"""Numbers in one meta-batch, 16 GiB as float32: a larger count can only be a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetaBatch:
    """Episodes of one shape, stacked.

    Labels are 0..ways-1 within an episode, and class-major: all images of class 0 first.

    Attributes:
        support: float [tasks, ways * shots, channels, height, width].
        support_labels: int64 [tasks, ways * shots].
        query: float [tasks, ways * queries, channels, height, width].
        query_labels: int64 [tasks, ways * queries].
    """

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor

    def __repr__(self) -> str:
        return brief(
            self,
            tasks=len(self),
            support=tuple(self.support.shape[1:]),
            query=tuple(self.query.shape[1:]),
            device=str(self.support.device),
        )

    def _repr_html_(self) -> str:
        ways = int(self.support_labels.max()) + 1 if len(self) else 0
        return html_facts(repr(self), {}, *episodes(self.support, self.query, ways))

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.support)

    def __getitem__(self, tasks: slice) -> MetaBatch:
        """Some of the tasks, as views."""
        if not isinstance(tasks, slice):
            raise UsageError(f"a MetaBatch must be indexed by a slice, batch[a:b]; got {tasks!r}.")
        return MetaBatch(
            support=self.support[tasks],
            support_labels=self.support_labels[tasks],
            query=self.query[tasks],
            query_labels=self.query_labels[tasks],
        )

    def to(self, target: torch.device | torch.dtype | str) -> MetaBatch:
        """The same tasks on a device, or with images of a dtype (labels stay int64)."""
        moves_labels = not isinstance(target, torch.dtype)
        return MetaBatch(
            support=self.support.to(target),
            support_labels=self.support_labels.to(target) if moves_labels else self.support_labels,
            query=self.query.to(target),
            query_labels=self.query_labels.to(target) if moves_labels else self.query_labels,
        )


class Shape:
    """The shape of an episode, checked against the images it is drawn from.

    Args:
        images: Where episodes come from.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class.

    Raises:
        UsageError: If the images cannot fill such an episode; the smallest class is named.
    """

    def __init__(self, images: Images, *, ways: int, shots: int, queries: int) -> None:
        if images.classes < 2:
            raise UsageError(
                f"`ways` must be at least 2, and the {images.provenance.split} part of "
                f"{images.provenance.dataset} has 1 class (`hold_out` 'images' has all classes in "
                f"each part); got {ways!r}."
            )
        why = f"the split has {images.classes} classes"
        self.ways = check_int("ways", ways, minimum=2, maximum=images.classes, why=why)
        self.shots = check_int("shots", shots, minimum=1)
        self.queries = check_int("queries", queries, minimum=1)
        sizes = torch.bincount(images.labels, minlength=images.classes)
        smallest = int(sizes.argmin())
        if shots + queries > int(sizes[smallest]):
            raise UsageError(
                f"`shots` + `queries` must be at most {int(sizes[smallest])} (class "
                f"{images.class_names[smallest]!r}, the smallest of the split, has so many "
                f"images); got {shots} + {queries}."
            )
        self._numbers = images.pixels[0].numel()

    @property
    def images(self) -> int:
        """Images in an episode."""
        return self.ways * (self.shots + self.queries)

    def check_listed(self, name: str, episodes: int) -> int:
        """Return `episodes` if a list of so many can be drawn.

        Raises:
            UsageError: If it is not positive, or the list would not fit into memory.
        """
        most = MOST_IMAGES // self.images
        why = f"an episode has {self.images} images, and the list of them must fit into memory"
        return check_count(name, episodes, most=most, why=why)

    def check_batch(self, tasks: int) -> int:
        """Return `tasks` if a meta-batch of so many can be made.

        Raises:
            UsageError: If it is not positive, or the meta-batch would not fit into memory.
        """
        most = min(MOST_IMAGES, MOST_PIXELS // self._numbers) // self.images
        why = f"an episode has {self.images} images, and a meta-batch must fit into memory"
        return check_count("tasks", tasks, most=most, why=why)


class Gather:
    """Turns image numbers into a meta-batch, on the device: one gather, one scaling.

    x = (pixel / 255 - mean) / std, per channel.

    Args:
        images: The images, which stay on `device` as bytes.
        mean: One number, or one per channel.
        std: One positive number, or one per channel.
        device: Where meta-batches are made.
        own_labels: Whether labels number the classes of all images, not those of an episode.

    Raises:
        UsageError: If `mean` or `std` is not finite or does not fit the channels.
    """

    def __init__(
        self,
        images: Images,
        *,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        device: torch.device | str,
        own_labels: bool = False,
    ) -> None:
        means = per_channel("mean", mean, images.channels)
        stds = [check_rate("std", value) for value in per_channel("std", std, images.channels)]
        self._pixels = images.pixels.to(device)
        self._own = images.labels.to(device) if own_labels else None
        # Folded into one multiplication and one addition of the whole batch.
        scale = [1 / (255 * s) for s in stds]
        shift = [-m / s for m, s in zip(means, stds, strict=True)]
        self._scale = torch.tensor(scale, device=device).reshape(-1, 1, 1)
        self._shift = torch.tensor(shift, device=device).reshape(-1, 1, 1)

    def __call__(self, indices: Indices, *, shots: int) -> MetaBatch:
        """The episodes at `indices`.

        Args:
            indices: int64 [tasks, ways, shots + queries].
            shots: How many of each class are support images.
        """
        support, query = indices[:, :, :shots], indices[:, :, shots:]
        return MetaBatch(
            support=self._images(support),
            support_labels=self._labels(support),
            query=self._images(query),
            query_labels=self._labels(query),
        )

    def _images(self, indices: Indices) -> Tensor:
        values = self._pixels.index_select(0, self._flat(indices))
        values = values.float().mul_(self._scale).add_(self._shift)
        return values.reshape(len(indices), -1, *self._pixels.shape[1:])

    def _labels(self, indices: Indices) -> Tensor:
        tasks, ways, count = indices.shape
        if self._own is not None:
            return self._own.index_select(0, self._flat(indices)).reshape(tasks, -1)
        row = torch.arange(ways, device=self._pixels.device).view(-1, 1).expand(ways, count)
        return row.reshape(-1).repeat(tasks, 1)

    def _flat(self, indices: Indices) -> Tensor:
        flat = torch.from_numpy(np.ascontiguousarray(indices).reshape(-1))
        return sent(flat, self._pixels.device)


def per_channel(name: str, value: float | Sequence[float], channels: int) -> list[float]:
    """`value` as one finite number per channel.

    Raises:
        UsageError: If it is not finite or of another length.
    """
    values = [value] * channels if isinstance(value, int | float) else list(value)
    if len(values) != channels or not np.isfinite(values).all():
        raise UsageError(
            f"`{name}` must be a finite number or {channels} of them (one per channel); "
            f"got {value!r}."
        )
    return [float(v) for v in values]
