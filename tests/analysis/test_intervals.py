"""Intervals over one thing that varies, against SciPy and against their own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metaact.analysis import Interval, estimate, image_interval, seed_interval, wilson
from metaact.errors import UsageError


def _over_episodes(values: object, *, trials: int, level: float = 0.95) -> Interval:
    """Of one trained network, from the accuracy of each episode."""
    return estimate(
        [values],  # type: ignore[list-item]  # what is no array is refused, see below
        unit="test episodes",
        trials_per_unit=trials,
        over="units",
        level=level,
    )


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (1, 600), (599, 600), (300, 600), (1, 1)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_scipys(k: int, n: int, level: float) -> None:
    found = wilson(k, n, level=level)
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_image_interval_says_what_varies() -> None:
    found = image_interval(9786, 10000)
    assert found.mean == pytest.approx(0.9786)
    assert found.varies == "test images (one training seed)"


def test_in_the_middle_it_is_the_t_interval() -> None:
    generator = np.random.default_rng(0)
    values = generator.binomial(75, generator.beta(14, 6, 600)) / 75
    found = _over_episodes(values, trials=75)
    low, high = stats.t.interval(0.95, 599, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert found.n == 600


def test_near_the_edge_it_leans_inwards() -> None:
    values = np.ones(600)
    values[:3] = 0.8
    found = _over_episodes(values, trials=25)
    assert found.mean - found.low > 2 * (found.high - found.mean)
    assert found.high < 1


def test_no_variance_counts_each_episode_once() -> None:
    found = _over_episodes(np.ones(600), trials=75)
    expected = wilson(600, 600)
    assert (found.low, found.high) == (pytest.approx(expected.low), 1.0)
    found = _over_episodes(np.full(100, 0.8), trials=5)
    assert found.low == pytest.approx(wilson(80, 100).low)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.sampled_from([0.5, 0.95, 0.999]))
def test_inside_the_range_and_never_of_zero_width(hits: list[int], level: float) -> None:
    found = _over_episodes(np.array(hits) / 5, trials=5, level=level)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 1e-3


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20))
def test_right_and_wrong_are_mirror_images(hits: list[int]) -> None:
    values = np.array(hits) / 5
    found = _over_episodes(values, trials=5)
    mirror = _over_episodes(1 - values, trials=5)
    assert (found.low, found.high) == pytest.approx((1 - mirror.high, 1 - mirror.low), abs=1e-9)


def test_seed_interval_is_scipys_and_cut() -> None:
    values = [0.93, 0.91, 0.92]
    found = seed_interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.varies, found.n, found.seeds) == ("training seeds", 3, 3)
    assert seed_interval([0.999, 0.9]).high == 1.0


def test_agreeing_seeds_keep_a_width() -> None:
    found = seed_interval([0.098] * 5, trials=10000)
    assert found.low < 0.098 < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.098 * 0.902e-4), rel=0.01)
    assert "agree" in found.varies
    assert seed_interval([1.0, 1.0]).low < 0.5


@pytest.mark.parametrize("values", [[], [[0.5]], [0.5, math.nan], [78.6], [-0.1], [0.2, math.inf]])
def test_what_is_no_accuracy_is_refused(values: list[float]) -> None:
    with pytest.raises(UsageError, match="matrix"):
        _over_episodes(values, trials=75)


def test_other_refusals() -> None:
    with pytest.raises(UsageError, match="seeds"):
        seed_interval([0.5])
    with pytest.raises(UsageError, match="successes"):
        wilson(6, 5)
    with pytest.raises(UsageError, match="level"):
        wilson(1, 5, level=95)
    with pytest.raises(UsageError, match="mean"):
        Interval(mean=0.5, low=0.6, high=0.7, n=1, varies="x")


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (0.786, 0.776, 0.796, "78.6 ± 1.0 %"),
        (0.998, 0.991, 1.0, "99.8 % [99.1, 100.0]"),
        (0.98765, 0.98735, 0.98795, "98.77 ± 0.03 %"),
        (0.2, 0.0, 0.9, "20.0 % [0.0, 90.0]"),
    ],
)
def test_reads_well(mean: float, low: float, high: float, text: str) -> None:
    assert str(Interval(mean=mean, low=low, high=high, n=5, varies="test episodes")) == text


def test_note() -> None:
    interval = Interval(mean=0.5, low=0.4, high=0.6, level=0.9, n=5, varies="training seeds")
    assert interval.note == "90 % interval over training seeds"
    assert 0.45 in interval
    assert 0.3 not in interval
