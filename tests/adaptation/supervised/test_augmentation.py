"""Crops and flips against torchvision's, image by image, and what they depend on."""

from __future__ import annotations

import torch
from torchvision.transforms import v2

from metaact.adaptation.supervised.augmentation import PADDING, crop_and_flip, draw_crops


def pixels(*shape: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, shape, dtype=torch.uint8, generator=draw)


def test_each_image_is_what_torchvision_makes_of_it() -> None:
    images, crops = pixels(200, 3, 9, 7), draw_crops(200, seed=1, epoch=2)
    changed = crop_and_flip(images, crops)
    assert changed.dtype == torch.uint8
    for image, (top, left, flipped), found in zip(images, crops.tolist(), changed, strict=True):
        padded = v2.functional.pad(image, [PADDING])
        cropped = v2.functional.crop(padded, top, left, 9, 7)
        expected = v2.functional.horizontal_flip(cropped) if flipped else cropped
        assert torch.equal(found, expected)


def test_every_offset_occurs_as_often_as_by_chance() -> None:
    crops = draw_crops(18_000, seed=0, epoch=0)
    for column, values in ((0, 9), (1, 9), (2, 2)):
        counts = torch.bincount(crops[:, column], minlength=values)
        expected = 18_000 / values
        assert len(counts) == values
        assert float(((counts - expected) ** 2 / expected).sum()) < 30  # chi square, p < 0.0002


def test_draws_depend_on_seed_and_epoch_alone() -> None:
    before = torch.get_rng_state()
    first = draw_crops(50, seed=3, epoch=1)
    assert torch.equal(first, draw_crops(50, seed=3, epoch=1))
    assert not torch.equal(first, draw_crops(50, seed=4, epoch=1))
    assert not torch.equal(first, draw_crops(50, seed=3, epoch=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_middle_crop_is_the_image_and_leading_dimensions_are_kept() -> None:
    images = pixels(2, 5, 3, 8, 8)
    still = torch.tensor([PADDING, PADDING, 0]).expand(2, 5, 3)
    assert torch.equal(crop_and_flip(images, still), images)
    crops = draw_crops(10, seed=0, epoch=0).view(2, 5, 3)
    apart = torch.stack([crop_and_flip(images[i], crops[i]) for i in range(2)])
    assert torch.equal(crop_and_flip(images, crops), apart)
