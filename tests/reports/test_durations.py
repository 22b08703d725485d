"""When an arm got to a score, as tables say it."""

from __future__ import annotations

import pytest

from metaact.display import digits
from metaact.reports.document import Time
from metaact.reports.render.study_tables import duration


@pytest.mark.parametrize(
    ("median", "by_seed", "censored_at", "shown"),
    [
        (0.1234, [0.1234], 3.0, "0.123"),
        (2000.0, [1800.0, 2000.0, None], 2000.0, "2000 (1 of 3 not)"),
        (None, [1e6, None, None], 2e6, ">2000000 (2 of 3 not)"),
        (None, [None, None], 1_000_000.0, "not within 1000000"),
        (None, [None], 0.0, "–"),
    ],
)
def test_a_time_is_told_in_plain_numbers(
    median: float | None, by_seed: list[float | None], censored_at: float, shown: str
) -> None:
    time = Time(
        threshold=0.5, curve="test", by_seed=by_seed, censored_at=censored_at, median=median
    )
    assert duration(time) == shown


@pytest.mark.parametrize("value", [0.0, 1e-30, 0.5, 999.96, 9999.6, 12345.6, 123_456_789.0, 1e30])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_keeps_its_digits(value: float, sign: int) -> None:
    shown = digits(sign * value)
    assert float(shown) == pytest.approx(sign * value, rel=5e-4)
    assert "e" not in shown or not 1e-4 <= value < 1e9
