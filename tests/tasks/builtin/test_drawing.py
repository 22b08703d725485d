"""Filling of outlines against areas known in closed form and against FreeType."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib import ft2font
from matplotlib.path import Path as Outline

from metaact.errors import DataError
from metaact.tasks.builtin import drawing


@pytest.mark.parametrize("letter", "AOQg8%ж")
def test_the_ink_is_the_area_that_the_outline_encloses(letter: str) -> None:
    points, codes = drawing._outline("DejaVuSans", ord(letter))
    # As large as in the font: matplotlib flattens curves for a screen.
    polygons = Outline(points * 64, codes).to_polygons(closed_only=True)
    # The shoelace formula; holes run the other way round and count negative.
    area = sum(float(p[:-1, 0] @ p[1:, 1] - p[1:, 0] @ p[:-1, 1]) / 2 for p in polygons)
    low = np.min([p.min(axis=0) for p in polygons], axis=0)
    high = np.max([p.max(axis=0) for p in polygons], axis=0)
    expected = abs(area) * (drawing.BOX / (high - low).max()) ** 2
    ink = drawing.bitmaps([("DejaVuSans", ord(letter))]).sum()
    assert ink == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("name", ["DejaVuSerif-BoldItalic", "STIXGeneral", "cmr10"])
def test_a_character_looks_as_freetype_draws_it(name: str) -> None:
    ours = drawing.bitmaps([(name, ord("R"))])[0]
    font = ft2font.FT2Font(str(drawing.font_path(name)))
    font.set_size(200, 72)
    font.set_text("R", 0.0)
    font.draw_glyphs_to_bitmap()
    theirs = np.asarray(font.get_image()) > 127
    rows, columns = theirs.any(axis=1).nonzero()[0], theirs.any(axis=0).nonzero()[0]
    theirs = theirs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    top, left = (
        np.array([drawing.CANVAS] * 2) - drawing.BOX * np.array(theirs.shape) / max(theirs.shape)
    ) / 2
    # Where each of our pixel centres inside the box falls on FreeType's picture.
    inside_rows = np.arange(int(top) + 1, drawing.CANVAS - int(top) - 1)
    inside_columns = np.arange(int(left) + 1, drawing.CANVAS - int(left) - 1)
    scale = max(theirs.shape) / drawing.BOX
    y = ((inside_rows + 0.5 - top) * scale).astype(int)
    x = ((inside_columns + 0.5 - left) * scale).astype(int)
    seen = theirs[np.ix_(y, x)]
    mine = ours[np.ix_(inside_rows, inside_columns)] > 0.5
    assert (seen == mine).mean() > 0.97


def test_a_character_fills_the_box_and_lies_in_the_middle() -> None:
    picture = drawing.bitmaps([("DejaVuSans", ord("H"))])[0]
    rows = (picture > 0.5).any(axis=1).nonzero()[0]
    columns = (picture > 0.5).any(axis=0).nonzero()[0]
    assert len(rows) == drawing.BOX
    assert rows[0] + rows[-1] == drawing.CANVAS - 1
    assert abs(columns[0] + columns[-1] - (drawing.CANVAS - 1)) <= 1


def test_upright_is_up() -> None:
    picture = drawing.bitmaps([("DejaVuSans", ord("T"))])[0]
    assert picture[8:14].sum() > 2 * picture[-14:-8].sum()


def test_a_space_is_blank_and_none_is_none() -> None:
    assert not drawing.bitmaps([("DejaVuSans", ord(" ")), ("DejaVuSans", ord("I"))])[0].any()
    assert drawing.bitmaps([]).shape == (0, drawing.CANVAS, drawing.CANVAS)


def test_a_bitmap_does_not_depend_on_its_neighbours() -> None:
    glyphs = [("DejaVuSans", code) for code in range(ord("A"), ord("A") + 250)]
    glyphs = [g for g in glyphs if g[1] in drawing.characters("DejaVuSans")]
    together = drawing.bitmaps(glyphs)
    assert np.array_equal(together[-3:], drawing.bitmaps(glyphs[-3:]))


def test_a_missing_font_is_named_with_the_way_out() -> None:
    with pytest.raises(DataError, match=r"Nowhere\.ttf .* is missing at .*pip install"):
        drawing.font_path("Nowhere")
