"""Where the built-in street digits are, and that images find their box again in any form."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from metaact import focus, tasks
from metaact.errors import UsageError
from metaact.tasks.forms.fitting import fitted


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = importlib.import_module("metaact.tasks.builtin.digits")
    monkeypatch.setattr(digits, "COUNTS", {"train": 300, "test": 200})


def test_ink_stands_out_from_what_is_around_it(tmp_path: Path) -> None:
    """Oracle: the recipe promises contrast between digit and ground, which blur leaves visible."""
    images, masks = tasks.street_digits("test", root=tmp_path), tasks.street_masks("test")
    assert masks.shape == (200, 1, 32, 32)
    assert masks.dtype == torch.uint8
    grey = images.pixels.float().mean(dim=1)
    ink = masks[:, 0] > 250
    near = torch.nn.functional.max_pool2d((masks > 0).float(), 7, stride=1, padding=3)[:, 0] > 0
    ground = near & (masks[:, 0] == 0)
    differences = [
        abs(float(picture[a].mean() - picture[b].mean()))
        for picture, a, b in zip(grey, ink, ground, strict=True)
        if bool(a.any()) and bool(b.any())
    ]
    assert len(differences) > 190
    assert sum(value > 20 for value in differences) > 0.9 * len(differences)


def test_the_digit_is_in_the_middle_and_alone(tmp_path: Path) -> None:
    masks = tasks.street_masks("test")[:, 0].double()
    rows = (masks.sum(dim=2) * torch.arange(32)).sum(dim=1) / masks.sum(dim=(1, 2))
    columns = (masks.sum(dim=1) * torch.arange(32)).sum(dim=1) / masks.sum(dim=(1, 2))
    for centre in (rows, columns):
        assert float(centre.mean()) == pytest.approx(15.5, abs=1.0)
        assert float((centre - 15.5).abs().max()) < 9  # a neighbour would pull it out
    assert float((masks >= 128).any(dim=1).sum(dim=1).double().mean()) < 22


def test_images_find_their_boxes_in_any_form_and_order(tmp_path: Path) -> None:
    images = tasks.street_digits("test", root=tmp_path)
    chosen = torch.tensor([17, 3, 150])
    plain = focus.known_boxes(images.pixels[chosen], "street-digits", tmp_path)
    assert plain is not None
    masks = tasks.street_masks("test")[chosen, 0].numpy() >= 128
    for box, mask in zip(plain, masks, strict=True):
        assert (box & mask).sum() == mask.sum()
    cropped = fitted(images, size=28, channels=1)
    small = focus.known_boxes(cropped.pixels[chosen], "street-digits", tmp_path)
    assert small is not None
    assert (small == plain[:, 2:30, 2:30]).mean() > 0.99
    mixed = torch.cat([images.pixels[:1], tasks.street_digits("train", root=tmp_path).pixels[:1]])
    assert focus.known_boxes(mixed, "street-digits", tmp_path) is not None


def test_what_is_not_known_has_no_box(tmp_path: Path) -> None:
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    assert focus.known_boxes(pixels, "street-digits", tmp_path) is None
    assert focus.known_boxes(pixels, "cifar10", tmp_path) is None
    with pytest.raises(UsageError, match="`split`"):
        tasks.street_masks("validation")
