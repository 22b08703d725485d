"""Episodes and images as a notebook shows them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaact.display import html_picture

EPISODES = 3
"""Episodes of a meta-batch that are drawn."""

CLASSES, EACH = 20, 8
"""Most classes in a picture, and most images of each, support and query apart."""

WIDE = 56
"""Images smaller than this are enlarged."""


def episodes(support: Tensor, query: Tensor, ways: int) -> list[str]:
    """A picture of each of the first episodes: a row a class, support images left of the gap.

    Args:
        support: [tasks, ways * shots, channels, height, width], normalised or not.
        query: [tasks, ways * queries, channels, height, width].
        ways: Classes.

    Returns:
        Markup; none where the tasks are not of images.
    """
    if support.ndim != 5:
        return []
    found = []
    for number in range(min(EPISODES, len(support))):
        left, right = (
            part[number].reshape(ways, -1, *part.shape[2:])[:CLASSES, :EACH]
            for part in (support, query)
        )
        gap = left.new_full((len(left), 1, *left.shape[2:]), float("nan"))
        caption = f"episode {number}, a row a class: {left.shape[1]} of support, gap, queries"
        found.append(sheet(torch.cat([left, gap, right], dim=1), caption))
    return found


def first_images(pixels: Tensor) -> str:
    """The first images, in one row.

    Args:
        pixels: [images, channels, height, width].
    """
    few = pixels[None, : 2 * EACH].float()
    return sheet(few, f"the first {few.shape[1]} of {len(pixels)}")


def sheet(images: Tensor, caption: str) -> str:
    """Images in rows and columns as one picture, NaN white.

    Args:
        images: float [rows, columns, channels, height, width].
        caption: What it shows.
    """
    known = images[images.isfinite()]
    low, high = known.min(), known.max()
    scaled = ((images - low) / (high - low).clamp_min(1e-12)).nan_to_num(1.0)
    framed = torch.nn.functional.pad(scaled.cpu(), (0, 2, 0, 2), value=1.0)
    rows, columns, channels, height, width = framed.shape
    pixels = framed.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    colours = pixels if channels == 3 else pixels[..., 0]
    array: NDArray[np.uint8] = (255 * colours).to(torch.uint8).numpy()
    return html_picture(array, caption=caption, scale=2 if width < WIDE else 1)
