"""Test episodes that are the same for every arm, every seed and every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from metaact.display import brief, html_facts
from metaact.errors import UsageError, check_int
from metaact.tasks._images import Images
from metaact.tasks._shown import EPISODES, episodes
from metaact.tasks.sampling.draws import ClassIndex, Indices, generator
from metaact.tasks.sampling.meta_batch import Gather, MetaBatch, Shape

_FROZEN = 1  # the purpose of these draws: apart from the training episodes of the same seed
_LARGEST_SEED = 2**63 - 1


class FrozenEpisodes:
    """A fixed list of episodes.

    Args:
        images: The images they refer to.
        indices: int64 [episodes, ways, shots + queries], numbers of images.
        shots: How many of each class are support images.
        mean: Subtracted from pixels in [0, 1].
        std: What they are then divided by.
        device: Where meta-batches are made.
        own_labels: Whether labels number the classes of all images, not those of an episode.
    """

    def __init__(
        self,
        images: Images,
        indices: Indices,
        *,
        shots: int,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        device: torch.device | str,
        own_labels: bool = False,
    ) -> None:
        self.images = images
        self.shots = shots
        self._indices = indices
        self._gather = Gather(images, mean=mean, std=std, device=device, own_labels=own_labels)
        digest = hashlib.sha256(images.sha256().encode())
        digest.update(repr((indices.shape, shots)).encode())
        digest.update(np.ascontiguousarray(indices, dtype="<i8").tobytes())
        self._sha256 = digest.hexdigest()

    def __repr__(self) -> str:
        return brief(
            self,
            self.images,
            episodes=len(self),
            ways=self._indices.shape[1],
            shots=self.shots,
            sha256=self.sha256[:10],
        )

    def _repr_html_(self) -> str:
        first = self._gather(self._indices[:EPISODES], shots=self.shots)
        ways = self._indices.shape[1]
        return html_facts(repr(self), {}, *episodes(first.support, first.query, ways))

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._indices)

    @property
    def sha256(self) -> str:
        """Hash of the images, of which are drawn, and which of those are support images."""
        return self._sha256

    @property
    def indices(self) -> Tensor:
        """int64 [episodes, ways, shots + queries]: numbers of images, support images first."""
        return torch.from_numpy(self._indices.copy())

    def take(self, numbers: Tensor) -> MetaBatch:
        """The episodes of these numbers, in this order, repeats included.

        Args:
            numbers: int64 [tasks], each in 0..episodes-1.
        """
        return self._gather(self._indices[numbers.numpy()], shots=self.shots)

    def batches(self, size: int) -> Iterator[MetaBatch]:
        """All episodes in order, `size` at a time; the last batch may be smaller.

        Raises:
            UsageError: If `size` is not positive.
        """
        check_int("size", size, minimum=1)
        return (
            self._gather(self._indices[start : start + size], shots=self.shots)
            for start in range(0, len(self), size)
        )


def frozen(
    images: Images,
    *,
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int,
    replacement: bool = True,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    device: torch.device | str = "cpu",
    own_labels: bool = False,
) -> FrozenEpisodes:
    """Draw a fixed list of episodes, from a seed of its own.

    With replacement, episodes are independent given the images, but share them: an interval over
    episodes then says nothing about other images, and is too narrow for a small test part.
    Without, no image occurs twice in the whole list.

    Args:
        images: The part to draw from.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class.
        episodes: Number of episodes.
        seed: Seed of this list; use another than that of training only for clarity, the two
            streams are apart in any case.
        replacement: Whether an image may occur in several episodes.
        mean: Subtracted from pixels in [0, 1].
        std: What they are then divided by.
        device: Where meta-batches are made.
        own_labels: Whether labels number the classes of all images, not those of an episode.

    Returns:
        The frozen episodes.

    Raises:
        UsageError: If an argument is out of range, or there are too few images for so many
            episodes without replacement; the message says how many there can be.

    References:
        Lafargue, Smith, Vermet, Löwe, Reid, Gripon and Hacene, "Oops, I sampled it again:
        reinterpreting confidence intervals in few-shot learning", TMLR 2024, arXiv 2409.02850.
    """
    images = images.present()
    Shape(images, ways=ways, shots=shots, queries=queries).check_listed("episodes", episodes)
    check_int("seed", seed, minimum=0, maximum=_LARGEST_SEED)
    index = ClassIndex(images.labels.cpu().numpy())
    rng = generator(seed, 0, purpose=_FROZEN)
    count = shots + queries
    if replacement:
        indices = index.draw(rng, episodes=episodes, ways=ways, count=count)
    else:
        indices = _draw_once(rng, index, episodes=episodes, ways=ways, count=count)
    return FrozenEpisodes(
        images,
        indices,
        shots=shots,
        mean=mean,
        std=std,
        device=device,
        own_labels=own_labels,
    )


def most_episodes(sizes: Indices, *, ways: int, count: int) -> int:
    """The most episodes without a repeated image: the largest E with Σ_c min(⌊n_c/k⌋, E) ≥ E·ways.

    Args:
        sizes: Images per class.
        ways: Classes per episode.
        count: Images per class in an episode.

    Examples:
        >>> most_episodes(np.array([4, 4, 4]), ways=2, count=2)
        3
    """
    chunks = sizes // count
    low, high = 0, int(chunks.sum()) // ways
    while low < high:
        middle = (low + high + 1) // 2
        enough = int(np.minimum(chunks, middle).sum()) >= middle * ways
        low, high = (middle, high) if enough else (low, middle - 1)
    return low


def _draw_once(
    rng: np.random.Generator, index: ClassIndex, *, episodes: int, ways: int, count: int
) -> Indices:
    """Episodes in which no image occurs twice: classes are shuffled and used up in chunks."""
    most = most_episodes(index.sizes, ways=ways, count=count)
    if episodes > most:
        raise UsageError(
            f"`episodes` must be an int in [1, {most}] (without replacement {len(index.sizes)} "
            f"classes give no more episodes of {ways} ways and {count} images a class); "
            f"got {episodes}."
        )
    left = index.sizes // count
    shuffled = [rng.permutation(int(size)) for size in index.sizes]
    used = np.zeros_like(left)
    result = np.empty((episodes, ways, count), dtype=np.int64)
    for number in range(episodes):
        classes = _choose_classes(rng, left, ways=ways, remaining=episodes - number)
        for way, c in enumerate(classes):
            positions = shuffled[c][used[c] * count : (used[c] + 1) * count]
            result[number, way] = index.images(np.array(c), positions)
        used[classes] += 1
        left[classes] -= 1
    return result


def _choose_classes(
    rng: np.random.Generator, left: Indices, *, ways: int, remaining: int
) -> Indices:
    """Classes of the next episode, each in proportion to the chunks it has left.

    A class with as many chunks as episodes remain must be taken, or its last chunk is lost; if
    all such classes are, Σ_c min(left_c, remaining) ≥ remaining·ways holds for the next episode
    too, so the list can always be finished.
    """
    # Gumbel's trick: the largest of log-weight plus Gumbel noise are a weighted choice without
    # replacement; a class that must be taken comes before all others.
    with np.errstate(divide="ignore"):
        keys = np.log(left) + rng.gumbel(size=len(left))
    keys[left >= remaining] += 1e6
    chosen = np.argsort(-keys)[:ways]
    return rng.permutation(chosen)
