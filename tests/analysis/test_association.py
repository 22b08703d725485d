"""Rank correlation with its interval: SciPy, hand-made orders, and coverage on simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import rank_correlation
from metaact.errors import UsageError


def test_it_is_spearmans_with_ties() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 4, 20), draw.normal(size=20)
    found = rank_correlation(x, y)
    assert found is not None
    assert found.mean == pytest.approx(stats.spearmanr(x, y).statistic)
    assert (found.n, found.varies) == (20, "arms")
    turned = rank_correlation(x, -y)
    assert turned is not None
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    stretched = rank_correlation(x, np.exp(y))
    assert stretched is not None
    assert stretched.mean == pytest.approx(found.mean), "only the order counts"


def test_the_interval_is_that_of_the_formula() -> None:
    x = np.arange(12.0)
    y = x.copy()
    y[[0, 11]] = y[[11, 0]]
    found = rank_correlation(x, y, level=0.9)
    rho = 1 - 6 * 2 * 11**2 / (12 * 143)
    half = 1.6448536 * math.sqrt((1 + rho**2 / 2) / 9)
    assert found is not None
    assert found.mean == pytest.approx(rho)
    assert found.low == pytest.approx(math.tanh(math.atanh(rho) - half), abs=1e-6)
    assert found.high == pytest.approx(math.tanh(math.atanh(rho) + half), abs=1e-6)


def test_orders_that_agree_throughout_have_an_interval_all_the_same() -> None:
    for sign in (1, -1):
        found = rank_correlation(range(5), [sign * x**3 for x in range(5)])
        assert found is not None
        assert found.mean == sign
        inner = found.low if sign > 0 else -found.high
        assert -0.3 < inner < 0
        assert (found.high if sign > 0 else found.low) == sign
    longer = rank_correlation(range(20), range(20))
    assert longer is not None
    assert longer.low > 0.9


def test_figures_that_all_agree_have_none() -> None:
    assert rank_correlation([1.0] * 6, range(6)) is None
    assert rank_correlation(range(6), [2.0] * 6) is None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (range(4), range(4), "at least 5"),
        (range(6), range(5), "one length"),
        ([1, 2, 3, 4, math.nan], range(5), "finite"),
    ],
)
def test_what_cannot_be_told_is_refused(first: object, second: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        rank_correlation(first, second)  # type: ignore[arg-type]  # ranges are arrays enough


@pytest.mark.parametrize(("rho", "n"), [(0.0, 8), (0.6, 12), (0.8, 25)])
def test_it_covers_the_truth(rho: float, n: int) -> None:
    """Of normal pairs: Spearman's is 6/π·arcsin(r/2) of Pearson's r."""
    draw = np.random.default_rng(1)
    truth = 6 / math.pi * math.asin(rho / 2)
    inside = 0
    for _ in range(400):
        x = draw.normal(size=n)
        y = rho * x + math.sqrt(1 - rho**2) * draw.normal(size=n)
        found = rank_correlation(x, y)
        assert found is not None
        inside += truth in found
    assert inside / 400 > 0.92
