"""Ranks against SciPy and the critical values that Demšar printed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import rank_arms
from metaact.errors import UsageError

IMAGES, EPISODES = "test images", "test episodes"

# q of the Nemenyi test at 5 %: Demšar, Journal of Machine Learning Research 7, 2006, table 5 (a).
DEMSAR = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


def _arms(count: int, seeds: int, units: int, *, step: float = 0.0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(count * seeds)
    return {
        f"arm-{i}": np.clip(0.5 + step * i + 0.05 * generator.standard_normal((seeds, units)), 0, 1)
        for i in range(count)
    }


@pytest.mark.parametrize("count", DEMSAR)
def test_critical_difference_is_demsars(count: int) -> None:
    found = rank_arms(_arms(count, 30, 2), unit=IMAGES, over="seeds")
    expected = DEMSAR[count] * math.sqrt(count * (count + 1) / (6 * 30))
    assert found.critical_difference == pytest.approx(expected, rel=5e-4)


@pytest.mark.parametrize(("over", "axis"), [("seeds", 1), ("both", 1), ("units", 0)])
def test_friedman_and_mean_ranks(over: str, axis: int) -> None:
    arms = _arms(5, 8, 40, step=0.002)
    scores = np.array([values.mean(axis=axis) for values in arms.values()])
    found = rank_arms(arms, unit=EPISODES, over=over)
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*scores).pvalue)
    expected = stats.rankdata(-scores, axis=0).mean(axis=1)
    assert [found.mean_ranks[name] for name in arms] == pytest.approx(list(expected))
    assert list(found.mean_ranks.values()) == sorted(found.mean_ranks.values())
    assert found.blocks == scores.shape[1]
    expected_over = "these 8 training seeds" if over == "units" else "training seeds (the same"
    assert expected_over in found.over


def test_one_seed_ranks_units() -> None:
    found = rank_arms(_arms(3, 1, 20), unit=IMAGES)
    assert (found.blocks, found.over) == (20, "test images (one training seed)")


def test_groups_are_the_largest_runs_within_the_critical_difference() -> None:
    """Four arms far apart in 40 blocks, two of them alike."""
    generator = np.random.default_rng(0)
    noise = 0.01 * generator.standard_normal((40, 1))
    level = {"d": 0.2, "a": 0.8, "b": 0.5, "c": 0.5}
    arms = {n: v + noise + 0.01 * generator.standard_normal((40, 1)) for n, v in level.items()}
    found = rank_arms(arms, unit=IMAGES, over="seeds")
    assert next(iter(found.mean_ranks)) == "a"
    assert {frozenset(group) for group in found.groups} == {frozenset("bc")}
    everything = rank_arms({n: v[:3] for n, v in arms.items()}, unit=IMAGES, over="seeds")
    overlapping = [set(group) for group in everything.groups]
    assert len(overlapping) == 1 or overlapping[0] & overlapping[1]


def test_ties_share_ranks_and_nothing_differs() -> None:
    same = {name: np.full((4, 5), 0.5) for name in "abc"}
    found = rank_arms(same, unit=IMAGES)
    assert found.mean_ranks == {"a": 2.0, "b": 2.0, "c": 2.0}
    assert found.p_value == 1.0
    assert found.groups == (("a", "b", "c"),)
    rounding = {"a": np.full((3, 1), 0.3), "b": np.full((3, 1), 0.1 + 0.2)}
    assert rank_arms(rounding, unit=IMAGES, over="seeds").mean_ranks == {"a": 1.5, "b": 1.5}


def test_two_arms_are_a_sign_test() -> None:
    arms = {"a": np.arange(10)[:, None] / 20, "b": np.full((10, 1), 0.06)}
    found = rank_arms(arms, unit=IMAGES, over="seeds")
    assert found.p_value == pytest.approx(stats.binomtest(8, 10).pvalue)


def test_equal_arms_are_rarely_told_apart() -> None:
    """Nemenyi's test holds its level over all pairs together."""
    generator, repeats = np.random.default_rng(5), 400
    apart = 0
    for _ in range(repeats):
        scores = generator.random((5, 20, 1))
        arms = {str(i): scores[i] for i in range(5)}
        apart += rank_arms(arms, unit=IMAGES, over="seeds").groups != (tuple(_order(arms)),)
    assert apart / repeats <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repeats)


def _order(arms: dict[str, np.ndarray]) -> list[str]:
    return list(rank_arms(arms, unit=IMAGES, over="seeds").mean_ranks)


def test_json_is_strict() -> None:
    document = rank_arms(_arms(3, 4, 5), unit=IMAGES).as_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert {"blocks", "over", "critical_difference", "p_value", "mean_ranks", "groups"} < set(
        document
    )


def test_refusals() -> None:
    with pytest.raises(UsageError, match="arms"):
        rank_arms({"a": [[0.5, 0.6]]}, unit=IMAGES)
    with pytest.raises(UsageError, match="arms"):
        rank_arms({"a": [[0.5, 0.6]], "b": [[0.5]]}, unit=IMAGES)
    with pytest.raises(UsageError, match="arms"):
        rank_arms({"a": [[0.5]], "b": [[0.5]]}, unit=IMAGES)
    with pytest.raises(UsageError, match="over"):
        rank_arms({"a": [[0.5, 1]], "b": [[0.5, 0]]}, unit=IMAGES, over="blocks")
