"""Any map-style PyTorch `Dataset` of labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import ConcatDataset, Subset
from tqdm import tqdm

from metaact.errors import DataError, UsageError, check_choice, one_line
from metaact.randomness import Streams, isolated_rng
from metaact.tasks._images import Images, Provenance
from metaact.tasks.sources.folders import as_bytes
from metaact.tasks.sources.gathering import Gathered

PARTS = ("train", "validation", "test")
"""What parts are called."""

_AGAIN = 32
"""Items that are read twice, with the generators elsewhere: they must be the same."""


class MapStyle(Protocol):
    """What is used of a map-style `Dataset`: a length, and items (image, label)."""

    def __len__(self) -> int:
        """How many items there are."""

    def __getitem__(self, index: int, /) -> Any:
        """Item `index`."""


def from_dataset(
    dataset: MapStyle | Mapping[str, MapStyle],
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> Images:
    """Read any map-style `Dataset` of (image, label) into memory.

    An image is a PIL image of any mode, a tensor ([height, width] or [1 or 3, height, width]) or an
    array ([height, width] or [height, width, 1 or 3]), uint8 in 0..255 or floating-point in [0, 1],
    which is rounded to 256 levels. A label is a whole number; where the classes have names
    (`class_names`, else the `classes` of the Dataset, also that of a `Subset` or `ConcatDataset`),
    it counts into them, and classes without an image are left out.

    Everything is read once: an image must be the same for every arm, seed and epoch, and its bytes
    name runs. So a transform that draws random numbers is refused; augmentation is for training.

    Args:
        dataset: The Dataset; or several by part, "train", "test" and perhaps "validation", which
            `metaact.tasks.split` then uses as they are.
        name: What results call it; None for the name of its class.
        class_names: Names of the classes, in the order of the labels.
        size: Height and width of every image afterwards, by the rule of `match`; None for theirs,
            which must be one.
        channels: 1 (grey) or 3 (RGB); None for theirs.

    Returns:
        All images, in their order. `metaact.tasks.split` divides them, `write_pack` keeps them for
        the command line.

    Raises:
        UsageError: If an argument is not allowed.
        DataError: If it has no length or is empty, an item is no such pair or cannot be read, a
            transform is random, labels do not fit the classes, or sizes differ.

    Examples:
        >>> from torch.utils.data import TensorDataset
        >>> digits = TensorDataset(torch.zeros(4, 1, 8, 8), torch.tensor([0, 1, 0, 1]))
        >>> images = from_dataset(digits, name="digits")
        >>> images.pixels.shape, images.class_names
        (torch.Size([4, 1, 8, 8]), ('0', '1'))
    """
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"": dataset}
    if isinstance(dataset, Mapping):
        for part in parts:
            check_choice("dataset", part, PARTS, why="the parts of a data set")
    if not parts:
        raise UsageError(f"`dataset` must hold parts called {', '.join(PARTS)}; got none.")
    counts = {part: _count(part, one) for part, one in parts.items()}
    names = {part: _names(part, one, class_names) for part, one in parts.items()}
    places = [(part, number) for part, count in counts.items() for number in range(count)]
    kind = type(_innermost(next(iter(parts.values())))).__name__
    gathered = Gathered(
        one_line(name or kind),
        len(places),
        shown=lambda place: _item(*places[place]),
        size=size,
        channels=channels,
    )
    labels = _read(parts, places, names, gathered)
    classes = sorted({(list(parts).index(part), label) for part, label in labels})
    position = {(list(parts)[part], label): c for c, (part, label) in enumerate(classes)}
    return Images(
        pixels=gathered.pixels(),
        labels=torch.tensor([position[place] for place in labels]),
        class_names=tuple(_class(part, label, names[part]) for part, label in position),
        class_groups=tuple(part for part, _ in position) if "" not in parts else (),
        files=tuple(_item(*place) for place in places),
        numbered=not any(names.values()),
        provenance=Provenance(
            dataset=gathered.dataset,
            split="own",
            official=False,
            note=f"read from a Dataset, {kind}",
            form=gathered.form,
        ),
    )


def _innermost(dataset: Any) -> Any:
    """What a `Subset` or the first of a `ConcatDataset` is taken from."""
    while isinstance(dataset, Subset | ConcatDataset):
        dataset = dataset.dataset if isinstance(dataset, Subset) else dataset.datasets[0]
    return dataset


def _item(part: str, number: int) -> str:
    return f"{part} item {number}".strip()


def _class(part: str, label: int, names: tuple[str, ...]) -> str:
    name = names[label] if names else str(label)
    return f"{part}/{name}" if part else name


def _count(part: str, dataset: MapStyle) -> int:
    """How many items a Dataset has."""
    what = f"`dataset` {part}".rstrip()
    try:
        count = len(dataset)
        _ = dataset.__getitem__
    except (TypeError, NotImplementedError, AttributeError) as error:
        raise DataError(
            f"{what} must be map-style: with a length, and items by number; got "
            f"{type(dataset).__name__}."
        ) from error
    if not count:
        raise DataError(f"{what} must hold at least one image; got none.")
    return count


def _names(part: str, dataset: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the classes in the order of the labels; () if nobody names them."""
    names = tuple(map(str, _found(dataset) if given is None else given))
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice is not None:
        whose = f"`classes` of the {part} Dataset".replace("the  ", "the ")
        raise DataError(
            f"{whose if given is None else '`class_names`'} must be unique; got {twice!r} twice."
        )
    return names


def _found(dataset: Any) -> tuple[object, ...]:
    """The `classes` of a Dataset, of what it is a subset of, or of all that it joins."""
    if isinstance(dataset, Subset):
        return _found(dataset.dataset)
    if isinstance(dataset, ConcatDataset):
        joined = list(dict.fromkeys(_found(one) for one in dataset.datasets))
        if len(joined) > 1:
            raise DataError(
                "the data sets of a ConcatDataset must have the same classes (label k would mean "
                f"several); got {_few(joined[0])} and {_few(joined[1])}."
            )
        return joined[0]
    classes = getattr(dataset, "classes", None)
    return tuple(classes) if isinstance(classes, list | tuple) else ()


def _few(names: Sequence[object]) -> str:
    shown = ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} ({shown})" if names else "none"


def _read(
    parts: Mapping[str, MapStyle],
    places: Sequence[tuple[str, int]],
    names: Mapping[str, tuple[str, ...]],
    gathered: Gathered,
) -> list[tuple[str, int]]:
    """Read all items; the part and the label of each."""
    labels: list[tuple[str, int]] = []
    progress = tqdm(
        places, desc=f"reading {gathered.dataset}", unit="img", leave=False, disable=None
    )
    with isolated_rng("read", 0):
        start = Streams.now()
        firsts: list[NDArray[np.uint8]] = []
        for part, number in progress:
            image, label = _pair(part, number, parts[part])
            labels.append((part, _label(part, number, label, names[part])))
            gathered.add(image)
            if len(firsts) < _AGAIN:
                firsts.append(image)
        drew = Streams.now() != start
    with isolated_rng("read", 1):
        again = [_pair(*place, parts[place[0]])[0] for place in places[: len(firsts)]]
    if drew or not all(map(np.array_equal, firsts, again)):
        raise DataError(
            f"{gathered.dataset} must give the same image whenever it is asked (its bytes name "
            "runs, and all arms and seeds must see the same); it draws random numbers: take "
            "augmentation out of its transform."
        )
    return labels


def _pair(part: str, number: int, dataset: MapStyle) -> tuple[NDArray[np.uint8], object]:
    """Image and label of an item."""
    item = _item(part, number)
    try:
        got = dataset[number]
    except Exception as error:  # a Dataset of the user's own raises whatever it hits
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{item} of the Dataset cannot be read ({reason}).") from error
    if not isinstance(got, tuple | list) or len(got) != 2:
        of = f" of {len(got)}" if isinstance(got, tuple | list) else ""
        raise DataError(
            f"{item} of the Dataset must be a pair (image, label); got a {type(got).__name__}{of}."
        )
    return _image(item, got[0]), got[1]


def _image(item: str, image: Any) -> NDArray[np.uint8]:
    """One image as uint8 [1 or 3, height, width]."""
    if isinstance(image, Image.Image):
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{item} of the Dataset must be an image of 8 bits (what is white in more is not "
                f"known); got mode {image.mode}."
            )
        return as_bytes(item, image)
    if isinstance(image, torch.Tensor):
        array, of_colour = image.detach().cpu().numpy(), 0
    elif isinstance(image, np.ndarray):
        array, of_colour = image, 2
    else:
        raise DataError(
            f"{item} of the Dataset must hold a PIL image, a tensor or an array; got a "
            f"{type(image).__name__}."
        )
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[of_colour] in (1, 3))
    if not is_image or 0 in array.shape:
        sides = "[1 or 3, height, width]" if of_colour == 0 else "[height, width, 1 or 3]"
        raise DataError(
            f"{item} of the Dataset must be [height, width] or {sides}; got {list(array.shape)}."
        )
    levels = _levels(item, array)
    shaped = levels[None] if levels.ndim == 2 else np.moveaxis(levels, of_colour, 0)
    return np.array(shaped, order="C")


def _levels(item: str, array: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as bytes."""
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{item} of the Dataset must be uint8 (0..255) or floating-point (0..1); got "
            f"{array.dtype}."
        )
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 1:
        raise DataError(
            f"{item} of the Dataset must have pixels in [0, 1], as ToTensor gives them (leave "
            f"Normalize out: metaact normalises); got {low:g} to {high:g}."
        )
    rounded: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return rounded


def _label(part: str, number: int, label: Any, names: tuple[str, ...]) -> int:
    """A label as an int."""
    plain = (
        label.item() if isinstance(label, torch.Tensor | np.generic) and _single(label) else label
    )
    if isinstance(plain, bool) or not isinstance(plain, int):
        raise DataError(
            f"{_item(part, number)} of the Dataset must have a whole number for its label; got "
            f"{_shown(label)}: give it numbers (`target_transform`), and `class_names`."
        )
    most = len(names) - 1 if names else None
    if plain < 0 or (most is not None and plain > most):
        allowed = f"in 0..{most} ({len(names)} classes)" if names else "at least 0"
        raise DataError(
            f"{_item(part, number)} of the Dataset must have a label {allowed}; got {plain}."
        )
    return plain


def _single(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or value.numel() == 1


def _shown(value: object) -> str:
    return one_line(repr(value))[:60]
