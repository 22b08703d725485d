"""The sheet of maps beside images: what is drawn where, and what stands in place of a map."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from metaact.analysis import MapColumn, map_sheet
from metaact.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 255, (2, 3, 8, 8)).astype(np.uint8)
MAPS = np.random.default_rng(1).normal(size=(2, 4, 4))


def _sheet(*columns: MapColumn, signed: bool = True, over: bool = True) -> Figure:
    return map_sheet(IMAGES, columns, names=["one", "two"], over=over, signed=signed, title="t")


def _texts(figure: Figure) -> str:
    found = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [axes.get_xlabel(), axes.get_ylabel()]
    return " ".join(" ".join(found).split())


def test_names_captions_and_groups_are_written() -> None:
    columns = [
        MapColumn(title=arm, group="first-stage", maps=MAPS, captions=["cat ✓", "dog ✗"])
        for arm in ("arelu", "relu")
    ]
    written = _texts(_sheet(*columns))
    for word in ("arelu", "relu", "first-stage", "cat ✓", "dog ✗", "one", "two", "image"):
        assert word in written
    assert written.count("first-stage") == 1


def test_signed_maps_have_colours_around_0_and_others_hide_what_is_negative() -> None:
    for signed in (True, False):
        figure = _sheet(MapColumn(title="a", maps=MAPS), signed=signed)
        drawn = [a.images[-1] for a in figure.axes if len(a.images) == 2]
        values = np.stack([np.asarray(image.get_array()) for image in drawn])
        assert len(drawn) == 2
        assert drawn[0].get_clim() == ((-1.0, 1.0) if signed else (0.0, 1.0))
        expected = MAPS if signed else np.maximum(MAPS, 0)
        expected = expected / np.abs(expected).max(axis=(1, 2), keepdims=True)
        assert values == pytest.approx(expected)


def test_a_blank_map_says_why() -> None:
    figure = _sheet(MapColumn(title="a", maps=0 * MAPS, blank=["every unit is dead", ""]))
    assert "every unit is dead" in _texts(figure)
    assert "nan" not in _texts(figure)


def test_a_common_scale_keeps_sizes_comparable() -> None:
    figure = _sheet(MapColumn(title="a", maps=MAPS, scales=[10.0, 10.0]), over=False)
    drawn = [np.asarray(a.images[0].get_array()) for a in figure.axes if len(a.images) == 1]
    assert any(values.shape == (4, 4) and values == pytest.approx(MAPS[0] / 10) for values in drawn)


def test_outlines_of_all_and_of_nothing_are_no_trouble() -> None:
    outlines = np.stack([np.ones((8, 8), dtype=bool), np.zeros((8, 8), dtype=bool)])
    figure = map_sheet(
        IMAGES,
        [MapColumn(title="a", maps=MAPS)],
        names=["", ""],
        over=True,
        signed=True,
        outlines=outlines,
    )
    limits = {tuple(axes.get_xlim()) for axes in figure.axes if len(axes.images) == 1}
    assert (-0.5, 7.5) in limits


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="`columns` must hold 2 maps"):
        _sheet(MapColumn(title="a", maps=MAPS[:1]))
    with pytest.raises(UsageError, match="`images` must be uint8"):
        map_sheet(IMAGES.astype(float), [], names=["one", "two"], over=True, signed=True)
