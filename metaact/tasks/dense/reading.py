"""Images with masks from files, and how they are brought to one size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from metaact.errors import DataError, one_line
from metaact.tasks.sources.folders import as_bytes, deep_values, is_deep, is_image, opened

Bytes: TypeAlias = NDArray[np.uint8]


def images_in(folder: Path) -> dict[str, Path]:
    """The images in a folder and below it, by their names within it without ending.

    They are sorted by name, numbers in names by their size. Hidden files are left alone.

    Raises:
        DataError: If two have one name, or the folder cannot be looked into.
    """
    try:
        places = [place for place in folder.rglob("*") if place.is_file()]
    except OSError as error:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}.") from error
    shown = [p for p in places if not any(x.startswith(".") for x in p.relative_to(folder).parts)]
    found: dict[str, Path] = {}
    for place in sorted(filter(is_image, shown), key=lambda p: in_order(p.as_posix())):
        name = place.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{one_line(str(folder))} must hold one image of a name; got "
                f"{one_line(found[name].name)} and {one_line(place.name)}."
            )
        found[name] = place
    return found


def in_order(name: str) -> list[tuple[int, str]]:
    """By what names are sorted: the numbers in them by their size.

    Examples:
        >>> sorted(["slice_10", "slice_9"], key=in_order)
        ['slice_9', 'slice_10']
    """
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def check_pairs(folder: Path, images: Mapping[str, Path], masks: Mapping[str, Path]) -> None:
    """Refuse images without masks, and masks without images.

    Raises:
        DataError: If there are any; the message names the first.
    """
    for one, others, name in ((images, masks, "mask"), (masks, images, "image")):
        alone = [place for key, place in one.items() if key not in others]
        if alone:
            more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
            raise DataError(
                f"every image in {one_line(str(folder))} must have its mask, and every mask its "
                f"image; {one_line(str(alone[0].relative_to(folder)))} has no {name}{more}."
            )


def read_mask(file: Path) -> Bytes:
    """A mask [height, width], 1 where it is not 0.

    Raises:
        DataError: If it has other values than 0 and one more.
    """
    image, _ = opened(file)
    found = _values(file, image)
    values = [value for value in np.unique(found).tolist() if value > 0]
    if len(values) > 1 or bool((found != found[:1]).any()):
        shown = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
        raise DataError(
            f"{one_line(str(file))} must be a mask, 0 outside of the object and one other value "
            f"inside; got values {shown}."
        )
    return np.asarray(found[0] > 0, dtype=np.uint8)


def _values(file: Path, image: Image.Image) -> NDArray[np.int64]:
    """An image as numbers [1 or 3, height, width]."""
    if is_deep(image):
        return deep_values(file, image)[None]
    return as_bytes(str(file), image).astype(np.int64)


def read_pictures(files: Sequence[Path]) -> list[Bytes]:
    """Images [1 or 3, height, width]; more than 8 bits are scaled by the largest of all values."""
    found: list[tuple[bool, NDArray[np.int64]]] = []
    for file in files:
        image, _ = opened(file)
        found.append((is_deep(image), _values(file, image)))
    largest = max([255, *(int(values.max()) for deep, values in found if deep)])
    return [
        np.asarray(values * 255 // largest if deep else values, dtype=np.uint8)
        for deep, values in found
    ]


def check_sizes(file: Path, picture: Bytes, mask: Bytes) -> None:
    """Refuse a mask of another size than its image.

    Raises:
        DataError: If it is.
    """
    if picture.shape[1:] != mask.shape:
        (height, width), (rows, columns) = picture.shape[1:], mask.shape
        raise DataError(
            f"the mask of {one_line(str(file))} must have the size of its image, {height}x{width}; "
            f"got {rows}x{columns}."
        )


def resized(pixels: Tensor, masks: Tensor, size: int | None) -> tuple[Tensor, Tensor]:
    """Images uint8 [n, c, h, w] and masks [n, 1, h, w] whole at another height and width.

    Images are interpolated, smoothed where they shrink; masks take their nearest pixel.
    """
    if size is None or tuple(pixels.shape[2:]) == (size, size):
        return pixels, masks
    smooth = functional.interpolate(
        pixels.float(), (size, size), mode="bilinear", antialias=True, align_corners=False
    )
    near = functional.interpolate(masks.float(), (size, size), mode="nearest-exact")
    return smooth.round().clamp(0, 255).to(torch.uint8), near.to(torch.uint8)


def in_channels(pixels: Tensor, channels: int | None) -> Tensor:
    """Images with so many channels: their mean, or one repeated."""
    if channels is None or pixels.shape[1] == channels:
        return pixels
    if channels == 1:
        return pixels.float().mean(dim=1, keepdim=True).round().to(torch.uint8)
    return pixels.expand(-1, channels, -1, -1).contiguous()
