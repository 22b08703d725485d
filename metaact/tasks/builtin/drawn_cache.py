"""Data that metaact draws itself are kept as packs in the data root, checked when read."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from metaact.errors import DataError
from metaact.tasks._images import Images
from metaact.tasks.sources.packs import read_pack, write_pack
from metaact.tasks.sources.roots import data_root, is_writable

FOLDER = "built-in"


def cached(draw: Callable[[], Images], *, name: str, key: str, root: Path | str | None) -> Images:
    """Return the images from the data root, or draw them and keep them there.

    A damaged file is drawn anew and replaced. Where the root cannot be written to nothing is
    kept, and the images are drawn every time: the data are the same with a cache and without.

    Args:
        draw: Draws the images.
        name: First part of the file's name.
        key: All that the pixels depend on, in words; another key is another file.
        root: Data root; None for the default.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()
    path = data_root(root) / FOLDER / f"{name}-{digest[:12]}.npz"
    if path.exists():
        with contextlib.suppress(DataError):
            return read_pack(path)
    images = draw()
    _keep(path, images)
    return images


def _keep(path: Path, images: Images) -> None:
    root = path.parent.parent
    if root.exists() and not (root.is_dir() and is_writable(root)):
        return
    # A full disk or a closed folder costs the next call its speed and nothing else.
    with contextlib.suppress(OSError, DataError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pack(path, images)
