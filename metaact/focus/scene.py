"""The images that the networks of a study are explained on: the same for all arms and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaact import tasks
from metaact.analysis.focus import Inside, boxes_of
from metaact.errors import DataError, UsageError
from metaact.experiments.commands import typed_paths
from metaact.experiments.evidence import Study
from metaact.experiments.trained import META_LEARNED, Trained
from metaact.randomness import derived_seed
from metaact.tasks import Images
from metaact.tasks.forms.fitting import fitted, size_steps, stepped

UNKNOWN = -1
"""Label of an image whose class nobody knows."""

STREET = "street-digits"
"""The data set that knows where in its images the object is."""

INK = 128
"""Grey level from which a pixel of a mask belongs to the object."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Support:
    """What a meta-learned network is adapted to first.

    Attributes:
        pixels: uint8 [images, channels, height, width].
        labels: int64 [images].
    """

    pixels: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Images drawn by seed.

    Attributes:
        pixels: uint8 [images, channels, height, width], on the device of the networks.
        labels: int64 [images]; `UNKNOWN` where nobody knows.
        class_names: What labels and logits stand for.
        names: Of each image: its file, or its number in the part that is tested on.
        unit: What the images are, for tables: "test images".
        where: Where they come from, a sentence.
        support: What a meta-learned network is adapted to; None for others.
        boxes: Box around the object of each image, bool [images, height, width]; None where it is
            not known.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    unit: str
    where: str
    support: Support | None = None
    boxes: Inside | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def name_of(self, label: int) -> str:
        """The name of a class."""
        return self.class_names[label] if label < len(self.class_names) else str(label)


def scene(
    study: Study,
    trained: Trained,
    *,
    count: int,
    seed: int,
    folder: Path | None = None,
    root: Path | None = None,
) -> Scene:
    """Draw images for the networks of a study.

    Those of `converge` and `transfer` are explained on test images, those of `maml` on query images
    of a frozen test episode, to whose support images they are adapted first.

    Args:
        study: The study.
        trained: One of its networks.
        count: Images at most.
        seed: Seed of the draw.
        folder: The user's images in place of the test images: any, or class folders. For `maml`
            class folders, one for each way, of which the first drawn images are the support.
        root: Data root.

    Raises:
        UsageError: If runs of this experiment are not explained, or the folder does not fit.
        DataError: If the images cannot be had, or are no longer those of the runs.
    """
    check_explained(study)
    generator = torch.Generator().manual_seed(derived_seed("images to explain", seed))
    if folder is not None:
        return _of_folder(folder, trained, count, generator)
    shared = _shared(study, trained, root)
    return TESTED[study.experiment.name](shared, trained, count, generator, root)


def shortened(name: str, letters: int) -> str:
    """A name of a class that leaves room for others: of a path the end is kept.

    Examples:
        >>> shortened("automobile", 12), shortened("greek/small letter alpha", 12)
        ('automobile', '…etter alpha')
    """
    if len(name) <= letters:
        return name
    return f"…{name[1 - letters :]}" if "/" in name else f"{name[: letters - 1]}…"


def check_explained(study: Study) -> None:
    """Refuse runs of an experiment whose networks are not explained.

    Raises:
        UsageError: If they are of one.
    """
    if study.experiment.name not in TESTED:
        raise UsageError(
            f"`runs` must be of {', '.join(TESTED)} (their networks tell classes of images apart); "
            f"got runs of {study.experiment.name}."
        )


def _shared(study: Study, trained: Trained, root: Path | None) -> Any:
    """The data of the runs, checked to be what it was."""
    device = str(next(trained.parameters()).device)
    command = trained.run.about.get("command")
    paths = typed_paths(study.experiment, command) if command else {}
    config: Any = replace(trained.config, **paths)  # type: ignore[type-var]
    shared: Any = study.experiment.computes().prepare([config], root=root, device=device)
    now: Mapping[str, str] = getattr(shared, IDENTITY[study.experiment.name])
    for name, value in now.items():
        if name in trained.run.config and trained.run.config[name] != value:
            raise DataError(
                f"the images of {trained.run.directory} are no longer what they were ({name} is "
                "another); name others by --images."
            )
    return shared


IDENTITY = {"converge": "identity", "transfer": "target_identity", META_LEARNED: "identity"}
"""The attribute of an experiment's data with the hashes that runs record."""


def _of_converge(
    shared: Any, trained: Trained, count: int, generator: torch.Generator, root: Path | None
) -> Scene:
    return _of_test(shared.test, count, generator, root)


def _of_transfer(
    shared: Any, trained: Trained, count: int, generator: torch.Generator, root: Path | None
) -> Scene:
    return _of_test(shared.target.test, count, generator, root)


def _of_test(images: Images, count: int, generator: torch.Generator, root: Path | None) -> Scene:
    chosen = torch.randperm(len(images), generator=generator)[:count]
    numbers = chosen.tolist()
    pixels = images.pixels[chosen.to(images.pixels.device)]
    return Scene(
        pixels=pixels,
        labels=images.labels[chosen.to(images.labels.device)],
        class_names=images.class_names,
        names=tuple(images.files[i] if images.files else f"test {i}" for i in numbers),
        unit="test images",
        where=f"{len(numbers)} of {len(images)} test images of {images.provenance.dataset}.",
        boxes=known_boxes(pixels, images.provenance.dataset, root),
    )


def _of_maml(
    shared: Any, trained: Trained, count: int, generator: torch.Generator, root: Path | None
) -> Scene:
    episodes, images = shared.test, shared.split.test.present()
    number = int(torch.randint(len(episodes), (), generator=generator))
    episode = episodes.indices[number]
    support, query = episode[:, : episodes.shots], episode[:, episodes.shots :]
    ways = torch.arange(len(episode))[:, None]
    chosen = torch.randperm(query.numel(), generator=generator)[:count]
    indices, labels = query.flatten()[chosen], ways.expand_as(query).flatten()[chosen]
    pixels = images.pixels[indices.to(images.pixels.device)]
    dataset = images.provenance.dataset
    device = pixels.device
    return Scene(
        pixels=pixels,
        labels=labels.to(device),
        class_names=tuple(images.class_names[int(images.labels[row[0]])] for row in episode),
        names=tuple(images.files[i] if images.files else f"test {i}" for i in indices.tolist()),
        unit="query images of one episode",
        where=f"{len(chosen)} of {query.numel()} query images of test episode {number} of "
        f"{dataset}, after adaptation to its {support.numel()} support images.",
        support=Support(
            pixels=images.pixels[support.flatten().to(device)],
            labels=ways.expand_as(support).flatten().to(device),
        ),
        boxes=known_boxes(pixels, dataset, root),
    )


TESTED = {"converge": _of_converge, "transfer": _of_transfer, META_LEARNED: _of_maml}
"""The experiments whose networks are explained, and what draws their images."""


def _of_folder(folder: Path, trained: Trained, count: int, generator: torch.Generator) -> Scene:
    (height, width), channels = trained.signature.size, trained.signature.channels
    size = height if height == width else None
    device = next(trained.parameters()).device
    grouped = folder.is_dir() and any(
        place.is_dir() and not place.name.startswith(".") for place in folder.iterdir()
    )
    if trained.run.kind == META_LEARNED:
        return _episode_of(
            tasks.read_folder(folder, size=size, channels=channels), trained, count, generator
        )
    names = trained.class_names
    if grouped:
        images = tasks.read_folder(folder, size=size, channels=channels)
        pixels, files = images.pixels, images.files
        known = [names.index(n) if n in names else UNKNOWN for n in images.class_names]
        labels = torch.tensor(known)[images.labels]
    else:
        pixels, files = tasks.read_images(folder, size=size, channels=channels)
        labels = torch.full((len(pixels),), UNKNOWN)
    chosen = torch.randperm(len(pixels), generator=generator)[:count]
    return Scene(
        pixels=pixels[chosen].to(device),
        labels=labels[chosen].to(device),
        class_names=names,
        names=tuple(files[i] for i in chosen.tolist()),
        unit="images",
        where=f"{len(chosen)} of {len(pixels)} images of {folder.name}.",
    )


def _episode_of(images: Images, trained: Trained, count: int, generator: torch.Generator) -> Scene:
    """An episode made of class folders: support images of each drawn first, the others asked."""
    ways, shots = trained.signature.outputs, int(trained.run.config["shots"])
    least = int(torch.bincount(images.labels).min())
    if images.classes != ways or least <= shots:
        raise UsageError(
            f"`images` must hold {ways} class folders of more than {shots} images each (the runs "
            f"learned tasks of {ways} ways and {shots} shots, and others are to be explained); got "
            f"{images.classes} classes, one of {least}."
        )
    device = next(trained.parameters()).device
    order = torch.randperm(len(images), generator=generator)
    per_class = [order[images.labels[order] == way] for way in range(ways)]
    support = torch.cat([one[:shots] for one in per_class])
    rest = torch.cat([one[shots:] for one in per_class])
    chosen = rest[torch.randperm(len(rest), generator=generator)[:count]]
    return Scene(
        pixels=images.pixels[chosen].to(device),
        labels=images.labels[chosen].to(device),
        class_names=images.class_names,
        names=tuple(images.files[i] for i in chosen.tolist()),
        unit="images",
        where=f"{len(chosen)} of {len(rest)} images of {images.provenance.dataset}, after "
        f"adaptation to {len(support)} others.",
        support=Support(
            pixels=images.pixels[support].to(device), labels=images.labels[support].to(device)
        ),
    )


def known_boxes(pixels: Tensor, dataset: str, root: Path | None = None) -> Inside | None:
    """The box around the object of each image, bool [images, height, width], where it is known.

    It is known of the built-in street digits, in whatever size and channels they are used: images
    are found again by their pixels.

    Args:
        pixels: uint8 [images, channels, height, width].
        dataset: Name of the data set.
        root: Data root.

    Returns:
        None for other data, or if an image is not found.
    """
    if dataset != STREET:
        return None
    channels, height = pixels.shape[1:3]
    wanted = [image.numpy().tobytes() for image in pixels.cpu()]
    found: dict[bytes, Tensor] = {}
    for part in ("test", "train"):
        drawn = tasks.street_digits(part, root=root)
        masks = stepped(tasks.street_masks(part), size_steps(dataset, drawn.size, height))
        there = fitted(drawn, size=height, channels=channels).pixels
        known = {image.numpy().tobytes(): i for i, image in enumerate(there)}
        found |= {one: masks[known[one], 0] for one in wanted if one in known}
        if all(one in found for one in wanted):
            return boxes_of(torch.stack([found[one] for one in wanted]).numpy() >= INK)
    return None
