"""Random crops and flips of a whole batch, as tensor operations where the images are.

What happens to an image in an epoch depends on the seed, the epoch and the image alone: all arms of
a seed see the same changed images, in whatever shares, batches or threads they are worked on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metaact.randomness import derived_seed

PADDING = 4
"""Pixels of black that are added on each side before a crop of the old size is taken."""


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
