"""Omniglot's two splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from metaact.errors import UsageError
from metaact.tasks._images import Images
from metaact.tasks.sources.loading import load
from metaact.tasks.splits import carving
from metaact.tasks.splits.dividing import carve, named, published
from metaact.tasks.splits.split import Split, noted, without_shared

# Of all 1,623 characters: those that train (100 of them to validate) in the split of Vinyals et
# al. (2016) and Finn et al. (2017). Shares, so that a part of Omniglot splits alike.
_ROTATED_TRAIN = 1200 / 1623
_ROTATED_VALIDATION = 100 / 1623
_OMNIGLOT_VALIDATION = 150 / 964


def split_omniglot(
    dataset: str,
    root: Path | str | None,
    held_out: str,
    validation: int | None,
    fit: Callable[[Images], Images],
) -> Split:
    """Split Omniglot by its published parts, or 1200/423 with rotations as classes.

    Args:
        dataset: "omniglot" or "omniglot-rotated".
        root: Data root; None for the default.
        held_out: Must be "classes".
        validation: Characters of the validation part, at least (whole alphabets for "omniglot",
            150 unless given; 100 for "omniglot-rotated"); 0 for none.
        fit: Brings the images to the size and the channels that were asked for.

    Raises:
        UsageError: If `held_out` or `validation` is not allowed.
        DataError: If the data cannot be had.

    Deviation:
        Vinyals et al. and Finn et al. chose their 1,200 characters at random and by another list;
        ours are fixed by the hash of the characters' names.

    References:
        Lake, Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic
        program induction", Science 350, 2015. Vinyals, Blundell, Lillicrap, Kavukcuoglu and
        Wierstra, "Matching networks for one shot learning", 2016, arXiv 1606.04080. Finn, Abbeel
        and Levine, "Model-agnostic meta-learning", 2017, arXiv 1703.03400.
    """
    if held_out != "classes":
        raise UsageError(
            f"`hold_out` must be 'classes' for {dataset} (its parts hold out characters, as "
            f"published); got {held_out!r}."
        )
    background = fit(load("omniglot", "background", root=root))
    evaluation = fit(load("omniglot", "evaluation", root=root))
    if dataset == "omniglot":
        count = round(_OMNIGLOT_VALIDATION * background.classes)
        count = count if validation is None else validation
        train, chosen = carve(without_shared(background, evaluation), count, by="groups")
        return published(dataset, train, chosen, evaluation, "classes")
    pool = noted(
        _joined(background, evaluation),
        "background and evaluation mixed, 1200/423 by the hash of the characters' names, each "
        "rotation by 90 degrees a class",
    )
    tested = pool.classes - round(_ROTATED_TRAIN * pool.classes)
    rest, test = carving.carve_classes(pool, max(1, tested))
    count = max(1, round(_ROTATED_VALIDATION * pool.classes))
    train, chosen = carve(rest, count if validation is None else validation, by="classes")
    turned = None if chosen is None else with_rotations(chosen)
    return named(dataset, with_rotations(train), turned, with_rotations(test), "classes")


def with_rotations(images: Images) -> Images:
    """`images` turned by 0, 90, 180 and 270 degrees, each turn of a class a class of its own.

    Args:
        images: Square images.

    Returns:
        Four times the classes; "name@90" is class "name" turned by 90 degrees counter-clockwise.
    """
    turns = range(4)
    names = images.class_names
    return replace(
        images,
        pixels=torch.cat([images.pixels.rot90(turn, (2, 3)) for turn in turns]),
        labels=torch.cat([images.labels + turn * images.classes for turn in turns]),
        class_names=tuple(f"{name}@{90 * turn}" for turn in turns for name in names),
        class_groups=images.class_groups * 4,
        files=images.files * 4,
    )


def _joined(background: Images, evaluation: Images) -> Images:
    both = f"{background.provenance.split} and {evaluation.provenance.split}"
    return Images(
        pixels=torch.cat([background.pixels, evaluation.pixels]),
        labels=torch.cat([background.labels, evaluation.labels + background.classes]),
        class_names=background.class_names + evaluation.class_names,
        class_groups=background.class_groups + evaluation.class_groups,
        provenance=replace(
            background.provenance,
            split=both,
            official=background.provenance.official and evaluation.provenance.official,
        ),
    )
