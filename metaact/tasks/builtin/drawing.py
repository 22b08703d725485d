"""Characters drawn from the fonts that matplotlib ships.

Outlines are read in the font's own whole-number units and filled here, in float64, so that a
character's bitmap does not depend on the FreeType that a matplotlib was built with, nor on hinting.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaact.errors import DataError

CANVAS = 56
"""Side of a character's bitmap in pixels: twice that of the pictures cut from it."""

BOX = 40
"""The longer side of every character on the canvas; the rest is room to turn and shift it."""

_ROWS = 2  # scan lines per pixel: the edge is exact along a line, so two are enough
_CHORDS = 5  # straight pieces per curve: off by less than 0.1 pixel at this size
_MOVE, _LINE, _CURVE, _CLOSE = 1, 2, 3, 79  # the codes of matplotlib.path.Path
_CHUNK = 200  # characters filled at once: 10 MB of accumulator

Bitmaps = NDArray[np.float64]


@functools.cache
def font_path(name: str) -> Path:
    """Path of the font `name` ("DejaVuSans-Bold") in matplotlib's data.

    Raises:
        DataError: If this matplotlib came without it.
    """
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    if not path.is_file():
        raise DataError(
            f"The font {path.name} that the built-in data are drawn from is missing at {path}; "
            "reinstall matplotlib from PyPI: pip install --force-reinstall matplotlib."
        )
    return path


def fonts_hash(names: Sequence[str]) -> str:
    """SHA-256 over the files of the fonts `names`, in order."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(font_path(name).read_bytes())
    return digest.hexdigest()


@functools.cache
def _font(name: str) -> Any:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    # Before 3.11 outlines were stretched 8 times across and rounded, unless told not to.
    options: dict[str, Any] = (
        {} if matplotlib.__version_info__ >= (3, 11) else {"hinting_factor": 1}
    )
    return FT2Font(str(font_path(name)), **options)


@functools.cache
def _no_scale() -> Any:
    from matplotlib import ft2font

    flags: Any = vars(ft2font).get("LoadFlags")
    return flags.NO_SCALE if flags else vars(ft2font)["LOAD_NO_SCALE"]  # before 3.10


@functools.cache
def characters(name: str) -> frozenset[int]:
    """Code points for which the font `name` has a shape of its own."""
    return frozenset(_font(name).get_charmap())


def bitmaps(glyphs: Sequence[tuple[str, int]]) -> Bitmaps:
    """Draw characters, each scaled to the box and centred on its canvas.

    Args:
        glyphs: Pairs of font name and code point.

    Returns:
        float64 [glyphs, canvas, canvas]: the share of each pixel that is ink, 0 to 1. A character
        without an outline (a space) is blank.

    Raises:
        DataError: If a font is missing.

    Examples:
        >>> picture = bitmaps([("DejaVuSans", ord("I"))])
        >>> picture.shape
        (1, 56, 56)
        >>> [int(n) for n in (picture[0] > 0.5).any(axis=1).nonzero()[0][[0, -1]]]
        [8, 47]
    """
    chunks = [_fill(glyphs[i : i + _CHUNK]) for i in range(0, len(glyphs), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.zeros((0, CANVAS, CANVAS))


def _fill(glyphs: Sequence[tuple[str, int]]) -> Bitmaps:
    """Fill outlines by the nonzero rule, adding up signed crossings along every scan line."""
    owner, start, end = _segments(glyphs)
    start, end = _into_box(owner, start, end, len(glyphs))
    owner, row, x, sign = _crossings(owner, start, end)
    column = np.clip(np.floor(x).astype(np.int64), 0, CANVAS - 1)
    # A crossing at x inks all of the line to its right, and of its own pixel the part right of x.
    first = (owner * CANVAS * _ROWS + row) * (CANVAS + 1) + column
    right = column + 1 - x
    cells = len(glyphs) * CANVAS * _ROWS * (CANVAS + 1)
    steps = np.bincount(first, sign * right, cells)
    steps += np.bincount(first + 1, sign * (1 - right), cells)
    steps = steps.reshape(-1, CANVAS + 1)
    winding = np.cumsum(steps, axis=1, out=steps)
    ink = np.minimum(np.abs(winding, out=winding), 1.0, out=winding)
    lines = ink.reshape(len(glyphs), CANVAS, _ROWS, CANVAS + 1)[..., :CANVAS]
    bitmaps: Bitmaps = lines.mean(axis=2)
    return bitmaps


def _segments(
    glyphs: Sequence[tuple[str, int]],
) -> tuple[NDArray[np.int64], Bitmaps, Bitmaps]:
    """Outlines as straight pieces: owner [pieces], start and end [pieces, 2] in font units."""
    paths = [_outline(name, code) for name, code in glyphs]
    points = np.concatenate([p for p, _ in paths])
    codes = np.concatenate([c for _, c in paths])
    owner = np.repeat(np.arange(len(glyphs)), [len(c) for _, c in paths])
    at = np.arange(len(codes))
    first = np.maximum.accumulate(np.where(codes == _MOVE, at, 0))
    curved = codes == _CURVE
    control = at[curved & (np.cumsum(curved) % 2 == 1)]  # the points come as control, end
    line, close = at[codes == _LINE], at[codes == _CLOSE]
    t = np.linspace(0.0, 1.0, _CHORDS + 1)[:, None, None]
    a, b, c = points[control - 1], points[control], points[control + 1]
    bend = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    start = np.concatenate([points[line - 1], points[close - 1], *bend[:-1]])
    end = np.concatenate([points[line], points[first[close]], *bend[1:]])
    owners = [owner[line], owner[close], *[owner[control]] * _CHORDS]
    return np.concatenate(owners), start, end


def _outline(name: str, code: int) -> tuple[Bitmaps, NDArray[np.uint8]]:
    font = _font(name)
    font.load_char(code, flags=_no_scale())
    points, codes = font.get_path()
    return np.asarray(points, np.float64).reshape(-1, 2), np.asarray(codes, np.uint8)


def _into_box(
    owner: NDArray[np.int64], start: Bitmaps, end: Bitmaps, glyphs: int
) -> tuple[Bitmaps, Bitmaps]:
    """Scale each owner's pieces to the box, centre them on the canvas, and point y downwards."""
    low = np.full((glyphs, 2), np.inf)
    high = np.full((glyphs, 2), -np.inf)
    np.minimum.at(low, owner, np.minimum(start, end))
    np.maximum.at(high, owner, np.maximum(start, end))
    low, high = low[owner], high[owner]
    scale = BOX / np.maximum((high - low).max(axis=1, keepdims=True), 1e-9) * [1.0, -1.0]
    centre = (low + high) / 2
    return (start - centre) * scale + CANVAS / 2, (end - centre) * scale + CANVAS / 2


def _crossings(
    owner: NDArray[np.int64], start: Bitmaps, end: Bitmaps
) -> tuple[NDArray[np.int64], NDArray[np.int64], Bitmaps, Bitmaps]:
    """Where pieces cross scan lines: owner, line, x and direction, each [crossings]."""
    y0, y1 = start[:, 1] * _ROWS - 0.5, end[:, 1] * _ROWS - 0.5
    top, bottom = np.minimum(y0, y1), np.maximum(y0, y1)
    first = np.ceil(top).astype(np.int64)
    count = np.ceil(bottom).astype(np.int64) - first
    piece = np.repeat(np.arange(len(owner)), count)
    step = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    row = first[piece] + step
    share = (row - y0[piece]) / (y1 - y0)[piece]
    x = start[piece, 0] + share * (end[piece, 0] - start[piece, 0])
    return owner[piece], row, x, np.sign(y1 - y0)[piece]
