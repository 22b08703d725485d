"""Families: Dunnett's test by SciPy, Bonferroni, and verdicts that never leave their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from metaact.analysis import Comparison, compare_pair, compare_pairs
from metaact.analysis.family import (
    BONFERRONI,
    JOINT,
    Family,
    correlation_of_means,
    family,
    smallest_p,
    strictest,
)
from metaact.analysis.variation import what_varies

EPISODES = "test episodes"


def _arms(seeds: int, units: int, count: int, key: int = 0, spread: float = 0.02) -> np.ndarray:
    """Accuracies [arms, seeds, units] of arms that differ a little."""
    generator = np.random.default_rng(key)
    values = 0.6 + 0.1 * generator.standard_normal((1, 1, units))
    values = values + spread * generator.standard_normal((count, seeds, 1))
    values = values + 0.01 * np.arange(count)[:, None, None]
    return np.clip(values + 0.05 * generator.standard_normal((count, seeds, units)), 0, 1)


def _against_first(arms: np.ndarray, **options: object) -> list[Comparison]:
    cases = [((f"a{i}", "a0"), arms[i], arms[0]) for i in range(1, len(arms))]
    return compare_pairs(cases, unit=EPISODES, **options)  # type: ignore[arg-type]


@given(
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from(["both", "seeds", "units"]),
    st.sampled_from([0.5, 0.8, 0.95, 0.99]),
    st.one_of(st.none(), st.floats(0.001, 0.5)),
    st.floats(0, 0.1),
    st.integers(0, 10**6),
)
@settings(max_examples=150, deadline=None)
def test_verdict_and_interval_never_disagree(
    seeds: int,
    questions: int,
    over: str,
    level: float,
    margin: float | None,
    spread: float,
    key: int,
) -> None:
    """Better, worse, equivalent, p-value, sentence: each says what the interval beside it says."""
    arms = _arms(seeds, 12, questions + 1, key, spread)
    if key % 3 == 0:  # arms that agree exactly, and by a constant gap
        arms[1] = arms[0]
    if key % 5 == 0:
        arms[-1] = np.clip(arms[0], 0, 0.9) + 0.05
    for found in _against_first(arms, over=over, level=level, margin=margin):
        low, high = found.interval.low, found.interval.high
        above, below = low > 0, high < 0
        inside = margin is not None and -margin < low and high < margin
        expected = "equivalent" if inside else "better" if above else "worse" if below else None
        assert found.verdict == (expected or "no difference shown")
        if found.p_value is not None:
            assert (found.p_value < 1 - level) == (above or below)
            assert found.p_value >= (found.p_alone or 0) * (1 - 1e-9)
        assert (
            (min(n for n in found.needed.values() if n is not None) == 0) == (above or below)
            if any(n is not None for n in found.needed.values())
            else not (above or below)
        )
        # Simultaneous intervals hold those of the questions asked alone, and one alone is both.
        alone = found.alone
        assert low <= alone.low + 1e-12
        assert alone.high <= high + 1e-12
        if questions == 1:
            assert (low, high) == (alone.low, alone.high)
        assert found.interval.level == alone.level == level


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_fewer_than_six_seeds_are_bonferroni(seeds: int) -> None:
    arms = _arms(seeds, 30, 5)
    together = _against_first(arms, over="seeds")
    assert {c.corrected for c in together} == {BONFERRONI}
    assert {c.compared for c in together} == {4}
    for i, found in enumerate(together, start=1):
        alone = compare_pair(
            arms[i], arms[0], names=("a", "b"), unit=EPISODES, over="seeds", level=1 - 0.05 / 4
        )
        assert (found.interval.low, found.interval.high) == pytest.approx(
            (alone.interval.low, alone.interval.high)
        )
        assert found.p_value == pytest.approx(min(1, 4 * (found.p_alone or 0)))


def test_many_arms_against_one_are_dunnetts_test() -> None:
    """Seeds and units without pairing have Dunnett's correlation 1/2; SciPy has its p-value."""
    generator = np.random.default_rng(4)
    scores = 0.5 + 0.05 * generator.standard_normal((4, 400)) + 0.006 * np.arange(4)[:, None]
    found = _against_first(scores[:, None, :], over="units")
    expected = stats.dunnett(*scores[1:], control=scores[0], rng=np.random.default_rng(0)).pvalue
    twice = _against_first(np.repeat(scores[:, None, :], 2, axis=1), over="units")
    assert [c.p_value for c in found] == [None] * 3
    assert {c.corrected for c in twice} == {JOINT}
    p_values = [c.p_value or 0 for c in twice]
    assert p_values == pytest.approx(list(expected), rel=0.25, abs=0.002)
    assert all((c.p_alone or 0) <= (c.p_value or 0) <= 3 * (c.p_alone or 0) for c in twice)


def test_the_joint_level_is_that_of_the_normal_distribution() -> None:
    """Correlation 1/2 and known errors: the quantile of max |Z| by SciPy's integral."""
    correlation = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    smallest = smallest_p(correlation, np.inf)
    own = 1 - Family(size=3, method=JOINT, smallest=(smallest,)).own_level(0.95)
    z = float(stats.norm.isf(own / 2))
    normal = stats.multivariate_normal(np.zeros(3), correlation, seed=np.random.default_rng(0))
    inside = normal.cdf(np.full(3, z), lower_limit=np.full(3, -z))
    assert inside == pytest.approx(0.95, abs=0.003)
    assert 0.05 / 3 < own < 0.05


def test_own_level_and_p_value_are_inverse() -> None:
    smallest = smallest_p(np.eye(4), 9)
    found = Family(size=4, method=JOINT, smallest=(smallest,))
    for level in (0.5, 0.8, 0.95, 0.99):
        assert found.p_value(1 - found.own_level(level)) == pytest.approx(1 - level, rel=1e-6)
    assert found.p_value(1e-30) <= 4e-30
    assert found.p_value(1.0) == 1


def test_independent_questions_are_nearly_bonferroni() -> None:
    found = Family(size=5, method=JOINT, smallest=(smallest_p(np.eye(5), 19),))
    assert 1 - found.own_level(0.95) == pytest.approx(1 - 0.95**0.2, rel=0.06)


def test_one_question_asked_five_times_is_hardly_corrected() -> None:
    smallest = smallest_p(np.full((5, 5), 1.0), 9)
    found = Family(size=5, method=JOINT, smallest=(smallest,))
    assert 1 - found.own_level(0.95) == pytest.approx(0.05, rel=0.06)


def test_pairs_on_other_seeds_are_bonferroni() -> None:
    arms = _arms(8, 30, 3)
    assert {c.corrected for c in _against_first(arms)} == {JOINT}
    assert {c.corrected for c in _against_first(arms, aligned=False)} == {BONFERRONI}
    cases = [(("a", "b"), arms[1], arms[0]), (("c", "b"), arms[2][:7], arms[0][:7])]
    assert {c.corrected for c in compare_pairs(cases, unit=EPISODES)} == {BONFERRONI}


def test_correlation_over_seeds_is_that_of_the_means() -> None:
    arms = _arms(9, 20, 4)
    d = [arms[i] - arms[0] for i in range(1, 4)]
    expected = np.corrcoef([one.mean(axis=1) for one in d])
    assert correlation_of_means(d, "seeds") == pytest.approx(expected)
    expected = np.corrcoef([one.mean(axis=0) for one in d])
    assert correlation_of_means(d, "units") == pytest.approx(expected)
    nothing = [np.zeros((9, 20)), *d]
    assert correlation_of_means(nothing, "both")[0].tolist() == [1, 0, 0, 0]


def test_the_same_family_gets_the_same_level() -> None:
    arms = _arms(7, 20, 4)
    assert _against_first(arms) == _against_first(arms)


def test_few_degrees_are_bonferroni() -> None:
    variation = what_varies((1, 5000), unit="test images", over="units")
    d = [np.random.default_rng(i).standard_normal((1, 5000)) for i in range(3)]
    assert family(d, [variation] * 3, [900.0, 900.0, 900.0]).method == JOINT
    assert family(d, [variation] * 3, [900.0, 3.0, 900.0]).method == BONFERRONI


@given(
    st.integers(2, 9),
    st.integers(2, 30),
    st.integers(1, 5),
    st.sampled_from([0.5, 0.8, 0.95, 0.99]),
    st.sampled_from([0.0, 0.001, 0.02, 0.1]),
    st.lists(st.sampled_from(["drawn", "same", "gap", "constant", "rows"]), min_size=5, max_size=5),
    st.integers(0, 10**6),
)
@example(8, 7, 5, 0.95, 0.0, ["constant", "drawn", "rows", "rows", "rows"], 356)
@example(7, 10, 2, 0.8, 0.001, ["rows", "drawn", "drawn", "gap", "constant"], 46)
@settings(max_examples=40, deadline=None)
def test_over_both_is_never_narrower_than_over_one(
    seeds: int,
    units: int,
    questions: int,
    level: float,
    spread: float,
    kinds: list[str],
    key: int,
) -> None:
    """In a family, too, and where seeds, units or everything agree."""
    arms = _arms(seeds, units, questions + 1, key, spread)
    shapes = {
        "drawn": lambda arm: arm,
        "same": lambda arm: arms[0],
        "gap": lambda arm: np.clip(arms[0], 0, 0.9) + 0.05,
        "constant": lambda arm: np.full_like(arm, 0.3),
        "rows": lambda arm: np.repeat(arm[:1], seeds, axis=0),
    }
    for i in range(1, len(arms)):
        arms[i] = shapes[kinds[i - 1]](arms[i])
    both = _against_first(arms, over="both", level=level)
    for over in ("seeds", "units"):
        for wide, narrow in zip(both, _against_first(arms, over=over, level=level), strict=True):
            for one, other in (
                (wide.interval, narrow.interval),
                (wide.alone, narrow.alone),
            ):
                assert one.low <= other.low + 1e-9
                assert other.high <= one.high + 1e-9


def test_exchanging_the_arms_mirrors_the_intervals() -> None:
    arms = _arms(8, 20, 4)
    cases = [((f"a{i}", "a0"), arms[i], arms[0]) for i in range(1, 4)]
    turned = [((b, a), second, first) for (a, b), first, second in cases]
    there = compare_pairs(cases, unit=EPISODES)
    back = compare_pairs(turned, unit=EPISODES)
    for one, other in zip(there, back, strict=True):
        expected = (-other.interval.high, -other.interval.low)
        assert (one.interval.low, one.interval.high) == pytest.approx(expected)


def test_the_strictest_reading_has_the_level_of_the_strictest() -> None:
    families = [
        Family(size=4, method=JOINT, smallest=(smallest_p(r + (1 - r) * np.eye(4), 9),))
        for r in (0.0, 0.9)
    ]
    whole = strictest(families)
    for level in (0.8, 0.95):
        assert whole.own_level(level) == max(one.own_level(level) for one in families)
    assert whole.p_value(0.01) == max(one.p_value(0.01) for one in families)
    bound = Family(size=4, method=BONFERRONI)
    assert strictest([families[0], bound]) is bound


@pytest.mark.parametrize("seeds", [3, 8])
def test_a_pair_asked_both_ways_round_is_one_question(seeds: int) -> None:
    arms = _arms(seeds, 20, 3)
    cases = [(("a", "c"), arms[0], arms[2]), (("b", "c"), arms[1], arms[2])]
    back = [(("c", "a"), arms[2], arms[0])]
    once, twice = (compare_pairs(asked, unit=EPISODES) for asked in (cases, cases + back))
    assert [c.compared for c in twice] == [2, 2, 2]
    assert twice[:2] == once
    assert twice[2].interval.low == pytest.approx(-once[0].interval.high)
