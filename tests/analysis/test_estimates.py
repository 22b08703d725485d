"""One figure with its interval: methods against SciPy, what varies, and what is refused."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import (
    estimate,
    image_interval,
    seed_interval,
)
from metaact.analysis.crossed import crossed_bounds
from metaact.analysis.intervals import episode_bounds
from metaact.errors import UsageError

EPISODES, IMAGES = "test episodes", "test images"


def _episodes(seeds: int = 3, episodes: int = 200) -> np.ndarray:
    generator = np.random.default_rng(seeds + episodes)
    easy = generator.beta(12, 4, (1, episodes))
    return generator.binomial(25, np.repeat(easy, seeds, axis=0)) / 25


def _ends(interval: object) -> tuple[float, float]:
    return interval.low, interval.high  # type: ignore[attr-defined]


def test_auto_is_the_interval_of_each_kind() -> None:
    matrix = _episodes()
    kind = {"unit": EPISODES, "trials_per_unit": 25}
    both = estimate(matrix, **kind)
    crossed = [float(end) for end in crossed_bounds(matrix, trials=25, level=0.95)]
    assert list(_ends(both)) == pytest.approx(crossed)
    seeds = estimate(matrix, over="seeds", **kind)
    by_seed = [float(end) for end in episode_bounds(matrix.mean(axis=1), trials=1e9, level=0.95)]
    assert list(_ends(seeds)) == pytest.approx(by_seed)
    by_t = estimate(matrix, over="seeds", method="t", **kind)
    assert _ends(by_t) == pytest.approx(_ends(seed_interval(matrix.mean(axis=1))))
    one = estimate(matrix[:1], over="units", **kind)
    assert _ends(one) == episode_bounds(matrix[0], trials=25, level=0.95)
    assert (both.n, seeds.n, one.n) == (200, 3, 200)
    assert (both.seeds, seeds.seeds, one.seeds) == (3, 3, 1)


def test_images_of_one_network_are_wilsons() -> None:
    right = np.arange(10000) < 9786
    found = estimate(right[None], unit=IMAGES, trials_per_unit=1)
    assert _ends(found) == pytest.approx(_ends(image_interval(9786, 10000)))
    assert found.varies == "test images (one training seed)"
    column = estimate([[0.9786]], unit=IMAGES, trials_per_unit=10000, over="seeds")
    assert _ends(column) == pytest.approx(_ends(found))


def test_t_is_scipys() -> None:
    matrix = _episodes()
    found = estimate(matrix, unit=EPISODES, trials_per_unit=25, over="units", method="t")
    values = matrix.mean(axis=0)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert _ends(found) == pytest.approx(expected)
    both = estimate(matrix, unit=EPISODES, trials_per_unit=25, method="t")
    assert both.mean - both.low == pytest.approx(both.high - both.mean)
    wilson = estimate(matrix, unit=EPISODES, trials_per_unit=25, method="wilson")
    assert _ends(both) == pytest.approx(_ends(wilson), abs=1e-3)
    assert _ends(both) != _ends(wilson)


@pytest.mark.parametrize("over", ["units", "seeds"])
def test_bca_is_scipys_and_depends_on_its_seed(over: str) -> None:
    matrix = _episodes(seeds=25, episodes=40)
    values = matrix.mean(axis=0 if over == "units" else 1)
    kind = {"unit": EPISODES, "trials_per_unit": 25, "over": over, "method": "bca"}
    found = estimate(matrix, seed=3, **kind)
    expected = stats.bootstrap((values,), np.mean, rng=np.random.default_rng(3))
    assert _ends(found) == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)
    assert _ends(found) == _ends(estimate(matrix, seed=3, **kind))
    other = estimate(matrix, seed=4, **kind)
    assert _ends(found) != _ends(other)
    assert _ends(found) == pytest.approx(_ends(other), abs=0.003)


def test_bca_is_refused_where_it_makes_no_sense() -> None:
    kind = {"unit": EPISODES, "trials_per_unit": 25, "method": "bca"}
    with pytest.raises(UsageError, match="resampling cells"):
        estimate(_episodes(), **kind)
    with pytest.raises(UsageError, match="3 training seeds"):
        estimate(_episodes(), over="seeds", **kind)
    with pytest.raises(UsageError, match="5 test episodes"):
        estimate(_episodes(1, 5), **kind)


@pytest.mark.parametrize(
    ("shape", "over", "replacement", "varies"),
    [
        ((3, 9), "both", None, "training seeds and test episodes"),
        ((3, 9), "seeds", True, "training seeds (the same test episodes)"),
        ((3, 9), "units", None, "test episodes (these 3 training seeds)"),
        ((1, 9), "both", None, "test episodes (one training seed)"),
        ((1, 9), "seeds", None, "test episodes (one training seed)"),
        ((3, 1), "seeds", None, "training seeds"),
        ((3, 1), "units", None, "training seeds (only each seed's mean is known)"),
        (
            (3, 9),
            "both",
            True,
            "training seeds and test episodes (drawn with replacement, so new episodes of the "
            "same test images)",
        ),
        (
            (1, 9),
            "units",
            False,
            "test episodes (one training seed; drawn without replacement, so no test image is "
            "in two)",
        ),
    ],
)
def test_it_says_what_varies(
    shape: tuple[int, int], over: str, replacement: bool | None, varies: str
) -> None:
    matrix = np.random.default_rng(0).random(shape)
    found = estimate(matrix, unit=EPISODES, trials_per_unit=25, over=over, replacement=replacement)
    assert found.varies == varies


def test_images_know_no_replacement() -> None:
    found = estimate([[1, 0, 1]], unit=IMAGES, trials_per_unit=1, replacement=True)
    assert "replacement" not in found.varies


@pytest.mark.parametrize("over", ["both", "seeds", "units"])
@pytest.mark.parametrize("method", ["auto", "t", "wilson"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 1), (3, 30)])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("unit", [EPISODES, IMAGES])
def test_never_of_zero_width(
    over: str, method: str, shape: tuple[int, int], value: float, unit: str
) -> None:
    matrix = np.full(shape, value)
    found = estimate(matrix, unit=unit, trials_per_unit=25, over=over, method=method)
    assert 0 <= found.low <= value <= found.high <= 1
    assert found.high - found.low > 0.004


def test_perfect_episodes_by_bootstrap_too() -> None:
    found = estimate(np.ones((1, 600)), unit=EPISODES, trials_per_unit=75, method="bca")
    assert str(found) == "100.0 % [99.4, 100.0]"


def test_seeds_that_agree_exactly_say_so() -> None:
    right = np.repeat(np.arange(10000)[None] < 980, 5, axis=0)
    found = estimate(right, unit=IMAGES, trials_per_unit=1, over="seeds")
    assert _ends(found) == pytest.approx(_ends(image_interval(980, 10000)))
    assert found.varies == ("test images (assuming that other training seeds agree, as these 5 do)")
    assert estimate(right, unit=IMAGES, trials_per_unit=1).varies == found.varies
    other = right.copy()
    other[0, 0] = 1 - other[0, 0]
    varies = estimate(other, unit=IMAGES, trials_per_unit=1).varies
    assert varies == "training seeds and test images"


def test_many_images_and_seeds_take_milliseconds() -> None:
    generator = np.random.default_rng(0)
    right = generator.random((10, 26000)) < generator.beta(9, 1, 26000)
    start = time.process_time()
    found = estimate(right, unit=IMAGES, trials_per_unit=1)
    assert time.process_time() - start < 0.5
    assert found.low < 0.9 < found.high


def test_refusals() -> None:
    with pytest.raises(UsageError, match="over"):
        estimate([[0.5]], unit=IMAGES, trials_per_unit=1, over="images")
    with pytest.raises(UsageError, match="method"):
        estimate([[0.5]], unit=IMAGES, trials_per_unit=1, method="normal")
    with pytest.raises(UsageError, match="trials_per_unit"):
        estimate([[0.5]], unit=IMAGES, trials_per_unit=0)
    with pytest.raises(UsageError, match="matrix"):
        estimate([0.5], unit=IMAGES, trials_per_unit=1)
    with pytest.raises(UsageError, match="level"):
        estimate([[0.5]], unit=IMAGES, trials_per_unit=1, level=95)


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize("spread", [0.0, 0.003, 0.1])
def test_over_both_is_never_narrower_than_over_one(seeds: int, spread: float) -> None:
    for key in range(20):
        generator = np.random.default_rng([seeds, key])
        easy = generator.beta(12, 4, (1, 60)) + spread * generator.standard_normal((seeds, 1))
        matrix = generator.binomial(25, np.clip(easy, 0, 1)) / 25
        widths = {
            over: (i := estimate(matrix, unit=EPISODES, trials_per_unit=25, over=over)).high - i.low
            for over in ("both", "units", "seeds")
        }
        assert widths["both"] >= max(widths["units"], widths["seeds"]) - 1e-12


def _agreeing(seeds: int, units: int, images: bool, same: bool) -> np.ndarray:
    """Seeds with one and the same mean: the same answers, or the same answers moved along."""
    generator = np.random.default_rng(units)
    row = generator.integers(0, 2 if images else 26, units) / (1 if images else 25)
    return np.stack([row if same else np.roll(row, seed) for seed in range(seeds)])


@pytest.mark.parametrize("method", ["wilson", "t"])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_over_both_holds_each_source_alone_where_seeds_agree(
    seeds: int, images: bool, same: bool, method: str
) -> None:
    unit, trials = ("test images", 1) if images else ("test episodes", 25)
    for units in (4, 20, 50):
        matrix = _agreeing(seeds, units, images, same)
        both, over_seeds, over_units = (
            estimate(matrix, unit=unit, trials_per_unit=trials, over=over, method=method)
            for over in ("both", "seeds", "units")
        )
        for alone in (over_seeds, over_units):
            assert both.low <= alone.low
            assert alone.high <= both.high
        assert "assuming that other training seeds agree" in over_seeds.varies


def test_agreeing_seeds_are_as_uncertain_as_their_episodes() -> None:
    matrix = np.tile(np.random.default_rng(0).uniform(0.6, 0.8, 50), (3, 1))
    over_seeds, over_units = (
        estimate(matrix, unit="test episodes", trials_per_unit=25, over=over)
        for over in ("seeds", "units")
    )
    assert _ends(over_seeds) == _ends(over_units)
