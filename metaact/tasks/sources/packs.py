"""Packs: labelled images in one `.npz` file that cannot run code."""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from metaact.errors import DataError
from metaact.tasks._images import Images, Provenance

# What one pack may unfold to in memory. A few kilobytes of zip can claim terabytes; the largest
# published set here (CIFAR-10, SVHN) takes a fifth of a gigabyte.
MAX_BYTES = 8 * 2**30
# What zipfile and NumPy raise for a damaged file.
_UNREADABLE = (OSError, EOFError, ValueError, SyntaxError, zipfile.BadZipFile, zlib.error)
MEMBERS = ("images", "labels", "provenance", "class_names", "class_groups", "group_names")


def read_pack(path: Path | str) -> Images:
    """Read a pack.

    Members: `images` uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3]; `labels` integers [N] in
    0..C-1; optionally `provenance` (a JSON text), `class_names` [C], `class_groups` [C] (texts,
    or numbers into `group_names` [G]). Other members are left unread.

    Args:
        path: The `.npz` file.

    Returns:
        The images, channels first. When the provenance holds a `sha256`, the content matches it.

    Raises:
        DataError: If the file is missing, unreadable, truncated or not such a pack.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    pixels = _pixels(path, arrays["images"])
    labels = _labels(path, arrays["labels"], len(pixels))
    classes = int(labels.max()) + 1
    class_names = _texts(path, arrays, "class_names", classes)
    facts = _provenance(path, arrays.get("provenance"))
    images = Images(
        pixels=torch.from_numpy(pixels),
        labels=torch.from_numpy(labels),
        class_names=class_names or tuple(str(c) for c in range(classes)),
        class_groups=_groups(path, arrays, classes),
        provenance=Provenance(
            dataset=str(facts.get("dataset", path.stem)),
            split=str(facts.get("split", "own")),
            official=facts.get("official") is True,
            note=str(facts.get("note", "")),
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
        with zipfile.ZipFile(path) as archive:
            present = [name for name in MEMBERS if f"{name}.npy" in archive.namelist()]
            _check_claims(path, archive, present)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in present}
    except _UNREADABLE as e:
        raise DataError(f"{path} is not a readable pack (truncated or damaged?): {e}.") from e
    missing = [name for name in ("images", "labels") if name not in arrays]
    if missing:
        raise DataError(f"{path} holds no {' and no '.join(f'`{m}`' for m in missing)}.")
    return arrays


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


def _pixels(path: Path, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype != np.uint8:
        raise DataError(f"{path}: `images` must be uint8 (0..255); got {images.dtype}.")
    is_image = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    if not is_image or 0 in images.shape:
        raise DataError(
            f"{path}: `images` must be [N, H, W], [N, H, W, 1] or [N, H, W, 3] and not empty; "
            f"got {list(images.shape)}."
        )
    first = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(first)


def _labels(path: Path, labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (count,):
        raise DataError(
            f"{path}: `labels` must be integers [{count}], one per image; "
            f"got {labels.dtype} {list(labels.shape)}."
        )
    present = np.unique(labels)
    if present[0] != 0 or present[-1] != len(present) - 1:
        expected = np.arange(len(present))
        gap = int(expected[present != expected][0])
        raise DataError(
            f"{path}: `labels` must take every value 0..C-1 without gaps; got {len(present)} "
            f"values from {present[0]} to {present[-1]}, and no {gap}."
        )
    return labels.astype(np.int64)


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
    except ValueError as error:
        raise DataError(f"{path}: `provenance` must be a JSON text; {error}.") from error
    if not isinstance(facts, dict):
        raise DataError(f"{path}: `provenance` must be a JSON object; got {type(facts).__name__}.")
    return facts
