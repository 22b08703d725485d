"""Intervals, comparisons and ranks of scores that are no shares: errors, ranks, differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metaact import analysis
from metaact.analysis import Interval, compare_pairs, estimate
from metaact.analysis.failures import far_seed, interquartile_mean, with_failures
from metaact.analysis.intervals import seed_interval
from metaact.analysis.wording import difference_text
from metaact.errors import UsageError

ERRORS = (0.0, math.inf)
ANY = (-math.inf, math.inf)


def test_the_interval_of_errors_is_students() -> None:
    values = np.array([[1.2], [1.5], [0.9], [1.4], [1.0]])  # flat: no degree of freedom is lost
    found = estimate(values, unit="", trials_per_unit=None, bounds=ERRORS)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values[:, 0]))
    assert (found.low, found.high) == pytest.approx(expected)
    assert not found.share
    assert found.varies.startswith("training seeds")


def test_ends_are_cut_to_the_bounds_alone() -> None:
    values = [[0.1], [0.0], [9.0]]
    assert estimate(values, unit="", trials_per_unit=None, bounds=ERRORS).low == 0
    assert estimate(values, unit="", trials_per_unit=None, bounds=ANY).low < 0
    assert estimate(values, unit="", trials_per_unit=None, bounds=ANY).high > 9


def test_intervals_of_skewed_errors_hold_their_level_about() -> None:
    """Log-normal errors of 12 seeds: skewed means are missed a little more often, not twice."""
    draw = np.random.default_rng(0)
    truth = math.exp(0.4**2 / 2)
    held = 0
    for _ in range(2000):
        sample = draw.lognormal(0, 0.4, (12, 1))
        held += truth in estimate(sample, unit="", trials_per_unit=None, bounds=ERRORS)
    assert 0.91 < held / 2000 < 0.97


def test_a_comparison_of_errors_is_a_paired_t_test() -> None:
    draw = np.random.default_rng(1)
    first = draw.normal(5, 1, (10, 1))
    second = first + draw.uniform(0.2, 0.6, (10, 1))
    (found,) = compare_pairs(
        [(("a", "b"), -first, -second)], unit="", over="seeds", bounds=(-math.inf, 0.0)
    )
    assert found.mean == pytest.approx(float((second - first).mean()))
    assert found.verdict == "better"
    expected = stats.ttest_rel(-first[:, 0], -second[:, 0])
    assert found.p_value == pytest.approx(float(expected.pvalue), rel=1e-6)
    low, high = expected.confidence_interval()
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert "points" not in found.sentence
    assert "%" not in found.sentence.split("(")[0]


def test_false_alarms_of_skewed_errors_are_no_more_than_promised() -> None:
    draw = np.random.default_rng(2)
    alarms = 0
    for _ in range(1000):
        first, second = draw.lognormal(0, 0.5, (2, 8, 1))
        (found,) = compare_pairs([(("a", "b"), first, second)], unit="", bounds=ERRORS)
        alarms += found.verdict != "no difference shown"
    assert alarms / 1000 < 0.065


def test_equivalence_is_judged_in_units_of_the_score() -> None:
    draw = np.random.default_rng(3)
    first = draw.normal(50, 5, (20, 1))
    second = first + draw.normal(0, 0.5, (20, 1))
    (found,) = compare_pairs([(("a", "b"), first, second)], unit="", bounds=ERRORS, margin=2.0)
    assert found.verdict == "equivalent"
    assert "margin of 2:" in found.sentence


def test_what_is_no_score_is_refused() -> None:
    for values in ([[-0.1], [1.0]], [[math.nan], [1.0]], [[math.inf], [1.0]]):
        with pytest.raises(UsageError, match="finite"):
            estimate(values, unit="", trials_per_unit=None, bounds=ERRORS)
    with pytest.raises(UsageError, match="vary"):
        estimate([[1.0], [1.0]], unit="", trials_per_unit=None, bounds=ERRORS)
    with pytest.raises(UsageError, match="no shares"):
        estimate([[1.0], [2.0]], unit="", trials_per_unit=None, bounds=ERRORS, method="wilson")


def test_other_figures_of_errors() -> None:
    assert seed_interval([1.0, 3.0], bounds=ERRORS).mean == 2
    assert interquartile_mean([1.0, 2.0, 3.0, 90.0], bounds=ERRORS) == 2.5
    assert with_failures([1.0, 2.0], 1, value=None) is None
    assert far_seed({0: 1.0, 1: 1.001, 2: 1.002, 3: 1.04}, least=0.0) == 3
    assert far_seed({0: 1.0, 1: 1.001, 2: 1.002, 3: 1.04}) is None
    arms = {"a": [[-1.0], [-2.0]], "b": [[-3.0], [-4.0]]}
    ranked = analysis.rank_arms(arms, unit="", over="seeds", bounds=(-math.inf, 0.0))
    assert ranked.mean_ranks == {"a": 1, "b": 2}


def test_figures_have_the_digits_that_their_interval_allows() -> None:
    def interval(mean: float, half: float) -> Interval:
        return Interval(
            mean=mean, low=mean - half, high=mean + half, n=5, varies="seeds", share=False
        )

    assert str(interval(1.2346, 0.0123)) == "1.235 ± 0.012"
    assert str(interval(12.345, 4.2)) == "12.35 ± 4.20"
    assert difference_text(interval(-0.25, 0.1)) == "-0.25 [-0.35, -0.15]"
    assert difference_text(interval(-0.25, 0.1), size=True) == "0.25 [0.15, 0.35]"


def test_differences_of_shares_are_shown_in_points() -> None:
    lost, less = np.array([[0.02], [0.03], [0.025]]), np.array([[0.01], [0.01], [0.02]])
    found = estimate(lost, unit="", trials_per_unit=None, over="seeds", bounds=(-1.0, 1.0))
    assert str(found) == "2.5 ± 1.2 %"
    half = stats.t.ppf(0.975, 2) * lost.std(ddof=1) / np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.025 - half, 0.025 + half))
    cases = [(("lost", "less"), lost, less)]
    (comparison,) = compare_pairs(cases, unit="seeds", over="seeds", bounds=(-1.0, 1.0))
    assert "+1.2 points" in str(comparison)
