"""From the name of a data set, or a folder, to the volumes of its patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from metaact.errors import DataError, UsageError, check_choice, check_int, one_line
from metaact.tasks._images import Provenance
from metaact.tasks.forms.fitting import check_form

from .lgg import read_lgg, volumes_in
from .reading import (
    check_pairs,
    check_sizes,
    images_in,
    in_channels,
    read_mask,
    read_pictures,
    resized,
)
from .synthetic import NAME, SIZE, synthetic_patients
from .volumes import Volumes

BUILT_IN = (NAME,)
"""Names of data that need no files."""

PARTS = ("train", "validation", "test")

LAYOUTS = (
    "images/ and masks/ with files of the same names, or volumes TCGA_<site>_<patient>_<date>/ "
    "with TCGA_..._<slice>.tif and TCGA_..._<slice>_mask.tif"
)


def load_volumes(
    dataset: str | Path,
    *,
    size: int | None = None,
    channels: int | None = None,
    blocks: int | None = None,
) -> Volumes:
    """Read images with masks, and whose they are.

    | `dataset` | patients |
    | --- | --- |
    | "synthetic-patients" | 24 drawn ones |
    | a folder with `images/` and `masks/` | each folder in `images/`; an image outside of these is
    its own; with `blocks`, so many contiguous blocks of the images in the order of their names |
    | a folder in the layout of Kaggle's LGG data | one a volume; see `read_lgg` |
    | a folder with `train/`, `test/` and perhaps `validation/`, each one of these | of each part |

    Args:
        dataset: A name, or a folder.
        size: Height and width afterwards; None for theirs, 64 of the built-in, 256 of Kaggle's.
        channels: 1 or 3; None for theirs.
        blocks: Into how many blocks the images of one volume are cut; None for no such volume.

    Raises:
        UsageError: If there is no such name or folder, or an argument does not fit it.
        DataError: If the folder is of another layout, an image lacks its mask or a mask its image,
            sizes differ, a mask is not binary, or a patient is in two parts.
    """
    check_form(size, channels)
    if dataset in BUILT_IN:
        _without_blocks(blocks, str(dataset), "it has patients")
        drawn = synthetic_patients(size or SIZE)
        return _in_channels(drawn, channels)
    folder = Path(dataset).expanduser()
    if not folder.exists():
        check_choice("dataset", str(dataset), BUILT_IN, why="or a folder of images with masks")
    if not folder.is_dir():
        raise DataError(f"{one_line(str(folder))} must be a folder that holds {LAYOUTS}.")
    volumes = _of_parts(folder, size, blocks)
    _check_copies(volumes)
    return _in_channels(volumes, channels)


def _of_parts(folder: Path, size: int | None, blocks: int | None) -> Volumes:
    """One folder, or its parts."""
    there = [part for part in PARTS if (folder / part).is_dir()]
    if "train" not in there or "test" not in there:
        return _of_folder(folder, size, blocks)
    _without_blocks(blocks, str(folder), "it comes in parts")
    found = {part: _of_folder(folder / part, size, None) for part in there}
    owner: dict[str, str] = {}
    for part, volumes in found.items():
        for patient in volumes.patients:
            if patient in owner:
                raise DataError(
                    f"a patient must be in one part of {one_line(str(folder))}; "
                    f"{one_line(patient)} is in {owner[patient]} and in {part}."
                )
            owner[patient] = part
    _check_one_size([tuple(volumes.pixels.shape[1:]) for volumes in found.values()], folder)
    counts = torch.tensor([0, *(len(volumes.patients) for volumes in found.values())]).cumsum(0)
    return Volumes(
        pixels=torch.cat([volumes.pixels for volumes in found.values()]),
        masks=torch.cat([volumes.masks for volumes in found.values()]),
        patient=torch.cat(
            [v.patient + before for v, before in zip(found.values(), counts, strict=False)]
        ),
        patients=tuple(owner),
        parts=tuple(owner.values()),
        one_object=all(volumes.one_object for volumes in found.values()),
        provenance=_provenance(folder, "own images with masks, in parts"),
    )


def _of_folder(folder: Path, size: int | None, blocks: int | None) -> Volumes:
    if (folder / "images").is_dir() and (folder / "masks").is_dir():
        return _of_images(folder, size, blocks)
    if volumes_in(folder):
        _without_blocks(blocks, str(folder), "it has patients")
        return _joined(read_lgg(folder, size), folder, "own volumes in the layout of Kaggle's LGG")
    raise DataError(f"{one_line(str(folder))} must hold {LAYOUTS}; it is of another layout.")


def _of_images(folder: Path, size: int | None, blocks: int | None) -> Volumes:
    images, masks = images_in(folder / "images"), images_in(folder / "masks")
    check_pairs(folder, images, masks)
    if not images:
        raise DataError(f"{one_line(str(folder / 'images'))} must hold images; got none.")
    if blocks is not None:
        if any("/" in name for name in images):
            _without_blocks(blocks, str(folder), "its images lie in folders of patients")
        why = f"{one_line(str(folder))} has {len(images)} images"
        check_int("blocks", blocks, minimum=2, maximum=len(images), why=why)
    pictures = read_pictures(list(images.values()))
    drawn = [read_mask(masks[name]) for name in images]
    for file, picture, mask in zip(images.values(), pictures, drawn, strict=True):
        check_sizes(file, picture, mask)
    channels = max(len(picture) for picture in pictures)
    slices = [
        resized(
            in_channels(torch.from_numpy(picture)[None], channels),
            torch.from_numpy(mask)[None, None],
            size,
        )
        for picture, mask in zip(pictures, drawn, strict=True)
    ]
    _check_one_size([tuple(pixels.shape[1:]) for pixels, _ in slices], folder)
    owners = [name.partition("/")[0] for name in images]
    if blocks is not None:
        parts = torch.arange(len(images)).tensor_split(blocks)
        owners = [f"block-{n + 1:0{len(str(blocks))}d}" for n, p in enumerate(parts) for _ in p]
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for owner in dict.fromkeys(owners):
        own = [slices[number] for number, name in enumerate(owners) if name == owner]
        found[owner] = torch.cat([p for p, _ in own]), torch.cat([m for _, m in own])
    joined = _joined(found, folder, "own images with masks")
    return replace(joined, blocks=blocks is not None, one_object=False)


def _joined(found: Mapping[str, tuple[Tensor, Tensor]], folder: Path, note: str) -> Volumes:
    sizes = torch.tensor([len(pixels) for pixels, _ in found.values()])
    return Volumes(
        pixels=torch.cat([pixels for pixels, _ in found.values()]),
        masks=torch.cat([masks for _, masks in found.values()]),
        patient=torch.arange(len(found)).repeat_interleave(sizes),
        patients=tuple(found),
        provenance=_provenance(folder, note),
    )


def _provenance(folder: Path, note: str) -> Provenance:
    name = folder.resolve().name
    return Provenance(dataset=name, split="own", official=False, note=note)


def _in_channels(volumes: Volumes, channels: int | None) -> Volumes:
    return replace(volumes, pixels=in_channels(volumes.pixels, channels))


def _without_blocks(blocks: int | None, name: str, why: str) -> None:
    if blocks is not None:
        raise UsageError(f"`blocks` must be left out for {one_line(name)} ({why}); got {blocks}.")


def _check_one_size(forms: list[tuple[int, ...]], folder: Path) -> None:
    different = sorted(set(forms))
    if len(different) > 1:
        first, second = ("x".join(map(str, form)) for form in different[:2])
        raise DataError(
            f"the images of {one_line(str(folder))} must have one form; got {first} and {second}: "
            "give --size."
        )


def _check_copies(volumes: Volumes) -> None:
    """Refuse patients with the very same images: they could be in two parts."""
    seen: dict[bytes, str] = {}
    for number, name in enumerate(volumes.patients):
        content = volumes.pixels[volumes.slices_of(number)].numpy().tobytes()
        if content in seen:
            raise DataError(
                f"a patient must be in one part; {one_line(seen[content])} and {one_line(name)} of "
                f"{volumes.provenance.dataset} hold the same images."
            )
        seen[content] = name
