"""Printed figures lie on the side of 0 and of the margin on which the interval lies."""

from __future__ import annotations

import re

import numpy as np
import pytest

from metaact.analysis import Interval, difference_text


def _interval(low: float, mean: float, high: float) -> Interval:
    """In points."""
    return Interval(mean=mean / 100, low=low / 100, high=high / 100, n=9, varies="test episodes")


@pytest.mark.parametrize(
    ("points", "margin", "size", "printed"),
    [
        ((-0.08, 0.01, 0.085), 0.09, False, "+0.010 points [-0.080, 0.085]"),
        ((-0.99, -0.6, -0.1), 1.0, True, "0.60 points [0.10, 0.99]"),
        ((-4.98, -2.0, 1.0), 5.0, False, "-2.00 points [-4.98, 1.00]"),
        ((-4.9, -2.0, 1.0), 5.0, False, "-2.0 points [-4.9, 1.0]"),
        ((-5.0, -2.0, 1.0), 5.0, False, "-2.0 points [-5.0, 1.0]"),
        ((0.01, 2.0, 5.04), 5.0, False, "+2.00 points [0.01, 5.04]"),
    ],
)
def test_no_figure_is_rounded_onto_the_margin(
    points: tuple[float, float, float], margin: float, size: bool, printed: str
) -> None:
    assert difference_text(_interval(*points), size=size, margin=margin / 100) == printed


def test_figures_keep_their_side_of_the_margin_and_of_0() -> None:
    generator = np.random.default_rng(0)
    for _ in range(2000):
        margin = float(generator.choice([0.09, 0.25, 1.0, 5.0]))
        near = generator.normal(size=3) * 10.0 ** generator.integers(-4, 1)
        near += np.copysign(1e-5, near)  # nearer than 0.000001 points counts as on it
        low, mean, high = sorted(generator.choice([-margin, 0.0, margin], 3) + near)
        found = difference_text(_interval(low, mean, high), margin=margin / 100)
        shown = [float(x) for x in re.findall(r"[-+]?\d+\.\d+", found)]
        for printed, true in zip(shown, (mean, low, high), strict=True):
            assert (abs(printed) < margin) == (abs(true) < margin), (found, true, margin)
        for printed, true in zip(shown[1:], (low, high), strict=True):
            assert (printed > 0) == (true > 0), (found, true)
