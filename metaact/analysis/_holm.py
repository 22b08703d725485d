"""Holm's correction for several comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bounds import accuracies


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that hold for all comparisons together.

    Formula: the i-th smallest of m is multiplied by m - i + 1, and made no smaller than those
    before it, no larger than 1.

    Args:
        p_values: One per comparison, in any order.

    Returns:
        Corrected p-values in the same order.

    Raises:
        UsageError: If one is not in [0, 1].

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
        of Statistics 6, 1979.
    """
    array = accuracies("p_values", p_values, dimensions=1) if len(p_values) else np.zeros(0)
    order = np.argsort(array, kind="stable")
    factors = np.arange(len(array), 0, -1)
    adjusted = np.empty_like(array)
    adjusted[order] = np.minimum(np.maximum.accumulate(array[order] * factors), 1)
    return [float(p) for p in adjusted]
