"""Training that went beyond all reason and yet stayed finite. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

EXPLODED = 100.0
"""Training loss, in multiples of that of guessing, from which on a run is said to have exploded."""


def exploded_at(metrics: Iterable[Mapping[str, Any]], *, chance: float) -> Mapping[str, Any] | None:
    """The record at which the training loss first rose beyond all reason; None if it never did.

    One such update fills Adam's second moments, and those after it hardly move the weights: the run
    ends with finite numbers and has all but stopped learning.

    Args:
        metrics: A run's records.
        chance: Accuracy of guessing.

    Examples:
        >>> records = [{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1e9}]
        >>> exploded_at(records, chance=0.1)
        {'epoch': 2, 'train_loss': 1000000000.0}
    """
    limit = EXPLODED * -math.log(chance)
    return next((m for m in metrics if (m.get("train_loss") or 0.0) > limit), None)
