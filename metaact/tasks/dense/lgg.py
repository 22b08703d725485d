"""The layout of Kaggle's LGG segmentation data, with the whole preparation of its published port.

References:
    Buda, Saha and Mazurowski, 2019, https://arxiv.org/abs/1906.03720, and its PyTorch port.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metaact.errors import DataError, one_line

from .reading import check_pairs, check_sizes, in_order, read_mask, read_pictures, resized

SIZE = 256
"""Height and width of a slice, as published."""

DARK = 0.1
"""Share of a volume's largest value below which a voxel is taken for black."""

PERCENTILES = 10, 99
"""Of a volume's values, what becomes black and what becomes white."""

_VOLUME = re.compile(r"(?P<patient>TCGA_[^_]+_[^_]+)_[^_]+")


def volumes_in(folder: Path) -> list[Path]:
    """The folders of volumes; [] if the folder is of another layout."""
    inside = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted(place for place in inside if _VOLUME.fullmatch(place.name))


def read_lgg(folder: Path, size: int | None) -> dict[str, tuple[Tensor, Tensor]]:
    """Slices uint8 [slices, 3, size, size] and masks [slices, 1, size, size] of each patient.

    `TCGA_<site>_<patient>_<date>/TCGA_…_<slice>.tif` and `…_<slice>_mask.tif`. Of each volume the
    first and the last slice are left out; voxels darker than a tenth of its largest value become
    black; it is cropped to what is not, in all three directions, padded to a square, resized, and
    its values are stretched between their 10th and 99th percentile.

    Deviation:
        The port then standardises each volume; here `normalisation` does it over the training part.

    Args:
        folder: Folder of volumes.
        size: Height and width afterwards; None is 256.

    Raises:
        DataError: If a file is missing, misplaced or no slice, or a patient has two volumes.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    folders: dict[str, str] = {}
    for place in volumes_in(folder):
        match = _VOLUME.fullmatch(place.name)
        assert match is not None
        patient = match["patient"]
        if patient in folders:
            raise DataError(
                f"a patient must be in one part; {patient} has two volumes in "
                f"{one_line(str(folder))}, {folders[patient]} and {place.name}: keep one."
            )
        folders[patient] = place.name
        found[patient] = prepared(*_read(place), size or SIZE, name=str(place))
    return found


def _read(place: Path) -> tuple[Tensor, Tensor]:
    """The slices of a volume in order, and their masks, as they are in the files."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    pattern = re.compile(rf"{re.escape(place.name)}_(\d+)(_mask)?")
    for file in sorted(place.glob("*.tif"), key=lambda file: in_order(file.stem)):
        match = pattern.fullmatch(file.stem)
        if match is None:
            raise DataError(
                f"{one_line(str(place))} must hold {place.name}_<slice>.tif and "
                f"{place.name}_<slice>_mask.tif alone; got {one_line(file.name)}."
            )
        (masks if match[2] else images)[match[1]] = file
    check_pairs(place, images, masks)
    if len(images) < 3:
        raise DataError(
            f"{one_line(str(place))} must hold at least 3 slices (the first and the last are left "
            f"out); got {len(images)}."
        )
    pictures = read_pictures(list(images.values()))
    drawn = [read_mask(masks[number]) for number in images]
    for file, picture, mask in zip(images.values(), pictures, drawn, strict=True):
        check_sizes(file, picture, mask)
        if picture.shape != (3, *pictures[0].shape[1:]):
            form = "x".join(map(str, pictures[0].shape[1:]))
            raise DataError(
                f"{one_line(str(file))} must have 3 channels of {form}, as a slice of its volume; "
                f"got {'x'.join(map(str, picture.shape))}."
            )
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(drawn))[:, None]


def prepared(pixels: Tensor, masks: Tensor, size: int, *, name: str) -> tuple[Tensor, Tensor]:
    """One volume as the port prepares it; see `read_lgg`.

    Args:
        pixels: uint8 [slices, channels, height, width].
        masks: uint8 [slices, 1, height, width].
        size: Height and width afterwards.
        name: Of the volume, for messages.

    Raises:
        DataError: If all of it is black.
    """
    pixels, masks = pixels[1:-1].clone(), masks[1:-1]
    pixels[pixels < DARK * int(pixels.max())] = 0
    if not bool(pixels.any()):
        raise DataError(f"{one_line(name)} must show something; all its inner slices are black.")
    z, y, x = (_extent(pixels.amax(dim=other)) for other in ((1, 2, 3), (0, 1, 3), (0, 1, 2)))
    pixels, masks = pixels[z, :, y, x], masks[z, :, y, x]
    height, width = pixels.shape[2:]
    missing = max(height, width) - torch.tensor([width, height])
    edges = [int(edge) for side in missing for edge in (side // 2, side - side // 2)]
    pixels, masks = functional.pad(pixels, edges), functional.pad(masks, edges)
    pixels, masks = resized(pixels, masks, size)
    low, high = np.percentile(pixels.numpy(), PERCENTILES)
    stretched = (pixels.float() - low) / max(high - low, 1) * 255
    return stretched.round().clamp(0, 255).to(torch.uint8), masks


def _extent(brightest: Tensor) -> slice:
    """From the first to the last place along an axis at which anything is not black."""
    places = brightest.nonzero().flatten()
    return slice(int(places[0]), int(places[-1]) + 1)
