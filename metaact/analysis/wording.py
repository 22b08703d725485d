"""Differences, p-values and counts as people write them, the same everywhere."""

from __future__ import annotations

import math

from .bounds import NOTHING
from .interval import Interval

_MOST = 6
"""Decimals of a point beyond which two figures count as the same."""


def difference_text(interval: Interval, *, size: bool = False, margin: float | None = None) -> str:
    """A difference with its interval: "+4.7 points [1.1, 8.3]" of shares, "+0.12 [0.05, 0.19]".

    Args:
        interval: Of the difference; of two shares in -1..1.
        size: Drop the sign: for "worse by 4.7 points [1.1, 8.3]".
        margin: Differences below it do not matter: no figure is rounded onto or over it.

    Examples:
        >>> print(difference_text(Interval(mean=1e-30, low=-3e-4, high=3e-4, n=9, varies="x")))
        0.0 points [-0.03, 0.03]
    """
    scale, unit = (100, " points") if interval.share else (1, "")
    ends = [0.0 if abs(x) <= NOTHING**0.5 else scale * x for x in _ends(interval)]
    mean, low, high = (-ends[0], -ends[2], -ends[1]) if size and ends[0] < 0 else ends
    digits = interval.digits
    edges = [] if margin is None else [scale * margin, -scale * margin]
    while digits < _MOST and not (
        all(_keeps_side(x, 0.0, digits) for x in (low, high))
        and all(_keeps_side(x, edge, digits) for x in (mean, low, high) for edge in edges)
    ):
        digits += 1  # a figure shows on which side of 0 and of the margin it lies
    sign = "" if size or not round(mean, digits) else "+"
    if not round(mean, digits):
        return f"0.0{unit} [{low:z.{digits}f}, {high:z.{digits}f}]"
    return f"{mean:{sign}.{digits}f}{unit} [{low:z.{digits}f}, {high:z.{digits}f}]"


def _keeps_side(value: float, edge: float, digits: int) -> bool:
    """Whether a value, rounded, lies on the side of an edge on which it is; on it is on no side."""
    if math.isclose(value, edge, abs_tol=10.0**-_MOST):
        return True
    shown = round(value, digits)
    apart = not math.isclose(shown, edge, abs_tol=10.0 ** -(_MOST + 2))
    return apart and (shown > edge) == (value > edge)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.mean, interval.low, interval.high


def p_text(p: float, threshold: float = 0.05) -> str:
    """A p-value with its relation: "p = 0.02".

    Examples:
        >>> p_text(0.0234), p_text(3e-7), p_text(1.0)
        ('p = 0.023', 'p < 0.0001', 'p = 1')
    """
    figure = p_figure(p, threshold)
    return f"p < {figure[1:]}" if figure.startswith("<") else f"p = {figure}"


def p_figure(p: float, threshold: float = 0.05) -> str:
    """A p-value with two digits, or as many as keep it on its side of the threshold.

    Examples:
        >>> p_figure(0.0496), p_figure(0.0504), p_figure(0.0483, 1 - 0.95), p_figure(3e-294)
        ('0.0496', '0.0504', '0.048', '<0.0001')
    """
    if p < 1e-4:
        return "<0.0001"
    for digits in range(2, 8):
        shown = float(f"{p:.{digits}g}")
        apart = not math.isclose(shown, threshold)  # 1 - 0.95 is not quite 0.05
        if ((shown < threshold) == (p < threshold) and apart) or digits == 7:
            return f"{shown:.{digits}g}" if shown < 1 else "1"
    raise AssertionError  # the last number of digits returns


def roughly(number: int) -> str:
    """A count with two leading digits: what a rough extrapolation is worth.

    Examples:
        >>> roughly(7), roughly(479), roughly(12345)
        ('7', '480', '12,000')
    """
    return f"{int(float(f'{number:.2g}')):,}"


def points_text(value: float, *, share: bool = True) -> str:
    """A size in points, with one decimal or as many as it has; of what is no share as it is.

    Examples:
        >>> points_text(0.02), points_text(0.0025)
        ('2.0 points', '0.25 points')
    """
    if not share:
        return f"{value:g}"
    shown = f"{100 * value:.1f}" if round(1000 * value, 9) % 1 == 0 else f"{100 * value:g}"
    return f"{shown} points"
