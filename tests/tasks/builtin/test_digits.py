from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from metaact.errors import UsageError
from metaact.tasks import Images, printed_digits, street_digits
from metaact.tasks.builtin import digits

Draw = Callable[..., Images]
BOTH = pytest.mark.parametrize("draw", [printed_digits, street_digits])


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "COUNTS", {"train": 600, "test": 200})


@BOTH
def test_every_digit_has_a_tenth(draw: Draw, tmp_path: Path) -> None:
    images = draw("train", root=tmp_path)
    assert torch.bincount(images.labels).tolist() == [60] * 10
    assert images.class_names == tuple("0123456789")
    assert images.provenance.split == "train"


def test_printed_digits_have_the_form_of_mnist(tmp_path: Path) -> None:
    images = printed_digits("train", root=tmp_path)
    assert images.pixels.shape == (600, 1, 28, 28)
    ink = images.pixels[:, 0] > 127
    rows = ink.any(dim=2).sum(dim=1).float()
    assert 18 <= rows.median() <= 21
    border = torch.cat([images.pixels[..., 0].flatten(1), images.pixels[..., 0, :].flatten(1)], 1)
    assert (border > 127).float().mean() < 0.001
    # MNIST's mean over all pixels is 0.13.
    assert 0.08 < images.pixels.float().mean() / 255 < 0.2


def test_street_digits_have_the_form_of_svhn_and_colour(tmp_path: Path) -> None:
    images = street_digits("train", root=tmp_path)
    assert images.pixels.shape == (600, 3, 32, 32)
    values = images.pixels.float() / 255
    assert (values.amax(dim=1) - values.amin(dim=1)).mean() > 0.1
    assert 0.3 < values.mean() < 0.6
    # Clutter: the border is not of one colour, neighbours are cut off there.
    assert (values[:, :, :, 0].std(dim=(1, 2)) > 0.05).float().mean() > 0.8


def test_the_digit_of_a_street_picture_is_the_one_in_its_label(tmp_path: Path) -> None:
    """A template fitted on the train part tells the test part's digits far above chance."""
    train, test = (_grey(street_digits(part, root=tmp_path)) for part in ("train", "test"))
    labels = torch.arange(600) % 10
    onehot = torch.nn.functional.one_hot(labels).double()
    # The sign of the contrast varies, and a product of pixels does not see it.
    kernel = (train @ train.T) ** 2
    weights = torch.linalg.solve(kernel + 0.01 * torch.eye(600, dtype=torch.double), onehot)
    guess = ((test @ train.T) ** 2 @ weights).argmax(dim=1)
    accuracy = (guess == torch.arange(200) % 10).float().mean()
    assert accuracy > 0.25


def _grey(images: Images) -> Tensor:
    grey = images.pixels[:, :, 6:26, 9:23].double().mean(dim=1).flatten(1)
    grey = grey - grey.mean(dim=1, keepdim=True)
    return torch.nn.functional.normalize(grey, dim=1)


def test_train_and_test_share_no_face() -> None:
    assert not set(digits.FACES["train"]) & set(digits.FACES["test"])


@BOTH
def test_parts_and_seeds_are_drawn_apart_and_again_alike(draw: Draw, tmp_path: Path) -> None:
    first, again = draw("test", root=tmp_path / "a"), draw("test", root=tmp_path / "b")
    other = draw("test", seed=1, root=tmp_path / "a")
    assert first.sha256() == again.sha256() != other.sha256()
    train = draw("train", root=tmp_path)
    joined = torch.cat([train.pixels, first.pixels, other.pixels]).flatten(1)
    assert len(torch.unique(joined, dim=0)) == len(joined)


@BOTH
def test_they_are_kept_and_read_again(
    draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = draw("test", root=tmp_path)
    monkeypatch.setattr(digits.drawing, "bitmaps", None)
    assert draw("test", root=tmp_path).sha256() == drawn.sha256()


@BOTH
def test_an_unknown_part_is_refused(draw: Draw) -> None:
    with pytest.raises(UsageError, match="`split` must be one of train, test; got 'tset'"):
        draw("tset")
    with pytest.raises(UsageError, match="`seed` must be an int >= 0; got -1"):
        draw("test", seed=-1)
