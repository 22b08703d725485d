"""Failed seeds: exact intervals and tests against SciPy, and what one seed may move."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import (
    failure_p,
    failure_share,
    far_seed,
    interquartile_mean,
    seed_interval,
    with_failures,
)
from metaact.errors import UsageError


@pytest.mark.parametrize(("failed", "seeds"), [(0, 3), (1, 5), (2, 5), (5, 5), (7, 20)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_share_is_clopper_and_pearsons(failed: int, seeds: int, level: float) -> None:
    found = failure_share(failed, seeds, level=level)
    expected = stats.binomtest(failed, seeds).proportion_ci(level, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.mean, found.level) == (failed / seeds, level)


def test_three_seeds_without_a_failure_leave_much_open() -> None:
    assert failure_share(0, 3).high == pytest.approx(1 - 0.025 ** (1 / 3))


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [([], [], 1.0), ([1], [], 1.0), ([0, 1, 2, 3, 4, 5], [], 2 * 0.5**6), ([0, 1], [1, 2], 1.0)],
)
def test_failures_are_paired(first: list[int], second: list[int], p: float) -> None:
    """McNemar by hand: of n seeds on which one arm alone failed, all on one side is 2 in 2^n."""
    assert failure_p(first, second, range(10)) == pytest.approx(p)
    assert failure_p(second, first, range(10)) == pytest.approx(p)


def test_only_seeds_that_both_ran_count() -> None:
    assert failure_p([0, 1, 2, 3, 4, 5], [], range(3)) == pytest.approx(2 * 0.5**3)


def test_a_failed_seed_counts_what_a_failure_counts() -> None:
    found = with_failures([0.9, 0.92, 0.91, 0.93], 1, value=0.1)
    assert found is not None
    assert found.mean == pytest.approx((0.9 + 0.92 + 0.91 + 0.93 + 0.1) / 5)
    assert found.n == 5
    share, score = (
        failure_share(1, 5, level=0.975),
        seed_interval([0.9, 0.92, 0.91, 0.93], level=0.975),
    )
    assert found.low == pytest.approx((1 - share.high) * score.low + share.high * 0.1)
    assert found.high == pytest.approx((1 - share.low) * score.high + share.low * 0.1)


def test_no_seed_and_no_survivor() -> None:
    agreeing = with_failures([0.9] * 3, 0, value=0.9, trials=1000)
    assert agreeing is not None
    assert agreeing.high - agreeing.low < 0.05
    assert "assuming that other training seeds agree, as these 3 do" in agreeing.varies
    assert with_failures([], 0, value=0.1) is None
    lost = with_failures([], 3, value=0.1)
    assert lost is not None
    assert lost.mean == pytest.approx(0.1)
    assert lost.high > 0.5
    one = with_failures([0.9], 0, value=0.1)
    assert one is not None
    assert (one.mean, one.high) == (0.9, 1.0)


RLIABLE = {
    (0.1, 0.2, 0.3): 0.2,
    (0.0, 0.5, 0.7, 1.0): 0.6,
    (0.05, 0.91, 0.92, 0.93, 0.94): 0.92,
    (0.05, 0.1, 0.8, 0.9, 0.91, 0.92, 0.93, 0.99): 0.8825,
}
"""`rliable.metrics.aggregate_iqm` of scores [runs, 1] is `scipy.stats.trim_mean(scores, 0.25)` over
all of them (rliable 1.2.0, which gave these numbers): by hand the mean without the ⌊n/4⌋ least and
greatest."""


@pytest.mark.parametrize("scores", RLIABLE)
def test_the_interquartile_mean_is_rliables(scores: tuple[float, ...]) -> None:
    assert interquartile_mean(scores) == pytest.approx(RLIABLE[scores], abs=1e-12)


def test_it_is_rliables_where_that_is_installed() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    for n in range(1, 21):
        scores = np.random.default_rng(n).random(n)
        assert interquartile_mean(scores) == pytest.approx(
            metrics.aggregate_iqm(scores[:, None]), abs=1e-12
        )


def test_one_far_seed_is_named() -> None:
    assert far_seed({3: 0.92, 5: 0.93, 8: 0.925, 9: 0.35}) == 9
    assert far_seed({0: 0.92, 1: 0.93, 2: 0.925, 3: 0.94}) is None
    assert far_seed({0: 0.5, 1: 0.5, 2: 0.5}) is None
    assert far_seed({0: 0.92, 1: 0.92, 2: 0.93}) is None  # by a point, which is not far
    assert far_seed({0: 0.1, 1: 0.9}) is None


@pytest.mark.parametrize("n", [3, 5, 10])
def test_alike_seeds_are_called_far_in_one_arm_of_twenty_at_most(n: int) -> None:
    generator = np.random.default_rng(n)
    draws = 0.5 + 0.5 * generator.standard_normal((1500, n))
    found = np.mean([far_seed(dict(enumerate(row))) is not None for row in draws])
    assert 0.02 < found < 0.07  # Grubbs's test with Bonferroni's bound, standard error 0.6 %


def test_refusals() -> None:
    with pytest.raises(UsageError, match="failed"):
        failure_share(4, 3)
    with pytest.raises(UsageError, match="scores"):
        interquartile_mean([])
    with pytest.raises(UsageError, match="scores"):
        interquartile_mean([0.5, float("nan")])
