"""What all streams have in common: parts that are cut where the task changes, and how it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metaact.errors import check_int
from metaact.randomness import derived_seed

Bits = NDArray[np.uint8]

Numbers = NDArray[np.int64]


class Part(Protocol):
    """Consecutive examples of one task."""

    def __len__(self) -> int:
        """How many."""

    def sha256(self) -> str:
        """Hash of the examples and what is to be said of each."""


class Stream(Protocol):
    """Tasks of equal length without an end, a function of its seed and its data alone."""

    def blocks(self, start: int, stop: int) -> Sequence[Part]:
        """The examples from `start` to before `stop`, cut where the task changes."""


def check_transition(transition: int, every: int) -> None:
    """Refuse a transition that is longer than a task.

    Raises:
        UsageError: If it is.
    """
    why = f"a task has {every} examples"
    check_int("transition", transition, minimum=0, maximum=every, why=why)


def late(count: int, transition: int, *parts: int | str) -> NDArray[np.bool_]:
    """Which of a task's examples are still of the task before.

    Formula: the k-th example, k from 1, is of the new task with probability k/(transition + 1), and
    from there on always.

    Args:
        count: Examples of the task.
        transition: Over so many of them the new task takes the place of the old one; 0: at once.
        parts: What the draws depend on.

    Returns:
        One for each example.
    """
    found = np.zeros(count, dtype=bool)
    drawn = uniform(generator(*parts, "transition"), transition)
    found[:transition] = drawn >= np.arange(1, transition + 1) / (transition + 1)
    return found


def generator(*parts: int | str) -> np.random.PCG64:
    """Raw bits: their sequence never changes with a version of NumPy."""
    return np.random.PCG64(derived_seed(*parts))


def bits(draw: np.random.PCG64, count: int) -> Bits:
    """Zeros and ones."""
    return (np.asarray(draw.random_raw(count)) >> np.uint64(63)).astype(np.uint8)


def uniform(draw: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """Numbers from 0 to below 1."""
    drawn: NDArray[np.uint64] = np.asarray(draw.random_raw(count)) >> np.uint64(11)
    return drawn.astype(np.float64) * 2.0**-53


def below(draw: np.random.PCG64, limit: int, count: int) -> Numbers:
    """Whole numbers from 0 to below `limit`; of 64 bits: their bias is 1e-18 of it."""
    return (np.asarray(draw.random_raw(count)) % np.uint64(limit)).astype(np.int64)


def order(draw: np.random.PCG64, count: int) -> Numbers:
    """The numbers from 0 to below `count` in a random order."""
    return np.argsort(np.asarray(draw.random_raw(count)), kind="stable").astype(np.int64)
