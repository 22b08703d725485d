"""What `metaact gradcam` and `metaact featuremaps` find in runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from metaact.errors import check_choice, check_int
from metaact.experiments.evidence import Arm, Study
from metaact.experiments.words import title
from metaact.randomness import derived_seed
from metaact.reports import Evidence

from .cam import CamMaps, imported_captum
from .features import FeatureMaps, feature_maps
from .layers import FIRST_STAGE, LAST_CONV
from .measures import FocusScore, Marks, focus_scores, marks
from .pictures import cam_picture, feature_picture
from .scene import UNKNOWN, Scene, check_explained, scene
from .subjects import Subject, one_study, subject, trained_of, with_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 10_000
"""Images at most that are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One image, as one network at one layer sees it.

    Attributes:
        image: Its name.
        arm: Name of the arm.
        seed: Training seed of the network.
        layer: The layer as it was asked for.
        path: Its path in the network.
        truth: Name of its class; None where nobody knows.
        explained: Name of the class explained; None where no class is.
        prediction: Name of the class that the network answers.
        right: Whether that is so; None where nobody knows.
        probability: What the network gives the class explained; None where no class is.
        blank: Why there is nothing to see; "" where there is.
    """

    image: str
    arm: str
    seed: int
    layer: str
    path: str
    truth: str | None
    explained: str | None
    prediction: str
    right: bool | None
    probability: float | None = None
    blank: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What an activation does to the maps of the images drawn.

    Attributes:
        arm: Name of the arm.
        seed: Training seed of the network.
        path: Path of the activation.
        channels: Channels that it gives.
        dead: Share of its maps that are 0 throughout.
        negative_before: Share of negative values that it takes.
        negative_after: Share of negative values that it gives.
        gain: Mean size of what it gives over that of what it takes.
    """

    arm: str
    seed: int
    path: str
    channels: int
    dead: float
    negative_before: float
    negative_after: float
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was found.

    Attributes:
        title: What the runs are about.
        images: Where the images come from.
        seed: Seed of their draw.
        arms: Names of the arms.
        reference: The arm that the others are compared with; "" where none are compared.
        answers: Each image of the picture in each arm at each layer.
        focus: Measures of focus.
        activities: What activations do.
        notes: What a reader must know, a sentence each.
        draw: Draws the picture.
    """

    title: str
    images: str
    seed: int
    arms: tuple[str, ...]
    answers: tuple[Answer, ...]
    draw: Callable[[], Figure]
    reference: str = ""
    focus: tuple[FocusScore, ...] = ()
    activities: tuple[Activity, ...] = ()
    notes: tuple[str, ...] = ()


def attended(
    evidence: Evidence,
    *,
    layers: Sequence[str] = (FIRST_STAGE, LAST_CONV),
    count: int = 6,
    measured: int = 100,
    seed: int = 0,
    folder: Path | None = None,
    root: Path | None = None,
    device: str = "cpu",
    reference: str | None = None,
    over: str = "both",
    level: float = 0.95,
    margin: float | None = None,
) -> Seen:
    """Grad-CAM of the arms of a study on the same images, and how well-focused it is.

    Args:
        evidence: Runs, from `metaact.reports.gather`; they must be of one study.
        layers: Layers of the networks, see `grad_cam`.
        count: Images in the picture, drawn by seed.
        measured: Images that measures are taken on, the same and more; 0 measures nothing.
        seed: Seed of the draw.
        folder: The user's images, see `scene`.
        root: Data root.
        device: Where to compute.
        reference: The arm that the others are compared with; None is relu if it is there, else the
            first.
        over: What intervals cover: "both", "seeds" or "units".
        level: Confidence level.
        margin: Differences below it, in 0..1, do not matter.

    Raises:
        UsageError: If a layer, an arm or a number is not allowed, or there are several studies.
        RunError: If a run has no weights.
        DataError: If the images cannot be had.
        MissingDependencyError: If captum is not installed.
    """
    check_int("count", count, minimum=1, maximum=MOST)
    check_int("measured", measured, minimum=0, maximum=MOST)
    check_int("seed", seed, minimum=0)
    imported_captum()  # missing, it would be missed only after the data were read
    study = one_study(evidence.studies)
    values = list(dict.fromkeys(arm.value for arm in study.arms))
    if reference is not None:
        check_choice("reference", reference, values, why="the arms that are there")
    chosen = reference or ("relu" if "relu" in values else values[0])
    drawn, subjects = _opened(
        study, draw=max(count, measured), seed=seed, folder=folder, root=root, device=device
    )
    found: dict[str, dict[int, dict[str, Marks]]] = {}
    for one in subjects:
        found.setdefault(one.arm, {})[one.seed] = {
            layer: marks(one, drawn, layer, measured=measured > 0) for layer in layers
        }
    notes = _lost(study)
    scores: list[FocusScore] = []
    cells = len(drawn) * max(len(by_seed) for by_seed in found.values())
    if measured and cells > 1:
        scores = focus_scores(
            _by_layer(found, layers),
            references={arm.name: _reference(study, arm, chosen) for arm in study.arms},
            unit=drawn.unit,
            over=over,
            level=level,
            margin=margin,
        )
    elif measured:
        notes.append("One image and one seed: nothing that varies can be measured.")
    if measured and drawn.boxes is None:
        notes.append(
            "Where the objects are is not known of these images: no energy in their boxes (it is "
            "known of the built-in street-digits)."
        )
    shown = _first_seeds(found)
    count = min(count, len(drawn))
    return Seen(
        title=title(study.experiment, study.settings, at=study.at),
        images=drawn.where,
        seed=seed,
        arms=tuple(found),
        reference=chosen,
        answers=tuple(
            answer
            for layer in layers
            for arm, at in shown.items()
            for answer in _answers(drawn, arm, at, layer, found[arm][at][layer].cam, count)
        ),
        focus=tuple(scores),
        notes=tuple(notes),
        draw=lambda: cam_picture(
            drawn,
            {
                layer: {arm: found[arm][at][layer].cam for arm, at in shown.items()}
                for layer in layers
            },
            count=count,
            seeds=shown,
        ),
    )


def features_seen(
    evidence: Evidence,
    *,
    layer: str = FIRST_STAGE,
    channels: int = 3,
    count: int = 2,
    seed: int = 0,
    folder: Path | None = None,
    root: Path | None = None,
    device: str = "cpu",
) -> Seen:
    """Maps before and after an activation, of the arms of a study on the same images.

    Args:
        evidence: As for `attended`, also for the other arguments.
        layer: Path of an activation, or "first-stage".
        channels: Channels in the picture, drawn by seed, the same of all arms.
        count: Images in the picture.
        seed: Seed of both draws.
        folder: The user's images.
        root: Data root.
        device: Where to compute.

    Raises:
        UsageError: If the layer or a number is not allowed, or there are several studies.
        RunError: If a run has no weights.
        DataError: If the images cannot be had.
    """
    check_int("count", count, minimum=1, maximum=MOST)
    check_int("channels", channels, minimum=1, maximum=MOST)
    check_int("seed", seed, minimum=0)
    study = one_study(evidence.studies)
    drawn, subjects = _opened(study, draw=count, seed=seed, folder=folder, root=root, device=device)
    found: dict[str, dict[int, FeatureMaps]] = {}
    for one in subjects:
        maps = feature_maps(one.network, one.images, layer=layer)
        found.setdefault(one.arm, {})[one.seed] = maps
    shown = _first_seeds(found)
    first = {arm: found[arm][at] for arm, at in shown.items()}
    fewest = min(one.after.shape[1] for one in first.values())
    generator = torch.Generator().manual_seed(derived_seed("channels to show", seed))
    chosen = torch.randperm(fewest, generator=generator)[:channels].sort().values.tolist()
    return Seen(
        title=title(study.experiment, study.settings, at=study.at),
        images=drawn.where,
        seed=seed,
        arms=tuple(found),
        answers=tuple(
            _answer(drawn, i, arm, shown[arm], layer, one.layer, int(one.predictions[i]))
            for arm, one in first.items()
            for i in range(len(drawn))
        ),
        activities=tuple(
            _activity(arm, at, one) for arm, by_seed in found.items() for at, one in by_seed.items()
        ),
        notes=tuple(_lost(study)),
        draw=lambda: feature_picture(drawn, first, channels=chosen, seeds=shown),
    )


def _opened(
    study: Study, *, draw: int, seed: int, folder: Path | None, root: Path | None, device: str
) -> tuple[Scene, Iterator[Subject]]:
    """The images, and every network of the study on them, one after the other."""
    check_explained(study)
    records = with_weights(study)
    first = trained_of(next(iter(records.values()))[0], device=device)
    drawn = scene(study, first, count=draw, seed=seed, folder=folder, root=root)
    return drawn, (
        subject(name, trained_of(record, device=device), drawn)
        for name, some in records.items()
        for record in some
    )


def _lost(study: Study) -> list[str]:
    """Which runs have no weights."""
    lost = [f"{arm.name} seed {seed}" for arm in study.arms for seed in arm.failed]
    return [f"Diverged and not in it: {', '.join(lost)}."] if lost else []


def _reference(study: Study, arm: Arm, value: str) -> str | None:
    """The arm of the reference at the same rates, if it is another and there."""
    same = [one for one in study.arms if one.value == value and one.rates == arm.rates]
    return same[0].name if same and same[0] is not arm else None


def _by_layer(
    found: Mapping[str, Mapping[int, Mapping[str, Marks]]], layers: Sequence[str]
) -> dict[str, dict[str, dict[int, Marks]]]:
    return {
        layer: {
            arm: {seed: marked[layer] for seed, marked in by_seed.items()}
            for arm, by_seed in found.items()
        }
        for layer in layers
    }


def _first_seeds(found: Mapping[str, Mapping[int, object]]) -> dict[str, int]:
    """The seed of each arm whose network is drawn: the first that all have, else its own first."""
    shared = sorted(set.intersection(*(set(by_seed) for by_seed in found.values())))
    return {arm: shared[0] if shared else min(by_seed) for arm, by_seed in found.items()}


def _answers(
    drawn: Scene, arm: str, seed: int, layer: str, cam: CamMaps, count: int
) -> Iterator[Answer]:
    for i in range(count):
        plain = _answer(drawn, i, arm, seed, layer, cam.layer, int(cam.predictions[i]))
        yield replace(
            plain,
            explained=drawn.name_of(int(cam.classes[i])),
            probability=float(cam.probabilities[i]),
            blank=cam.blank[i],
        )


def _answer(
    drawn: Scene, i: int, arm: str, seed: int, layer: str, path: str, prediction: int
) -> Answer:
    label = int(drawn.labels[i])
    known = label != UNKNOWN
    return Answer(
        image=drawn.names[i],
        arm=arm,
        seed=seed,
        layer=layer,
        path=path,
        truth=drawn.name_of(label) if known else None,
        explained=None,
        prediction=drawn.name_of(prediction),
        right=prediction == label if known else None,
    )


def _activity(arm: str, seed: int, maps: FeatureMaps) -> Activity:
    return Activity(
        arm=arm,
        seed=seed,
        path=maps.layer,
        channels=maps.after.shape[1],
        dead=float(maps.dead.float().mean()),
        negative_before=float((maps.before < 0).float().mean()),
        negative_after=float((maps.after < 0).float().mean()),
        gain=float(maps.after.abs().mean() / maps.before.abs().mean()),
    )
