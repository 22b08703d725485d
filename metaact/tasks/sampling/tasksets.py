"""A bridge for users of learn2learn: their Taskset as ours, and ours as theirs.

Nothing here imports learn2learn: both directions need only what a `Taskset` can do, so the bridge
works with any version of it and with look-alikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from metaact.errors import DataError, UsageError, check_int
from metaact.tasks.sampling.episodes import Episodes
from metaact.tasks.sampling.meta_batch import MetaBatch


class Taskset(Protocol):
    """What is used of `learn2learn.data.Taskset`: one episode at a time."""

    def sample(self) -> tuple[Tensor, Tensor]:
        """One episode: images float [ways * (shots + queries), ...] and their labels."""


class TasksetEpisodes:
    """Meta-batches out of a learn2learn `Taskset`.

    The taskset draws from Python's and PyTorch's global streams, as learn2learn does: seed those
    to repeat a draw. Numbered draws and resuming are for `Episodes` only.

    Args:
        taskset: A `Taskset` whose episodes have `ways` classes of `shots + queries` images.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class.
    """

    def __init__(self, taskset: Taskset, *, ways: int, shots: int, queries: int) -> None:
        self._taskset = taskset
        self.ways = check_int("ways", ways, minimum=2)
        self.shots = check_int("shots", shots, minimum=1)
        self.queries = check_int("queries", queries, minimum=1)

    def sample(self, tasks: int) -> MetaBatch:
        """Draw `tasks` episodes, one after the other; labels become 0..ways-1, class-major.

        Raises:
            UsageError: If `tasks` is not positive.
            DataError: If an episode does not have the shape that was announced.
        """
        check_int("tasks", tasks, minimum=1)
        images = torch.stack([self._by_class() for _ in range(tasks)])
        support, query = images[:, :, : self.shots], images[:, :, self.shots :]
        ways = torch.arange(self.ways, device=images.device)
        return MetaBatch(
            support=support.flatten(1, 2),
            support_labels=ways.repeat_interleave(self.shots).repeat(tasks, 1),
            query=query.flatten(1, 2),
            query_labels=ways.repeat_interleave(self.queries).repeat(tasks, 1),
        )

    def _by_class(self) -> Tensor:
        """One episode as [ways, shots + queries, ...], images in the order they came."""
        data, labels = self._taskset.sample()
        present, counts = torch.unique(labels, return_counts=True)
        count = self.shots + self.queries
        if len(present) != self.ways or bool((counts != count).any()):
            raise DataError(
                f"the taskset must give {self.ways} classes of {self.shots} + {self.queries} "
                f"images; got {len(present)} classes of {sorted(set(counts.tolist()))}. "
                "learn2learn's KShots takes k = shots + queries."
            )
        order = torch.argsort(labels, stable=True)
        return data[order].reshape(self.ways, count, *data.shape[1:])


class EpisodesTaskset:
    """`Episodes` with the interface of a learn2learn `Taskset`: `sample()`, indexing, iteration.

    Every episode comes as (data, labels) with `shots + queries` images per class, class after
    class, support images first: `learn2learn.data.partition_task(data, labels, shots=shots)` and
    its Lightning batcher divide it rightly.

    Args:
        episodes: Where episodes come from.
        num_tasks: Length; -1 is endless, and `len` is then 1, as there.
    """

    def __init__(self, episodes: Episodes, *, num_tasks: int = -1) -> None:
        if num_tasks != -1:
            check_int("num_tasks", num_tasks, minimum=1, why="or -1 for endless")
        self.episodes = episodes
        self.num_tasks = num_tasks

    def __len__(self) -> int:
        """Number of tasks, or 1 if endless."""
        return 1 if self.num_tasks == -1 else self.num_tasks

    def sample(self) -> tuple[Tensor, Tensor]:
        """A random task of the list, or the next one if endless."""
        if self.num_tasks == -1:
            return self._task(None)
        position = self.episodes.position
        self.episodes.position += 1
        # A fixed list, drawn from in turn: as random as the list, and repeatable.
        return self._task(position % self.num_tasks)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Task number `index`: always the same."""
        if self.num_tasks != -1 and not 0 <= index < self.num_tasks:
            raise IndexError(f"task {index} is not in 0..{self.num_tasks - 1}")
        return self._task(index)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All tasks in order; without end if endless."""
        number = 0
        while self.num_tasks == -1 or number < self.num_tasks:
            yield self[number]
            number += 1

    def _task(self, index: int | None) -> tuple[Tensor, Tensor]:
        batch = self.episodes.sample(1, index=index)
        ways = self.episodes.ways
        shape = batch.support.shape[2:]
        support = batch.support[0].reshape(ways, self.episodes.shots, *shape)
        query = batch.query[0].reshape(ways, self.episodes.queries, *shape)
        data = torch.cat([support, query], dim=1)
        labels = torch.arange(ways, device=data.device).repeat_interleave(data.shape[1])
        return data.flatten(0, 1), labels


def from_taskset(taskset: Taskset, *, ways: int, shots: int, queries: int) -> TasksetEpisodes:
    """A learn2learn `Taskset` as a source of meta-batches.

    Args:
        taskset: Anything with `sample()` that returns (data, labels).
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class; its `KShots` takes `k = shots + queries`.

    Returns:
        An object whose `.sample(n)` is a `MetaBatch`.

    Raises:
        UsageError: If a count is out of range.
    """
    return TasksetEpisodes(taskset, ways=ways, shots=shots, queries=queries)


def to_taskset(episodes: Episodes, *, num_tasks: int = -1) -> EpisodesTaskset:
    """`Episodes` as a learn2learn `Taskset`.

    Args:
        episodes: Where episodes come from.
        num_tasks: Number of different tasks, as in learn2learn; -1 for ever new ones.

    Returns:
        An object with `sample()`, `len`, indexing and iteration.

    Raises:
        UsageError: If `num_tasks` is neither -1 nor positive.
    """
    if not isinstance(episodes, Episodes):
        raise UsageError(f"`episodes` must be an Episodes; got {type(episodes).__name__}.")
    return EpisodesTaskset(episodes, num_tasks=num_tasks)
