"""The user's own images: a folder of class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from metaact.errors import DataError, UsageError, check_int
from metaact.tasks._images import Images, Provenance

SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def read_folder(path: Path | str, *, size: int = 28, channels: int = 1) -> Images:
    """Read a folder of class folders of PNG or JPEG files.

    `path/<class>/*.png`, or `path/<group>/<class>/*.png` where groups are kept (alphabets).
    Other files and names that begin with a dot are left alone. Every image becomes
    `size` x `size`: the whole picture is kept, so one that is not square is squeezed.
    Transparent parts become white. A class is named by its folder, in sorted order.

    Args:
        path: The folder.
        size: Height and width of every image afterwards.
        channels: 1 for greyscale, 3 for colour.

    Returns:
        All images, in the order of class and file name.

    Raises:
        UsageError: If `size` or `channels` is not allowed.
        DataError: If there is no such folder, no image in it, or a file that cannot be read.
    """
    path = Path(path)
    check_int("size", size, minimum=1, maximum=1024)
    if channels not in (1, 3):
        raise UsageError(f"`channels` must be 1 (greyscale) or 3 (colour); got {channels!r}.")
    if not path.is_dir():
        raise DataError(f"{path} is not a folder; own images come as a folder of class folders.")
    classes = _classes(path)
    if not classes:
        raise DataError(
            f"{path} holds no images; it must hold one folder per class with PNG or JPEG files in "
            f"it ({path.name}/<class>/<image>.png)."
        )
    files = [(file, label) for label, files in enumerate(classes.values()) for file in files]
    # tqdm draws on stderr, and only on a terminal when `disable` is None.
    progress = tqdm(files, desc=f"reading {path.name}", unit="img", leave=False, disable=None)
    pixels = np.stack([_read(file, size, channels) for file, _ in progress])
    groups = tuple(name.rpartition("/")[0] for name in classes)
    return Images(
        pixels=torch.from_numpy(pixels),
        labels=torch.tensor([label for _, label in files]),
        class_names=tuple(classes),
        class_groups=groups if all(groups) else (),
        provenance=Provenance(
            dataset=path.resolve().name or str(path),
            split="own",
            official=False,
            note="own images, a folder",
        ),
    )


def _classes(path: Path) -> dict[str, list[Path]]:
    """Image files by class name, one or two levels down."""
    found: dict[str, list[Path]] = {}
    try:
        for first in _folders(path):
            for folder in (first, *_folders(first)):
                files = _images(folder)
                if files:
                    found[folder.relative_to(path).as_posix()] = files
    except OSError as error:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}.") from error
    return dict(sorted(found.items()))


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))


def _images(path: Path) -> list[Path]:
    return sorted(
        p
        for p in path.iterdir()
        if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file()
    )


def _read(file: Path, size: int, channels: int) -> NDArray[np.uint8]:
    """One image as uint8 [channels, size, size]."""
    try:
        with Image.open(file) as stored:
            upright = ImageOps.exif_transpose(stored)
            plain = _flatten(upright).convert("L" if channels == 1 else "RGB")
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ) as e:
        raise DataError(
            f"{file} cannot be read as an image ({e}); repair it or take it out of the folder."
        ) from e
    resized = plain.resize((size, size), Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.uint8).reshape(size, size, channels)
    return np.ascontiguousarray(array.transpose(2, 0, 1))


def _flatten(image: Image.Image) -> Image.Image:
    """Without transparency (white shows through) and with 8 bits a channel."""
    if image.mode.startswith("I"):
        # Pillow clips 16-bit greyscale at 255 instead of scaling it: everything would be white.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image
