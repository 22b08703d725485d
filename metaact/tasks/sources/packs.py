"""Packs: labelled images in one `.npz` file that cannot run code."""

from __future__ import annotations

import json
import math
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from metaact.errors import UNREADABLE, DataError, reason_of
from metaact.tasks._images import Images, Provenance

# What one pack may unfold to in memory. A few kilobytes of zip can claim terabytes; the largest
# published set here (CIFAR-10, SVHN) takes a fifth of a gigabyte.
MAX_BYTES = 8 * 2**30
MEMBERS = ("images", "labels", "provenance", "class_names", "class_groups", "group_names")
# As others publish parts in one file: MedMNIST's train_images, train_labels, ..., Keras' x_train,
# y_train, ....
_GIVEN = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))
_PARTS = ("train", "val", "test")


def read_pack(path: Path | str) -> Images:
    """Read a pack.

    Members: `images` uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3]; `labels` integers [N] in
    0..C-1; optionally `provenance` (a JSON text), `class_names` [C], `class_groups` [C] (texts,
    or numbers into `group_names` [G]). Other members are left unread.

    In place of `images` and `labels` there may be those of parts: `train_images`, `train_labels`,
    `test_images`, ..., or `x_train`, `y_train`, `x_test`, .... Then the part is the group of each
    class, and `metaact.tasks.split` uses the parts as they are.

    Args:
        path: The `.npz` file.

    Returns:
        The images, channels first. When the provenance holds a `sha256`, the content matches it.

    Raises:
        DataError: If the file is missing, unreadable, truncated or not such a pack.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    given = [name for name in arrays if name not in MEMBERS]
    pixels, labels, parts = _joined(path, arrays) if given else _whole(path, arrays)
    classes = int(labels.max()) + 1
    class_names = _texts(path, arrays, "class_names", classes)
    numbered = not class_names
    class_names = class_names or tuple(str(c) for c in range(classes))
    groups = _groups(path, arrays, classes)
    if parts:
        labels, class_names, groups = _by_part(labels, parts, class_names)
    facts = _provenance(path, arrays.get("provenance"))
    images = Images(
        pixels=torch.from_numpy(pixels),
        labels=torch.from_numpy(labels),
        class_names=class_names,
        class_groups=groups,
        numbered=numbered,
        provenance=Provenance(
            dataset=str(facts.get("dataset", path.stem)),
            split=str(facts.get("split", "own")),
            official=facts.get("official") is True,
            note=str(facts.get("note", "")),
            form=str(facts.get("form", "")),
        ),
    )
    expected = facts.get("sha256")
    if expected is not None and expected != images.sha256():
        raise DataError(
            f"{path} does not hold what it was packed with (sha256 {images.sha256()[:12]}…, "
            f"recorded {str(expected)[:12]}…); delete it and fetch or make it again."
        )
    return images


def write_pack(path: Path | str, images: Images) -> Path:
    """Write a pack with its provenance and the hash of its content; whole or not at all.

    Args:
        path: The `.npz` file; one that exists is replaced.
        images: What to write.

    Returns:
        `path`.

    Raises:
        DataError: If it cannot be written (no such folder, not allowed, disk full).
    """
    path = Path(path)
    origin = images.provenance
    facts = {
        "dataset": origin.dataset,
        "split": origin.split,
        "official": origin.official,
        "note": origin.note,
        "form": origin.form,
        "sha256": images.sha256(),
    }
    pixels = images.pixels.cpu().numpy()
    arrays: dict[str, NDArray[Any]] = {
        "images": pixels[:, 0] if images.channels == 1 else pixels.transpose(0, 2, 3, 1),
        "labels": images.labels.cpu().numpy(),
        "provenance": np.array(json.dumps(facts)),
        "class_names": np.array(images.class_names),
    }
    if images.class_groups:
        arrays["class_groups"] = np.array(images.class_groups)
    try:
        _write_atomically(path, arrays)
    except OSError as error:
        raise DataError(f"cannot write the pack {path}: {error.strerror or error}.") from error
    return path


def _write_atomically(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types its flag too
        # mkstemp makes it private; a data root is often shared by a group.
        part.chmod(0o644)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise DataError(f"{path} is not a file; a pack is an `.npz` file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd header; what it leads to is checked
            with zipfile.ZipFile(path) as archive:
                held = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
                present = _wanted(path, held)
                _check_claims(path, archive, present)
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in present}
    except DataError:
        raise
    except Exception as e:  # a damaged or foreign file raises whatever it happens to hit
        reason = reason_of(e).partition(". ")[0][:200].rstrip(".")
        raise DataError(f"{path} is not a readable pack (truncated or damaged?): {reason}.") from e


def _wanted(path: Path, held: list[str]) -> list[str]:
    """The arrays to read, out of those that a file holds."""
    present = [name for name in MEMBERS if name in held]
    missing = [name for name in ("images", "labels") if name not in held]
    if not missing:
        return present
    pairs = {pair for kind in _GIVEN for pair in _pairs(kind, held).values()}
    if len(missing) == 2 and pairs:
        return [name for name in present if name in ("provenance", "class_names")] + [
            name for pair in sorted(pairs) for name in pair
        ]
    shown = ", ".join(ascii(name)[1:-1] for name in held[:8]) + (", ..." if len(held) > 8 else "")
    raise DataError(
        f"{path} holds no {' and no '.join(f'`{m}`' for m in missing)} (nor `train_images`, "
        f"`train_labels`, ...); it holds {shown or 'no array'}."
    )


def _pairs(kind: tuple[str, str], held: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Images and labels of each part that is there, by one way of naming them."""
    there = {name.casefold(): name for name in held}
    wanted = {part: tuple(one.format(part) for one in kind) for part in _PARTS}
    return {
        part: (there[images], there[labels])
        for part, (images, labels) in wanted.items()
        if images in there and labels in there
    }


def _whole(
    path: Path, arrays: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    pixels = _pixels(path, "images", arrays["images"])
    return pixels, _labels(path, "labels", arrays["labels"], len(pixels)), []


def _joined(
    path: Path, arrays: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Pixels and labels of all parts, one after the other, and the part of each image."""
    pairs = next(found for kind in _GIVEN if (found := _pairs(kind, arrays)))
    pixels = {p: _pixels(path, images, arrays[images]) for p, (images, _) in pairs.items()}
    shapes = {part: array.shape[1:] for part, array in pixels.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{part} {list(shape)}" for part, shape in shapes.items())
        raise DataError(
            f"{path}: all parts must hold images of one size, with as many channels; got {told}."
        )
    each = [
        _integers(path, labels, arrays[labels], len(pixels[part]))
        for part, (_, labels) in pairs.items()
    ]
    labels = _without_gaps(path, "the labels of all parts", np.concatenate(each))
    parts = [part for part, array in pixels.items() for _ in range(len(array))]
    return np.concatenate(list(pixels.values())), labels, parts


def _by_part(
    labels: NDArray[np.int64], parts: list[str], names: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Labels, names and groups where each class of each part counts for itself."""
    order = list(dict.fromkeys(parts))
    places = np.array([order.index(part) for part in parts])
    kept, closed = np.unique(places * len(names) + labels, return_inverse=True)
    pairs = [(order[k // len(names)], names[k % len(names)]) for k in kept.tolist()]
    groups = tuple(part for part, _ in pairs)
    return closed.astype(np.int64), tuple(f"{part}/{name}" for part, name in pairs), groups


def _check_claims(path: Path, archive: zipfile.ZipFile, names: list[str]) -> None:
    """Read what each array claims to be, before any memory is set aside for it."""
    total = 0
    for name in names:
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
            header = file.tell()
        if dtype.hasobject:
            raise DataError(f"{path}: `{name}` holds Python objects, which may run code; refused.")
        total += math.prod(shape) * dtype.itemsize
        if math.prod(shape) * dtype.itemsize != info.file_size - header:
            raise DataError(f"{path}: `{name}` is not as long as its shape {list(shape)} says.")
    if total > MAX_BYTES:
        raise DataError(
            f"{path} would take {total / 2**30:.1f} GiB of memory; at most "
            f"{MAX_BYTES // 2**30} GiB are read."
        )


def _pixels(path: Path, name: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise DataError(f"{path}: `{name}` must be uint8 (0..255); got {images.dtype}.")
    is_image = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not is_image or 0 in images.shape:
        raise DataError(
            f"{path}: `{name}` must be [N, H, W], [N, H, W, 1] or [N, H, W, 3] and not empty; "
            f"got {list(images.shape)}."
        )
    first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(first)


def _labels(path: Path, name: str, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    return _without_gaps(path, f"`{name}`", _integers(path, name, labels, count))


def _integers(path: Path, name: str, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"{path}: `{name}` must be integers [{count}], one per image; "
            f"got {labels.dtype} {list(labels.shape)}."
        )
    return labels.reshape(-1).astype(np.int64)


def _without_gaps(path: Path, name: str, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    present = np.unique(labels)
    if present[0] != 0 or present[-1] != len(present) - 1:
        expected = np.arange(len(present))
        gap = int(expected[present != expected][0])
        raise DataError(
            f"{path}: {name} must take every value 0..C-1 without gaps; got {len(present)} "
            f"values from {present[0]} to {present[-1]}, and no {gap}."
        )
    return labels


def _texts(
    path: Path, arrays: dict[str, NDArray[Any]], name: str, count: int | None
) -> tuple[str, ...]:
    array = arrays.get(name)
    if array is None:
        return ()
    if array.dtype.kind != "U" or array.ndim != 1 or (count is not None and len(array) != count):
        expected = "one per class" if count is None else f"[{count}], one per class"
        raise DataError(
            f"{path}: `{name}` must be texts {expected}; got {array.dtype} {list(array.shape)}."
        )
    texts = tuple(str(text) for text in array)
    if name == "class_names" and len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise DataError(f"{path}: `class_names` must be unique; got {twice!r} twice.")
    return texts


def _groups(path: Path, arrays: dict[str, NDArray[Any]], classes: int) -> tuple[str, ...]:
    groups = arrays.get("class_groups")
    if groups is None or groups.dtype.kind == "U":
        return _texts(path, arrays, "class_groups", classes)
    if not np.issubdtype(groups.dtype, np.integer) or groups.shape != (classes,):
        raise DataError(
            f"{path}: `class_groups` must be texts or integers [{classes}], one per class; "
            f"got {groups.dtype} {list(groups.shape)}."
        )
    names = _texts(path, arrays, "group_names", None)
    if not names:
        return tuple(str(group) for group in groups)
    if groups.min() < 0 or groups.max() >= len(names):
        raise DataError(
            f"{path}: `class_groups` must lie in 0..{len(names) - 1} ({len(names)} group names); "
            f"got {groups.min()} to {groups.max()}."
        )
    return tuple(names[group] for group in groups)


def _provenance(path: Path, stored: NDArray[Any] | None) -> dict[str, Any]:
    if stored is None:
        return {"note": "a pack without provenance"}
    try:
        facts = json.loads(str(stored))
    except UNREADABLE as error:
        reason = reason_of(error)
        raise DataError(f"{path}: `provenance` must be a JSON text; {reason}.") from error
    if not isinstance(facts, dict):
        raise DataError(f"{path}: `provenance` must be a JSON object; got {type(facts).__name__}.")
    return facts
