"""On simulated data the intervals cover what they claim, and equal arms are called different
no more often than they claim. Each test states its truth by construction and is seeded."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from metaact.analysis import paired_difference
from metaact.analysis.crossed import crossed_bounds
from metaact.analysis.intervals import episode_bounds

REPEATS = 3000
NOISE = 3 * np.sqrt(0.95 * 0.05 / REPEATS)  # three standard errors of a simulated 95 %


def _episodes(mean: float, correlation: float, episodes: int, trials: int) -> np.ndarray:
    """Beta-binomial accuracies [REPEATS, episodes]: trials of an episode are alike."""
    generator = np.random.default_rng(7)
    strength = (1 - correlation) / correlation
    easy = generator.beta(mean * strength, (1 - mean) * strength, (REPEATS, episodes))
    return generator.binomial(trials, easy) / trials


@pytest.mark.parametrize("mean", [0.2, 0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize(("episodes", "trials"), [(100, 25), (600, 75)])
@pytest.mark.parametrize("correlation", [0.02, 0.15])
def test_episode_intervals_cover(
    mean: float, episodes: int, trials: int, correlation: float
) -> None:
    values = _episodes(mean, correlation, episodes, trials)
    low, high = episode_bounds(values, trials=trials, level=0.95)
    assert 0.93 <= np.mean((low <= mean) & (mean <= high)) <= 0.97


@pytest.mark.parametrize(("episodes", "trials"), [(100, 25), (600, 75)])
@pytest.mark.parametrize("mean", [0.998, 0.002])
@pytest.mark.parametrize("correlation", [0.02, 0.15])
def test_near_the_edge_they_cover_at_least(
    mean: float, episodes: int, trials: int, correlation: float
) -> None:
    values = _episodes(mean, correlation, episodes, trials)
    low, high = episode_bounds(values, trials=trials, level=0.95)
    assert np.mean((low <= mean) & (mean <= high)) >= 0.93


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_share", [0.0, 0.3, 1.0, 10.0])
def test_crossed_intervals_cover(seeds: int, seed_share: float) -> None:
    """`seed_share`: variance that the seeds add to the mean, relative to what all else adds."""
    generator, episodes, repeats = np.random.default_rng(3), 100, 2000
    spread = np.sqrt(seed_share * seeds * (0.12**2 + 0.08**2 / seeds) / episodes)
    matrix = (
        0.7
        + spread * generator.standard_normal((repeats, seeds, 1))
        + 0.12 * generator.standard_normal((repeats, 1, episodes))
        + 0.08 * generator.standard_normal((repeats, seeds, episodes))
    )
    low, high = crossed_bounds(matrix, trials=np.inf, level=0.95)
    covered = np.mean((low <= 0.7) & (high >= 0.7))
    assert 0.93 - NOISE <= covered <= (0.97 if seeds > 2 else 0.98) + NOISE


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_crossed_intervals_cover_near_the_edge(seeds: int) -> None:
    """Binomial answers with logit-normal seeds and episodes, 99.4 % right on the average."""
    generator, episodes, repeats = np.random.default_rng(4), 100, 2000
    logit = (
        5.5
        + 0.3 * generator.standard_normal((repeats, seeds, 1))
        + 0.8 * generator.standard_normal((repeats, 1, episodes))
        + 0.3 * generator.standard_normal((repeats, seeds, episodes))
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    truth = (expit(5.5 + np.sqrt(0.82) * nodes) * weights).sum() / weights.sum()
    matrix = generator.binomial(25, expit(logit)) / 25
    low, high = crossed_bounds(matrix, trials=25, level=0.95)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.93


@pytest.mark.parametrize("mean", [0.7, 0.99, 0.998])
def test_equal_arms_are_rarely_called_different(mean: float) -> None:
    """A against A: the same episodes, independent answers."""
    generator, repeats = np.random.default_rng(11), 1000
    easy = generator.beta(mean * 20, (1 - mean) * 20, (repeats, 300))
    first, second = (generator.binomial(25, easy) / 25 for _ in range(2))
    called = [paired_difference(a, b).p_value < 0.05 for a, b in zip(first, second, strict=True)]
    assert np.mean(called) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_equal_arms_with_seeds_are_rarely_called_different(seeds: int, spread: float) -> None:
    generator, repeats = np.random.default_rng(12), 600
    episode = 0.1 * generator.standard_normal((repeats, 1, 100))

    def arm() -> np.ndarray:
        seed = spread * generator.standard_normal((repeats, seeds, 1))
        rest = 0.08 * generator.standard_normal((repeats, seeds, 100))
        return np.clip(0.6 + seed + episode + rest, 0, 1)

    called = [paired_difference(a, b).p_value < 0.05 for a, b in zip(arm(), arm(), strict=True)]
    assert np.mean(called) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_real_differences_are_found() -> None:
    """One point with 300 episodes of 25 answers: found in most repetitions, with its truth."""
    generator, repeats = np.random.default_rng(13), 300
    easy = generator.beta(14, 6, (repeats, 300))
    first = generator.binomial(25, np.clip(easy + 0.02, 0, 1)) / 25
    second = generator.binomial(25, easy) / 25
    truth = (np.clip(easy + 0.02, 0, 1) - easy).mean()
    found = [paired_difference(a, b) for a, b in zip(first, second, strict=True)]
    assert np.mean([d.excludes_zero for d in found]) > 0.6
    assert 0.92 <= np.mean([truth in d.interval for d in found]) <= 0.98
