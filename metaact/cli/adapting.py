"""What `metaact adapt` computes: answers of a network that is adapted to a folder of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from metaact import tasks
from metaact.errors import UsageError
from metaact.experiments import Trained, load
from metaact.experiments.trained import check_meta_learned, normalises_together
from metaact.reports.render.text import safe_cell
from metaact.runs import read_run

AT_A_TIME = 500
"""Images that are classified in one call, where none of them depends on the others."""

PLAINLY = 0.2
"""By how much nearer to the run's brightness negatives must be than the images for a note."""


class Answer(NamedTuple):
    """What a network says of one image.

    Attributes:
        file: The image.
        name: The class.
        probability: Its probability, by softmax.
    """

    file: str
    name: str
    probability: float


def answers(
    directory: Path, folder: Path, predict: Path | None, *, invert: bool
) -> tuple[str, list[str]]:
    """Adapt a run to the images of a folder, and classify others.

    Args:
        directory: The run.
        folder: Class folders of labelled images.
        predict: Folder of the images to classify; None classifies those of `folder`, each by a
            network that is adapted to the others.
        invert: Whether all images are inverted first.

    Returns:
        A CSV table of file, class and probability, and what a reader must know.

    Raises:
        UsageError: If the run is of another kind, or the folder holds another number of classes.
        DataError: If a folder holds no images, or one that cannot be read.
        RunError: If the run is unfinished or damaged.
    """
    run = read_run(directory)
    check_meta_learned(run)
    learned = load(run)
    (height, width), channels = learned.signature.size, learned.signature.channels
    size = height if height == width else None
    images = tasks.read_folder(folder, size=size, channels=channels)
    _check_ways(images, learned)
    if invert:
        images = replace(images, pixels=255 - images.pixels)
    notes = [*_told(images), *_brightness(images, learned)]
    notes += _transductive(learned)
    if predict is None:
        found = _each_held_out(learned, images)
        right = sum(answer.file.startswith(f"{answer.name}/") for answer in found)
        notes.append(
            f"{right} of {len(found)} images right, each classified by a network that is adapted "
            "to others of the folder."
        )
        return _csv(found), notes
    others, files = tasks.read_images(predict, size=size, channels=channels)
    learner = learned.adapt(images.pixels, images.labels, class_names=images.class_names)
    return _csv(_classified(learner, 255 - others if invert else others, files)), notes


def _told(images: tasks.Images) -> list[str]:
    return [text for text in (images.provenance.note, images.provenance.form) if text]


def _check_ways(images: tasks.Images, learned: Trained) -> None:
    ways = learned.signature.outputs
    if images.classes != ways:
        raise UsageError(
            f"`folder` must hold {ways} classes (the run learned tasks of {ways} ways); got "
            f"{images.classes}."
        )


def _each_held_out(learned: Trained, images: tasks.Images) -> list[Answer]:
    """The answers of a cross-validation: in turn the first, second, ... image of each class.

    A fold is like an episode: one image of each class is asked for, the others are support images.
    """
    sizes = torch.bincount(images.labels)
    if int(sizes.min()) < 2:
        name = images.class_names[int(sizes.argmin())]
        raise UsageError(
            "`predict` must be given where a class has one image (without it, each image is "
            f"classified by the others of the folder); got none, and one image of {name!r}."
        )
    # Which image of its class each is, as they are sorted by class.
    place = torch.cat([torch.arange(int(size)) for size in sizes])
    found: list[Answer] = []
    for fold in range(int(sizes.max())):
        asked = place == fold
        learner = learned.adapt(
            images.pixels[~asked], images.labels[~asked], class_names=images.class_names
        )
        files = [images.files[i] for i in asked.nonzero().flatten().tolist()]
        found += _classified(learner, images.pixels[asked], files)
    return sorted(found)


def _classified(learner: Trained, pixels: Tensor, files: Sequence[str]) -> list[Answer]:
    parts = [pixels] if normalises_together(learner) else torch.split(pixels, AT_A_TIME)
    with torch.no_grad():
        probabilities = torch.cat([learner(part).softmax(dim=1) for part in parts])
    best = probabilities.max(dim=1)
    return [
        Answer(file, learner.class_names[label], probability)
        for file, label, probability in zip(
            files, best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]


def _transductive(learned: Trained) -> list[str]:
    if not normalises_together(learned):
        return []
    return [
        "BatchNorm normalises each image together with those that are classified with it, so "
        "answers depend on what else is in the folder."
    ]


def _brightness(images: tasks.Images, learned: Trained) -> list[str]:
    """A note if the images look like negatives of what the run learned from."""
    own = float(images.pixels.float().mean() / 255)
    learned_from = float(learned.mean.mean())
    if abs(own - learned_from) < abs(1 - own - learned_from) + PLAINLY:
        return []
    return [
        f"the images are on average {own:.0%} bright and those that the run learned from "
        f"{learned_from:.0%}; if theirs are negatives of yours, give or leave out --invert."
    ]


def _csv(found: Iterable[Answer]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("file", "class", "probability"))
    for answer in found:
        writer.writerow(
            (safe_cell(answer.file), safe_cell(answer.name), f"{answer.probability:.6g}")
        )
    return file.getvalue().rstrip("\n")
