"""The networks that are explained: of every arm and seed the trained one, and one that is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from metaact.errors import RunError, UsageError
from metaact.experiments.evidence import Arm, Record, Study
from metaact.experiments.networks import network
from metaact.experiments.trained import META_LEARNED, Trained, load
from metaact.experiments.words import title

from .scene import Scene

UNTRAINED = 1_000_003
"""Added to the seed of a run for the weights of the network that nobody trained: no run has it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One trained network, ready to be explained on a scene.

    Attributes:
        arm: Name of its arm.
        seed: Its training seed.
        network: The network, adapted to the scene's support images where it was meta-learned.
        random: The same network with new random weights, never trained and never adapted.
        images: The scene's images as both take them.
    """

    arm: str
    seed: int
    network: nn.Module
    random: nn.Module
    images: Tensor


def one_study(studies: Sequence[Study]) -> Study:
    """The only study there is, not counting baselines.

    Raises:
        UsageError: If there are several.
    """
    found = [one for one in studies if not one.experiment.baseline(one.settings)] or [*studies]
    if len(found) > 1:
        named = "; ".join(title(one.experiment, one.settings, at=one.at) for one in found[:4])
        raise UsageError(
            f"`runs` must be of one study (its arms are compared on the same images); got "
            f"{len(found)}: {named}."
        )
    return found[0]


def with_weights(study: Study) -> dict[str, list[Record]]:
    """The runs of each arm that have trained a network, by name of the arm.

    Raises:
        RunError: If an arm has none.
    """
    found = {arm.name: list(_usable(arm)) for arm in study.arms}
    for name, records in found.items():
        if not records:
            raise RunError(
                f"no run of {name} has weights (all of its runs diverged); leave the arm out by "
                "--activation."
            )
    return found


def _usable(arm: Arm) -> Iterator[Record]:
    return (record for record in arm.scored if record.result.get("outcome") == "complete")


def trained_of(record: Record, *, device: str) -> Trained:
    """The network of a run.

    Raises:
        RunError: If it has no weights, or they do not fit.
    """
    return load(record.run, device=device)


def subject(name: str, trained: Trained, scene: Scene) -> Subject:
    """A network ready for a scene.

    Args:
        name: Name of its arm.
        trained: The network.
        scene: The images.
    """
    config: Any = trained.config
    device = str(next(trained.parameters()).device)
    ready = trained
    if trained.run.kind == META_LEARNED:
        assert scene.support is not None
        ready = trained.adapt(scene.support.pixels, scene.support.labels)
    random = network(
        replace(config, seed=config.seed + UNTRAINED),
        trained.signature,
        classes=trained.signature.outputs,
        device=device,
    )
    return Subject(
        arm=name,
        seed=int(config.seed),
        network=ready.network,
        random=random.eval(),
        images=ready.normalised(scene.pixels),
    )
