"""Built-in patients: drawn volumes of heads with one lesion each, which need no download.

What is to be found is bright in the second channel (as in FLAIR) and dark in the first. Decoys are
as bright there and bright in the first, too; contrast, unevenness and noise differ by patient. So
one channel does not do, nor does a threshold.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metaact.randomness import derived_seed
from metaact.tasks._images import Provenance

from .volumes import Volumes

NAME = "synthetic-patients"

RECIPE = 1
"""Raised whenever a change alters the pixels."""

PATIENTS, SLICES, SIZE = 24, 12, 64


def synthetic_patients(size: int = SIZE) -> Volumes:
    """24 patients of 12 slices with 3 channels; some slices show no lesion, every patient has one.

    Args:
        size: Height and width of a slice; the same heads at any size.

    Examples:
        >>> volumes = synthetic_patients(32)
        >>> volumes.pixels.shape, len(volumes.patients)
        (torch.Size([288, 3, 32, 32]), 24)
    """
    drawn = [_patient(number, size) for number in range(PATIENTS)]
    return Volumes(
        pixels=torch.cat([pixels for pixels, _ in drawn]),
        masks=torch.cat([mask for _, mask in drawn]),
        patient=torch.arange(PATIENTS).repeat_interleave(SLICES),
        patients=tuple(f"patient-{number + 1:02d}" for number in range(PATIENTS)),
        provenance=Provenance(
            dataset=NAME,
            split="all",
            official=True,
            note=f"drawn by metaact, recipe {RECIPE}; no real patients",
        ),
    )


class _Draw:
    """Numbers and smooth fields of one patient."""

    def __init__(self, number: int, size: int) -> None:
        self.generator = torch.Generator().manual_seed(derived_seed(NAME, RECIPE, number))
        self.shape = (SLICES, size, size)
        axes = [torch.linspace(-1, 1, side) for side in self.shape]
        self.z, self.y, self.x = torch.meshgrid(*axes, indexing="ij")

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def smooth(self, knots: int) -> Tensor:
        """A field of deviation about 1 that varies over a 1/`knots` of the head."""
        coarse = torch.randn(1, 1, knots, knots, knots, generator=self.generator)
        field = functional.interpolate(coarse, self.shape, mode="trilinear", align_corners=True)
        return field[0, 0]

    def blob(self, radius: float, uneven: float) -> Tensor:
        """Above 0 in a lump of about this radius, somewhere inside the head."""
        angle = self.between(0, 6.2832)
        away = self.between(0.1, 0.5)
        centre = (self.between(-0.4, 0.4), away * _sin(angle), away * _sin(angle + 1.5708))
        axes, wide = (self.z, self.y, self.x), (1.6, 1.0, 1.0)
        away_from = zip(axes, centre, wide, strict=True)
        squares = [((axis - c) / w) ** 2 for axis, c, w in away_from]
        distance = torch.stack(squares).sum(dim=0).sqrt()
        return 1 - distance / radius + uneven * self.smooth(7)


def _sin(angle: float) -> float:
    return float(torch.sin(torch.tensor(angle)))


def _patient(number: int, size: int) -> tuple[Tensor, Tensor]:
    """Slices uint8 [slices, 3, size, size] and mask uint8 [slices, 1, size, size]."""
    draw = _Draw(number, size)
    wide, high = draw.between(0.7, 0.9), draw.between(0.75, 0.95)
    head = (draw.x / wide) ** 2 + (draw.y / high) ** 2 + (draw.z / 1.3) ** 2
    inside = torch.sigmoid(30 * (1 - head))
    tissue = draw.smooth(6)
    channels = [
        0.45 + 0.07 * tissue + 0.03 * draw.smooth(12),
        0.40 - 0.05 * tissue + 0.05 * draw.smooth(12),
        0.45 + 0.06 * tissue + 0.05 * draw.smooth(12),
    ]
    lump = draw.blob(draw.between(0.18, 0.42), uneven=0.25)
    lesion = (lump > 0) & (head < 0.95)
    contrast = draw.between(0.10, 0.30)
    soft = torch.sigmoid(12 * lump)
    channels[0] = channels[0] - 0.5 * contrast * soft
    channels[1] = channels[1] + contrast * soft
    channels[2] = channels[2] + draw.between(-0.05, 0.15) * torch.sigmoid(12 * (lump - 0.4))
    for _ in range(3):
        decoy = torch.sigmoid(12 * draw.blob(draw.between(0.12, 0.35), uneven=0.25))
        bright = draw.between(0.12, 0.30)
        channels[0] = channels[0] + 0.5 * bright * decoy
        channels[1] = channels[1] + bright * decoy
    noise = draw.between(0.04, 0.09)
    pixels = []
    for channel in channels:
        uneven = 1 + 0.12 * draw.smooth(3)
        grain = noise * torch.randn(draw.shape, generator=draw.generator)
        pixels.append((channel * uneven * inside + grain).clamp(0, 1))
    volume = (255 * torch.stack(pixels, dim=1)).round().to(torch.uint8)
    return volume, lesion[:, None].to(torch.uint8)
