"""Overlays: outlines, or filled masks where outlines would hide the image."""

from __future__ import annotations

import numpy as np
import pytest

from metaact import analysis
from metaact.errors import UsageError

IMAGES = np.full((2, 3, 8, 8), 90, np.uint8)


def masks(*, busy: bool = False) -> np.ndarray:
    found = np.zeros((2, 8, 8), bool)
    if busy:
        found[:, ::2] = True
    else:
        found[:, 2:5, 2:5] = True
    return found


def test_one_row_an_image_and_one_column_an_arm() -> None:
    marked = {"relu": masks(), "arelu": np.zeros_like(masks())}
    scores = {"relu": [1.0, 1.0], "arelu": [0.0, 0.0]}
    figure = analysis.overlays(IMAGES, masks(), marked, rows=["a", "b"], scores=scores)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["relu\na\n100.0 %", "arelu\n0.0 %", "b\n100.0 %", "0.0 %"]
    outlines = [len(axes.collections) for axes in figure.axes]
    assert outlines == [2, 1, 2, 1]  # nothing marked has no outline


def test_masks_with_many_edges_are_filled() -> None:
    truth = masks(busy=True)
    figure = analysis.overlays(IMAGES, truth, {"relu": truth}, rows=["a", "b"])
    for axes in figure.axes:
        assert not axes.collections
        assert len(axes.images) == 3


def test_images_alone_stand_side_by_side() -> None:
    figure = analysis.overlays(IMAGES, masks(), {}, rows=["a", "b"])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(UsageError, match="`truth` and `marked` must be masks"):
        analysis.overlays(IMAGES, masks()[:1], {}, rows=["a", "b"])
