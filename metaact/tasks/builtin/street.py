"""Pictures of digits as on street signs: perspective, neighbours, colours, clutter, blur, noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metaact.tasks.builtin.distortion import (
    Distortion,
    affine,
    bending,
    grid,
    sample,
    soften,
    stroke,
    to_bytes,
    uniform,
    warp,
)

SIZE = 32
"""Side of the pictures, as in SVHN."""

_CHUNK = 1000  # pictures made at once; part of the recipe, as each chunk draws its own numbers
# On a canvas 5/7 are digit, so at scale 1 a digit is 23 of 32 pixels high.
_CAMERA = Distortion(turn=6.0, slant=0.12, scale=(0.7, 1.1), shift=0.06, bend=0.0, ink=(0.25, 0.55))
_TILT = 0.12  # standard deviation of the perspective's two terms
_NEIGHBOUR = 0.65  # how often there is one, on each side
_CONTRAST = 0.4  # least difference in brightness between digit and ground, where it can be had
_LIGHT = 0.8  # how often the digit is lighter than its ground
_RANGE = 0.5  # how much of the range from black to white the ground's colours have
_LUMA = torch.tensor([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fonts:
    """What the pictures are made from.

    Attributes:
        soft: Softened bitmaps, float32 [characters, side, side].
        half_width: Half the width of each, [characters], where the canvas reaches from -1 to 1.
    """

    soft: Tensor
    half_width: Tensor


def street_pictures(bitmaps: Tensor, which: Tensor, generator: torch.Generator) -> Tensor:
    """Make a picture around each of `bitmaps[which]`.

    Args:
        bitmaps: float32 [faces * 10, side, side], ink 0 to 1; each face holds its ten digits.
        which: int64 [pictures], the character in the middle.
        generator: Source of all randomness.

    Returns:
        uint8 [pictures, 3, 32, 32].
    """
    return torch.cat([picture for picture, _ in _drawn(bitmaps, which, generator)])


def street_ink(bitmaps: Tensor, which: Tensor, generator: torch.Generator) -> Tensor:
    """Where the digit in the middle is in each picture that `street_pictures` makes of the same.

    Args:
        bitmaps: As there, also for the other arguments.
        which: The character in the middle.
        generator: In the state in which the pictures were made.

    Returns:
        uint8 [pictures, 1, 32, 32]: the share of each pixel that is the digit's ink, before blur.
    """
    return torch.cat([to_bytes(ink)[:, None] for _, ink in _drawn(bitmaps, which, generator)])


def _drawn(
    bitmaps: Tensor, which: Tensor, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    columns = (bitmaps.amax(dim=1) > 0.2).sum(dim=1)
    fonts = _Fonts(soft=soften(bitmaps), half_width=columns / bitmaps.shape[-1])
    return (_pictures(fonts, part, generator) for part in torch.split(which, _CHUNK))


def _pictures(fonts: _Fonts, which: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The pictures, and the mask of the digit in the middle of each."""
    count = len(which)
    digits, shadow, middle = _writing(fonts, which, generator)
    ground, ink, second = _colours(count, generator)
    picture = _ground(ground, second, generator)
    has_shadow = _coin(count, 0.3, generator).view(-1, 1, 1, 1)
    picture = torch.lerp(picture, second, shadow[:, None] * has_shadow)
    picture = torch.lerp(picture, ink, digits[:, None])
    return to_bytes(_photograph(picture, generator)), middle


def _writing(
    fonts: _Fonts, which: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """The digit with its neighbours, their shadow, and the digit alone.

    Each is a mask [pictures, size, size].
    """
    count = len(which)
    matrix, shift = affine(count, _CAMERA, generator)
    tilt = torch.randn(count, 2, generator=generator) * _TILT
    edge = uniform(count, _CAMERA.ink, generator).view(-1, 1, 1)
    gap = uniform(count, (0.04, 0.2), generator)
    light = torch.randn(count, 2, generator=generator) * 0.1
    faces = which // 10 * 10
    sides = []
    for side in (-1, 1):
        other = faces + torch.randint(10, (count,), generator=generator)
        away = fonts.half_width[which] + fonts.half_width[other] + gap
        # A missing neighbour stands so far away that it is out of the picture.
        away = torch.where(_coin(count, _NEIGHBOUR, generator) > 0, away, torch.tensor(9.0))
        sides.append((other, side * away))
    masks, alone = [], []
    for offset in (torch.zeros(count, 2), light):
        points = warp(grid(SIZE) - offset[:, None, None, :], matrix, shift)
        depth = 1 + torch.einsum("nhwi,ni->nhw", points, tilt).clamp(-0.5, 0.5)
        points = points / depth[..., None]
        mask = stroke(sample(fonts.soft[which], points), edge)
        alone.append(mask)
        for other, away in sides:
            beside = points - torch.stack([away, torch.zeros(count)], dim=1)[:, None, None, :]
            mask = torch.maximum(mask, stroke(sample(fonts.soft[other], beside), edge))
        masks.append(mask)
    return masks[0], masks[1], alone[0]


def _colours(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Ground, ink and a second ground colour, each [pictures, 3, 1, 1]; the ink stands out."""
    light = _coin(count, _LIGHT, generator)[:, None]
    # Light ink gets a darker ground and dark ink a lighter one, which leaves room to stand out.
    ground = torch.rand(count, 3, generator=generator) * _RANGE + (1 - _RANGE) * (1 - light)
    tries = torch.rand(count, 8, 3, generator=generator)
    difference = ((tries - ground[:, None]) @ _LUMA) * (2 * light - 1)
    # The first try of enough contrast, or else the best one.
    best = difference.clamp(max=_CONTRAST).argmax(dim=1)
    ink = tries[torch.arange(count), best]
    second = torch.lerp(ground, torch.rand(count, 3, generator=generator), 0.5)
    return ground[..., None, None], ink[..., None, None], second[..., None, None]


def _ground(ground: Tensor, second: Tensor, generator: torch.Generator) -> Tensor:
    """A gradient between two colours, the border of a sign, and stains."""
    count = len(ground)
    points = grid(SIZE)
    angle = uniform(count, (0.0, 6.2832), generator)
    along = torch.stack([angle.cos(), angle.sin()], dim=1)
    slope = torch.einsum("nhwi,ni->nhw", points.expand(count, -1, -1, -1), along)
    share = (slope * 0.5 + 0.5) * _coin(count, 0.5, generator).view(-1, 1, 1)
    picture = torch.lerp(ground, second, share[:, None].clamp(0, 1))
    border = uniform(count, (0.55, 1.3), generator).view(-1, 1, 1)
    beyond = ((slope.roll(1, dims=0) - border) * SIZE / 2).clamp(0, 1)
    picture = torch.lerp(picture, torch.rand(count, 3, 1, 1, generator=generator), beyond[:, None])
    knots = torch.randn(count, 2, 6, 6, generator=generator)
    depth = uniform(count, (0.0, 0.1), generator).view(-1, 1, 1, 1)
    return picture + bending(knots, SIZE)[..., 0][:, None] * depth


def _photograph(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Blur, contrast, brightness and noise of each picture's own strength."""
    count = len(picture)
    width = uniform(count, (0.25, 1.3), generator).view(-1, 1)
    taps = torch.exp(-(torch.arange(-3, 4) ** 2) / (2 * width**2))
    kernel = (taps / taps.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    flat = F.pad(picture.reshape(1, count * 3, SIZE, SIZE), (3, 3, 3, 3), mode="replicate")
    flat = F.conv2d(flat, kernel.view(-1, 1, 1, 7), groups=count * 3)
    flat = F.conv2d(flat, kernel.view(-1, 1, 7, 1), groups=count * 3)
    picture = flat.view(count, 3, SIZE, SIZE)
    contrast = uniform(count, (0.7, 1.2), generator).view(-1, 1, 1, 1)
    brightness = uniform(count, (-0.12, 0.12), generator).view(-1, 1, 1, 1)
    noise = torch.randn(picture.shape, generator=generator)
    grain = uniform(count, (0.0, 0.06), generator).view(-1, 1, 1, 1)
    return (picture - 0.5) * contrast + 0.5 + brightness + noise * grain


def _coin(count: int, chance: float, generator: torch.Generator) -> Tensor:
    """float32 [count]: 1 with this chance, else 0."""
    return (torch.rand(count, generator=generator) < chance).float()
