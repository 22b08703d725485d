"""Data whose owner has divided them already, and data of which that is not clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from metaact.errors import DataError, UsageError
from metaact.tasks._images import Images
from metaact.tasks.splits.dividing import carve, default_validation
from metaact.tasks.splits.split import Split, noted

PART_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders of parts are called, in any case."""


def split_given(
    dataset: str, pool: Images, hold_out: str | None, validation: int | None
) -> Split | None:
    """The parts that a pool is already divided into, as they are; None if it is not.

    A pool is divided if the groups of its classes are called train and test, or one of the other
    `PART_NAMES`. Where there is no validation part, one is taken out of train.

    Args:
        dataset: What was asked for.
        pool: All images; the parts are the first words of its groups.
        hold_out: What the test part is to hold out; None takes what it does.
        validation: Size of a validation part that is not given; 0 for none; None for the default.

    Raises:
        UsageError: If `validation` is a number and the part is given.
        DataError: If train or test is missing, stands beside other folders, test has some classes
            of train and others, or it holds out something else than was asked for.
    """
    parts = _parts(dataset, pool)
    if parts is None:
        return None
    train, test, chosen = parts["train"], parts["test"], parts.get("validation")
    held_out = _held_out(dataset, train, test, hold_out)
    if held_out == "images":
        test = _numbered_as(train, test)
        chosen = None if chosen is None else _numbered_as(train, chosen)
    if chosen is not None and validation not in (None, 0):
        raise UsageError(
            f"`validation` must be left out, or 0 for none ({dataset} has a validation part of its "
            f"own); got {validation!r}."
        )
    if chosen is None:
        count = default_validation(train, held_out) if validation is None else validation
        train, chosen = carve(train, count, by=held_out)
        chosen = None if chosen is None else noted(chosen, "taken out of train", split="validation")
    elif validation == 0:
        chosen = None
    else:
        chosen = noted(chosen, "parts as given", split="validation")
    return Split(
        dataset=dataset,
        train=noted(train, "parts as given", split="train"),
        validation=chosen,
        test=noted(test, "parts as given", split="test"),
        held_out=held_out,  # type: ignore[arg-type]  # one of HOLD_OUTS, as checked
    )


def check_groups(dataset: str, pool: Images) -> None:
    """Refuse classes of one name in several groups: they may be one class, and would leak.

    Raises:
        DataError: If there are such.
    """
    seen: dict[str, str] = {}
    for name, group in zip(pool.class_names, pool.class_groups, strict=False):
        bare = name.removeprefix(f"{group}/")
        other = seen.setdefault(bare, group)
        if other != group:
            raise DataError(
                f"{dataset} must not have classes of one name in several groups (are they one "
                f"class, and the groups its parts? Then call these train, validation and test; "
                f"else hold out whole groups: `hold_out` 'groups'); got {bare!r} in {other!r} and "
                f"in {group!r}."
            )


def _parts(dataset: str, pool: Images) -> dict[str, Images] | None:
    """The images by part, without the part's name in those of classes; None if it is no part."""
    firsts = [name.partition("/")[0] for name in pool.class_groups or pool.class_names]
    known = {first: PART_NAMES.get(first.casefold(), "") for first in dict.fromkeys(firsts)}
    if len({part for part in known.values() if part}) < 2:
        return None
    shown = ", ".join(known)
    if not pool.class_groups:
        raise DataError(
            f"{dataset} must hold class folders in each of its parts ({shown}); got images "
            "directly in them."
        )
    strangers = [first for first, part in known.items() if not part]
    if strangers or len(set(known.values())) < len(known):
        why = f"{strangers[0]!r} beside them" if strangers else "two of one kind"
        raise DataError(
            f"{dataset} must hold parts alone, each once (train, test, and validation if there "
            f"is one); got {why}: {shown}."
        )
    missing = {"train", "test"} - set(known.values())
    if missing:
        raise DataError(
            f"{dataset} must hold the parts train and test; got {shown}, and no {missing.pop()}."
        )
    return {
        part: _part(pool, first, [c for c, f in enumerate(firsts) if f == first])
        for first, part in known.items()
    }


def _part(pool: Images, first: str, classes: list[int]) -> Images:
    part = pool.take_classes(classes)
    groups = tuple(group.partition("/")[2] for group in part.class_groups)
    return replace(
        part,
        class_names=tuple(name.removeprefix(f"{first}/") for name in part.class_names),
        class_groups=groups if all(groups) else (),
    )


def _numbered_as(train: Images, part: Images) -> Images:
    """The part with the classes of train, in their order; those that it lacks are noted.

    A part with other classes is left as it is: `Split` says which.
    """
    if not set(part.class_names) <= set(train.class_names):
        return part
    numbers = torch.tensor([train.class_names.index(name) for name in part.class_names])
    whole = replace(
        part,
        labels=numbers[part.labels],
        class_names=train.class_names,
        class_groups=train.class_groups,
    )
    missing = whole.absent
    if not missing:
        return whole
    shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
    return noted(whole, f"without images of {len(missing)} of {train.classes} classes ({shown})")


def _held_out(dataset: str, train: Images, test: Images, asked: str | None) -> str:
    """What the test part holds out of the training part."""
    ours, theirs = set(train.class_names), set(test.class_names)
    allowed: tuple[str, ...]
    if theirs <= ours:
        allowed = ("images",)
    elif not ours & theirs:
        allowed = ("classes", "groups") if train.class_groups else ("classes",)
    else:
        odd = sorted(theirs - ours)
        raise DataError(
            f"test of {dataset} must have classes of train alone or none of them (what does it "
            f"hold out?); {len(ours & theirs)} are in both, and {odd[0]!r} is in test alone."
        )
    if asked is None or asked in allowed:
        return asked or allowed[0]
    new = "new images of the same classes" if theirs <= ours else "other classes than train"
    raise DataError(
        f"the test part of {dataset} must hold out {asked} to be used so; as given, it has {new}."
    )
