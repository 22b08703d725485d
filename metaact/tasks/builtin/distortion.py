"""Seeded distortion of drawn characters: turned, slanted, scaled, shifted, bent, thick or thin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK = 2048  # drawings sampled at once
_KNOTS = 4  # the bending field has this many knots a side


@dataclass(frozen=True, slots=True, kw_only=True)
class Distortion:
    """How far drawings of one character differ from each other.

    Attributes:
        turn: Standard deviation of the rotation, in degrees.
        slant: Standard deviation of the shear.
        scale: Smallest and largest factor on the size, for each axis on its own.
        shift: Largest shift, as a share of the picture's side.
        bend: Standard deviation of the elastic displacement, as a share of the side.
        ink: Lowest and highest grey level taken as the edge of a stroke; low is thick.
    """

    turn: float
    slant: float
    scale: tuple[float, float]
    shift: float
    bend: float
    ink: tuple[float, float]


def distort(
    bitmaps: Tensor, which: Tensor, *, size: int, how: Distortion, generator: torch.Generator
) -> Tensor:
    """Draw `bitmaps[which]`, each in a way of its own.

    Args:
        bitmaps: float32 [characters, side, side], ink 0 to 1.
        which: int64 [drawings], the character of each drawing.
        size: Side of the drawings.
        how: Ranges of the distortion.
        generator: Source of all randomness; the global stream is not touched.

    Returns:
        uint8 [drawings, size, size], ink 255.
    """
    count = len(which)
    matrix, shift = affine(count, how, generator)
    knots = torch.randn(count, 2, _KNOTS, _KNOTS, generator=generator) * (2 * how.bend)
    edge = uniform(count, how.ink, generator).view(-1, 1, 1)
    soft = soften(bitmaps)
    chunks = []
    for part in torch.split(torch.arange(count), _CHUNK):
        bent = grid(size) + bending(knots[part], size)
        where = warp(bent, matrix[part], shift[part])
        ink = stroke(sample(soft[which[part]], where), edge[part])
        chunks.append(to_bytes(ink))
    return torch.cat(chunks)


def uniform(count: int, bounds: tuple[float, float], generator: torch.Generator) -> Tensor:
    """float32 [count], uniform between the bounds."""
    low, high = bounds
    return low + (high - low) * torch.rand(count, generator=generator)


def affine(count: int, how: Distortion, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random maps from the picture to the canvas: matrix [count, 2, 2] and shift [count, 2]."""
    angle = torch.randn(count, generator=generator).clamp(-2.5, 2.5) * math.radians(how.turn)
    slant = torch.randn(count, generator=generator).clamp(-2.5, 2.5) * how.slant
    wide = 1 / uniform(count, how.scale, generator)
    high = 1 / uniform(count, how.scale, generator)
    shift = (2 * torch.rand(count, 2, generator=generator) - 1) * (2 * how.shift)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([cos, sin, -sin, cos], dim=1).view(-1, 2, 2)
    stretch = torch.stack([wide, slant, torch.zeros(count), high], dim=1).view(-1, 2, 2)
    return stretch @ turn, shift


def grid(size: int) -> Tensor:
    """Pixel centres of a picture, [1, size, size, 2] as x and y in -1 to 1."""
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, y], dim=-1)[None]


def bending(knots: Tensor, size: int) -> Tensor:
    """Smooth displacements [pictures, size, size, 2] through `knots` [pictures, 2, k, k]."""
    field = F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def warp(points: Tensor, matrix: Tensor, shift: Tensor) -> Tensor:
    """Map `points` [pictures or 1, h, w, 2] by each picture's matrix after its shift."""
    return torch.einsum("nij,nhwj->nhwi", matrix, points - shift[:, None, None, :])


def soften(bitmaps: Tensor) -> Tensor:
    """Blur [n, side, side] by a small binomial kernel, so that an edge has a slope to move on."""
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    across = F.conv2d(bitmaps[:, None], kernel.view(1, 1, 1, 5), padding=(0, 2))
    return F.conv2d(across, kernel.view(1, 1, 5, 1), padding=(2, 0))[:, 0]


def sample(bitmaps: Tensor, points: Tensor) -> Tensor:
    """Read [n, side, side] at `points` [n, h, w, 2] between pixels; outside there is no ink."""
    return F.grid_sample(bitmaps[:, None], points, align_corners=False)[:, 0]


def stroke(soft: Tensor, edge: Tensor) -> Tensor:
    """Sharpen softened ink around the grey level `edge`, which sets how thick the strokes are."""
    return ((soft - edge) * 2.5 + 0.5).clamp(0, 1)


def to_bytes(ink: Tensor) -> Tensor:
    """Round values in 0..1 to uint8 in 0..255."""
    return (ink.clamp(0, 1) * 255).round().to(torch.uint8)
