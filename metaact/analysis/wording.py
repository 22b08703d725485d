"""Differences and p-values as people write them."""

from __future__ import annotations

import math

from .interval import Interval, decimals


def difference_text(interval: Interval, *, size: bool = False) -> str:
    """A difference in points with its interval: "+4.7 points [1.1, 8.3]".

    Args:
        interval: Of the difference, in -1..1.
        size: Drop the sign: for "worse by 4.7 points [1.1, 8.3]".
    """
    mean, low, high = (100 * x for x in (interval.mean, interval.low, interval.high))
    if size and mean < 0:
        mean, low, high = -mean, -high, -low
    digits = decimals((interval.high - interval.low) * 50)
    while digits < 4 and any(x and not round(x, digits) for x in (low, high)):
        digits += 1  # an end that is not 0 shows on which side of it it lies
    # Adding 0 turns a rounded -0.0 into 0.0.
    mean, low, high = (round(x, digits) + 0.0 for x in (mean, low, high))
    sign = "" if size else "+" if mean >= 0 else ""
    return f"{sign}{mean:.{digits}f} points [{low:.{digits}f}, {high:.{digits}f}]"


def p_text(p: float, threshold: float = 0.05) -> str:
    """A p-value with one digit, or as many as keep it on its side of the threshold.

    Examples:
        >>> p_text(0.0234), p_text(0.0497), p_text(3e-7), p_text(1.0)
        ('p = 0.02', 'p = 0.0497', 'p < 0.0001', 'p = 1')
        >>> p_text(0.0483, 1 - 0.95)
        'p = 0.048'
    """
    if p < 1e-4:
        return "p < 0.0001"
    for digits in range(1, 6):
        shown = f"{p:.{digits}g}"
        apart = not math.isclose(float(shown), threshold)  # 1 - 0.95 is not quite 0.05
        if (float(shown) < threshold) == (p < threshold) and apart:
            break
    return f"p = {float(shown):g}"


def points_text(value: float) -> str:
    """A size in points, with one decimal or as many as it has.

    Examples:
        >>> points_text(0.02), points_text(0.0025)
        ('2.0 points', '0.25 points')
    """
    shown = f"{100 * value:.1f}" if round(1000 * value, 9) % 1 == 0 else f"{100 * value:g}"
    return f"{shown} points"
