"""Paired comparisons against SciPy, Holm against the closed test, and the question of how many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metaact.analysis import Comparison, compare_pair
from metaact.analysis._holm import holm
from metaact.errors import UsageError

EPISODES, SEEDS = "test episodes", "training seeds"


def paired(first: object, second: object, *, over: str = "both") -> Comparison:
    """Both arms [n] as one seed, or [seeds, n]."""
    a, b = (np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in (first, second))
    return compare_pair(a, b, names=("first", "second"), unit=EPISODES, over=over)


def excludes_zero(found: Comparison) -> bool:
    return 0 not in found.interval


def _arms(shift: float, n: int = 400, seeds: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(n + seeds)
    shape = (seeds, n) if seeds else (n,)
    base = np.clip(0.6 + 0.1 * generator.standard_normal(shape), 0.2, 0.8)
    noise = np.clip(0.05 * generator.standard_normal(shape), -0.1, 0.1)
    return base + shift, base + noise


def test_it_is_the_paired_t_test() -> None:
    first, second = _arms(0.004)
    found = paired(first, second)
    expected = stats.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    # SciPy uses n - 1 degrees; ours allow for the sample's kurtosis, which is about normal here.
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.02)
    ours = (found.interval.low, found.interval.high)
    assert ours == pytest.approx((interval.low, interval.high), abs=2e-5)
    d = first - second
    assert found.effect == pytest.approx(d.mean() / d.std(ddof=1))
    assert found.mean == pytest.approx(d.mean())


def test_pairing_beats_two_separate_intervals() -> None:
    first, second = _arms(0.01)
    assert paired(first, second).p_value < 1e-3
    assert stats.ttest_ind(first, second).pvalue > 0.05


@pytest.mark.parametrize("seeds", [0, 2, 5])
@pytest.mark.parametrize("shift", [0.0, 0.002, 0.004, 0.006, 0.02])
def test_p_and_interval_agree(seeds: int, shift: float) -> None:
    found = paired(*_arms(shift, seeds=seeds))
    assert (found.p_value < 0.05) == excludes_zero(found)
    assert (min(n for n in found.needed.values() if n is not None) == 0) == excludes_zero(found)


def test_swapping_the_arms_turns_the_sign() -> None:
    first, second = _arms(0.01, seeds=3)
    there, back = paired(first, second), paired(second, first)
    assert there.interval.low == pytest.approx(-back.interval.high)
    assert there.p_value == pytest.approx(back.p_value)


def test_p_at_the_edge_of_the_interval_is_its_level() -> None:
    """Shift the arms until the interval just touches 0: p must be 5 %."""
    first, second = _arms(0.0, seeds=3)
    low = paired(first, second).interval.low
    assert paired(first - low, second).p_value == pytest.approx(0.05, abs=1e-6)


def test_few_discordant_episodes_are_judged_like_a_sign_test() -> None:
    for wins in (4, 5, 6, 8):
        second = np.ones(600)
        second[:wins] = 0.8
        found = paired(np.ones(600), second)
        sign = stats.binomtest(wins, wins).pvalue
        assert sign / 2 < found.p_value < 2 * sign


def test_identical_arms() -> None:
    found = paired(np.full(600, 0.9), np.full(600, 0.9))
    assert (found.mean, found.p_value, found.effect) == (0, 1, 0)
    assert found.interval.low < 0 < found.interval.high < 0.01
    assert found.needed == {EPISODES: None}
    crossed = paired(np.full((3, 5), 0.9), np.full((3, 5), 0.9))
    assert crossed.needed == {SEEDS: None, EPISODES: None}
    assert crossed.interval.low < 0 < crossed.interval.high


def test_constant_difference() -> None:
    found = paired(np.full(600, 0.9), np.full(600, 0.7))
    assert found.p_value < 1e-100
    assert found.effect is None
    assert excludes_zero(found)
    assert found.needed == {EPISODES: 0}


def test_needed_is_what_it_takes() -> None:
    """Repeat the sample until it has as many episodes as were said to be needed."""
    first, second = _arms(0.0015)
    found = paired(first, second)
    more = found.needed[EPISODES]
    assert more is not None
    assert more > 0
    error = (first - second).std(ddof=1)
    n = len(first) + more
    assert abs(found.mean) > 1.96 * error / math.sqrt(n)
    assert abs(found.mean) < 1.98 * error / math.sqrt(n - 2)


def test_needed_tells_seeds_from_episodes() -> None:
    """Where only the seeds differ, no number of episodes helps."""
    generator = np.random.default_rng(5)
    effect = np.array([0.12, -0.02, 0.09, -0.05])[:, None]
    base = 0.5 + 0.01 * generator.standard_normal((4, 300))
    found = paired(base + effect, base + 0.001 * generator.standard_normal((4, 300)))
    assert not excludes_zero(found)
    assert found.needed[EPISODES] is None
    seeds = found.needed[SEEDS]
    assert seeds is not None
    assert 2 < seeds < 60


def test_seeds_alone() -> None:
    first, second = ([[value] for value in row] for row in ([0.9, 0.91, 0.92], [0.8, 0.82, 0.81]))
    found = paired(first, second, over="seeds")
    assert (found.interval.varies, found.interval.seeds) == (SEEDS, 3)
    assert found.needed == {SEEDS: 0}
    single = paired([[0.9, 0.8, 0.7]], [[0.8, 0.75, 0.6]])
    assert single.interval.varies == "test episodes (one training seed)"
    assert single.interval.seeds == 1


def test_reads_well() -> None:
    found = paired([0.9, 0.8, 0.9, 0.7], [0.6, 0.6, 0.5, 0.6])
    assert found.summary == "+25.0 points [4.5, 45.5], p = 0.03"


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.5, 0.6], [0.5]), ([0.5], [0.5]), ([0.5, math.nan], [0.5, 0.5]), ([[[0.5]]], [[[0.5]]])],
)
def test_refusals(first: Sequence[float], second: Sequence[float]) -> None:
    with pytest.raises(UsageError, match="first"):
        paired(first, second)


@given(st.lists(st.floats(0, 1), max_size=6))
def test_holm_is_the_closed_bonferroni_test(p_values: list[float]) -> None:
    """A hypothesis falls at the level at which every set that contains it falls."""
    expected = [
        max(
            min(1.0, len(group) * min(p_values[j] for j in group))
            for size in range(1, len(p_values) + 1)
            for group in itertools.combinations(range(len(p_values)), size)
            if i in group
        )
        for i in range(len(p_values))
    ]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(UsageError, match="p_values"):
        holm([0.5, math.nan])
