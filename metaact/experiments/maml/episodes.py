"""What the runs of one comparison share, and the meta-batches that each trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from metaact import tasks
from metaact.errors import renamed
from metaact.experiments.experiment import Prepared
from metaact.randomness import derived_seed

from .config import MamlConfig


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EpisodeData(Prepared):
    """The data that every arm and seed of one comparison share.

    Attributes:
        split: Verified train, validation and test images, on the device.
        mean: Per channel mean of the training pixels in [0, 1].
        std: Per channel standard deviation of the same.
        test: Frozen test episodes.
        validation: Frozen validation episodes; None where the split has no validation part.
        identity: Hashes that enter every run's identity: other data or episodes, other run.
    """

    split: tasks.Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test: tasks.FrozenEpisodes
    validation: tasks.FrozenEpisodes | None
    identity: dict[str, str]


def training_batches(config: MamlConfig, shared: EpisodeData) -> Callable[[int], tasks.MetaBatch]:
    """The training meta-batches of one seed, by the number of the iteration.

    Fresh episodes, or with `task_pool` a draw with replacement from that many. Where nothing adapts
    in training, their labels number all training classes.

    Raises:
        UsageError: If the training part cannot fill such episodes.
    """
    given: dict[str, Any] = {
        "ways": config.ways,
        "shots": config.shots,
        "queries": config.queries,
        "seed": config.seed,
        "mean": shared.mean,
        "std": shared.std,
        "device": shared.device,
        "own_labels": config.algorithm == "finetune",
    }
    fresh = tasks.Episodes(shared.split.train, **given)
    fresh.check_tasks(config.tasks)
    if not config.task_pool:
        return lambda iteration: fresh.sample(config.tasks, index=iteration)
    with renamed(episodes="task_pool"):
        pool = tasks.frozen(shared.split.train, episodes=config.task_pool, **given)

    def draw(iteration: int) -> tasks.MetaBatch:
        generator = torch.Generator().manual_seed(derived_seed("pool", config.seed, iteration))
        return pool.take(torch.randint(len(pool), (config.tasks,), generator=generator))

    return draw
