"""The settings of one run of `metaact maml`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.adaptation.choices import ENGINES
from metaact.adaptation.episodic.algorithms.table import ALGORITHMS, check_engine, readers
from metaact.experiments import declared
from metaact.settings import (
    Config,
    check,
    count,
    counted,
    fill,
    setting,
    settle,
)

MOST_STEPS = 10_000
"""Inner steps of one adaptation; the meta-gradient keeps the graph of every one of them."""

BATCH_NORM = ("batch", "group", "off")
"""Normalisation that leaves nothing behind."""

_LEAK = "running statistics would leak from task to task"

_KEPT = "the graph of every step is kept in memory"


def _only(name: str) -> tuple[str, tuple[str, ...]]:
    """The algorithms that read a setting."""
    return "algorithm", readers(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MamlConfig(Config):
    """One activation, one seed, meta-learned with one algorithm.

    The defaults are the paper's where the paper has one (section 4.5 and its authors' code).

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights and of the training episodes.
        dataset: Built-in or downloadable name, folder of class folders, or `.npz` pack.
        hold_out: What the test part does not share with training: "classes", "images" or "groups";
            None takes what suits the data set.
        size: Height and width that images are brought to; None for what the network takes.
        channels: Colour channels that images are brought to, 1 or 3; None for theirs.
        model: A network, as `metaact.models.create` names it.
        init: One of `metaact.models.INITS`: with which gain layers that feed an activation start.
        batch_norm: "batch", "group" or "off", see `metaact.models.BATCH_NORM`; None is "batch" for
            a network with BatchNorm, and "off" for one without.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class in training episodes; None is `shots` under the paper's
            protocol and 15 otherwise.
        test_queries: Query images per class in validation and test episodes.
        algorithm: One of `metaact.adaptation.ALGORITHMS`; None is "fomaml" with `first_order`,
            "anil" with `head_only`, else "maml". What it does not read must be left out.
        inner_steps: Gradient steps on the support images.
        test_inner_steps: The same in testing; None is `inner_steps`.
        inner_lr: Learning rate of those steps, or where learned rates start.
        inner_clip: Largest norm of a task's gradient in an inner step; 0 scales none.
        multi_step: Iterations over which MAML++'s loss after every step fades; None is a tenth.
        outer_step: Reptile's step from the start values to the mean of what tasks adapted to.
        meta_lr: Learning rate of Adam, which makes the meta-updates.
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
        validation_every: Iterations between two validations; None is a fifth of the iterations,
            at most 20, so that a short run has a learning curve.
        replacement: Whether an image may occur in several test episodes.
        chunk_size: Tasks computed at a time; None is the engine's choice. Bounds memory, changes
            no result beyond rounding.
        stack: Largest number of runs trained in one vectorised call; None decides by the device.
    """

    activation: str = declared.activation()
    seed: int = declared.seed("the weights and of the training episodes")
    dataset: str = declared.dataset("glyphs")
    ways: int = count(5, "Classes per episode.", role="data", least=2, words="{}-way", always=True)
    shots: int = count(1, "Support images per class.", role="data", words="{}-shot", always=True)
    hold_out: str | None = setting(
        None,
        "What the test part holds out of training: whole classes, images of the same classes, or "
        "whole groups of classes (alphabets) of your own data.",
        role="data",
        choices=("classes", "images", "groups"),
        unset="depends on the data set",
        words="held-out {}",
        always=True,
    )
    size: int | None = declared.size()
    channels: int | None = declared.channels()
    model: str = declared.model()
    init: str = declared.init()
    batch_norm: str | None = declared.batch_norm("batch", choices=BATCH_NORM, why=_LEAK)
    queries: int | None = count(
        None,
        "Query images per class in training.",
        role="data",
        unset="15; the paper's protocol: as many as shots",
    )
    test_queries: int = count(15, "Query images per class in testing.", role="data")
    algorithm: str | None = setting(
        None,
        "How the network adapts and what is learned over tasks; several are compared with --by "
        "algorithm.",
        role="training",
        choices=tuple(ALGORITHMS),
        unset="maml; fomaml with --first-order, anil with --head-only",
        words={name: row.words for name, row in ALGORITHMS.items()},
        implies={name: row.implies for name, row in ALGORITHMS.items() if row.implies},
        added=True,
    )
    inner_steps: int = count(
        5,
        "Inner gradient steps.",
        role="training",
        only=_only("inner_steps"),
        most=MOST_STEPS,
        why_most=_KEPT,
        aliases=("--steps",),
    )
    test_inner_steps: int | None = count(
        None,
        "Inner steps in testing.",
        role="training",
        only=_only("test_inner_steps"),
        most=MOST_STEPS,
        why_most=_KEPT,
        unset="as in training",
        aliases=("--test-steps",),
    )
    inner_lr: float = setting(
        0.005, "Learning rate of the inner steps.", role="rate", only=_only("inner_lr")
    )
    inner_clip: float = setting(
        0.0,
        "Largest norm of a task's gradient in an inner step, which is scaled to it; 0: as it is.",
        role="training",
        minimum=0,
        only=_only("inner_clip"),
        added=True,
    )
    multi_step: int | None = count(
        None,
        "Iterations over which the loss after every inner step fades to that after the last.",
        role="training",
        least=0,
        unset="a tenth of the iterations",
        only=_only("multi_step"),
        added=True,
    )
    meta_lr: float = setting(
        0.005,
        "Learning rate of Adam, which makes the meta-updates.",
        role="rate",
        aliases=("--lr",),
        only=_only("meta_lr"),
    )
    outer_step: float = setting(
        1.0,
        "Step from the start values to the mean of what the tasks adapted to.",
        role="rate",
        only=_only("outer_step"),
        added=True,
    )
    tasks: int = count(32, "Episodes per meta-batch.", role="data")
    task_pool: int | None = count(
        None,
        "Training episodes drawn once and reused; 0: always fresh.",
        role="data",
        least=0,
        unset="0; the paper's protocol: 1000",
    )
    iterations: int = declared.length(100, "Meta-updates.", words=counted("iteration"), always=True)
    first_order: bool = setting(
        False,
        "Ignore second derivatives (FOMAML).",
        role="training",
        only=_only("first_order"),
    )
    head_only: bool = setting(
        False, "Adapt only the last layer (ANIL).", role="training", only=_only("head_only")
    )
    protocol: str = declared.protocol(
        declared.PROTOCOLS,
        "held-out: frozen test episodes. paper: also the best training iteration, the authors' "
        "forms of gelu, maxout, pau and slaf, as many queries as shots, a pool of 1000 training "
        "episodes, and the gap between the two.",
    )
    # Another engine computes the same up to rounding, which training amplifies: a run of its own,
    # which may be compared with the others.
    engine: str = setting(
        "vectorised",
        "How tasks are adapted. All engines compute the same up to rounding, which training "
        "amplifies.",
        role="observation",
        group="Computation",
        choices=ENGINES,
    )
    test_episodes: int = count(
        600, "Frozen test episodes.", role="data", least=2, why="an interval needs two"
    )
    validation_episodes: int = count(
        100, "Frozen validation episodes.", role="observation", least=2
    )
    validation_every: int | None = count(
        None,
        "Iterations between two validations.",
        role="observation",
        unset="20; of fewer than 100 iterations a fifth of them",
    )
    replacement: bool = setting(
        True,
        "Whether an image may occur in several test episodes (Lafargue et al., 2024).",
        role="data",
        off="--without-replacement",
        words={False: "episodes without replacement", True: "episodes with replacement"},
    )
    chunk_size: int | None = count(
        None,
        "Tasks computed at a time: bounds memory.",
        role="computation",
        unset="chosen by the engine",
    )
    stack: int | None = declared.stack()

    @property
    def fading(self) -> int:
        """Iterations over which MAML++'s loss after every step fades."""
        return self.iterations // 10 if self.multi_step is None else self.multi_step

    def __post_init__(self) -> None:
        check(self)
        settle(self, "algorithm")
        check_engine(str(self.algorithm), self.engine, inner_clip=self.inner_clip)
        paper = self.protocol == "paper"
        declared.fill_batch_norm(self, "batch")
        fill(self, "queries", self.shots if paper else 15)
        fill(self, "task_pool", 1000 if paper else 0)
        fill(self, "validation_every", min(20, max(1, self.iterations // 5)))
        if self.algorithm in readers("test_inner_steps"):
            fill(self, "test_inner_steps", self.inner_steps)
