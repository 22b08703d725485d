"""Fixed ways to divide a set: the same on every machine, under every library, for every seed.

The order comes from hashes of names and positions and not from a random generator, whose stream
may change between versions of a library: a split is part of a result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from metaact.errors import DataError, UsageError, check_int, number_of
from metaact.tasks._images import Images

SPLIT_SEED = 20_200_623
"""Salt of every split (the day of the paper). Independent of the seed of a run."""


def hashed_order(names: Sequence[str]) -> list[int]:
    """Positions of `names`, ordered by the hash of each: a permutation that only names decide.

    Examples:
        >>> sorted(hashed_order(["a", "b", "c"]))
        [0, 1, 2]
    """
    return sorted(
        range(len(names)),
        key=lambda i: hashlib.sha256(f"{SPLIT_SEED}:{names[i]}".encode()).digest(),
    )


def carve_classes(images: Images, count: int) -> tuple[Images, Images]:
    """All but `count` classes, and those `count`.

    Args:
        images: Some images.
        count: Classes to hold out, from 1 to one less than there are.

    Returns:
        The rest and the carved part.
    """
    order = hashed_order(images.class_names)
    return images.take_classes(order[count:]), images.take_classes(order[:count])


def carve_groups(images: Images, count: int) -> tuple[Images, Images]:
    """All but some whole groups, and those, together at least `count` classes.

    Groups follow in their hashed order; one that would overshoot by more than half is passed
    over as long as another will do, so that one huge alphabet does not become the whole part.

    Args:
        images: Images with `class_groups`.
        count: Classes to hold out at least.

    Returns:
        The rest and the carved part.

    Raises:
        DataError: If no choice of groups leaves a group for the rest.
    """
    sizes = {group: images.class_groups.count(group) for group in set(images.class_groups)}
    names = sorted(sizes)
    order = [names[i] for i in hashed_order(names)]
    taken: list[str] = []
    held = 0
    for limit in (1.5 * count, float("inf")):
        for group in order:
            if group not in taken and held < count and held + sizes[group] <= limit:
                taken.append(group)
                held += sizes[group]
    if len(taken) == len(order):
        raise DataError(
            f"whole groups of {images.provenance.dataset} cannot hold out "
            f"{number_of(count, 'class', 'classes')} and leave one group "
            f"({number_of(len(order), 'group')}, {number_of(images.classes, 'class', 'classes')})."
        )
    classes = [c for c, group in enumerate(images.class_groups) if group in taken]
    rest = [c for c, group in enumerate(images.class_groups) if group not in taken]
    return images.take_classes(rest), images.take_classes(classes)


def carve_images(images: Images, count: int, *, name: str = "validation") -> tuple[Images, Images]:
    """All but `count` images, and those: of every class its share, and at least one.

    Args:
        images: Some images.
        count: Images to hold out.
        name: The argument that asked for it, for messages.

    Returns:
        The rest and the carved part; both have every class.

    Raises:
        UsageError: If `count` leaves a class without images on one side.
    """
    sizes = torch.bincount(images.labels, minlength=images.classes)
    smallest = int(sizes.argmin())
    if int(sizes[smallest]) < 2:
        raise DataError(
            f"class {images.class_names[smallest]!r} of {images.provenance.dataset} must have at "
            "least 2 images to hold one out; got 1."
        )
    most = len(images) - images.classes
    why = f"{images.classes} classes, {len(images)} images, one of each class on both sides"
    check_int(name, count, minimum=images.classes, maximum=most, why=why)
    shares = _shares(sizes, count)
    keys = _keys(len(images))
    order = np.lexsort((keys, images.labels.numpy()))
    starts = np.concatenate(([0], np.cumsum(sizes.numpy())[:-1]))
    rank = np.arange(len(images)) - np.repeat(starts, sizes.numpy())
    carved = np.zeros(len(images), dtype=bool)
    carved[order] = rank < np.repeat(shares.numpy(), sizes.numpy())
    inside = torch.from_numpy(carved)
    return images.take((~inside).nonzero().squeeze(1)), images.take(inside.nonzero().squeeze(1))


def thinned(images: Images, most: int) -> Images:
    """At most `most` images, of every class its share, and the same ones for every run.

    Args:
        images: Some images.
        most: At least one per class.

    Returns:
        All of them if they are no more.

    Raises:
        UsageError: If a class would have none.
    """
    if len(images) <= most:
        return images
    why = f"{images.provenance.dataset} has {images.classes} classes, each with one at least"
    check_int("images", most, minimum=images.classes, why=why)
    return carve_images(images, min(most, len(images) - images.classes))[1]


def _shares(sizes: torch.Tensor, count: int) -> torch.Tensor:
    """How many of `count` each class gives: in proportion, from 1 to all but one."""
    exact = sizes.double() * count / sizes.sum()
    shares = exact.floor().long().clamp(min=1).minimum(sizes - 1)
    while (missing := count - int(shares.sum())) != 0:
        step = 1 if missing > 0 else -1
        free = shares < sizes - 1 if step > 0 else shares > 1
        debt = torch.where(free, (exact - shares) * step, -torch.inf)
        chosen = debt.argsort(descending=True, stable=True)[: min(abs(missing), int(free.sum()))]
        shares[chosen] += step
    return shares


def _keys(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """One fixed 64-bit key per position: SplitMix64 of the position and the salt."""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(SPLIT_SEED)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def fraction(count: int, share: float) -> int:
    """`share` of `count`, rounded, at least 1."""
    return max(1, round(share * count))


def check_enough_classes(images: Images, validation: int | None) -> None:
    """Refuse to hold out classes of a set that has too few.

    Raises:
        DataError: If train, validation (unless 0) and test cannot each have a class.
    """
    needed = 2 if validation == 0 else 3
    if images.classes < needed:
        instead = " Hold out images instead (`hold_out` 'images')." if images.classes > 1 else ""
        raise DataError(
            f"{images.provenance.dataset} must have at least {needed} classes to hold classes out; "
            f"got {images.classes}.{instead}"
        )


def check_enough_groups(images: Images, validation: int | None) -> None:
    """Refuse to hold out whole groups of a set that has too few.

    Raises:
        DataError: If train, validation (unless 0) and test cannot each have a group.
    """
    needed, found = 2 if validation == 0 else 3, len(set(images.class_groups))
    if found < needed:
        raise DataError(
            f"{images.provenance.dataset} must have at least {needed} groups of classes to hold "
            f"whole groups out (folders group/class, or `class_groups` of a pack); got {found}."
        )


def check_class_count(name: str, count: int, classes: int) -> int:
    """Refuse a validation part that leaves nothing to train on.

    Raises:
        UsageError: If `count` is not in 1..classes-1.
    """
    if classes < 2:
        raise UsageError(f"`{name}` must be 0 (only {classes} class is left to train on).")
    return check_int(name, count, minimum=1, maximum=classes - 1, why=f"{classes} classes to share")
