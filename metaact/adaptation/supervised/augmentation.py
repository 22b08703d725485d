"""Random changes of a whole batch, as tensor operations where the images are.

What happens to an image in an epoch depends on the seed, the epoch and the image alone (where
images are drawn with replacement, on its place among those drawn): all arms of a seed see the same
changed images, in whatever shares, batches or threads they are worked on. Masks move with their
images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from metaact.randomness import derived_seed

PADDING = 4
"""Pixels of black that are added on each side before a crop of the old size is taken."""


SCALE = 0.05
"""By how much of its size an image grows or shrinks at most."""

TURN = 15.0
"""By how many degrees it is turned at most."""


def draw_changes(kind: str, images: int, *, seed: int, epoch: int) -> Tensor:
    """What an augmentation does to each image in an epoch: [images, 3], on the CPU.

    Args:
        kind: "crop-flip" or "scale-turn-flip".
        images: How many.
        seed: Seed of a run.
        epoch: Epochs done before.
    """
    draw = draw_crops if kind == "crop-flip" else draw_turns
    return draw(images, seed=seed, epoch=epoch)


def change(kind: str, pixels: Tensor, drawn: Tensor, *, masks: bool = False) -> Tensor:
    """Images or masks as an augmentation leaves them.

    Args:
        kind: "crop-flip" or "scale-turn-flip".
        pixels: uint8 [..., channels, height, width].
        drawn: As `draw_changes` draws them: [..., 3].
        masks: Whether they are masks, which keep their values.
    """
    if kind == "crop-flip":
        return crop_and_flip(pixels, drawn)
    return scale_turn_flip(pixels, drawn, nearest=masks)


def draw_crops(images: int, *, seed: int, epoch: int) -> Tensor:
    """What happens to each image in an epoch: int64 [images, 3], on the CPU.

    Returns:
        The row and the column at which its crop begins, in 0..2·PADDING, and whether it is flipped.
    """
    draw = torch.Generator().manual_seed(derived_seed("augmentation", seed, epoch))
    corners = torch.randint(2 * PADDING + 1, (images, 2), generator=draw)
    return torch.cat([corners, torch.randint(2, (images, 1), generator=draw)], dim=1)


def crop_and_flip(pixels: Tensor, crops: Tensor) -> Tensor:
    """Each image padded with zeros, cropped to its old size, and flipped or not.

    Args:
        pixels: [..., channels, height, width].
        crops: As `draw_crops` draws them: int64 [..., 3].

    Returns:
        As `pixels` in shape and type, in channels-last order of memory.

    Examples:
        >>> image = torch.arange(4).view(1, 1, 2, 2)
        >>> crop_and_flip(image, torch.tensor([[4, 4, 1]])).flatten().tolist()
        [1, 0, 3, 2]
        >>> crop_and_flip(image, torch.tensor([[5, 4, 0]])).flatten().tolist()
        [2, 3, 0, 0]
    """
    height, width = pixels.shape[-2:]
    padded = functional.pad(pixels.flatten(0, -4), [PADDING] * 4)
    top, left, flipped = crops.flatten(0, -2).T
    rows = top[:, None] + torch.arange(height, device=pixels.device)
    columns = torch.arange(width, device=pixels.device).expand(len(top), -1)
    columns = left[:, None] + torch.where(flipped[:, None] == 1, width - 1 - columns, columns)
    number = torch.arange(len(top), device=pixels.device)[:, None, None]
    cropped = padded[number, :, rows[:, :, None], columns[:, None, :]]  # [images, height, width, c]
    return cropped.permute(0, 3, 1, 2).view(pixels.shape)


def draw_turns(images: int, *, seed: int, epoch: int) -> Tensor:
    """What happens to each image in an epoch: float32 [images, 3], on the CPU.

    Returns:
        By what it is scaled, in 1 ± SCALE; by how many degrees it is turned, in ±TURN; and whether
        it is flipped, 0 or 1.
    """
    draw = torch.Generator().manual_seed(derived_seed("augmentation", seed, epoch))
    spread = 2 * torch.rand((images, 2), generator=draw) - 1
    flips = torch.randint(2, (images, 1), generator=draw)
    return torch.cat([1 + SCALE * spread[:, :1], TURN * spread[:, 1:], flips], dim=1)


def scale_turn_flip(pixels: Tensor, turns: Tensor, *, nearest: bool = False) -> Tensor:
    """Each image flipped left to right or not, scaled and turned about its centre; else black.

    Args:
        pixels: uint8 [..., channels, height, width].
        turns: As `draw_turns` draws them: [..., 3].
        nearest: Take the nearest pixel in place of interpolating four.

    Returns:
        As `pixels` in shape and type.

    Examples:
        >>> image = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
        >>> scale_turn_flip(image, torch.tensor([[1.0, 0.0, 1.0]])).flatten().tolist()
        [1, 0, 3, 2]
        >>> scale_turn_flip(image, torch.tensor([[1.0, 90.0, 0.0]])).flatten().tolist()
        [1, 3, 0, 2]
    """
    height, width = pixels.shape[-2:]
    flat = pixels.flatten(0, -4).float()
    scale, turn, flipped = turns.flatten(0, -2).float().T
    cosine, sine = (
        torch.cos(turn * (math.pi / 180)) / scale,
        torch.sin(turn * (math.pi / 180)) / scale,
    )
    side = 1 - 2 * flipped  # -1 reads from right to left
    aspect, nothing = height / width, torch.zeros_like(scale)
    # Rows of the map from a place in the changed image to one in the old, both in -1..1.
    columns = torch.stack([side * cosine, -side * sine * aspect, nothing], dim=1)
    rows = torch.stack([sine / aspect, cosine, nothing], dim=1)
    grid = functional.affine_grid(
        torch.stack([columns, rows], dim=1), list(flat.shape), align_corners=False
    )
    mode = "nearest" if nearest else "bilinear"
    moved = functional.grid_sample(flat, grid, mode=mode, align_corners=False)
    return moved.round().to(pixels.dtype).view(pixels.shape)
