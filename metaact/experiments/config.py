"""The settings of one run of `metaact maml`; every default is written here and nowhere else."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from metaact.errors import check_choice, check_count, check_int, check_rate

PROTOCOLS = ("held-out", "paper")
ENGINES = ("vectorised", "loop", "learn2learn")
MODELS = ("mnist-conv", "conv4")
BATCH_NORM = ("batch", "off")


MOST_STEPS = 10_000
"""Inner steps of one adaptation; the meta-gradient keeps the graph of every one of them."""

_KEPT = "the graph of every step is kept in memory"

LONGEST = 10_000_000
"""Iterations or epochs of a run: beyond it a number is a slip of the keyboard."""


def check_length(name: str, value: int) -> int:
    """Return the length of a run if it is positive and can end within a lifetime.

    Raises:
        UsageError: If it is not.
    """
    return check_count(name, value, most=LONGEST, why="a run must come to an end")


@dataclass(frozen=True, slots=True, kw_only=True)
class MamlConfig:
    """One activation, one seed, meta-learned with MAML.

    The defaults are the paper's where the paper has one (section 4.5 and its authors' code).

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights and of the training episodes.
        dataset: Built-in or downloadable name, folder of class folders, or `.npz` pack.
        hold_out: What the test part does not share with training: "classes" or "images";
            None takes what suits the data set.
        model: "mnist-conv" or "conv4".
        batch_norm: "batch" or "off"; None takes what the model was published with.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class in training episodes; None is `shots` under the paper's
            protocol and 15 otherwise.
        test_queries: Query images per class in validation and test episodes.
        inner_steps: Gradient steps on the support images.
        test_inner_steps: The same in testing; None is `inner_steps`.
        inner_lr: Learning rate of those steps.
        meta_lr: Adam's learning rate on the meta-parameters.
        tasks: Episodes per meta-batch.
        task_pool: Number of training episodes, drawn once and then reused at random; 0 draws fresh
            ones for every meta-batch; None is 1000 under the paper's protocol, as its authors'
            code does, and 0 otherwise.
        iterations: Meta-updates.
        first_order: Ignore second derivatives (FOMAML).
        head_only: Adapt only the last linear layer in the inner loop (ANIL).
        protocol: "held-out" or "paper".
        engine: "vectorised", "loop" or "learn2learn".
        test_episodes: Frozen test episodes.
        validation_episodes: Frozen validation episodes, evaluated along the way.
        validation_every: Iterations between two validations.
        replacement: Whether an image may occur in several test episodes.
    """

    activation: str = "arelu"
    seed: int = 0
    dataset: str = "glyphs"
    hold_out: str | None = None
    model: str = "mnist-conv"
    batch_norm: str | None = None
    ways: int = 5
    shots: int = 1
    queries: int | None = None
    test_queries: int = 15
    inner_steps: int = 5
    test_inner_steps: int | None = None
    inner_lr: float = 0.005
    meta_lr: float = 0.005
    tasks: int = 32
    task_pool: int | None = None
    iterations: int = 100
    first_order: bool = False
    head_only: bool = False
    protocol: str = "held-out"
    engine: str = "vectorised"
    test_episodes: int = 600
    validation_episodes: int = 100
    validation_every: int = 20
    replacement: bool = True

    def __post_init__(self) -> None:
        check_int("seed", self.seed, minimum=0)
        check_int("ways", self.ways, minimum=2)
        for name in ("shots", "test_queries", "tasks"):
            check_int(name, getattr(self, name), minimum=1)
        check_length("iterations", self.iterations)
        check_count("inner_steps", self.inner_steps, most=MOST_STEPS, why=_KEPT)
        if self.queries is not None:
            check_int("queries", self.queries, minimum=1)
        if self.test_inner_steps is not None:
            check_count("test_inner_steps", self.test_inner_steps, most=MOST_STEPS, why=_KEPT)
        check_int("test_episodes", self.test_episodes, minimum=2, why="an interval needs two")
        check_int("validation_episodes", self.validation_episodes, minimum=2)
        check_int("validation_every", self.validation_every, minimum=1)
        check_rate("inner_lr", self.inner_lr)
        check_rate("meta_lr", self.meta_lr)
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_choice("engine", self.engine, ENGINES)
        check_choice("model", self.model, MODELS)
        if self.batch_norm is None:
            published = "batch" if self.model == "conv4" else "off"
            object.__setattr__(self, "batch_norm", published)
        if self.queries is None:
            queries = self.shots if self.protocol == "paper" else 15
            object.__setattr__(self, "queries", queries)
        if self.task_pool is None:
            object.__setattr__(self, "task_pool", 1000 if self.protocol == "paper" else 0)
        check_int("task_pool", self.task_pool, minimum=0)
        if self.test_inner_steps is None:
            object.__setattr__(self, "test_inner_steps", self.inner_steps)

    @property
    def chance(self) -> float:
        """Accuracy of guessing, in 0..1."""
        return 1 / self.ways

    def fields(self) -> dict[str, object]:
        """All settings by name, as they enter the run's identity."""
        assert all(not isinstance(v, float) or math.isfinite(v) for v in asdict(self).values())
        return asdict(self)
