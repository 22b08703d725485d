"""One published part of a data set: from its pack, its raw files, or the network."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from metaact.errors import DataError, reason_of
from metaact.tasks._images import Images
from metaact.tasks.sources import catalogue
from metaact.tasks.sources.download import download
from metaact.tasks.sources.packs import read_pack, write_pack
from metaact.tasks.sources.raw import RAW
from metaact.tasks.sources.roots import data_root, is_writable


def load(name: str, part: str, *, root: Path | str | None = None) -> Images:
    """The images of one published part.

    Looked for in this order: the pack `<root>/<name>-<part>.npz`; raw files in torchvision's
    layout; a download. What did not come from a pack is packed, where the root may be written.

    Args:
        name: A downloadable data set ("mnist", "omniglot", ...).
        part: Its part ("train", "background", ...).
        root: Data root; None for the default.

    Returns:
        The images, checked by hash.

    Raises:
        DataError: If they cannot be had or are damaged.
    """
    folder = data_root(root)
    pack = folder / f"{name}-{part}.npz"
    if pack.exists():
        return read_pack(pack)
    if not RAW[name].missing(folder, part):
        images = _read_raw(name, part, folder)
        if is_writable(folder):
            write_pack(pack, images)
        return images
    if folder.exists() and not folder.is_dir():
        raise DataError(f"the data root {folder} must be a folder; it is a file.")
    return _fetch(name, part, folder, pack)


def is_here(name: str, *, root: Path | str | None = None) -> bool:
    """Whether data set `name` can be had without the network."""
    dataset = catalogue.find(name)
    if dataset.kind == "built-in":
        return True
    folder = data_root(root)
    source = source_name(name)
    return all(
        (folder / f"{source}-{part}.npz").exists() or not RAW[source].missing(folder, part)
        for part in dataset.parts
    )


def source_name(name: str) -> str:
    """Whose files data set `name` is made from: the rotated Omniglot is made from Omniglot's."""
    return "omniglot" if name == "omniglot-rotated" else name


def _fetch(name: str, part: str, folder: Path, pack: Path) -> Images:
    if not is_writable(folder):
        download(name, part, folder)  # says what is missing, and that the folder is read-only
    made = not folder.exists()
    lock = folder / f".{name}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            # Another process may have brought it while this one waited.
            if not pack.exists():
                if RAW[name].missing(folder, part):
                    download(name, part, folder)
                write_pack(pack, _read_raw(name, part, folder))
    except (OSError, DataError) as error:
        lock.unlink(missing_ok=True)
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot write to the data root {folder}: {error}.") from error
    return read_pack(pack)


def _read_raw(name: str, part: str, folder: Path) -> Images:
    raw = RAW[name]
    try:
        return raw.read(raw, folder, part)
    except DataError:
        raise
    except Exception as error:  # damaged files raise whatever their reader happens to hit
        files = ", ".join(wanted.partition("|")[0] for wanted in raw.files[part])
        raise DataError(
            f"the files of {name!r} in {folder} cannot be read ({reason_of(error)}); delete "
            f"{files} there to fetch them again."
        ) from error
