"""From the name of a data set, a path, or images, to a verified split."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from metaact.errors import DataError, UsageError, check_choice, check_int
from metaact.tasks._images import Images
from metaact.tasks.forms.fitting import check_form, fitted
from metaact.tasks.sources import catalogue
from metaact.tasks.sources.folders import read_folder
from metaact.tasks.sources.loading import load, source_name
from metaact.tasks.sources.packs import read_pack
from metaact.tasks.splits.dividing import carve, named, split_classes, split_images, split_pool
from metaact.tasks.splits.given import check_groups, split_given
from metaact.tasks.splits.omniglot import split_omniglot
from metaact.tasks.splits.split import HOLD_OUTS, Split

_PARTS = ("train", "validation", "test")

Fit = Callable[[Images], Images]
"""Brings images to the size and the channels that were asked for."""


def split(
    dataset: str | Path | Images,
    *,
    root: Path | str | None = None,
    hold_out: str | None = None,
    validation: int | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> Split:
    """Load a data set and divide it into train, validation and test parts.

    Images keep their size and their colour unless `size` and `channels` say otherwise; what was
    done is in `provenance.form` of each part.

    The division is fixed: it depends on the data and on nothing else, above all not on the seed
    of a run. Published test parts stay as published.

    - `omniglot`: 30 background alphabets train, 20 evaluation alphabets test (Lake et al. 2015);
      the validation part is whole alphabets taken out of background.
    - `omniglot-rotated`: 1,200 characters train (100 of them validate), 423 test; the four
      rotations of a character are classes of the same part.
    - `mnist`, `svhn`, `usps`, `kmnist`, `fashion-mnist`, `cifar10`, `cifar100`, `printed-digits`,
      `street-digits`: the published parts; the validation images come out of train.
    - `glyphs`: whole scripts train, validate and test.
    - A folder of class folders, an `.npz` pack, images (as of `from_dataset`): parts that are given
      (`train`, `test`, perhaps `validation`) are used as they are. Else 60 % of the classes train,
      20 % validate, 20 % test; or, with `hold_out="images"`, of each class's images; or, with
      `hold_out="groups"`, whole groups of classes (alphabets).

    Args:
        dataset: A name of the catalogue, the path of a folder or an `.npz` pack, or images.
        root: Data root; None for METAACT_DATA, else the user's cache folder.
        hold_out: "classes" (new classes are tested), "images" (new images of the same classes) or
            "groups" (new groups of classes, of your own data); None takes what suits the data set.
        validation: Images (`hold_out="images"`) or at least so many classes
            (`hold_out="classes"`) of the validation part; 0 for none; None for the default.
        size: Height and width afterwards: images that are larger by 32/28 at most are cropped at
            the centre, others resized whole. None for theirs.
        channels: 1 (made grey) or 3 (grey repeated). None for theirs.

    Returns:
        The verified split.

    Raises:
        UsageError: If the name is unknown or an argument does not fit the data.
        DataError: If the data are missing or damaged, or parts share a class or an image.

    Examples:
        >>> split("omniglott")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        metaact.errors.UsageError: ... got 'omniglott'. Did you mean 'omniglot'? ...
    """
    if hold_out is not None:
        check_choice("hold_out", hold_out, HOLD_OUTS)
    if validation is not None:
        check_int("validation", validation, minimum=0)
    check_form(size, channels)
    if isinstance(dataset, Images):
        pool = fitted(dataset, size=size, channels=channels)
        return _divided(pool.provenance.dataset, pool, hold_out, validation)
    if is_path(dataset):
        pool = _own(Path(dataset).expanduser(), size, channels)
        try:
            return _divided(str(dataset), pool, hold_out, validation)
        except DataError as error:
            if str(dataset) in str(error):
                raise
            # What is wrong is said again of data that are called as the user called them.
            called = replace(pool.provenance, dataset=str(dataset))
            _divided(str(dataset), replace(pool, provenance=called), hold_out, validation)
            raise
    entry = _find(str(dataset))
    if hold_out == "groups":
        check_choice("hold_out", hold_out, ("classes", "images"), why=f"as for {entry.name}")
    held_out = hold_out or entry.hold_out
    fit = partial(fitted, size=size, channels=channels)
    if entry.name == "glyphs":
        return _split_glyphs(root, held_out, validation, fit)
    if source_name(entry.name) == "omniglot":
        return split_omniglot(entry.name, root, held_out, validation, fit)
    train, test = map(fit, _published(entry.name, root))
    if held_out == "images":
        return split_images(entry.name, train, test, validation)
    return split_classes(entry.name, train, test, validation)


def _divided(dataset: str, pool: Images, hold_out: str | None, validation: int | None) -> Split:
    """A pool of the user's own, by its own parts or by ours."""
    given = split_given(dataset, pool, hold_out, validation)
    if given is not None:
        return given
    if hold_out != "groups":
        check_groups(dataset, pool)
    return split_pool(dataset, pool, hold_out or "classes", validation)


def check_shares_classes(name: str, dataset: str | Path) -> None:
    """Refuse a data set whose published test part can only hold classes that never train.

    Args:
        name: The argument's name as the user wrote it.
        dataset: What was given for it; an unknown name is left to `split`.

    Raises:
        UsageError: If it is one.
    """
    if not is_path(dataset) and source_name(str(dataset)) == "omniglot":
        raise UsageError(
            f"`{name}` must test new images of the classes that it trains; {dataset} tests other "
            "characters, as published (`metaact maml` is for that)."
        )


def is_path(dataset: str | Path) -> bool:
    """Whether `dataset` means a folder or file and not a name: "./mnist" is a path, "mnist" not."""
    text = str(dataset)
    if isinstance(dataset, Path) or text.lower().endswith(".npz") or text.startswith(("~", ".")):
        return True
    separators = {os.sep, os.altsep or os.sep}
    named = not text or text in catalogue.names()  # Path("") would be the current folder
    return any(s in text for s in separators) or (not named and Path(text).exists())


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
        return read_folder(path, size=size, channels=channels)
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path} must be a folder of class folders or an `.npz` pack.")
    return fitted(read_pack(path), size=size, channels=channels)


def _published(name: str, root: Path | str | None) -> tuple[Images, Images]:
    if name == "printed-digits":
        from metaact.tasks.builtin.digits import printed_digits

        return printed_digits("train", root=_path(root)), printed_digits("test", root=_path(root))
    if name == "street-digits":
        from metaact.tasks.builtin.digits import street_digits

        return street_digits("train", root=_path(root)), street_digits("test", root=_path(root))
    return load(name, "train", root=root), load(name, "test", root=root)


def _split_glyphs(
    root: Path | str | None, held_out: str, validation: int | None, fit: Fit
) -> Split:
    from metaact.tasks.builtin.glyphs import GLYPH_SPLIT, glyphs

    pool = fit(glyphs(root=_path(root)))
    if held_out == "images":
        return split_pool("glyphs", pool, held_out, validation)
    if validation is None:
        train, chosen, test = (_scripts(pool, GLYPH_SPLIT[p]) for p in _PARTS)
        return named("glyphs", train, chosen, test, "classes")
    rest = _scripts(pool, GLYPH_SPLIT["train"] + GLYPH_SPLIT["validation"])
    train, carved = carve(rest, validation, by="groups")
    return named("glyphs", train, carved, _scripts(pool, GLYPH_SPLIT["test"]), "classes")


def _scripts(pool: Images, scripts: tuple[str, ...]) -> Images:
    return pool.take_classes([c for c, group in enumerate(pool.class_groups) if group in scripts])
