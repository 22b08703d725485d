"""From the name of a data set, or a path, to a verified split."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from metaact import catalogue
from metaact.catalogue import HoldOut
from metaact.errors import DataError, UsageError, check_choice, check_int
from metaact.tasks import carving
from metaact.tasks._images import Images
from metaact.tasks.folders import read_folder
from metaact.tasks.packs import read_pack
from metaact.tasks.sources import load, source_name
from metaact.tasks.splits import HOLD_OUTS, Split, noted, without_shared

# Of all 1,623 Omniglot characters: those that train (100 of them to validate) in the split of
# Vinyals et al. (2016) and Finn et al. (2017). Shares, so that a part of Omniglot splits alike.
_ROTATED_TRAIN = 1200 / 1623
_ROTATED_VALIDATION = 100 / 1623
_OMNIGLOT_VALIDATION = 150 / 964
_TEST = 0.2
_MAX_VALIDATION = 5000
_PARTS = ("train", "validation", "test")


def split(
    dataset: str | Path,
    *,
    root: Path | str | None = None,
    hold_out: str | None = None,
    validation: int | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> Split:
    """Load a data set and divide it into train, validation and test parts.

    The division is fixed: it depends on the data and on nothing else, above all not on the seed
    of a run. Published test parts stay as published.

    - `omniglot`: 30 background alphabets train, 20 evaluation alphabets test (Lake et al. 2015);
      the validation part is whole alphabets taken out of background.
    - `omniglot-rotated`: 1,200 characters train (100 of them validate), 423 test; the four
      rotations of a character are classes of the same part.
    - `mnist`, `svhn`, `usps`, `kmnist`, `fashion-mnist`, `cifar10`, `printed-digits`,
      `street-digits`: the published parts; the validation images come out of train.
    - `glyphs`: whole scripts train, validate and test.
    - A folder of class folders, an `.npz` pack: 60 % of the classes train, 20 % validate, 20 %
      test; or, with `hold_out="images"`, of each class's images.

    Args:
        dataset: A name of the catalogue, or the path of a folder or an `.npz` pack.
        root: Data root; None for METAACT_DATA, else the user's cache folder.
        hold_out: "classes" (new classes are tested) or "images" (new images of the same classes);
            None takes what suits the data set.
        validation: Images (`hold_out="images"`) or at least so many classes
            (`hold_out="classes"`) of the validation part; 0 for none; None for the default.
        size: Height and width of the images of a folder (28 unless given).
        channels: 1 or 3 for the images of a folder (1 unless given).

    Returns:
        The verified split.

    Raises:
        UsageError: If the name is unknown or an argument does not fit the data.
        DataError: If the data are missing or damaged, or parts share a class or an image.

    Example:
        >>> split("omniglott")
        Traceback (most recent call last):
        ...
        metaact.errors.UsageError: ... got 'omniglott'. Did you mean 'omniglot'? ...
    """
    if hold_out is not None:
        check_choice("hold_out", hold_out, HOLD_OUTS)
    if validation is not None:
        check_int("validation", validation, minimum=0)
    if is_path(dataset):
        pool = _own(Path(dataset).expanduser(), size, channels)
        return _split_pool(str(dataset), pool, hold_out or "classes", validation)
    if size is not None or channels is not None:
        raise UsageError(
            "`size` and `channels` must be left out (only a folder of images can be "
            f"resized); got dataset {str(dataset)!r}."
        )
    entry = _find(str(dataset))
    held_out = hold_out or entry.hold_out
    if entry.name == "glyphs":
        return _split_glyphs(root, held_out, validation)
    if source_name(entry.name) == "omniglot":
        return _split_omniglot(entry.name, root, held_out, validation)
    train, test = _published(entry.name, root)
    if held_out == "images":
        return _split_images(entry.name, train, test, validation)
    return _split_classes(entry.name, train, test, validation)


def is_path(dataset: str | Path) -> bool:
    """Whether `dataset` means a folder or file and not a name: "./mnist" is a path, "mnist" not."""
    text = str(dataset)
    if isinstance(dataset, Path) or text.lower().endswith(".npz") or text.startswith(("~", ".")):
        return True
    separators = {os.sep, os.altsep or os.sep}
    return any(s in text for s in separators) or (
        text not in catalogue.names() and Path(text).exists()
    )


def _find(name: str) -> catalogue.Dataset:
    try:
        return catalogue.find(name)
    except UsageError as error:
        raise UsageError(
            f"{error} Own images: the path of a folder of class folders or of an .npz pack."
        ) from None


def _path(root: Path | str | None) -> Path | None:
    return None if root is None else Path(root)


def _own(path: Path, size: int | None, channels: int | None) -> Images:
    if not path.exists():
        raise DataError(f"{path} does not exist; it must be a folder of class folders or a pack.")
    if path.is_dir():
        return read_folder(
            path,
            size=28 if size is None else size,
            channels=1 if channels is None else channels,
        )
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path} must be a folder of class folders or an `.npz` pack.")
    if size is not None or channels is not None:
        raise UsageError(
            "`size` and `channels` must be left out for a pack (its images are used as they are)."
        )
    return read_pack(path)


def _published(name: str, root: Path | str | None) -> tuple[Images, Images]:
    if name == "printed-digits":
        from metaact.tasks.digits import printed_digits

        return printed_digits("train", root=_path(root)), printed_digits("test", root=_path(root))
    if name == "street-digits":
        from metaact.tasks.digits import street_digits

        return street_digits("train", root=_path(root)), street_digits("test", root=_path(root))
    return load(name, "train", root=root), load(name, "test", root=root)


def _split_glyphs(root: Path | str | None, held_out: str, validation: int | None) -> Split:
    from metaact.tasks.glyphs import GLYPH_SPLIT, glyphs

    pool = glyphs(root=_path(root))
    if held_out == "images":
        return _split_pool("glyphs", pool, held_out, validation)
    if validation is None:
        train, chosen, test = (_scripts(pool, GLYPH_SPLIT[p]) for p in _PARTS)
        return _named("glyphs", train, chosen, test, "classes")
    rest = _scripts(pool, GLYPH_SPLIT["train"] + GLYPH_SPLIT["validation"])
    train, carved = _carve(rest, validation, by="groups")
    return _named("glyphs", train, carved, _scripts(pool, GLYPH_SPLIT["test"]), "classes")


def _scripts(pool: Images, scripts: tuple[str, ...]) -> Images:
    return pool.take_classes([c for c, group in enumerate(pool.class_groups) if group in scripts])


def _split_pool(dataset: str, pool: Images, held_out: str, validation: int | None) -> Split:
    if held_out == "images":
        rest, test = carving.carve_images(pool, _share(pool), name="the test part")
        count = _share(pool) if validation is None else validation
        train, chosen = _carve(rest, count, by="images")
        return _named(dataset, train, chosen, test, "images")
    carving.check_enough_classes(pool, validation)
    share = carving.fraction(pool.classes, _TEST)
    rest, test = carving.carve_classes(pool, share)
    count = min(share, rest.classes - 1) if validation is None else validation
    train, chosen = _carve(rest, count, by="classes")
    return _named(dataset, train, chosen, test, "classes")


def _split_images(dataset: str, train: Images, test: Images, validation: int | None) -> Split:
    train = without_shared(train, test)
    default = max(train.classes, min(_MAX_VALIDATION, len(train) // 10))
    rest, chosen = _carve(train, default if validation is None else validation, by="images")
    return _noted(dataset, rest, chosen, test, "images")


def _split_classes(dataset: str, train: Images, test: Images, validation: int | None) -> Split:
    carving.check_enough_classes(train, validation)
    share = carving.fraction(train.classes, _TEST)
    rest, held = carving.carve_classes(without_shared(train, test), share)
    kept = [c for c, name in enumerate(test.class_names) if name in held.class_names]
    rest, chosen = _carve(rest, share if validation is None else validation, by="classes")
    return _noted(dataset, rest, chosen, test.take_classes(kept), "classes")


def _split_omniglot(
    dataset: str, root: Path | str | None, held_out: str, validation: int | None
) -> Split:
    if held_out != "classes":
        raise UsageError(
            f"`hold_out` must be 'classes' for {dataset} (its parts hold out characters, as "
            f"published); got {held_out!r}."
        )
    background = load("omniglot", "background", root=root)
    evaluation = load("omniglot", "evaluation", root=root)
    if dataset == "omniglot":
        count = round(_OMNIGLOT_VALIDATION * background.classes)
        count = count if validation is None else validation
        train, chosen = _carve(without_shared(background, evaluation), count, by="groups")
        return _noted(dataset, train, chosen, evaluation, "classes")
    pool = _joined(background, evaluation)
    tested = pool.classes - round(_ROTATED_TRAIN * pool.classes)
    rest, test = carving.carve_classes(pool, max(1, tested))
    count = max(1, round(_ROTATED_VALIDATION * pool.classes))
    train, chosen = _carve(rest, count if validation is None else validation, by="classes")
    turned = None if chosen is None else with_rotations(chosen)
    return _named(dataset, with_rotations(train), turned, with_rotations(test), "classes")


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


def _share(pool: Images) -> int:
    return max(pool.classes, round(_TEST * len(pool)))


def _carve(images: Images, count: int, *, by: str) -> tuple[Images, Images | None]:
    """The rest and the validation part; None for `count` 0."""
    if count == 0:
        return images, None
    if by == "images":
        return carving.carve_images(images, count)
    carving.check_class_count("validation", count, images.classes)
    if by == "groups" and images.class_groups:
        return carving.carve_groups(images, count)
    return carving.carve_classes(images, count)


def _named(
    dataset: str, train: Images, validation: Images | None, test: Images, held_out: HoldOut
) -> Split:
    """A split of one pool: its parts are ours, and named so."""
    return Split(
        dataset=dataset,
        train=noted(train, "", split="train"),
        validation=None if validation is None else noted(validation, "", split="validation"),
        test=noted(test, "", split="test"),
        held_out=held_out,
    )


def _noted(
    dataset: str, train: Images, validation: Images | None, test: Images, held_out: HoldOut
) -> Split:
    """A split of published parts, which keep their names."""
    if validation is not None:
        left = f"the rest ({len(validation)} images) is the validation part"
        taken = f"{len(validation)} images taken out of {train.provenance.split} to validate"
        train, validation = noted(train, left), noted(validation, taken)
    return Split(dataset=dataset, train=train, validation=validation, test=test, held_out=held_out)
