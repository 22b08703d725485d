"""Measures of focus: closed forms, and the family of gains held against the plain comparison."""

from __future__ import annotations

import numpy as np
import pytest

from metaact import analysis
from metaact.errors import UsageError


def test_all_energy_of_a_map_lies_in_its_own_box() -> None:
    draw = np.random.default_rng(0)
    masks = draw.random((20, 9, 7)) > 0.9
    masks[:, 4, 3] = True
    boxes = analysis.boxes_of(masks)
    assert analysis.energy_inside(masks, boxes) == pytest.approx(np.ones(20))
    assert analysis.energy_inside(masks, ~masks) == pytest.approx(np.zeros(20))


def test_negative_values_hold_no_energy_and_a_blank_map_counts_as_an_even_one() -> None:
    inside = np.zeros((2, 4, 5), dtype=bool)
    inside[:, :2, :2] = True
    maps = np.full((2, 4, 5), -3.0)
    maps[0, 0, 0], maps[0, 3, 3] = 1.0, 3.0
    assert analysis.energy_inside(maps, inside) == pytest.approx([0.25, 4 / 20])


def test_a_box_is_the_hull_of_its_corners() -> None:
    masks = np.zeros((1, 6, 8), dtype=bool)
    masks[0, 1, 5] = masks[0, 4, 2] = True
    (box,) = analysis.boxes_of(masks)
    assert np.argwhere(box).min(axis=0).tolist() == [1, 2]
    assert np.argwhere(box).max(axis=0).tolist() == [4, 5]
    assert box.sum() == 4 * 4


def test_areas_of_straight_and_bent_lines() -> None:
    x = np.linspace(0, 1, 17)
    assert analysis.curve_area(np.stack([1 - x, 0 * x + 0.3])) == pytest.approx([0.5, 0.3])
    assert float(analysis.curve_area(x**2)) == pytest.approx(1 / 3, abs=1e-3)


def test_the_prior_falls_from_the_centre_alike_on_all_sides() -> None:
    prior = analysis.centre_prior(8, 10)
    assert prior == pytest.approx(prior[::-1, ::-1])
    assert np.unravel_index(prior.argmax(), prior.shape) in {(3, 4), (3, 5), (4, 4), (4, 5)}
    # One standard deviation is a quarter of the side.
    tall = analysis.centre_prior(400, 1)[:, 0]
    assert tall[300] / tall[200] == pytest.approx(np.exp(-0.5), rel=0.01)


def test_maps_must_fit_the_object_and_be_finite() -> None:
    with pytest.raises(UsageError, match="`maps` and `inside`"):
        analysis.energy_inside(np.zeros((1, 2, 2)), np.zeros((1, 2, 3), dtype=bool))
    with pytest.raises(UsageError, match="finite"):
        analysis.energy_inside(np.full((1, 2, 2), np.nan), np.ones((1, 2, 2), dtype=bool))


SIZE = (4, 30)


def _scores(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.8, SIZE)


def test_over_one_baseline_a_difference_of_gains_is_the_plain_difference() -> None:
    """The baseline cancels, and with it the halving and doubling inside."""
    first, second, base = (_scores(seed) for seed in range(3))
    names = ("arelu", "relu")
    _, (found,) = analysis.compare_gains(
        [], [(names, (first, base), (second, base))], unit="test images"
    )
    plain = analysis.compare_pair(first, second, names=names, unit="test images")
    assert found.interval.mean == pytest.approx(plain.interval.mean)
    assert found.interval.low == pytest.approx(plain.interval.low, abs=0.02)
    assert found.p_value == pytest.approx(plain.p_value)
    assert found.verdict == plain.verdict


def test_a_difference_of_gains_by_hand() -> None:
    first, second, one, other = (_scores(seed) for seed in range(4))
    gains, (found,) = analysis.compare_gains(
        [(("arelu", "chance"), first, one)],
        [(("arelu", "relu"), (first, one), (second, other))],
        unit="test images",
    )
    assert gains[0].mean == pytest.approx((first - one).mean())
    assert found.mean == pytest.approx(((first - one) - (second - other)).mean())
    assert gains[0].compared == found.compared == 2
    # The figures of the sentence are those of the interval.
    assert analysis.difference_text(found.interval) in found.sentence


def test_a_large_gain_is_seen_and_a_margin_is_in_points_of_the_gain() -> None:
    noise = 0.01 * _scores(5)
    high, low = 0.8 + noise, 0.2 + 0.01 * _scores(6)
    question = [(("a", "b"), (high, low), (low, high))]
    _, (found,) = analysis.compare_gains([], question, unit="test images")
    assert found.verdict == "better"
    assert found.mean == pytest.approx(1.2, abs=0.02)
    alike = [(("a", "b"), (high, low), (high - 0.0001 * noise, low))]
    _, (close,) = analysis.compare_gains([], alike, unit="test images", margin=0.02)
    assert close.verdict == "equivalent"
