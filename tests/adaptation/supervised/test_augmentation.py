"""Crops and flips against torchvision's, image by image, and what they depend on."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from metaact.adaptation.supervised.augmentation import (
    PADDING,
    SCALE,
    TURN,
    change,
    crop_and_flip,
    draw_changes,
    draw_crops,
    draw_turns,
    scale_turn_flip,
)


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


def test_turns_are_within_their_bounds_and_even() -> None:
    scale, turn, flipped = draw_turns(20_000, seed=0, epoch=0).T
    assert float(scale.min()) > 1 - SCALE - 1e-6
    assert float(scale.max()) < 1 + SCALE + 1e-6
    assert float(turn.abs().max()) <= TURN
    assert set(flipped.tolist()) == {0.0, 1.0}
    for values, mean, deviation in (
        (scale, 1, SCALE / 3**0.5),
        (turn, 0, TURN / 3**0.5),
        (flipped, 0.5, 0.5),
    ):
        assert float(values.mean()) == pytest.approx(mean, abs=4 * deviation / 20_000**0.5)
        assert float(values.std()) == pytest.approx(deviation, rel=0.03)


def test_nothing_drawn_changes_nothing_and_a_flip_is_a_flip() -> None:
    images = pixels(3, 2, 6, 9)
    assert torch.equal(scale_turn_flip(images, torch.tensor([[1.0, 0.0, 0.0]] * 3)), images)
    flipped = scale_turn_flip(images, torch.tensor([[1.0, 0.0, 1.0]] * 3))
    assert torch.equal(flipped, images.flip(3))


@pytest.mark.parametrize(("turn", "times"), [(90.0, 1), (180.0, 2), (-90.0, -1)])
def test_a_turn_by_right_angles_is_that_of_torch(turn: float, times: int) -> None:
    images = pixels(2, 1, 8, 8)
    turned = scale_turn_flip(images, torch.tensor([[1.0, turn, 0.0]] * 2))
    assert torch.equal(turned, torch.rot90(images, times, (2, 3)))


def test_a_turn_keeps_distances_in_images_that_are_not_square() -> None:
    """A disc about the centre of a wide image stays where it is."""
    rows, columns = torch.meshgrid(torch.arange(21) - 10, torch.arange(41) - 20, indexing="ij")
    disc = (255 * (rows**2 + columns**2 <= 64)).to(torch.uint8)[None, None]
    turned = scale_turn_flip(disc, torch.tensor([[1.0, 37.0, 0.0]]), nearest=True)
    assert float((turned != disc).float().mean()) < 0.02
    grown = scale_turn_flip(disc, torch.tensor([[1.5, 0.0, 0.0]]), nearest=True)
    assert float((grown > 0).sum() / (disc > 0).sum()) == pytest.approx(1.5**2, rel=0.05)


def test_masks_move_with_their_images_and_keep_their_values() -> None:
    """An image that is its own mask: after the change, too, but for the edges of pixels."""
    masks = torch.zeros(40, 1, 24, 24, dtype=torch.uint8)
    masks[:, :, 5:14, 8:20] = 1
    for kind in ("crop-flip", "scale-turn-flip"):
        drawn = draw_changes(kind, 40, seed=0, epoch=3)
        moved = change(kind, masks, drawn, masks=True)
        seen = change(kind, 255 * masks, drawn)
        assert set(moved.unique().tolist()) == {0, 1}
        differ = ((seen > 127) != (moved > 0)).float().mean()
        assert float(differ) < 0.02
        assert not torch.equal(moved, masks)
