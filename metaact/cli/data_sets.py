"""What `metaact data` shows: the known sets, a fetched one, a picture of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from metaact import analysis, tasks
from metaact.errors import DataError, number_of, renamed
from metaact.tasks.builtin.drawn_cache import FOLDER


def listing(root: Path | None = None) -> list[dict[str, object]]:
    """One row per data set known by name.

    Args:
        root: Data root; None for the default.
    """
    return [
        {
            "name": dataset.name,
            "what": dataset.title,
            "classes": dataset.classes,
            "images": dataset.images,
            "size": _size(dataset),
            "kind": dataset.kind,
            "held out": dataset.hold_out,
            "here": "yes" if tasks.is_here(dataset.name, root=root) else "no",
            "licence": dataset.licence,
            "citation": dataset.citation,
        }
        for dataset in tasks.DATASETS
    ]


def _size(dataset: tasks.Dataset) -> str:
    return f"{dataset.size}x{dataset.size}" + ("x3" if dataset.channels == 3 else "")


def check_known(names: Sequence[str]) -> None:
    """Refuse unknown names before anything is fetched.

    Raises:
        UsageError: If a name is unknown.
    """
    with renamed(dataset="name"):
        for name in names:
            tasks.find_dataset(name)


def fetch(name: str, root: Path | None = None) -> str:
    """Fetch a data set into the data root, verify its split, and say what it holds.

    Args:
        name: A name of the catalogue.
        root: Data root; None for the default.

    Returns:
        One line: parts with their numbers of classes and images.

    Raises:
        UsageError: If the name is unknown.
        DataError: If the data cannot be had or are damaged.
    """
    check_known([name])
    dataset = tasks.find_dataset(name)
    split = tasks.split(name, root=root)
    parts = ", ".join(
        f"{part} {len(images):,} images of {number_of(images.classes, 'class', 'classes')}"
        for part, images in split.parts().items()
    )
    root = tasks.data_root(root)
    if dataset.kind == "built-in" and not any((root / FOLDER).glob(f"{name}-*.npz")):
        raise DataError(
            f"{name} could not be kept in {root} (full, or not writable); it can be used, "
            "and is drawn again every time."
        )
    return f"{name}: {parts}; held out: {split.held_out}; in {root}"


DEFAULT_WAYS = 5
"""Classes of an episode that is shown, where the data have as many."""


def pictures(
    name: str,
    root: Path | None,
    target: Path,
    *,
    ways: int | None,
    shots: int,
    queries: int,
    seed: int,
    hold_out: str | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[list[Path], str]:
    """Draw a contact sheet of the training part and one episode of the test part.

    Args:
        name: A name of the catalogue, a folder or a pack.
        root: Data root; None for the default.
        target: Where to write, without suffix.
        ways: Classes of the episode; None is 5, or as many as there are.
        shots: Support images per class.
        queries: Query images per class.
        seed: Which episode.
        hold_out: What the test part holds out; None for what suits the data set.
        size: Height and width that the images are brought to; None for theirs.
        channels: 1 or 3, likewise.

    Returns:
        The files written, and the note on the data: what was left out, what was done to them.

    Raises:
        UsageError: If the episode does not fit the data.
        DataError: If the data cannot be had.
        RunError: If the pictures cannot be written.
    """
    with renamed(dataset="name"):
        split = tasks.split(name, root=root, hold_out=hold_out, size=size, channels=channels)
    train, test = split.train, split.test.present()
    ways = min(DEFAULT_WAYS, test.classes) if ways is None else ways
    drawn = tasks.frozen(
        test, ways=ways, shots=shots, queries=queries, episodes=1, seed=seed, mean=0.0, std=1.0
    )
    (episode,) = drawn.batches(1)
    chosen = drawn.indices[0, :, 0]
    origin = "" if train.provenance.official else " (not official)"
    sheet = analysis.contact_sheet(
        train.pixels.numpy(),
        train.labels.numpy(),
        train.class_names,
        title=f"{Path(name).name}{origin}: training part",
    )
    one = analysis.episode_sheet(
        (episode.support[0] * 255).round().to(torch.uint8).numpy(),
        episode.support_labels[0].numpy(),
        (episode.query[0] * 255).round().to(torch.uint8).numpy(),
        episode.query_labels[0].numpy(),
        class_names=[test.class_names[int(test.labels[i])] for i in chosen],
        title=f"{Path(name).name}{origin}: a {ways}-way {shots}-shot test episode",
    )
    written = analysis.save_figure(sheet, target.with_name(f"{target.name}-sheet"))
    written += analysis.save_figure(one, target.with_name(f"{target.name}-episode"))
    notes = {
        name: "; ".join(note for note in (part.provenance.note, part.provenance.form) if note)
        for name, part in (("training part", train), ("test part", test))
    }
    if len(set(notes.values())) == 1:
        return written, notes["training part"]
    return written, "; ".join(f"{name}: {note}" for name, note in notes.items() if note)
