"""Paired comparisons against SciPy, and the question of how many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import Comparison, compare_pair
from metaact.errors import UsageError

EPISODES, SEEDS = "test episodes", "training seeds"


def paired(first: object, second: object, *, over: str = "both") -> Comparison:
    """Both arms [n] as one seed, or [seeds, n]."""
    a, b = (np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in (first, second))
    return compare_pair(a, b, names=("first", "second"), unit=EPISODES, over=over)


def of_one_seed(first: np.ndarray, second: np.ndarray) -> float:
    """The p-value over its units, which no comparison prints: two equal seeds give the same."""
    found = paired(np.stack([first, first]), np.stack([second, second]), over="units")
    assert found.p_value is not None
    return found.p_value


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
    assert of_one_seed(first, second) == pytest.approx(expected.pvalue, rel=0.02)
    ours = (found.interval.low, found.interval.high)
    assert ours == pytest.approx((interval.low, interval.high), abs=2e-5)
    assert found.mean == pytest.approx((first - second).mean())


def test_pairing_beats_two_separate_intervals() -> None:
    first, second = _arms(0.01)
    assert of_one_seed(first, second) < 1e-3
    assert stats.ttest_ind(first, second).pvalue > 0.05


@pytest.mark.parametrize("seeds", [0, 2, 5])
@pytest.mark.parametrize("shift", [0.0, 0.002, 0.004, 0.006, 0.02])
def test_p_and_interval_agree(seeds: int, shift: float) -> None:
    found = paired(*_arms(shift, seeds=seeds))
    if seeds:
        assert found.p_value is not None
        assert (found.p_value < 0.05) == excludes_zero(found)
    else:  # of one seed none is printed: it would be read as one of the activation
        assert (found.p_value, found.p_alone) == (None, None)
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
        sign = stats.binomtest(wins, wins).pvalue
        assert sign / 2 < of_one_seed(np.ones(600), second) < 2 * sign


def test_identical_arms() -> None:
    found = paired(np.full(600, 0.9), np.full(600, 0.9))
    assert found.mean == 0
    assert found.interval.low < 0 < found.interval.high < 0.01
    assert found.needed == {EPISODES: None}
    crossed = paired(np.full((3, 5), 0.9), np.full((3, 5), 0.9))
    assert (crossed.mean, crossed.p_value) == (0, 1)
    assert crossed.needed == {SEEDS: None, EPISODES: None}
    assert crossed.interval.low < 0 < crossed.interval.high


def test_equal_answers_are_as_uncertain_as_one_that_differs() -> None:
    """Three seeds x 10,000 equal answers: the interval that one differing answer would reach to."""
    answers = np.random.default_rng(0).integers(0, 2, (3, 10_000)).astype(float)
    other = answers.copy()
    other[1, 5] = 1 - other[1, 5]
    for over in ("units", "both", "seeds"):
        same = paired(answers, answers, over=over).interval
        one = paired(answers, other, over=over).interval
        reach = max(-one.low, one.high)
        assert same.high == pytest.approx(reach, rel=1e-6)
        assert 3 / 30_000 < same.high < 10 / 30_000  # the rule of three: 3 in n


@pytest.mark.parametrize("gap", [0.0, 0.2])
@pytest.mark.parametrize("over", ["both", "seeds"])
def test_what_is_assumed_of_other_seeds_is_said(gap: float, over: str) -> None:
    """Of n draws all alike, up to 1 - 0.05^(1/n) of all may be others: 63 % for three."""
    second = np.full((3, 400), 0.7)
    found = paired(second + gap, second, over=over)
    assert "up to 63 % of all seeds free to differ" in found.sentence
    assert found.interval.varies == (
        "test episodes (assuming that other training seeds agree, as these 3 do)"
    )
    within = compare_pair(
        second + gap, second, names=("a", "b"), unit=EPISODES, over=over, margin=gap + 0.05
    )
    assert within.verdict == "equivalent"
    assert paired(second + gap, second, over="units").assumes == ""


def test_a_unit_of_many_answers_has_a_finer_grain() -> None:
    same = np.full((3, 100), 0.8)
    whole = paired(same, same).interval.high
    parts = compare_pair(same, same, names=("a", "b"), unit=EPISODES, trials_per_unit=25)
    assert parts.interval.high == pytest.approx(whole / 25)


def test_constant_difference() -> None:
    found = paired(np.full(600, 0.9), np.full(600, 0.7))
    assert of_one_seed(np.full(600, 0.9), np.full(600, 0.7)) < 1e-4
    assert excludes_zero(found)
    assert found.needed == {EPISODES: 0}


@pytest.mark.parametrize("seeds", [2, 3, 6])
@pytest.mark.parametrize("spread", [0.0, 1e-6, 0.003, 0.1])
def test_over_both_is_never_narrower_than_over_one(seeds: int, spread: float) -> None:
    """Also where seeds happen to agree better than the noise of their episodes lets expect."""
    for key in range(20):
        generator = np.random.default_rng([seeds, key])
        noise = 0.1 * generator.standard_normal((seeds, 60))
        noise -= noise.mean(axis=1, keepdims=True)  # seeds agree in their means
        d = noise + spread * generator.standard_normal((seeds, 1))
        first, second = np.clip(0.5 + d, 0, 1), np.full_like(d, 0.5)
        widths = {
            over: (i := paired(first, second, over=over).interval).high - i.low
            for over in ("both", "units", "seeds")
        }
        assert widths["both"] >= max(widths["units"], widths["seeds"]) - 1e-12


def test_a_difference_stays_within_what_the_arms_allow() -> None:
    """Beside a mean of 95.6 % with little spread, +80 and -100 points are impossible."""
    found = paired([[0.8], [0.1]], [[0.956], [0.957]], over="seeds").interval
    assert -0.99 < found.low < found.mean < 0 < found.high < 0.12
    turned = paired([[0.956], [0.957]], [[0.8], [0.1]], over="seeds").interval
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


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
    assert found.summary == "+25.0 points [4.5, 45.5]"
    found = paired([[0.9, 0.8], [0.9, 0.7]], [[0.6, 0.6], [0.5, 0.6]], over="units")
    assert found.summary.endswith("], p = 0.24")


@pytest.mark.parametrize(
    ("first", "second"),
    [([0.5, 0.6], [0.5]), ([0.5], [0.5]), ([0.5, math.nan], [0.5, 0.5]), ([[[0.5]]], [[[0.5]]])],
)
def test_refusals(first: Sequence[float], second: Sequence[float]) -> None:
    with pytest.raises(UsageError, match="first"):
        paired(first, second)
