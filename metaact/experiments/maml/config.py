"""The settings of one run of `metaact maml`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.adaptation.choices import ENGINES
from metaact.experiments import declared
from metaact.settings import Config, check, count, counted, fill, setting

MOST_STEPS = 10_000
"""Inner steps of one adaptation; the meta-gradient keeps the graph of every one of them."""

BATCH_NORM = ("batch", "group", "off")
"""Normalisation that leaves nothing behind."""

_LEAK = "running statistics would leak from task to task"

_KEPT = "the graph of every step is kept in memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class MamlConfig(Config):
    """One activation, one seed, meta-learned with MAML.

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
        batch_norm: "batch", "group" or "off", see `metaact.models.BATCH_NORM`; None is "batch" for
            a network with BatchNorm, and "off" for one without.
        ways: Classes per episode.
        shots: Support images per class.
        queries: Query images per class in training episodes; None is `shots` under the paper's
            protocol and 15 otherwise.
        test_queries: Query images per class in validation and test episodes.
        inner_steps: Gradient steps on the support images.
        test_inner_steps: The same in testing; None is `inner_steps`.
        inner_lr: Learning rate of those steps.
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
        validation_every: Iterations between two validations.
        replacement: Whether an image may occur in several test episodes.
        chunk_size: Tasks computed at a time; None is the engine's choice. Bounds memory, changes
            no result beyond rounding.
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
    batch_norm: str | None = declared.batch_norm("batch", choices=BATCH_NORM, why=_LEAK)
    queries: int | None = count(
        None,
        "Query images per class in training.",
        role="data",
        unset="15; the paper's protocol: as many as shots",
    )
    test_queries: int = count(15, "Query images per class in testing.", role="data")
    inner_steps: int = count(
        5,
        "Inner gradient steps.",
        role="training",
        most=MOST_STEPS,
        why_most=_KEPT,
        aliases=("--steps",),
    )
    test_inner_steps: int | None = count(
        None,
        "Inner steps in testing.",
        role="training",
        most=MOST_STEPS,
        why_most=_KEPT,
        unset="as in training",
        aliases=("--test-steps",),
    )
    inner_lr: float = declared.rate(0.005, "Learning rate of the inner steps.")
    meta_lr: float = setting(
        0.005,
        "Learning rate of Adam, which makes the meta-updates.",
        role="rate",
        aliases=("--lr",),
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
    first_order: bool = setting(False, "Ignore second derivatives (FOMAML).", role="training")
    head_only: bool = setting(False, "Adapt only the last layer (ANIL).", role="training")
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
    validation_every: int = count(20, "Iterations between two validations.", role="observation")
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

    def __post_init__(self) -> None:
        check(self)
        paper = self.protocol == "paper"
        declared.fill_batch_norm(self, "batch")
        fill(self, "queries", self.shots if paper else 15)
        fill(self, "task_pool", 1000 if paper else 0)
        fill(self, "test_inner_steps", self.inner_steps)
