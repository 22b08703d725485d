"""Train, validation and test parts that share nothing they must not share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import combinations

import torch

from metaact.display import brief
from metaact.errors import DataError, check_choice, number_of
from metaact.tasks._images import Images
from metaact.tasks.sources.catalogue import HoldOut
from metaact.tasks.splits.duplicates import shared_images

HOLD_OUTS: tuple[HoldOut, ...] = ("classes", "images", "groups")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Images to train on, to choose on and to test on; verified when made.

    With `held_out` "classes" no class (by group and name) is in two parts, with "groups" no group
    of classes (alphabet) either; with "images" all parts have the same classes. In each, no two
    parts share an image, byte for byte. Where images are held out, a validation or test part may
    lack images of some classes.

    Attributes:
        dataset: What was asked for.
        train: Images to learn from.
        validation: Images for choices made on the way, or None.
        test: Images for the reported figure, and for nothing else.
        held_out: What the test part holds out: "classes", "images" or "groups".

    Raises:
        DataError: If parts share what they must not; the message counts and names it.
    """

    dataset: str
    train: Images
    validation: Images | None
    test: Images
    held_out: HoldOut

    def __post_init__(self) -> None:
        check_choice("held_out", self.held_out, HOLD_OUTS)
        for name, images in self.parts().items():
            if name == "train" or self.held_out != "images":
                _check_whole(self.dataset, name, images)
        for (name_a, a), (name_b, b) in combinations(self.parts().items(), 2):
            _check_form(self.dataset, name_a, a, name_b, b)
            _check_classes(self.dataset, self.held_out, name_a, a, name_b, b)
            _check_images(self.dataset, name_a, a, name_b, b)

    def __repr__(self) -> str:
        sizes = {name: (len(part), part.classes) for name, part in self.parts().items()}
        told = {name: f"{images} images of {k} classes" for name, (images, k) in sizes.items()}
        return brief(self, self.dataset, held_out=self.held_out, **told)

    def parts(self) -> dict[str, Images]:
        """The parts that exist, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in parts.items() if images is not None}

    def part(self, name: str) -> Images:
        """The part called `name`.

        Raises:
            UsageError: If this split has no such part.
        """
        parts = self.parts()
        return parts[check_choice("split", name, parts)]

    def provenance(self) -> dict[str, object]:
        """What a result records of its data, ready for JSON."""
        parts: dict[str, object] = {
            name: {
                **asdict(images.provenance),
                "images": len(images),
                "classes": images.classes,
                "sha256": images.sha256(),
            }
            for name, images in self.parts().items()
        }
        official = all(images.provenance.official for images in self.parts().values())
        return {"held_out": self.held_out, "official": official, **parts}


def without_shared(images: Images, other: Images) -> Images:
    """`images` without those that `other` holds too; what was left out is noted.

    For published sets only, whose authors' parts may share a picture: the test part stays as
    published, and the training part gives way.
    """
    shared, _ = shared_images(images, other)
    if not len(shared):
        return images
    kept = torch.ones(len(images), dtype=torch.bool)
    kept[shared] = False
    left_out = f"{number_of(len(shared), 'image')} left out that {other.provenance.split} holds too"
    return noted(images.take(kept.nonzero().squeeze(1)), left_out)


def noted(images: Images, note: str, *, split: str | None = None) -> Images:
    """`images` with `note` added to its provenance, and the name of its part if given."""
    origin = images.provenance
    notes = [text.rstrip(".") for text in (origin.note, note) if text]
    return replace(
        images,
        provenance=replace(origin, split=split or origin.split, note="; ".join(notes)),
    )


def _check_whole(dataset: str, name: str, images: Images) -> None:
    for missing in images.absent:
        raise DataError(
            f"{name} of {dataset} must have images of each of its classes; got none of {missing!r}."
        )


def _check_form(dataset: str, name_a: str, a: Images, name_b: str, b: Images) -> None:
    if a.pixels.shape[1:] != b.pixels.shape[1:]:
        raise DataError(
            f"all parts of {dataset} must hold images of one size, with as many channels (`size` "
            f"and `channels` bring them there); {name_a} has {list(a.pixels.shape[1:])}, {name_b} "
            f"{list(b.pixels.shape[1:])}."
        )


def _check_classes(
    dataset: str, held_out: HoldOut, name_a: str, a: Images, name_b: str, b: Images
) -> None:
    if held_out == "images":
        if a.class_names != b.class_names:
            odd = sorted(set(a.class_names) ^ set(b.class_names))
            raise DataError(
                f"{name_a} and {name_b} of {dataset} must have the same classes when images are "
                f"held out; they differ{f' in {odd[0]!r}' if odd else ' in order'}."
            )
        return
    both = sorted(set(a.class_groups) & set(b.class_groups)) if held_out == "groups" else []
    if both:
        raise DataError(
            f"{name_a} and {name_b} of {dataset} share {number_of(len(both), 'group')} (the first "
            f"is {both[0]!r}); a held-out group must not be trained on."
        )
    shared = sorted(_classes(a) & _classes(b))
    if shared:
        group, name = shared[0]
        raise DataError(
            f"{name_a} and {name_b} of {dataset} share "
            f"{number_of(len(shared), 'class', 'classes')} (the first is "
            f"{f'{group}/{name}' if group else name!r}); a held-out class must not be trained on."
        )


def _classes(images: Images) -> set[tuple[str, str]]:
    groups = images.class_groups or ("",) * images.classes
    return set(zip(groups, images.class_names, strict=True))


def _check_images(dataset: str, name_a: str, a: Images, name_b: str, b: Images) -> None:
    in_a, in_b = shared_images(a, b)
    if len(in_a):
        raise DataError(
            f"{name_a} and {name_b} of {dataset} share {number_of(len(in_a), 'image')}, byte for "
            f"byte as {_form(a)} (the first is {_where(a, int(in_a[0]))} in {name_a}, "
            f"{_twin(a, int(in_a[0]), b, in_b)} in {name_b}); take the copies out of the data."
        )


def _form(images: Images) -> str:
    return "x".join(str(n) for n in images.pixels.shape[1:])


def _twin(a: Images, index: int, b: Images, candidates: torch.Tensor) -> str:
    same = (b.pixels[candidates] == a.pixels[index]).flatten(1).all(dim=1)
    return _where(b, int(candidates[same][0]))


def _where(images: Images, index: int) -> str:
    """Which image: its file, or else its class and its number there, counted from 1."""
    if images.files:
        return images.files[index]
    label = images.labels[index]
    number = int((images.labels[: index + 1] == label).sum())
    return f"image {number} of class {images.class_names[int(label)]!r}"
