"""How well-focused the maps of an arm are, beside random weights and a prior at the centre."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metaact import analysis
from metaact.analysis.bounds import Array
from metaact.analysis.focus import (
    Difference,
    centre_prior,
    compare_gains,
    curve_area,
    energy_inside,
)

from .cam import CamMaps, grad_cam, logits_of
from .curves import deletion_curve, insertion_curve
from .scene import UNKNOWN, Scene
from .subjects import Subject

ENERGY, DELETION, INSERTION = "energy in the box", "deletion area", "insertion area"

LOWER_IS_BETTER = (DELETION,)

RANDOM, CENTRE = "random weights", "the centre"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Marks:
    """What the maps of one network score, per image.

    Attributes:
        cam: The maps of the trained network.
        own: Scores of these [images], by measure.
        random: Scores of the maps of random weights.
        centre: Scores of the prior at the centre.
    """

    cam: CamMaps
    own: Mapping[str, Array]
    random: Mapping[str, Array]
    centre: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusScore:
    """One measure of one arm at one layer.

    Attributes:
        layer: The layer as it was asked for.
        measure: What was measured.
        arm: Name of the arm.
        score: Of its maps, with an interval.
        random: Of the maps of the same networks with random weights, on the trained networks.
        centre: Of a Gaussian at the centre of each image, on the trained networks.
        over_random: Gain over random weights; positive is better, whatever the measure.
        over_centre: Gain over the centre.
        versus: The gain over the centre against that of the reference; None for the reference, or
            where no seed is shared.
        blank: Share of the maps that have nothing positive.
        images: Images measured.
        seeds: Training seeds.
    """

    layer: str
    measure: str
    arm: str
    score: analysis.Interval
    random: analysis.Interval
    centre: analysis.Interval
    over_random: analysis.Comparison
    over_centre: analysis.Comparison
    versus: analysis.Comparison | None
    blank: float
    images: int
    seeds: tuple[int, ...]


def marks(subject: Subject, scene: Scene, layer: str, *, measured: bool = True) -> Marks:
    """Maps of one network at one layer, and what they score.

    The class explained is the true one where it is known, so that all arms answer one question;
    else the one that the network answers.

    Args:
        subject: The network.
        scene: The images.
        layer: The layer.
        measured: Whether scores are asked for, or the maps alone.
    """
    cam = grad_cam(subject.network, subject.images, _classes(subject, scene), layer=layer)
    if not measured:
        return Marks(cam=cam, own={}, random={}, centre={})
    size = (subject.images.shape[2], subject.images.shape[3])
    random = grad_cam(subject.random, subject.images, cam.classes, layer=layer)
    prior = torch.from_numpy(centre_prior(*size)).to(subject.images)
    centre = prior.expand(len(scene), -1, -1)

    def scored(maps: Tensor) -> dict[str, Array]:
        return _scores(subject, scene, maps.nan_to_num(), cam.classes)

    return Marks(
        cam=cam,
        own=scored(cam.over(size)),
        random=scored(random.over(size)),
        centre=scored(centre),
    )


def _classes(subject: Subject, scene: Scene) -> Tensor | None:
    known = scene.labels != UNKNOWN
    if not bool(known.any()):
        return None
    if bool(known.all()):
        return scene.labels
    return torch.where(known, scene.labels, logits_of(subject.network, subject.images).argmax(1))


def _scores(subject: Subject, scene: Scene, maps: Tensor, classes: Tensor) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if scene.boxes is not None:
        found[ENERGY] = energy_inside(maps.cpu().numpy(), scene.boxes)
    curves: dict[str, Callable[..., Tensor]] = {
        DELETION: deletion_curve,
        INSERTION: insertion_curve,
    }
    for name, curve in curves.items():
        drawn = curve(subject.network, subject.images, maps, classes).cpu().double().numpy()
        found[name] = np.clip(curve_area(drawn), 0, 1)
    return found


def focus_scores(
    found: Mapping[str, Mapping[str, Mapping[int, Marks]]],
    *,
    references: Mapping[str, str | None],
    unit: str,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
) -> list[FocusScore]:
    """Intervals and comparisons of all measures, layers and arms: one family of questions.

    Args:
        found: Marks by layer, arm and seed.
        references: For each arm the one that it is compared with, or None.
        unit: What the images are.
        over: What intervals cover.
        level: Confidence level.
        margin: Differences that do not matter.
    """
    cases = [
        _Case(layer, measure, arm, by_seed)
        for layer, arms in found.items()
        for measure in _measures(arms)
        for arm, by_seed in arms.items()
    ]
    gains = [
        ((case.arm, f"{case.arm}, {RANDOM}"), case.better("own"), case.better("random"))
        for case in cases
    ]
    gains += [
        ((case.arm, f"{case.arm}, {CENTRE}"), case.better("own"), case.better("centre"))
        for case in cases
    ]
    asked: dict[int, int] = {}
    differences: list[Difference] = []
    for i, case in enumerate(cases):
        other = next((one for one in cases if one.is_reference_of(case, references)), None)
        seeds = [seed for seed in case.by_seed if other and seed in other.by_seed]
        if other is None or not seeds:
            continue
        asked[i] = len(differences)
        both = [(one.better("own", seeds), one.better("centre", seeds)) for one in (case, other)]
        differences.append(((case.arm, other.arm), both[0], both[1]))
    alone, between = compare_gains(
        gains,
        differences,
        unit=unit,
        over=over,
        level=level,
        margin=margin,
        aligned=len({tuple(case.by_seed) for case in cases}) == 1,
    )

    def interval(case: _Case, side: str) -> analysis.Interval:
        return analysis.estimate(
            case.matrix(side), unit=unit, trials_per_unit=None, over=over, level=level
        )

    return [
        FocusScore(
            layer=case.layer,
            measure=case.measure,
            arm=case.arm,
            score=interval(case, "own"),
            random=interval(case, "random"),
            centre=interval(case, "centre"),
            over_random=alone[i],
            over_centre=alone[len(cases) + i],
            versus=between[asked[i]] if i in asked else None,
            blank=float(np.mean([case.blank(seed) for seed in case.by_seed])),
            images=case.matrix("own").shape[1],
            seeds=tuple(case.by_seed),
        )
        for i, case in enumerate(cases)
    ]


def _measures(arms: Mapping[str, Mapping[int, Marks]]) -> Sequence[str]:
    return list(next(iter(next(iter(arms.values())).values())).own)


@dataclass(frozen=True, slots=True)
class _Case:
    """One measure of one arm at one layer, by seed."""

    layer: str
    measure: str
    arm: str
    by_seed: Mapping[int, Marks]

    def matrix(self, side: str, seeds: Sequence[int] | None = None) -> Array:
        """Scores [seeds, images] of the arm's own maps or of a baseline's."""
        chosen = self.by_seed if seeds is None else seeds
        sides = {"own": 0, "random": 1, "centre": 2}
        rows = [
            (m.own, m.random, m.centre)[sides[side]][self.measure]
            for m in (self.by_seed[seed] for seed in chosen)
        ]
        return np.stack(rows)

    def better(self, side: str, seeds: Sequence[int] | None = None) -> Array:
        """The same, turned so that higher is better."""
        found = self.matrix(side, seeds)
        return 1 - found if self.measure in LOWER_IS_BETTER else found

    def blank(self, seed: int) -> float:
        """Share of maps with nothing positive."""
        values = self.by_seed[seed].cam.values
        return float((~(values > 0).flatten(1).any(dim=1)).float().mean())

    def is_reference_of(self, other: _Case, references: Mapping[str, str | None]) -> bool:
        """Whether the other is compared with this one."""
        same = (self.layer, self.measure) == (other.layer, other.measure)
        return same and references.get(other.arm) == self.arm
