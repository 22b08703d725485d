"""Pictures of data: a contact sheet of a data set, and one episode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import NAME, WIDTH, heading, style, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GAP = 2  # pixels between images


def contact_sheet(
    images: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    per_class: int = 10,
    max_classes: int = 20,
    title: str = "",
    width: float = WIDTH,
) -> Figure:
    """Draw the first images of each class, one class per row.

    Where there are more than `max_classes` classes, evenly spaced ones are shown, and the title
    says how many there are.

    Args:
        images: Bytes [images, channels, height, width], 1 or 3 channels.
        labels: Class of each image [images].
        class_names: Name of each class.
        per_class: Images shown per class.
        max_classes: Rows at most.
        title: Line above.
        width: Inches at most.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If the arrays do not fit together.
    """
    pictures = _pictures("images", images)
    classes = np.asarray(labels)
    if classes.shape != pictures.shape[:1]:
        raise UsageError(
            f"`labels` must have one entry per image, here {len(pictures)}; "
            f"got shape {list(classes.shape)}."
        )
    count = len(class_names)
    shown = np.unique(np.linspace(0, count - 1, min(count, max_classes)).round().astype(int))
    rows = [pictures[np.flatnonzero(classes == c)[:per_class]] for c in shown]
    if len(shown) < count:
        title = f"{title + ': ' if title else ''}{len(shown)} of {count} classes"
    mosaic = _mosaic(rows, max(len(row) for row in rows))
    names = [text(class_names[c], NAME) for c in shown]
    middles = [i * (pictures.shape[1] + _GAP) + pictures.shape[1] / 2 for i in range(len(shown))]
    return _sheet(mosaic, middles, names, columns=([], []), title=title, limit=width)


def episode_sheet(
    support: ArrayLike,
    support_labels: ArrayLike,
    query: ArrayLike,
    query_labels: ArrayLike,
    *,
    class_names: Sequence[str] | None = None,
    max_queries: int = 10,
    title: str = "",
    width: float = WIDTH,
) -> Figure:
    """Draw one episode: a row per way, its support images left, its query images right.

    Args:
        support: Images [ways·shots, channels, height, width]: bytes, or normalised floats, which
            are scaled to the range that the episode has.
        support_labels: Way of each support image.
        query: Images [ways·queries, channels, height, width].
        query_labels: Way of each query image.
        class_names: Name of each way; numbers if None.
        max_queries: Query images shown per way at most.
        title: Line above.
        width: Inches at most.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If the arrays do not fit together.
    """
    raw = [np.asarray(support), np.asarray(query)]
    low, high = min(float(r.min()) for r in raw), max(float(r.max()) for r in raw)
    left, right = (
        _pictures(name, array if array.dtype == np.uint8 else _bytes(array, low, high))
        for name, array in zip(("support", "query"), raw, strict=True)
    )
    first, second = np.asarray(support_labels), np.asarray(query_labels)
    if first.shape != left.shape[:1] or second.shape != right.shape[:1]:
        raise UsageError(
            "`support_labels` and `query_labels` must have one entry per image; got shapes "
            f"{list(first.shape)} and {list(second.shape)}."
        )
    ways = sorted(set(first.tolist()) | set(second.tolist()))
    shots = max(int((first == way).sum()) for way in ways)
    queries = min(max_queries, max(int((second == way).sum()) for way in ways))
    blocks = [
        _mosaic([left[first == way] for way in ways], shots),
        _mosaic([right[second == way][:queries] for way in ways], queries),
    ]
    height = blocks[0].shape[0]
    gap = np.zeros((height, max(6, left.shape[1] // 3), 4), dtype=np.uint8)
    mosaic = np.concatenate([blocks[0], gap, blocks[1]], axis=1)
    names = [text(name, NAME) for name in class_names or [f"way {way}" for way in ways]]
    middles = [i * (left.shape[1] + _GAP) + left.shape[1] / 2 for i in range(len(ways))]
    starts = [0, blocks[0].shape[1] + gap.shape[1]]
    centres = [start + block.shape[1] / 2 for start, block in zip(starts, blocks, strict=True)]
    return _sheet(
        mosaic, middles, names, columns=(centres, ["support", "query"]), title=title, limit=width
    )


def _bytes(array: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (array.astype(np.float64) - low) / max(high - low, 1e-12)
    return (255 * scaled).round().astype(np.uint8)


def _pictures(name: str, images: ArrayLike) -> np.ndarray:
    """Bytes [images, channels, height, width] as colour pictures [images, height, width, 3]."""
    array = np.asarray(images)
    if array.ndim != 4 or array.dtype != np.uint8 or array.shape[1] not in (1, 3) or not len(array):
        raise UsageError(
            f"`{name}` must be uint8 [images, 1 or 3 channels, height, width] with at least one "
            f"image; got {array.dtype} {list(array.shape)}."
        )
    return np.broadcast_to(array.transpose(0, 2, 3, 1), (len(array), *array.shape[2:], 3))


def _mosaic(rows: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Rows of pictures with nothing between them, as one picture [height, width, 4]."""
    height, width = rows[0].shape[1:3]
    full = np.zeros(
        (len(rows) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 4), np.uint8
    )
    for i, row in enumerate(rows):
        for j, picture in enumerate(row[:columns]):
            top, left = i * (height + _GAP), j * (width + _GAP)
            full[top : top + height, left : left + width, :3] = picture
            full[top : top + height, left : left + width, 3] = 255
    return full


def _sheet(
    mosaic: np.ndarray,
    rows: Sequence[float],
    names: Sequence[str],
    *,
    columns: tuple[Sequence[float], Sequence[str]],
    title: str,
    limit: float,
) -> Figure:
    """Draw a mosaic with names beside its rows and above its columns, just large enough.

    Names and mosaic together are at most `limit` inches wide.
    """
    height, width = mosaic.shape[:2]
    beside = 0.068 * max(map(len, names)) + 0.3  # inches that the longest name may take
    # Inches per pixel: readable, and on one page.
    scale = min((limit - beside) / width, 9.0 / height, 0.03)
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width * scale, height * scale))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(mosaic, interpolation="nearest")
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_xticks(*columns)
        axes.set_yticks(rows, names)
        axes.set_title(heading(title, int(11 * limit)))
        drawn = axes.get_tightbbox()
        assert drawn is not None  # it is visible
        _enclose(figure, axes, np.asarray(drawn.extents) / figure.dpi)
    return figure


def _enclose(figure: Figure, axes: Axes, drawn: np.ndarray) -> None:
    """Enlarge a figure that its axes fill to what the axes draw: x0, y0, x1, y1 in inches."""
    edge = 0.1
    width, height = figure.get_size_inches()
    left, below = edge - min(drawn[0], 0), edge - min(drawn[1], 0)
    full = left + max(drawn[2], width) + edge, below + max(drawn[3], height) + edge
    figure.set_size_inches(*full)
    axes.set_position((left / full[0], below / full[1], width / full[0], height / full[1]))
