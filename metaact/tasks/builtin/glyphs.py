"""Few-shot data with nothing to download: letters of fifteen scripts, each drawn twenty times."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import torch

from metaact.errors import check_int
from metaact.tasks._images import Images, Provenance
from metaact.tasks.builtin import drawing
from metaact.tasks.builtin.distortion import Distortion, distort
from metaact.tasks.builtin.drawn_cache import cached
from metaact.tasks.builtin.glyph_table import CHARACTERS
from metaact.tasks.builtin.glyph_table import GLYPH_SPLIT as GLYPH_SPLIT

RECIPE = 1
"""Raised whenever a change alters the pixels."""

DRAWINGS = 20
"""Drawings of each letter, as in Omniglot."""

FACES = (
    "DejaVuSans",
    "DejaVuSerif",
    "STIXGeneral",
    "DejaVuSans-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSansMono",
    "STIXGeneralItalic",
    "DejaVuSerif-Bold",
    "DejaVuSans-Oblique",
    "STIXGeneralBol",
    "DejaVuSerif-BoldItalic",
    "DejaVuSansMono-Bold",
    "STIXGeneralBolIta",
    "DejaVuSans-BoldOblique",
    "STIXNonUni",
    "STIXNonUniBol",
)
"""Fonts whose files are the same in matplotlib 3.8 to 3.11."""

HANDWRITING = Distortion(
    turn=9.0, slant=0.14, scale=(0.75, 1.15), shift=0.05, bend=0.042, ink=(0.25, 0.5)
)


def glyphs(*, seed: int = 0, root: Path | None = None) -> Images:
    """Letters drawn from the fonts that matplotlib brings, distorted as handwriting varies.

    A letter's drawings go through all faces that have it. The same seed gives the same pixels;
    they do not depend on the version of matplotlib (3.8 to 3.11), but the last bit of a pixel may
    differ between processors. `Images.sha256` tells.

    Args:
        seed: Seed of the distortions; the classes do not depend on it.
        root: Data root to keep the pictures in, or None for METAACT_DATA, else the platform's
            cache folder. Where it cannot be written to, they are drawn anew every time.

    Returns:
        20 images of each of 1,019 classes, 1x28x28, ink 255, sorted by class; `class_groups`
        holds the scripts.

    Raises:
        UsageError: If the seed is not an int of at least 0.
        DataError: If matplotlib came without its fonts.

    Examples:
        >>> images = glyphs()                                       # doctest: +SKIP
        >>> images.classes, len(images), images.class_groups[0]     # doctest: +SKIP
        (1019, 20380, 'latin')
    """
    check_int("seed", seed, minimum=0)
    fonts = drawing.fonts_hash(FACES)
    key = f"glyphs, recipe {RECIPE}, {HANDWRITING}, {CHARACTERS}, seed {seed}, fonts {fonts}"
    return cached(lambda: _draw(seed), name=f"glyphs-seed{seed}", key=key, root=root)


def _draw(seed: int) -> Images:
    letters = [(script, letter) for script, text in CHARACTERS.items() for letter in text]
    pairs: list[tuple[str, int]] = []
    which: list[int] = []
    for _, letter in letters:
        faces = [face for face in FACES if ord(letter) in drawing.characters(face)]
        which += [len(pairs) + k % len(faces) for k in range(DRAWINGS)]
        pairs += [(face, ord(letter)) for face in faces]
    pixels = distort(
        torch.from_numpy(drawing.bitmaps(pairs)).float(),
        torch.tensor(which),
        size=drawing.CANVAS // 2,
        how=HANDWRITING,
        generator=torch.Generator().manual_seed(seed),
    )
    return Images(
        pixels=pixels[:, None].contiguous(),
        labels=torch.arange(len(letters)).repeat_interleave(DRAWINGS),
        class_names=tuple(f"{script}/{_name(letter)}" for script, letter in letters),
        class_groups=tuple(script for script, _ in letters),
        provenance=Provenance(
            dataset="glyphs",
            split="all",
            official=True,
            note=f"drawn by metaact from matplotlib's fonts, recipe {RECIPE}, seed {seed}",
        ),
    )


def _name(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter).lower()}"
