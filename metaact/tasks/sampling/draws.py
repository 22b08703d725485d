"""Random indices that depend on a seed and the number of the draw, and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def generator(seed: int, draw: int, *, purpose: int = 0) -> np.random.Generator:
    """The stream of draw number `draw`: counter-based, so none of the draws before is needed.

    Philox takes a key and a counter and shares no stream between different ones. PyTorch's CPU
    generator keeps 32 bits of its seed: hashed seeds would repeat a meta-batch within some ten
    thousand draws.

    Args:
        seed: Non-negative, below 2^64.
        draw: Number of the draw, non-negative, below 2^64.
        purpose: Keeps streams of one seed apart that serve different ends.

    References:
        Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    key = np.array([seed, purpose], dtype=np.uint64)
    counter = np.array([0, 0, draw, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def distinct(rng: np.random.Generator, sizes: NDArray[Any], count: int) -> Indices:
    """For every size n, `count` different numbers of 0..n-1 in random order.

    All ordered choices are equally likely. Floyd's algorithm, one step for all rows at a time, so
    the time does not depend on the sizes, and then a random order.

    Args:
        rng: Where the numbers come from.
        sizes: int64 [rows], each at least `count`.
        count: Numbers per row.

    Returns:
        int64 [rows, count].

    References:
        Bentley and Floyd, "A sample of brilliance", Communications of the ACM 30(9), 1987.
    """
    rows = len(sizes)
    uniform = rng.random((count, rows))
    chosen = np.empty((count, rows), dtype=np.int64)
    for step in range(count):
        top = sizes - count + step
        pick = (uniform[step] * (top + 1)).astype(np.int64)
        seen = (chosen[:step] == pick).any(axis=0)
        chosen[step] = np.where(seen, top, pick)
    # Floyd's set is uniform, its order is not: large numbers come late.
    order = rng.random((count, rows)).argsort(axis=0)
    return np.take_along_axis(chosen, order, axis=0).T


class ClassIndex:
    """Where the images of each class are, and how many.

    Args:
        labels: int64 [images] in 0..classes-1, every class present.
    """

    def __init__(self, labels: NDArray[Any]) -> None:
        self.sizes: Indices = np.bincount(labels).astype(np.int64)
        self._order: Indices = np.argsort(labels, kind="stable").astype(np.int64)
        self._starts: Indices = np.concatenate(([0], np.cumsum(self.sizes)[:-1])).astype(np.int64)

    def images(self, classes: Indices, positions: Indices) -> Indices:
        """Image numbers of the `positions` [..., k] within `classes` [...]."""
        found: Indices = self._order[self._starts[classes][..., None] + positions]
        return found

    def draw(self, rng: np.random.Generator, *, episodes: int, ways: int, count: int) -> Indices:
        """Image numbers of random episodes.

        Args:
            rng: Where the choice comes from.
            episodes: How many episodes.
            ways: Different classes per episode.
            count: Different images per class.

        Returns:
            int64 [episodes, ways, count].
        """
        classes = distinct(rng, np.full(episodes, len(self.sizes)), ways)
        positions = distinct(rng, self.sizes[classes].reshape(-1), count)
        return self.images(classes, positions.reshape(episodes, ways, count))
