"""The user's own images: a folder of class folders."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from metaact.errors import DataError, UsageError, check_int, one_line
from metaact.tasks._images import Images, Provenance

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners put into 16-bit files."""

_DEEPEST = 20
"""Folders within each other at most: more is a link that leads back."""


def read_folder(path: Path | str, *, size: int = 28, channels: int = 1) -> Images:
    """Read a folder of class folders of images, in any format that Pillow reads.

    `path/<class>/*.png`, or `path/<group>/<class>/*.png` where groups are kept (alphabets, or parts
    such as train and test). Names that begin with a dot are left alone; other files that are no
    images, and folders without any, are left out, and the provenance names them. Every image
    becomes `size` x `size`: the whole picture is kept, so one that is not square is squeezed.
    Transparent parts become white. Of several frames the first is read. Greyscale of more than 8
    bits is scaled from as many bits (10, 12, 14 or 16) as the values of the whole folder take. A
    class is named by its folder, in sorted order.

    Args:
        path: The folder.
        size: Height and width of every image afterwards.
        channels: 1 for greyscale, 3 for colour.

    Returns:
        All images, in the order of class and file name.

    Raises:
        UsageError: If `size` or `channels` is not allowed.
        DataError: If there is no such folder, no image in it, classes at several depths, or a file
            that cannot be read.
    """
    path = Path(path)
    _check_form(size, channels)
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
            f"{_named(path)} holds no images in class folders; it must hold one folder per "
            f"class with "
            f"images in it ({path.name}/<class>/<image>.png){found.left_out('; left out: ')}."
        )
    _check_depths(path, classes)
    files = [(file, label) for label, files in enumerate(classes.values()) for file in files]
    reader = _Reader(size, channels)
    pixels = _read(path, [file for file, _ in files], reader)
    groups = tuple(name.rpartition("/")[0] for name in classes)
    return Images(
        pixels=torch.from_numpy(pixels),
        labels=torch.tensor([label for _, label in files]),
        class_names=tuple(classes),
        class_groups=groups if all(groups) else (),
        files=tuple(file.relative_to(path).as_posix() for file, _ in files),
        provenance=Provenance(
            dataset=path.resolve().name or str(path),
            split="own",
            official=False,
            note=f"own images, a folder, {reader.told()}{found.left_out('; left out: ')}",
        ),
    )


def read_images(
    path: Path | str, *, size: int = 28, channels: int = 1
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
        DataError: If there is no such folder, no image in it, or a file that cannot be read.
    """
    path = Path(path)
    _check_form(size, channels)
    if not path.is_dir():
        raise DataError(f"{path} is not a folder of images.")
    found = _Found()
    try:
        _look(path.parent, path, found, depth=0)
    except OSError as error:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}.") from error
    files = sorted(file for some in found.classes.values() for file in some)
    if not files:
        raise DataError(f"{_named(path)} holds no images{found.left_out('; left out: ')}.")
    pixels = _read(path, files, _Reader(size, channels))
    return torch.from_numpy(pixels), tuple(file.relative_to(path).as_posix() for file in files)


def _check_form(size: int, channels: int) -> None:
    check_int("size", size, minimum=1, maximum=1024)
    if channels not in (1, 3):
        raise UsageError(f"`channels` must be 1 (greyscale) or 3 (colour); got {channels!r}.")


def _read(path: Path, files: Sequence[Path], reader: _Reader) -> NDArray[np.uint8]:
    # tqdm draws on stderr, and only on a terminal when `disable` is None.
    described = f"reading {one_line(path.name)}"
    progress = tqdm(files, desc=described, unit="img", leave=False, disable=None)
    pixels = [reader.read(file) for file in progress]
    for index, array in reader.deep_again(files):
        pixels[index] = array
    return np.stack(pixels)


@dataclass(slots=True)
class _Found:
    """What lies in a folder: image files by class, and what is left out."""

    classes: dict[str, list[Path]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def left_out(self, before: str) -> str:
        """What is left out, in words; "" if nothing is."""
        kinds = (
            (self.outside, "image", "outside of class folders"),
            (self.others, "file", "that are no images"),
            (self.empty, "folder", "without images"),
        )
        told = [_counted(names, what, how) for names, what, how in kinds if names]
        return before + ", ".join(told) if told else ""


def _named(path: Path) -> str:
    return one_line(str(path))


def _counted(names: Sequence[str], what: str, how: str) -> str:
    shown = ", ".join(map(one_line, names[:3])) + (", ..." if len(names) > 3 else "")
    how = how.replace("that are no images", "that is no image") if len(names) == 1 else how
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'} {how} ({shown})"


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
        if place.is_file() and _is_image(place):
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


def _is_image(file: Path) -> bool:
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


class _Reader:
    """Reads files into one form, and notes what was done to them.

    Args:
        size: Height and width afterwards.
        channels: 1 or 3.
    """

    def __init__(self, size: int, channels: int) -> None:
        self.size, self.channels = size, channels
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.coloured = self.framed = 0
        self.deep: list[int] = []
        self.number = self.largest = 0

    def read(self, file: Path) -> NDArray[np.uint8]:
        """One image as uint8 [channels, size, size]; of a deep one, what has its place for now."""
        image, frames = _opened(file)
        self.sizes[image.size] += 1
        self.coloured += image.mode not in ("1", "L", "LA", "La") and not _is_deep(image)
        self.framed += frames > 1
        if _is_deep(image):
            values = _deep_values(file, image)
            self.deep.append(self.number)
            self.largest = max(self.largest, int(values.max()))
        self.number += 1
        return self._shaped(image)

    def deep_again(self, files: Sequence[Path]) -> Iterable[tuple[int, NDArray[np.uint8]]]:
        """Position and pixels of the images of more than 8 bits, scaled alike."""
        for index in self.deep:
            image, _ = _opened(files[index])
            values = _deep_values(files[index], image) >> (self._bits - 8)
            yield index, self._shaped(Image.fromarray(values.astype(np.uint8)))

    @property
    def _bits(self) -> int:
        return next(bits for bits in _DEPTHS if self.largest < 2**bits)

    def _shaped(self, image: Image.Image) -> NDArray[np.uint8]:
        plain = image.convert("L" if self.channels == 1 else "RGB")
        resized = plain.resize((self.size, self.size), Image.Resampling.LANCZOS)
        array = np.asarray(resized, dtype=np.uint8).reshape(self.size, self.size, self.channels)
        return np.ascontiguousarray(array.transpose(2, 0, 1))

    def told(self) -> str:
        """What was done to the images, in words."""
        steps = []
        if self.channels == 1 and self.coloured:
            steps.append("made grey")
        if self.channels == 3 and self.coloured < self.number:
            steps.append("grey repeated to 3 channels")
        first = next(iter(self.sizes))
        if len(self.sizes) > 1:
            steps.append(f"resized to {self.size}x{self.size} from {len(self.sizes)} sizes")
        elif first != (self.size, self.size):
            steps.append(f"resized to {self.size}x{self.size} from {first[1]}x{first[0]}")
        if self.deep:
            steps.append(f"scaled from {self._bits} bits (largest value {self.largest})")
        if self.framed:
            steps.append(f"the first frame of {self.framed} files with several")
        return ", ".join(steps) or "unchanged"


def _opened(file: Path) -> tuple[Image.Image, int]:
    """An image upright and without transparency (white shows through), and its number of frames.

    Raises:
        DataError: If Pillow cannot read it, whatever it raises, or it has values that 8 bits cannot
            hold and that are no whole numbers.
    """
    try:
        with warnings.catch_warnings():
            # Of odd metadata; what it cannot read of the pixels is an error.
            warnings.simplefilter("ignore")
            with Image.open(file) as stored:
                raw = str(stored.tile[0].args) if stored.tile else ""
                upright = ImageOps.exif_transpose(stored)
                frames = getattr(stored, "n_frames", 1)
    except Exception as e:
        reason = " ".join(str(e).replace(str(file), "it").split()) or type(e).__name__
        raise DataError(
            f"{_named(file)} cannot be read as an image ({reason}); repair it or take it out of "
            "the folder."
        ) from e
    if upright.mode == "F":
        raise DataError(
            f"{_named(file)} must hold whole numbers (floating-point values have no white); save "
            "it with 8 or 16 bits."
        )
    if ";16" in raw and not _is_deep(upright) and _brightest(upright) < 64:
        raise DataError(
            f"{_named(file)} holds colours of 16 bits of which only the lower are used, and "
            "Pillow reads the upper 8; save it with 8 bits."
        )
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return upright, frames


def _is_deep(image: Image.Image) -> bool:
    """Whether Pillow would clip it at 255 instead of scaling it: everything would be white."""
    return image.mode.startswith("I")


def _deep_values(file: Path, image: Image.Image) -> NDArray[np.int64]:
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
