"""The measure of networks that classify test images. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .experiment import Measure

CLASSES = 10
"""Of data whose provenance does not say how many classes they have (version 0.1.0, transfer)."""


def image_measure(data: Mapping[str, Any], part: str) -> Measure:
    """Accuracy on test images, each right or wrong.

    Args:
        data: Provenance of the data, by part.
        part: The part that is tested on.
    """
    about = data.get(part)
    about = about if isinstance(about, Mapping) else {}
    chance = 1 / int(about.get("classes") or CLASSES)
    return Measure(
        unit="test images",
        units=int(about.get("images") or 0),
        resolution=1.0,
        failed=chance,
        chance=chance,
    )
