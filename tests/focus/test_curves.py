"""Deletion and insertion: networks of which it is known which pixels count."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaact.analysis import curve_area
from metaact.errors import UsageError
from metaact.focus import deletion_curve, insertion_curve
from metaact.focus.curves import blurred, ranks

SIZE = 8


class Linear(nn.Module):
    """Logits w·x and 0, with a known weight of each pixel."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        logit = (x[:, 0] * self.weights).sum(dim=(1, 2))
        return torch.stack([logit, torch.zeros_like(logit)], dim=1)


@pytest.fixture
def weights() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(6, 1, SIZE, SIZE, generator=generator, dtype=torch.float64)


def test_deletion_by_hand(weights: Tensor, images: Tensor) -> None:
    maps = images[:, 0] * weights
    classes = torch.zeros(6, dtype=torch.int64)
    found = deletion_curve(Linear(weights), images, maps, classes, steps=4)
    for image, curve in zip(maps, found, strict=True):
        contributions = image.flatten().sort(descending=True).values
        expected = [contributions[k:].sum().sigmoid() for k in (0, 16, 32, 48, 64)]
        torch.testing.assert_close(curve, torch.stack(expected).detach())


def test_curves_begin_and_end_at_the_two_images(weights: Tensor, images: Tensor) -> None:
    net, classes = Linear(weights), torch.ones(6, dtype=torch.int64)
    maps = torch.zeros(6, SIZE, SIZE, dtype=torch.float64)
    whole, blank, blurry = (
        net(x).softmax(dim=1)[:, 1].detach() for x in (images, 0 * images, blurred(images))
    )
    deletion = deletion_curve(net, images, maps, classes)
    insertion = insertion_curve(net, images, maps, classes)
    torch.testing.assert_close(deletion[:, 0], whole)
    torch.testing.assert_close(deletion[:, -1], blank)
    torch.testing.assert_close(insertion[:, 0], blurry)
    torch.testing.assert_close(insertion[:, -1], whole)


def test_a_perfect_map_beats_its_inverse(weights: Tensor, images: Tensor) -> None:
    net, classes = Linear(weights), torch.zeros(6, dtype=torch.int64)
    change = {
        deletion_curve: images[:, 0] * weights,
        insertion_curve: (images - blurred(images))[:, 0] * weights,
    }
    for curve, perfect in change.items():
        areas = [curve_area(curve(net, images, m, classes).numpy()) for m in (perfect, -perfect)]
        better = areas[0] < areas[1] if curve is deletion_curve else areas[0] > areas[1]
        assert better.all()
        # No other map does better: what counts most goes, or comes, first.
        generator = torch.Generator().manual_seed(2)
        for _ in range(5):
            other = torch.randn(perfect.shape, generator=generator, dtype=torch.float64)
            area = curve_area(curve(net, images, other, classes).numpy())
            rival = areas[0] <= area if curve is deletion_curve else areas[0] >= area
            assert rival.all()


def test_pixels_of_one_value_are_ranked_at_random_and_always_alike() -> None:
    even = ranks(torch.zeros(3, SIZE, SIZE))
    assert torch.equal(even[0], even[1])
    assert torch.equal(even, ranks(torch.ones(3, SIZE, SIZE)))
    assert even[0].flatten().sort().values.tolist() == list(range(SIZE * SIZE))
    halves = even[0] < SIZE * SIZE // 2
    assert 10 < int(halves[: SIZE // 2].sum()) < 22  # not the upper half first


def test_a_blur_keeps_the_mean_and_leaves_no_detail() -> None:
    checks = ((torch.arange(32)[:, None] + torch.arange(32)) % 2).double().expand(1, 3, -1, -1)
    blurry = blurred(checks)
    assert float(blurry[..., 8:24, 8:24].std()) < 0.01
    assert float(blurry.mean()) == pytest.approx(0.5, abs=0.01)


def test_maps_of_another_size_are_refused(weights: Tensor, images: Tensor) -> None:
    with pytest.raises(UsageError, match="`maps` must be"):
        deletion_curve(Linear(weights), images, images[:, 0, :4], torch.zeros(6).long())
