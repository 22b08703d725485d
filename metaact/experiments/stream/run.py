"""Train networks on their streams side by side, and record the online score of every bin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metaact import activations, models
from metaact.experiments.experiment import Member, Planned, Prepared
from metaact.experiments.loop import train
from metaact.experiments.networks import run_name
from metaact.experiments.timing import seconds_of

from . import measure
from .config import StreamConfig
from .course import Subject
from .images import Pictures
from .learner import OnlineLearner, advance, learn
from .regression import Regression

TIMED = 1000
"""Examples that are timed."""

SHARED = (
    "Each seed has its own stream, which all arms share; what a rate is chosen by is the online "
    "{score} of the seeds that choose."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams(Prepared):
    """What every arm and seed of one comparison share.

    Attributes:
        subject: What the streams are made of.
        sizes: How many runs a group has.
    """

    subject: Subject
    sizes: Counter[StreamConfig]


def prepare(
    configs: Sequence[StreamConfig], *, root: Path | None = None, device: str = "cpu"
) -> Streams:
    """Make the first stream, and try every arm once.

    Args:
        configs: Runs that share stream and tasks.
        root: Data root; None for the default.
        device: Where to compute.

    Raises:
        UsageError: If an activation is unknown, or does not fit the network or the network the
            images.
        DataError: If the data cannot be had.
    """
    of_images = configs[0].of_images
    subject: Subject = (
        Pictures(configs, root=root, device=device)
        if of_images
        else Regression(configs, device=device)
    )
    return Streams(
        data=subject.data,
        device=device,
        normalisation={},
        validated=True,
        notes=(SHARED.format(score="accuracy" if of_images else "error"), *subject.notes),
        subject=subject,
        sizes=Counter(group_of(config) for config in configs),
    )


def group_of(config: StreamConfig) -> StreamConfig:
    """What runs have in common that are computed side by side."""
    return replace(config, seed=0, lr=1.0)


def plan(configs: Sequence[StreamConfig], shared: Streams) -> list[Planned]:
    """One run for each config; every setting names it."""
    return [_planned(config, shared) for config in configs]


def _planned(config: StreamConfig, shared: Streams) -> Planned:
    identity = {
        **config.fields(),
        "stream_sha256": shared.subject.sha256,
        **activations.source_identity(config.activation),
        **models.source_identity(config.model),
    }
    data = (Path(config.dataset).stem,) if config.dataset else ()
    return Planned(
        config=config,
        kind="stream",
        name=run_name(
            *data,
            f"{config.stream}-{config.optimizer}-lr{config.lr:g}",
            activation=config.activation,
            seed=config.seed,
        ),
        label=f"{config.activation} {config.optimizer} lr {config.lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.length,
        points=(1,) if config.length > 1 else (),
        group=group_of(config),
        together=1 if shared.subject.alone(config) else config.stack,
    )


def execute(
    members: Sequence[Member], shared: Streams, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Learn bin after bin, or continue where it stopped.

    On a CPU a run's numbers do not depend on its companions at all: `tests/adaptation/test_online`,
    `test_classifiers`.
    """
    subject = shared.subject
    course = subject.course(members[0].planned.config)

    def make(member: Member) -> OnlineLearner:
        config = member.planned.config
        return OnlineLearner(config, course, subject.stream(config))

    train(members, make, advance, tick=tick)


def estimate(planned: Planned, shared: Streams) -> float:
    """Seconds that a run takes beside the others of its group, from some steps of all of them."""
    config: StreamConfig = planned.config
    timed = max(1, TIMED // config.batch) * config.batch
    short = replace(config, bin_steps=timed)
    subject = shared.subject
    course, count = subject.course(config), min(planned.together, shared.sizes[group_of(config)])
    streams = {seed: subject.stream(replace(config, seed=seed)) for seed in range(count)}
    learners = [
        OnlineLearner(replace(short, seed=seed), course, stream) for seed, stream in streams.items()
    ]
    steps = seconds_of(lambda: learn(learners, streams), repeats=1) / timed * config.bin
    looks = seconds_of(lambda: course.look(list(streams.values()), timed, range(count)), repeats=1)
    return (steps + looks) * config.length / count
