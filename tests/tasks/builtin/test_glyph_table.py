"""The fixed list of letters, chosen once more by its rule, written independently here."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from metaact.tasks.builtin import drawing
from metaact.tasks.builtin.glyph_table import CHARACTERS

FACES = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralItalic",
)
SCRIPTS = {
    "LATIN ": "latin",
    "GREEK ": "greek",
    "COPTIC ": "greek",
    "CYRILLIC ": "cyrillic",
    "ARMENIAN ": "armenian",
    "GEORGIAN ": "georgian",
    "HEBREW ": "hebrew",
    "ARABIC ": "arabic",
    "NKO ": "nko",
    "LAO ": "lao",
    "TIFINAGH ": "tifinagh",
    "CANADIAN SYLLABICS ": "canadian-syllabics",
    "OLD ITALIC ": "old-italic",
    "OGHAM ": "ogham",
    "MATHEMATICAL FRAKTUR ": "fraktur",
    "BLACK-LETTER ": "fraktur",
    "MATHEMATICAL SCRIPT ": "script",
    "SCRIPT ": "script",
}
BASIC = {*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0x391, 0x3CA), *range(0x410, 0x450)}
ALIKE = 0.9


def script(code: int) -> str | None:
    name = unicodedata.name(chr(code), "")
    found = next((s for prefix, s in SCRIPTS.items() if name.startswith(prefix)), None)
    if found is None or unicodedata.category(chr(code)) not in ("Lu", "Ll", "Lo"):
        return None
    composed = unicodedata.decomposition(chr(code)) and found not in ("fraktur", "script")
    return None if composed else found


def turn(code: int) -> tuple[int, int, int]:
    name = script(code)
    rest = 2 if name in ("latin", "cyrillic") else 1
    return (
        0 if code in BASIC else rest,
        list(dict.fromkeys(SCRIPTS.values())).index(str(name)),
        code,
    )


def looks(glyphs: list[tuple[str, int]]) -> np.ndarray:
    blurred = gaussian_filter(drawing.bitmaps(glyphs), (0, 1.6, 1.6))[:, ::2, ::2]
    flat = blurred.reshape(len(glyphs), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def test_every_letter_is_in_the_script_it_is_listed_under() -> None:
    letters = [(s, letter) for s, text in CHARACTERS.items() for letter in text]
    assert len({letter for _, letter in letters}) == len(letters) == 1019
    assert all(script(ord(letter)) == s for s, letter in letters)


@pytest.mark.slow
def test_the_list_is_what_the_rule_chooses() -> None:
    codes = sorted({c for f in FACES for c in drawing.characters(f) if script(c)}, key=turn)
    glyphs = [(face, c) for c in codes for face in FACES if c in drawing.characters(face)]
    look, owner = looks(glyphs), np.array([c for _, c in glyphs])
    kept: list[int] = []
    taken = np.zeros_like(look)
    used = 0
    for code in codes:
        mine = look[owner == code]
        if (mine @ taken[:used].T).max(initial=-1.0) < ALIKE:
            kept.append(code)
            taken[used : used + len(mine)] = mine
            used += len(mine)
    assert {ord(letter) for text in CHARACTERS.values() for letter in text} == set(kept)
