"""Seeds and episodes at once: the analysis of variance against least squares, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import Interval, estimate
from metaact.analysis.crossed import two_way
from metaact.analysis.intervals import episode_bounds
from metaact.errors import UsageError


def crossed(matrix: object, trials: int | None = None) -> Interval:
    return estimate(matrix, unit="test episodes", trials_per_unit=trials, over="both")


def _matrix(seeds: int, episodes: int, *, seed_spread: float = 0.02) -> np.ndarray:
    generator = np.random.default_rng(seeds * 1000 + episodes)
    values = (
        0.7
        + seed_spread * generator.standard_normal((seeds, 1))
        + 0.1 * generator.standard_normal((1, episodes))
        + 0.05 * generator.standard_normal((seeds, episodes))
    )
    return np.clip(values, 0, 1)


def _sum_of_squares(matrix: np.ndarray, *factors: int) -> float:
    """Residual sum of squares of a least-squares fit with dummies for the given axes."""
    cells = np.indices(matrix.shape).reshape(2, -1)
    columns = [np.ones((matrix.size, 1))]
    columns += [np.eye(matrix.shape[axis])[cells[axis]] for axis in factors]
    design = np.hstack(columns)
    fit = design @ np.linalg.lstsq(design, matrix.ravel(), rcond=None)[0]
    return float(((matrix.ravel() - fit) ** 2).sum())


def test_mean_squares_are_those_of_least_squares() -> None:
    seeds, episodes = 4, 9
    matrix = _matrix(seeds, episodes)
    rest = _sum_of_squares(matrix, 0, 1)
    ms_seed = (_sum_of_squares(matrix, 1) - rest) / (seeds - 1)
    ms_episode = (_sum_of_squares(matrix, 0) - rest) / (episodes - 1)
    ms_rest = rest / ((seeds - 1) * (episodes - 1))
    found = two_way(matrix)
    assert ms_episode > ms_rest
    assert float(found.variance) == pytest.approx((ms_seed + ms_episode - ms_rest) / matrix.size)


def test_one_seed_is_the_interval_over_episodes() -> None:
    row = _matrix(1, 50)
    found = crossed(row, 75)
    expected = episode_bounds(row[0], trials=75, level=0.95)
    assert (found.low, found.high) == expected
    assert found.varies == "test episodes (one training seed)"


def test_seeds_that_differ_widen_it() -> None:
    """With seeds far apart it is the t-interval over seeds; with equal ones, over episodes."""
    apart = _matrix(5, 500, seed_spread=0.1)
    found = crossed(apart)
    low, high = stats.t.interval(0.95, 4, apart.mean(), stats.sem(apart.mean(axis=1)))
    assert found.high - found.low == pytest.approx(high - low, rel=0.05)
    assert found.varies == "training seeds and test episodes"
    assert (found.n, found.seeds) == (500, 5)
    same = np.repeat(_matrix(1, 500), 5, axis=0)
    found = crossed(same)
    expected = [float(end) for end in episode_bounds(same[0], trials=10**9, level=0.95)]
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_order_of_seeds_and_episodes_does_not_matter() -> None:
    matrix = _matrix(3, 20)
    found, turned = crossed(matrix), crossed(matrix[::-1, ::-1])
    assert (found.low, found.high) == pytest.approx((turned.low, turned.high), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 1), (3, 5)])
def test_never_of_zero_width(value: float, shape: tuple[int, int]) -> None:
    found = crossed(np.full(shape, value))
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.high - found.low > 0.1


def test_wrong_shape() -> None:
    with pytest.raises(UsageError, match=r"seeds, episodes"):
        crossed([0.5, 0.6])
