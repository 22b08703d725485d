"""Area and censored times, against closed forms and figures from the literature."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metaact.analysis import area_under_curve, median_time
from metaact.errors import UsageError

# Remission of leukaemia patients in weeks, with mercaptopurine (None: still in remission) and with
# placebo: Freireich et al., Blood 21, 1963, the textbook example of Kaplan and Meier's estimate.
DRUG = [6, 6, 6, 7, 10, 13, 16, 22, 23, None, None, *[None] * 10]
DRUG_ENDS = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_area_of_a_constant_and_of_a_line() -> None:
    x = [1, 2, 5, 20]
    assert area_under_curve(x, [0.7] * 4) == pytest.approx(0.7)
    assert area_under_curve(x, [0.7] * 4, logx=True) == pytest.approx(0.7)
    assert area_under_curve(x, np.array(x) / 20) == pytest.approx(21 / 40)
    assert area_under_curve(x, np.log(x), logx=True) == pytest.approx(math.log(20) / 2)


def test_area_of_a_diverged_run_is_none() -> None:
    assert math.isnan(area_under_curve([1, 2, 3], [0.1, math.nan, 0.1]))


@pytest.mark.parametrize(
    ("x", "values"), [([1], [0.5]), ([1, 2], [0.5]), ([2, 1], [0.5, 0.5]), ([[1, 2]], [[0, 1]])]
)
def test_area_refusals(x: list[float], values: list[float]) -> None:
    with pytest.raises(UsageError, match="`x`"):
        area_under_curve(x, values)


def test_area_on_a_logarithmic_axis_needs_positive_positions() -> None:
    with pytest.raises(UsageError, match="> 0"):
        area_under_curve([0, 1], [0.5, 0.5], logx=True)


def test_median_times_of_the_leukaemia_study() -> None:
    """23 weeks with the drug, 8 with placebo: Freireich et al., as every textbook prints them."""
    assert median_time(DRUG, censored_at=DRUG_ENDS) == 23
    assert median_time(PLACEBO, censored_at=35) == 8


def test_without_censoring_it_is_a_median() -> None:
    assert median_time([4, 1, 9], censored_at=10) == 4
    assert median_time([4], censored_at=10) == 4


def test_not_reached() -> None:
    assert median_time([None, None], censored_at=10) is None
    assert median_time([3, None, None], censored_at=10) is None
    assert median_time([3, None, None], censored_at=[10, 1, 1]) == 3  # the others left before


def test_time_refusals() -> None:
    with pytest.raises(UsageError, match="censored_at"):
        median_time([1, 2], censored_at=[5])
    with pytest.raises(UsageError, match="censored_at"):
        median_time([], censored_at=5)
    with pytest.raises(UsageError, match="times"):
        median_time([1, math.nan], censored_at=5)
