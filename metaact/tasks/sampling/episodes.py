"""Few-shot episodes drawn from labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from metaact.display import brief, html_facts
from metaact.errors import check_int
from metaact.tasks._images import Images
from metaact.tasks._shown import EPISODES
from metaact.tasks._shown import episodes as shown
from metaact.tasks.sampling.draws import ClassIndex, generator
from metaact.tasks.sampling.meta_batch import Gather, MetaBatch, Shape
from metaact.tasks.sampling.normalisation import statistics
from metaact.tasks.splits.by_name import split as split_dataset

_LARGEST_SEED = 2**63 - 1


class Episodes:
    """N-way K-shot episodes from one part of a split.

    Draw number i depends on the seed and i alone: a resumed run needs nothing but i, and workers
    that take different i never draw the same. Indices are drawn on the CPU, the same for every
    device; pixels stay on the device as bytes, and one gather makes a meta-batch there. No
    stream of PyTorch or NumPy is touched.

    Args:
        images: One part of a split.
        ways: Classes per episode, from 2 to the number of classes.
        shots: Support images per class.
        queries: Query images per class.
        seed: Seed of the draws.
        mean: Subtracted from pixels in [0, 1]: one number or one per channel.
        std: What they are then divided by.
        device: Where meta-batches are made.
        own_labels: Whether labels number the classes of all images, not those of an episode.

    Raises:
        UsageError: If an argument is out of range or the images cannot fill an episode.
    """

    def __init__(
        self,
        images: Images,
        *,
        ways: int,
        shots: int,
        queries: int,
        seed: int,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        device: torch.device | str = "cpu",
        own_labels: bool = False,
    ) -> None:
        self._shape = Shape(images, ways=ways, shots=shots, queries=queries)
        self.seed = check_int("seed", seed, minimum=0, maximum=_LARGEST_SEED)
        self.images = images
        self.position = 0
        self._index = ClassIndex(images.labels.cpu().numpy())
        self._gather = Gather(images, mean=mean, std=std, device=device, own_labels=own_labels)

    def __repr__(self) -> str:
        return brief(
            self,
            self.images,
            ways=self.ways,
            shots=self.shots,
            queries=self.queries,
            seed=self.seed,
        )

    def _repr_html_(self) -> str:
        batch = self.sample(EPISODES, index=0)  # which leaves `position` as it is
        return html_facts(repr(self), {}, *shown(batch.support, batch.query, self.ways))

    @property
    def ways(self) -> int:
        """Classes per episode."""
        return self._shape.ways

    @property
    def shots(self) -> int:
        """Support images per class."""
        return self._shape.shots

    @property
    def queries(self) -> int:
        """Query images per class."""
        return self._shape.queries

    def check_tasks(self, tasks: int) -> int:
        """Return `tasks` if a meta-batch of so many can be made.

        Raises:
            UsageError: If it is not positive, or the meta-batch would not fit into memory.
        """
        return self._shape.check_batch(tasks)

    def sample(self, tasks: int, index: int | None = None) -> MetaBatch:
        """Draw a meta-batch: different classes within an episode, different images within a class.

        Args:
            tasks: Number of episodes.
            index: Number of the draw; None takes `position` and moves it on by one.

        Returns:
            The episodes, on the device.

        Raises:
            UsageError: If `tasks` is not positive or too large for memory, or `index` negative.
        """
        self.check_tasks(tasks)
        if index is None:
            index = self.position
            self.position += 1
        check_int("index", index, minimum=0, maximum=_LARGEST_SEED)
        count = self.shots + self.queries
        rng = generator(self.seed, index)
        indices = self._index.draw(rng, episodes=tasks, ways=self.ways, count=count)
        return self._gather(indices, shots=self.shots)


def episodes(
    dataset: str | Path | Images,
    *,
    ways: int = 5,
    shots: int = 1,
    queries: int = 15,
    split: str = "train",
    seed: int = 0,
    root: Path | str | None = None,
    hold_out: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    device: torch.device | str = "cpu",
) -> Episodes:
    """Episodes from one part of a data set, normalised by its training part.

    Args:
        dataset: A name of the catalogue, the path of a folder or an `.npz` pack, or images.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class.
        split: "train", "validation" or "test".
        seed: Seed of the draws. It has no influence on the split.
        root: Data root; None for METAACT_DATA, else the user's cache folder.
        hold_out: "classes" or "images"; None takes what suits the data set.
        size: Height and width, as `metaact.tasks.split` brings images to it; None for theirs.
        channels: 1 or 3, likewise.
        device: Where meta-batches are made.

    Returns:
        The episodes; `.sample(32)` is a meta-batch of 32.

    Raises:
        UsageError: If an argument does not fit the data.
        DataError: If the data cannot be had.
    """
    divided = split_dataset(dataset, root=root, hold_out=hold_out, size=size, channels=channels)
    mean, std = statistics(divided.train)
    return Episodes(
        divided.part(split),
        ways=ways,
        shots=shots,
        queries=queries,
        seed=seed,
        mean=mean,
        std=std,
        device=device,
    )
