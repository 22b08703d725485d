"""Meta-learn one activation with one algorithm and measure it on frozen held-out episodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from metaact import activations, analysis, tasks
from metaact.adaptation import import_learn2learn
from metaact.adaptation.episodic.algorithms.table import find as find_algorithm
from metaact.adaptation.episodic.second_order import REMEDY, lost_terms
from metaact.errors import UsageError, renamed
from metaact.experiments.experiment import EXAMPLE_WIDTH, Example, Member, Planned
from metaact.experiments.loop import train_together
from metaact.experiments.networks import (
    form_notes,
    gain_notes,
    most_together,
    run_name,
    signature,
    size_for,
    source_identity,
)
from metaact.experiments.timing import seconds_of
from metaact.models import is_foreign
from metaact.randomness import isolated_rng, preserved_rng
from metaact.settings import LONGEST, in_words, is_read, with_role

from . import measure
from .config import MamlConfig
from .episodes import EpisodeData, training_batches
from .learner import Advance, Learner, build, learner_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_SEED = 20_200_623
"""Seed of the frozen episodes: one for all runs, so that arms and seeds are paired."""

WAYS, QUERIES, SHOTS = 8, 5, 4
"""What is shown of an episode at most."""


def prepare(
    configs: Sequence[MamlConfig], *, root: Path | None = None, device: str = "cpu"
) -> EpisodeData:
    """Load and verify the data, draw the frozen episodes, and try every arm's network once.

    Args:
        configs: Runs that share data and episodes.
        root: Data root; None for the default.
        device: Where the images are to reside.

    Returns:
        What all runs of the comparison share.

    Raises:
        UsageError: If the episodes asked for do not fit the data, or a network cannot be built.
        DataError: If the data cannot be had.
        MissingDependencyError: If the engine "learn2learn" is asked for and not installed.
    """
    config = configs[0]
    if any(one.engine == "learn2learn" for one in configs):
        import_learn2learn()  # missing, it would fail every run after its directory was made
    split = tasks.split(
        config.dataset,
        root=root,
        hold_out=config.hold_out,
        validation=0 if config.protocol == "paper" else None,
        size=size_for(configs),
        channels=config.channels,
    )
    mean, std = tasks.statistics(split.train)

    def frozen(
        images: tasks.Images, episodes: int, seed: int, *, replacement: bool = True
    ) -> tasks.FrozenEpisodes:
        with renamed(queries="test_queries", episodes="test_episodes"):
            return tasks.frozen(
                images,
                ways=config.ways,
                shots=config.shots,
                queries=config.test_queries,
                episodes=episodes,
                seed=seed,
                replacement=replacement,
                mean=mean,
                std=std,
                device=device,
            )

    test = frozen(split.test, config.test_episodes, TEST_SEED, replacement=config.replacement)
    validation = None
    if split.validation is not None:
        # Always with replacement: it serves choices and no interval, and the part is small.
        validation = frozen(split.validation, config.validation_episodes, TEST_SEED + 1)
    example = Example(
        kind="episodes",
        sha256=test.sha256,
        caption="The first frozen test episode.",
        draw=lambda: _picture(test, split.test),
    )
    shared = EpisodeData(
        data=split.provenance(),
        device=device,
        normalisation={"mean": list(mean), "std": list(std), "scale": "pixels in 0..1"},
        validated=validation is not None,
        examples=(example,),
        notes=(*form_notes(split.train), *gain_notes(configs)),
        split=split,
        mean=mean,
        std=std,
        test=test,
        validation=validation,
        identity={
            "train_sha256": split.train.sha256(),
            "test_episodes_sha256": test.sha256,
        },
    )
    training_batches(config, shared)  # refuses here, before any run directory exists
    for one in {(c.activation, c.model, c.batch_norm): c for c in configs}.values():
        _try_out(one, shared)
    return shared


def _try_out(config: MamlConfig, shared: EpisodeData) -> None:
    """Build the network of an arm; adapt another's and differentiate, as nobody knows what it does.

    The loss is differentiated by `backward`, which visits all of its graph: `torch.autograd.grad`
    passes by what has no second derivative, and would leave its terms out without a word.

    Raises:
        UsageError: If that cannot be; it names the remedy.
    """
    arm = activations.resolve(config.activation, config.forms)
    classes = shared.split.train.classes
    model = build(config, shared)
    if arm.kind == "user" and learner_of(config, model, classes=classes).second_order:
        with preserved_rng():
            why = lost_terms(arm.factory(), torch.linspace(-3, 3, 72).reshape(2, 4, 3, 3))
        if why:
            raise UsageError(
                "`activation` must have exact second derivatives to be meta-learned by "
                f"second-order steps ({why}); take --first-order, or write its backward pass of "
                f"differentiable operations ({REMEDY}); got {config.activation!r}."
            )
    if not is_foreign(config.model):
        return
    batch = training_batches(config, shared)(0)
    # As many as a share of this network has: what goes task by task is not vectorised.
    some = min(2, -(-len(batch) // learner_of(config, model, classes=classes).shares(batch)))
    tried = replace(config, inner_steps=1, chunk_size=some)
    try:
        with isolated_rng("maml", config.seed, 0):
            learner = learner_of(tried, model, classes=classes)
            torch.autograd.backward(learner.evaluate(batch[:some]).loss)
    except (RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        order = "once" if config.first_order else "twice (--first-order: once)"
        raise UsageError(
            f"`model` must be differentiable {order} to be meta-learned ({reason}); got "
            f"{config.model!r}."
        ) from error


def plan(configs: Sequence[MamlConfig], shared: EpisodeData) -> list[Planned]:
    """One run for each config; every setting and the data's content name it."""
    return [_planned(config, shared) for config in configs]


def _planned(config: MamlConfig, shared: EpisodeData) -> Planned:
    identity = {
        **config.fields(),
        "hold_out": shared.split.held_out,
        **shared.identity,
        **source_identity(config),
    }
    stem = f"{Path(config.dataset).stem}-{config.ways}way-{config.shots}shot"
    return Planned(
        config=config,
        kind="maml",
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} {_rates(config)} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.iterations,
        group=_group(config),
        together=most_together(config.stack, shared.device),
        signature=signature(shared.split.train, ways=config.ways),
    )


def _group(config: MamlConfig) -> object:
    """Equal for runs that may be trained in one call; None for one that is always alone."""
    assert config.algorithm is not None
    if not find_algorithm(config.algorithm).stacks:
        return None
    arm = config.activation if config.algorithm == "metasgd" else "relu"
    return replace(config, activation=arm, seed=0, inner_lr=1.0, meta_lr=1.0)


def _rates(config: MamlConfig) -> str:
    """The learning rates that the algorithm has."""
    read = [
        one
        for one in with_role(MamlConfig, "rate")
        if is_read(one, {"algorithm": config.algorithm})
    ]
    return " ".join(in_words(one.name, getattr(config, one.name)) for one in read)


def execute(
    members: Sequence[Member], shared: EpisodeData, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Meta-train, validate along the way, test, and finish; or continue where it stopped."""
    train_together(
        members, lambda member: Learner(member.planned.config, shared), Advance(), tick=tick
    )


def estimate(planned: Planned, shared: EpisodeData) -> float:
    """Seconds that a run takes: its meta-updates, its validations and its test, as timed."""
    config: MamlConfig = planned.config
    learner = Learner(replace(config, iterations=LONGEST, validation_every=LONGEST), shared)
    update = seconds_of(learner.step)
    batch = next(shared.test.batches(config.tasks))
    episodes = len(shared.test)
    if shared.validation is not None:
        assert config.validation_every is not None
        episodes += len(shared.validation) * -(-config.iterations // config.validation_every)
    tested = seconds_of(lambda: learner.learner.test(batch, inner_steps=config.test_inner_steps))
    return update * config.iterations + tested * episodes / len(batch)


def _picture(test: tasks.FrozenEpisodes, images: tasks.Images) -> Figure:
    """The first episode, from the raw bytes: support images left, query images right."""
    episode = test.indices[0]
    ways, rows = len(episode), episode[:WAYS]
    left_out = len(rows) < ways
    support = rows[:, : min(test.shots, SHOTS)]
    query = rows[:, test.shots :][:, :QUERIES]
    pixels, labels = images.pixels.cpu(), images.labels.cpu()
    return analysis.episode_sheet(
        pixels[support.reshape(-1)].numpy(),
        [way for way, row in enumerate(support) for _ in row],
        pixels[query.reshape(-1)].numpy(),
        [way for way, row in enumerate(query) for _ in row],
        class_names=[images.class_names[int(labels[row[0]])] for row in rows],
        title="the first test episode" + (f": {len(rows)} of {ways} classes" if left_out else ""),
        width=EXAMPLE_WIDTH,
    )
