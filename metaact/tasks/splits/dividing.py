"""One set of images, or two published parts, divided into train, validation and test."""

from __future__ import annotations

import torch

from metaact.errors import DataError, number_of
from metaact.tasks._images import Images
from metaact.tasks.sources.catalogue import HoldOut
from metaact.tasks.splits import carving
from metaact.tasks.splits.split import Split, noted, without_shared

_TEST = 0.2
_MAX_VALIDATION = 5000


def split_pool(dataset: str, pool: Images, held_out: str, validation: int | None) -> Split:
    """Divide one pool: 60 % train, 20 % validation, 20 % test, of classes or of images.

    Args:
        dataset: What was asked for.
        pool: All images.
        held_out: "classes", "images" (of every class its share) or "groups" (whole ones, about
            that many classes).
        validation: Classes or images of the validation part; 0 for none; None for 20 %.

    Raises:
        UsageError: If `validation` leaves too little to train on.
        DataError: If the pool is too small, or parts share an image.
    """
    if held_out == "images":
        _check_enough_images(pool, validation)
        rest, test = carving.carve_images(pool, _share(pool), name="the test part")
        count = _share(pool) if validation is None else validation
        train, chosen = carve(rest, count, by="images")
        return named(dataset, train, chosen, test, "images")
    carving.check_enough_classes(pool, validation)
    share = carving.fraction(pool.classes, _TEST)
    if held_out == "groups":
        carving.check_enough_groups(pool, validation)
        rest, test = carving.carve_groups(pool, share)
        train, chosen = carve(rest, share if validation is None else validation, by="groups")
        return named(dataset, train, chosen, test, "groups")
    rest, test = carving.carve_classes(pool, share)
    count = min(share, rest.classes - 1) if validation is None else validation
    train, chosen = carve(rest, count, by="classes")
    return named(dataset, train, chosen, test, "classes")


def split_images(dataset: str, train: Images, test: Images, validation: int | None) -> Split:
    """Published parts that hold out images; a tenth of train, at most 5,000 images, validates.

    Args:
        dataset: What was asked for.
        train: The published training part; images that `test` holds too are left out.
        test: The published test part, as it is.
        validation: Images of the validation part; 0 for none; None for the default.

    Raises:
        UsageError: If `validation` leaves too little to train on.
    """
    train = without_shared(train, test)
    count = default_validation(train, "images") if validation is None else validation
    rest, chosen = carve(train, count, by="images")
    return published(dataset, rest, chosen, test, "images")


def default_validation(train: Images, held_out: str) -> int:
    """Images or classes of a validation part that is taken out of a given training part."""
    if held_out == "images":
        return max(train.classes, min(_MAX_VALIDATION, len(train) // 10))
    return min(carving.fraction(train.classes, _TEST), train.classes - 1)


def split_classes(dataset: str, train: Images, test: Images, validation: int | None) -> Split:
    """Published parts that share their classes, divided so that classes are held out.

    20 % of the classes are tested, on the images of the published test part; the others train
    and validate on those of the training part.

    Args:
        dataset: What was asked for.
        train: The published training part.
        test: The published test part.
        validation: Classes of the validation part; 0 for none; None for 20 %.

    Raises:
        UsageError: If `validation` leaves too little to train on.
        DataError: If there are too few classes.
    """
    carving.check_enough_classes(train, validation)
    share = carving.fraction(train.classes, _TEST)
    rest, held = carving.carve_classes(without_shared(train, test), share)
    kept = [c for c, name in enumerate(test.class_names) if name in held.class_names]
    rest, chosen = carve(rest, share if validation is None else validation, by="classes")
    return published(dataset, rest, chosen, test.take_classes(kept), "classes")


def _check_enough_images(pool: Images, validation: int | None) -> None:
    needed = 2 if validation == 0 else 3
    sizes = torch.bincount(pool.labels)
    smallest = int(sizes.argmin())
    if int(sizes[smallest]) < needed:
        raise DataError(
            f"every class of {pool.provenance.dataset} must have at least {needed} images to hold "
            f"images out; class {pool.class_names[smallest]!r} has {int(sizes[smallest])}."
        )


def _share(pool: Images) -> int:
    return max(pool.classes, round(_TEST * len(pool)))


def carve(images: Images, count: int, *, by: str) -> tuple[Images, Images | None]:
    """The rest and the validation part; None for `count` 0."""
    if count == 0:
        return images, None
    if by == "images":
        return carving.carve_images(images, count)
    carving.check_class_count("validation", count, images.classes)
    if by == "groups" and images.class_groups:
        return carving.carve_groups(images, count)
    return carving.carve_classes(images, count)


def named(
    dataset: str, train: Images, validation: Images | None, test: Images, held_out: HoldOut
) -> Split:
    """A split of one pool: its parts are ours, and named so."""
    chosen = None if validation is None else noted(validation, "", split="validation")
    return Split(
        dataset=dataset,
        train=noted(train, "", split="train"),
        validation=chosen,
        test=noted(test, "", split="test"),
        held_out=held_out,
    )


def published(
    dataset: str, train: Images, validation: Images | None, test: Images, held_out: HoldOut
) -> Split:
    """A split of published parts, which keep their names."""
    if validation is not None:
        count = number_of(len(validation), "image")
        left = f"the rest ({count}) is the validation part"
        taken = f"{count} taken out of {train.provenance.split} to validate"
        train, validation = noted(train, left), noted(validation, taken)
    return Split(dataset=dataset, train=train, validation=validation, test=test, held_out=held_out)
