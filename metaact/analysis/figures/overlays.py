"""Pictures of segmentations: what was to be found, and what each arm marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import WIDTH, heading, new_figure, style, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRUTH, MARKED = "#00B84A", "#FF2A1F"
"""Green and red, as in the paper's figure 9."""

BUSY = 0.15
"""Share of pixels at an edge of the truth from which on masks are filled: outlines hide images."""

ACROSS = 6
"""Images beside each other where nothing but the truth is shown."""


def overlays(
    images: ArrayLike,
    truth: ArrayLike,
    marked: Mapping[str, ArrayLike],
    *,
    rows: Sequence[str],
    scores: Mapping[str, Sequence[float]] | None = None,
    title: str = "",
    width: float = WIDTH,
) -> Figure:
    """Draw images with the outline of the truth in green, and of what was marked in red.

    One row an image and one column an arm; without arms the images stand side by side. Of three
    channels the second is shown, in grey. Where objects are many and small, masks are filled in
    place of outlined; then what both have is brown.

    Args:
        images: Bytes [images, 1 or 3, height, width].
        truth: bool [images, height, width].
        marked: What each arm marked, likewise.
        rows: Name of each image.
        scores: Score of each image, by arm, in 0..1; written above it.
        title: Line above.
        width: Inches.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If the arrays do not fit together.
    """
    pictures, real = np.asarray(images), np.asarray(truth, dtype=bool)
    found = {name: np.asarray(masks, dtype=bool) for name, masks in marked.items()}
    shape = (len(pictures), *pictures.shape[2:])
    if any(masks.shape != shape for masks in (real, *found.values())) or len(rows) != len(real):
        raise UsageError(
            f"`truth` and `marked` must be masks {list(shape)}, as the images, with a name each; "
            f"got {[list(masks.shape) for masks in (real, *found.values())]}."
        )
    names = list(found) or [""]
    across = len(names) if found else min(len(pictures), ACROSS)
    down = len(pictures) if found else -(-len(pictures) // across)
    side = width / max(across, 3)
    draw = _fill if _edges(real) > BUSY else _outline
    with style():
        figure = new_figure(side * across, side * down * 1.12 + 0.5)
        grid = figure.subplots(down, across, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, picture in enumerate(pictures):
            for column, name in enumerate(names):
                axes = grid[number, column] if found else grid.flat[number]
                shown = picture[len(picture) // 2]
                axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                draw(axes, real[number], TRUTH)
                if name in found:
                    draw(axes, found[name][number], MARKED)
                head = [text(name, 22)] if name and number == 0 else []
                if column == 0:
                    head.append(text(rows[number], 22))
                if scores and name in scores:
                    head.append(f"{100 * scores[name][number]:.1f} %")
                axes.set_title("\n".join(head), fontsize=8)
        figure.suptitle(heading(title, int(11 * side * across)))
    return figure


def _edges(masks: np.ndarray) -> float:
    """Share of pixels whose right or lower neighbour is on the other side of a mask's edge."""
    right, below = masks[:, :, 1:] != masks[:, :, :-1], masks[:, 1:] != masks[:, :-1]
    return float(right.mean() + below.mean()) / 2


def _fill(axes: Axes, mask: np.ndarray, colour: str) -> None:
    """The pixels of a mask in a colour through which the image is seen."""
    from matplotlib.colors import to_rgb

    painted = np.zeros((*mask.shape, 4))
    painted[mask] = (*to_rgb(colour), 0.4)
    axes.imshow(painted, interpolation="nearest")


def _outline(axes: Axes, mask: np.ndarray, colour: str) -> None:
    """The edges of a mask's pixels; a mask at the border is closed there."""
    if mask.any():
        padded = np.pad(mask.astype(float), 1)
        rows, columns = (np.arange(side) - 1 for side in padded.shape)
        axes.contour(columns, rows, padded, levels=[0.5], colors=[colour], linewidths=1.1)
        axes.set_xlim(-0.5, mask.shape[1] - 0.5)
        axes.set_ylim(mask.shape[0] - 0.5, -0.5)
