"""The built-in transfer pair: clean printed digits, and digits as on street signs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from metaact.errors import check_choice, check_int
from metaact.tasks._images import Images, Provenance
from metaact.tasks.builtin import drawing
from metaact.tasks.builtin.distortion import Distortion, distort
from metaact.tasks.builtin.drawn_cache import cached
from metaact.tasks.builtin.street import street_ink, street_pictures

RECIPE = 1
"""Raised whenever a change alters the pixels."""

COUNTS = {"train": 10_000, "test": 2_000}
"""Images of each part; every digit has a tenth."""

# A face is a font and the code point of its zero: STIX holds sans-serif and typewriter digits
# among its mathematical ones. No face is in both parts; most have a relative in the other part.
FACES = {
    "train": (
        ("DejaVuSans", 0x30),
        ("DejaVuSans-Bold", 0x30),
        ("DejaVuSans-Oblique", 0x30),
        ("DejaVuSansMono", 0x30),
        ("DejaVuSansMono-Bold", 0x30),
        ("DejaVuSerif", 0x30),
        ("DejaVuSerif-Bold", 0x30),
        ("DejaVuSerif-BoldItalic", 0x30),
        ("STIXGeneral", 0x30),
        ("STIXGeneralBol", 0x30),
        ("STIXGeneralItalic", 0x30),
        ("STIXGeneral", 0x1D7E2),
        ("STIXGeneral", 0x1D7EC),
        ("cmr10", 0x30),
        ("cmtt10", 0x30),
    ),
    "test": (
        ("DejaVuSans-BoldOblique", 0x30),
        ("DejaVuSansMono-Oblique", 0x30),
        ("DejaVuSerif-Italic", 0x30),
        ("STIXGeneralBolIta", 0x30),
        ("STIXGeneral", 0x1D7F6),
        ("cmb10", 0x30),
        ("cmss10", 0x30),
    ),
}

PRINT = Distortion(
    turn=5.0, slant=0.06, scale=(0.85, 1.05), shift=0.06, bend=0.008, ink=(0.25, 0.55)
)


def printed_digits(split: str, *, seed: int = 0, root: Path | str | None = None) -> Images:
    """Clean printed digits in the form of MNIST: white on black, centred, 20 of 28 pixels high.

    Args:
        split: "train" (10,000 images, 15 faces) or "test" (2,000 images, 7 other faces).
        seed: Seed of the small turns, shifts and stroke widths.
        root: Data root to keep the pictures in; None for the default.

    Returns:
        Images 1x28x28 of the classes "0" to "9".

    Raises:
        UsageError: If there is no such split, or the seed is not an int of at least 0.
        DataError: If matplotlib came without its fonts.
    """
    return _digits("printed-digits", _printed, split, seed, root)


def street_digits(split: str, *, seed: int = 0, root: Path | str | None = None) -> Images:
    """Digits as cut from photographs of street signs: coloured, cluttered, blurred.

    The digit in the middle counts; its neighbours are cut off by the border, as in SVHN.

    Args:
        split: "train" (10,000 images, 15 faces) or "test" (2,000 images, 7 other faces).
        seed: Seed of everything that varies.
        root: Data root to keep the pictures in; None for the default.

    Returns:
        Images 3x32x32 of the classes "0" to "9".

    Raises:
        UsageError: If there is no such split, or the seed is not an int of at least 0.
        DataError: If matplotlib came without its fonts.

    References:
        Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", 2015,
        https://arxiv.org/abs/1409.7495, section 4.1: synthetic digits for SVHN. Theirs are drawn
        from Windows fonts and cannot be redistributed; these follow the description.
    """
    return _digits("street-digits", street_pictures, split, seed, root)


def street_masks(split: str, *, seed: int = 0) -> Tensor:
    """Where the digit that counts is in each picture of `street_digits`.

    Args:
        split: As there.
        seed: As there.

    Returns:
        uint8 [images, 1, 32, 32] in the order of the pictures: the share of each pixel that is the
        ink of the digit in the middle, 0 to 255, without its neighbours, shadow and blur.

    Raises:
        UsageError: If there is no such split, or the seed is not an int of at least 0.
        DataError: If matplotlib came without its fonts.

    Examples:
        >>> masks = street_masks("test")  # doctest: +SKIP
        >>> masks.shape                   # doctest: +SKIP
        torch.Size([2000, 1, 32, 32])
    """
    _check(split, seed)
    return street_ink(*_characters("street-digits", split, seed))


_Draw = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def _check(split: str, seed: int) -> None:
    check_choice("split", split, COUNTS)
    check_int("seed", seed, minimum=0)


def _digits(name: str, draw: _Draw, split: str, seed: int, root: Path | str | None) -> Images:
    _check(split, seed)
    fonts = drawing.fonts_hash([font for font, _ in FACES[split]])
    key = f"{name}, {split}, recipe {RECIPE}, {COUNTS[split]}, {PRINT}, seed {seed}, fonts {fonts}"

    def draw_all() -> Images:
        return Images(
            pixels=draw(*_characters(name, split, seed)).contiguous(),
            labels=_labels(split),
            class_names=tuple("0123456789"),
            provenance=Provenance(
                dataset=name,
                split=split,
                official=True,
                note=f"drawn by metaact from matplotlib's fonts, recipe {RECIPE}, seed {seed}",
            ),
        )

    return cached(draw_all, name=f"{name}-{split}-seed{seed}", key=key, root=root)


def _characters(name: str, split: str, seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    """The bitmaps of a part's faces, which of them each picture shows, and its random stream."""
    glyphs = [(font, zero + digit) for font, zero in FACES[split] for digit in range(10)]
    bitmaps = torch.from_numpy(drawing.bitmaps(glyphs)).float()
    # Each part draws from a stream of its own: the parts share no random number.
    stream = hashlib.sha256(f"{name}, {split}, {seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(stream[:7], "big"))
    labels = _labels(split)
    faces = torch.randint(len(FACES[split]), labels.shape, generator=generator)
    return bitmaps, faces * 10 + labels, generator


def _labels(split: str) -> Tensor:
    return torch.arange(COUNTS[split]) % 10


def _printed(bitmaps: Tensor, which: Tensor, generator: torch.Generator) -> Tensor:
    side = drawing.CANVAS // 2
    return distort(bitmaps, which, size=side, how=PRINT, generator=generator)[:, None]
