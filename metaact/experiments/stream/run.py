"""Train networks on their streams side by side, and record the online error of every bin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from metaact import activations
from metaact.adaptation.online import Layout, OnlineNets, is_stackable, layout_of
from metaact.experiments.experiment import Member, Planned, Prepared
from metaact.experiments.loop import train
from metaact.experiments.networks import gain_notes, run_name
from metaact.experiments.timing import seconds_of
from metaact.tasks.streams.regression import SlowlyChanging

from . import measure
from .config import StreamConfig
from .learner import OnlineLearner, advance, gain_of

TIMED = 1000
"""Steps that are timed."""

CHECKED = 20_000
"""Examples of the first stream whose hash names every run: another stream, another run."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streams(Prepared):
    """What every arm and seed of one comparison share.

    Attributes:
        layouts: How the numbers of a network lie, by arm.
        stackable: Whether networks of an arm can be computed side by side.
        sizes: How many runs a group has.
        sha256: Hash of the beginning of the stream of seed 0.
    """

    layouts: dict[str, Layout]
    stackable: dict[str, bool]
    sizes: Counter[StreamConfig]
    sha256: str


def prepare(
    configs: Sequence[StreamConfig], *, root: Path | None = None, device: str = "cpu"
) -> Streams:
    """Make the first stream, and try every arm's activation once.

    Args:
        configs: Runs that share stream and tasks.
        root: Not needed: there are no data.
        device: Where to compute.

    Raises:
        UsageError: If an activation is unknown or does not fit the number of units.
    """
    first = configs[0]
    layouts, stackable = {}, {}
    for config in {c.activation: c for c in configs}.values():
        activation, layout = network(config)
        layouts[config.activation] = layout
        stackable[config.activation] = is_stackable(activation, layout.hidden)
    sha256 = "".join(b.sha256() for b in stream_of(replace(first, seed=0)).blocks(0, CHECKED))
    return Streams(
        data={
            "official": True,
            "stream": {
                "dataset": "slowly changing regression",
                "official": True,
                "note": "made as Dohare et al. (2024) describe it",
                "sha256": sha256[:64],
            },
        },
        device=device,
        normalisation={},
        validated=True,
        notes=notes(configs, layouts),
        layouts=layouts,
        stackable=stackable,
        sizes=Counter(group_of(config) for config in configs),
        sha256=sha256[:64],
    )


def notes(configs: Sequence[StreamConfig], layouts: dict[str, Layout]) -> tuple[str, ...]:
    """What a reader must know of the streams and the networks."""
    found = [
        "Each seed has its own stream, which all arms share; what a rate is chosen by is the "
        "online error of the seeds that choose."
    ]
    found += gain_notes(configs, gain_of)
    for name, layout in layouts.items():
        if layout.features != layout.hidden:
            found.append(f"{name}: {layout.hidden} units give {layout.features} features.")
    return tuple(found)


def network(config: StreamConfig) -> tuple[nn.Module, Layout]:
    """A fresh activation and the layout of a network with it.

    Where the activation joins units, as Maxout does, as many are made as give `hidden`.
    """
    entry = activations.resolve(config.activation)
    width = entry.before(config.hidden) if entry.width_factor < 1 else config.hidden
    activation = entry.factory()
    return activation, layout_of(activation, inputs=20, hidden=width)


def stream_of(config: StreamConfig) -> SlowlyChanging:
    """The stream of a run's seed, from its beginning."""
    return SlowlyChanging(
        config.seed, every=config.task_steps, change=config.change, target=config.target
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
        "stream_sha256": shared.sha256,
        **activations.source_identity(config.activation),
    }
    stem = f"{config.stream}-{config.optimizer}-lr{config.lr:g}"
    return Planned(
        config=config,
        kind="stream",
        name=run_name(stem, activation=config.activation, seed=config.seed),
        label=f"{config.activation} {config.optimizer} lr {config.lr:g} seed {config.seed}",
        identity=identity,
        measure=measure(identity, shared.data),
        length=config.bins,
        points=(1,) if config.bins > 1 else (),
        group=group_of(config),
        together=config.stack if shared.stackable[config.activation] else 1,
    )


def execute(
    members: Sequence[Member], shared: Streams, *, tick: Callable[[], None] = lambda: None
) -> None:
    """Learn bin after bin, or continue where it stopped.

    A run's numbers do not depend on its companions at all: `tests/adaptation/test_online.py`.
    """
    nets = nets_of(members[0].planned.config, shared)

    def make(member: Member) -> OnlineLearner:
        config = member.planned.config
        return OnlineLearner(config, nets, stream_of(config), device=shared.device)

    train(members, make, advance, tick=tick)


def estimate(planned: Planned, shared: Streams) -> float:
    """Seconds that a run takes beside the others of its group, from a short bin of all of them."""
    config: StreamConfig = planned.config
    short = replace(config, bin_steps=TIMED)
    nets, count = nets_of(config, shared), min(planned.together, shared.sizes[group_of(config)])
    configs = [replace(short, seed=seed) for seed in range(count)]
    learners = [OnlineLearner(c, nets, stream_of(c), device=shared.device) for c in configs]
    seconds = seconds_of(lambda: advance(learners), repeats=1)
    steps: int = config.bin_steps * config.bins
    return seconds / TIMED * steps / count


def nets_of(config: StreamConfig, shared: Streams) -> OnlineNets:
    """What computes all runs of one activation and optimizer."""
    activation, layout = network(config)
    stacked = shared.stackable[config.activation]
    return OnlineNets(
        activation.to(shared.device), layout, optimizer=config.optimizer, stacked=stacked
    )
