"""The measure of networks that classify test images, and the form of their runs. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaact.runs.form import COUNT, Form, Packed, Text

from .experiment import Measure
from .form import FIGURE, LAYERS, NONE, SIZES, Facts, RunForm, usual

RIGHT = "test_right"
"""Entry of a record that holds, packed, which test units were right."""

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


def image_form(facts: Facts, *, start: Mapping[str, Form] = NONE) -> RunForm:
    """A record after each epoch, with the answer to each test image in all of them or in none.

    Args:
        facts: What it depends on.
        start: What a record before the first epoch is done holds.
    """
    test, units = facts.measure.test, facts.units
    losses = dict.fromkeys(("test_loss", "validation_loss", "lr"), FIGURE)
    return usual(
        facts,
        every=True,
        start={"attention": LAYERS, **start},
        needed={"step": COUNT, "attention": LAYERS, "train_loss": FIGURE},
        may={**losses, RIGHT: Packed(units) if units else Text()},
        throughout=(RIGHT, facts.measure.validation),
        result={test: facts.score, "test_images": COUNT, **SIZES},
        failed={facts.measure.axis.key: COUNT},
    )
