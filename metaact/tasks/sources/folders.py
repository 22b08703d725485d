"""The user's own images: a folder of class folders."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from metaact.errors import DataError, number_of, one_line, reason_of
from metaact.tasks._images import Images, Provenance
from metaact.tasks.forms.fitting import check_form
from metaact.tasks.sources.gathering import Gathered

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners put into 16-bit files."""

_DEEPEST = 20
"""Folders within each other at most: more is a link that leads back."""


def read_folder(
    path: Path | str, *, size: int | None = None, channels: int | None = None
) -> Images:
    """Read a folder of class folders of images, in any format that Pillow reads.

    `path/<class>/*.png`, or `path/<group>/<class>/*.png` where groups are kept (alphabets, or parts
    such as train and test). Names that begin with a dot are left alone; other files that are no
    images, and folders without any, are left out, and the provenance names them. A class is named
    by its folder, in sorted order.

    Images keep their size, which must be one, and their colour; where some are grey and some are
    not, grey is repeated to 3 channels. Transparent parts become white. Of several frames the first
    is read. Greyscale of more than 8 bits is scaled from as many bits (10, 12, 14 or 16) as the
    values of the whole folder take.

    Args:
        path: The folder.
        size: Height and width of every image afterwards, by the rule of `match`; None for theirs.
        channels: 1 (grey) or 3 (RGB); None for theirs.

    Returns:
        All images, in the order of class and file name.

    Raises:
        UsageError: If `size` or `channels` is not allowed.
        DataError: If there is no such folder, no image in it, classes at several depths, a file
            that cannot be read, images of several sizes and no `size`, or more than memory holds.
    """
    path = Path(path)
    check_form(size, channels)
    if not path.is_dir():
        raise DataError(f"{path} is not a folder; own images come as a folder of class folders.")
    found = _Found()
    try:
        _look(path, path, found, depth=0)
    except OSError as error:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}.") from error
    classes = dict(sorted(found.classes.items()))
    if not classes:
        raise DataError(
            f"{_named(path)} holds no images in class folders; it must hold one folder per class "
            f"with images in it ({path.name}/<class>/<image>.png"
            f"{''.join(f'; {text}' for text in found.left_out())})."
        )
    _check_depths(path, classes)
    files = [(file, label) for label, files in enumerate(classes.values()) for file in files]
    gathered, done = _read(path, [file for file, _ in files], size, channels)
    groups = tuple(name.rpartition("/")[0] for name in classes)
    notes = ["own images, a folder", *done, *found.left_out()]
    return Images(
        pixels=gathered.pixels(),
        labels=torch.tensor([label for _, label in files]),
        class_names=tuple(classes),
        class_groups=groups if all(groups) else (),
        files=tuple(_within(path, file) for file, _ in files),
        provenance=Provenance(
            dataset=path.resolve().name or str(path),
            split="own",
            official=False,
            note="; ".join(notes),
            form=gathered.form,
        ),
    )


def read_images(
    path: Path | str, *, size: int | None = None, channels: int | None = None
) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Read all images in a folder and below it, whatever they show; see `read_folder`.

    Args:
        path: The folder.
        size: As for `read_folder`.
        channels: As for `read_folder`.

    Returns:
        uint8 [images, channels, height, width], and the name of each file in the folder, in sorted
        order.

    Raises:
        UsageError: If `size` or `channels` is not allowed.
        DataError: If there is no such folder, no image in it, a file that cannot be read, images of
            several sizes and no `size`, or more than memory holds.
    """
    path = Path(path)
    check_form(size, channels)
    if not path.is_dir():
        raise DataError(f"{path} is not a folder of images.")
    found = _Found()
    try:
        _look(path.parent, path, found, depth=0)
    except OSError as error:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}.") from error
    files = sorted(file for some in found.classes.values() for file in some)
    if not files:
        raise DataError("; ".join([f"{_named(path)} holds no images", *found.left_out()]) + ".")
    gathered, _ = _read(path, files, size, channels)
    return gathered.pixels(), tuple(_within(path, file) for file in files)


@dataclass(slots=True)
class _Found:
    """What lies in a folder: image files by class, and what is left out."""

    classes: dict[str, list[Path]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def left_out(self) -> list[str]:
        """What is left out, in words."""
        kinds = (
            (self.outside, "image", "outside of class folders"),
            (self.others, "file", "that are no images"),
            (self.empty, "folder", "without images"),
        )
        told = [_counted(names, what, how) for names, what, how in kinds if names]
        return [f"left out: {', '.join(told)}"] if told else []


def _named(path: Path) -> str:
    return one_line(str(path))


def _counted(names: Sequence[str], what: str, how: str) -> str:
    shown = ", ".join(map(one_line, names[:3])) + (", ..." if len(names) > 3 else "")
    how = how.replace("that are no images", "that is no image") if len(names) == 1 else how
    return f"{number_of(len(names), what)} {how} ({shown})"


def _look(root: Path, folder: Path, found: _Found, *, depth: int) -> bool:
    """Sort the files of a folder and of those in it; whether there are images among them."""
    name = folder.relative_to(root).as_posix()
    if depth > _DEEPEST:
        raise DataError(
            f"{root} must hold class folders at most {_DEEPEST} levels deep (a link in it may "
            f"lead back to it); got {one_line(name)}."
        )
    places = sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    images = []
    for place in places:
        if place.is_dir():
            continue
        if place.is_file() and is_image(place):
            images.append(place)
        else:
            found.others.append(place.relative_to(root).as_posix())
    if images and folder == root:
        found.outside += [place.name for place in images]
    elif images:
        found.classes[name] = images
    below = [_look(root, place, found, depth=depth + 1) for place in places if place.is_dir()]
    if not images and not any(below) and folder != root:
        found.empty.append(name)
        return False
    return True


def _check_depths(path: Path, classes: Iterable[str]) -> None:
    """Refuse classes of which some lie deeper than others: which is a class, which a group?"""
    depths: dict[int, str] = {}
    for name in classes:
        depths.setdefault(name.count("/"), name)
    if len(depths) > 1:
        first, second = (one_line(name) for _, name in sorted(depths.items())[:2])
        raise DataError(
            f"{path} must hold its class folders at one depth (else it is open which folders are "
            f"classes and which are groups of them); {first} and {second} both hold images."
        )


@cache
def _suffixes() -> frozenset[str]:
    """Endings of the formats that Pillow reads."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if kind in Image.OPEN)


def is_image(file: Path) -> bool:
    """Whether a file is to be read: by its ending, or else by how it begins."""
    if file.suffix.lower() in _suffixes():
        return True
    # Some formats have no signature, and Pillow takes almost any bytes for them.
    signed = [kind for kind, (_, accepts) in Image.OPEN.items() if accepts is not None]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(file, formats=signed).close()
    except Exception:  # noqa: BLE001  # whatever it is, Pillow cannot open it as an image
        return False
    return True


def _within(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix()


def _read(
    folder: Path, files: Sequence[Path], size: int | None, channels: int | None
) -> tuple[Gathered, list[str]]:
    """All files, and what was done to them but for their size and channels, in words."""
    gathered = Gathered(
        one_line(folder.resolve().name or str(folder)),
        len(files),
        shown=lambda number: one_line(_within(folder, files[number])),
        size=size,
        channels=channels,
    )
    deep: list[int] = []
    framed = largest = 0
    # tqdm draws on stderr, and only on a terminal when `disable` is None.
    described = f"reading {gathered.dataset}"
    progress = tqdm(files, desc=described, unit="img", leave=False, disable=None)
    for number, file in enumerate(progress):
        image, frames = opened(file)
        framed += frames > 1
        if is_deep(image):
            deep.append(number)
            largest = max(largest, int(deep_values(file, image).max()))
        gathered.add(as_bytes(_named(file), image))
    bits = next(bits for bits in _DEPTHS if largest < 2**bits)
    for number in deep:  # once it is known what white is
        image, _ = opened(files[number])
        values = deep_values(files[number], image) >> (bits - 8)
        gathered.replace(number, values.astype(np.uint8)[None])
    done = []
    if deep:
        done.append(f"scaled from {bits} bits (largest value {largest})")
    if framed:
        files_ = "file" if framed == 1 else "files"
        done.append(f"the first frame of {framed} {files_} with several")
    return gathered, done


def as_bytes(name: str, image: Image.Image) -> NDArray[np.uint8]:
    """An image as uint8 [1 or 3, height, width]: grey ones stay grey, and white shows through.

    Args:
        name: How a message calls it.
        image: The image; of more than 8 bits it is cut off at 255.

    Raises:
        DataError: If Pillow has no way from its colours to RGB.
    """
    grey = image.mode in ("1", "L", "LA", "La") or is_deep(image)
    try:
        if image.has_transparency_data and not is_deep(image):
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        plain = np.array(image.convert("L" if grey else "RGB"), dtype=np.uint8)
    except ValueError as error:
        raise DataError(
            f"{name} must hold colours that can be made RGB; got {image.mode}: save it as RGB or "
            "grey."
        ) from error
    return np.ascontiguousarray(plain.reshape(*plain.shape[:2], -1).transpose(2, 0, 1))


def opened(file: Path) -> tuple[Image.Image, int]:
    """An image upright, and its number of frames.

    Raises:
        DataError: If Pillow cannot read it, whatever it raises, or it has values that 8 bits cannot
            hold and that are no whole numbers.
    """
    try:
        with warnings.catch_warnings():
            # Of odd metadata; what it cannot read of the pixels is an error.
            warnings.simplefilter("ignore")
            with Image.open(file) as stored:
                raw = str(stored.tile[0][3]) if stored.tile else ""
                upright = ImageOps.exif_transpose(stored)
                frames = getattr(stored, "n_frames", 1)
    except Exception as e:
        reason = reason_of(e).replace(str(file), "it")
        raise DataError(
            f"{_named(file)} cannot be read as an image ({reason}); repair it or take it out of "
            "the folder."
        ) from e
    if upright.mode == "F":
        raise DataError(
            f"{_named(file)} must hold whole numbers (floating-point values have no white); save "
            "it with 8 or 16 bits."
        )
    if ";16" in raw and not is_deep(upright) and _brightest(upright) < 64:
        raise DataError(
            f"{_named(file)} holds colours of 16 bits of which only the lower are used, and "
            "Pillow reads the upper 8; save it with 8 bits."
        )
    return upright, frames


def is_deep(image: Image.Image) -> bool:
    """Whether Pillow would clip it at 255 instead of scaling it: everything would be white."""
    return image.mode.startswith("I")


def deep_values(file: Path, image: Image.Image) -> NDArray[np.int64]:
    """The values of a grey image of more than 8 bits: [height, width].

    Raises:
        DataError: If they are not in 0..65535.
    """
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() >= 2**16:
        raise DataError(
            f"{_named(file)} must hold values in 0..65535; got {values.min()} to {values.max()}: "
            "save it with 8 or 16 bits."
        )
    return values


def _brightest(image: Image.Image) -> int:
    colours = image.convert("RGB")
    return int(np.asarray(colours).max())
