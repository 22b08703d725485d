"""What a run writes down: the form of its records, its result and its data. No torch, no NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metaact.errors import LARGEST_FLOAT
from metaact.runs.form import (
    COUNT,
    Either,
    Fields,
    Flag,
    Form,
    Items,
    Maybe,
    Named,
    Number,
    Plain,
    Text,
)

if TYPE_CHECKING:
    from .experiment import Measure

FIGURE = Maybe(Number())
"""A number; null where it had left the finite ones."""

LAYERS = Named(Fields(needed={"alpha": FIGURE, "beta": FIGURE}))
"""α and β by layer."""

SIZES: Mapping[str, Form] = {
    "parameters": COUNT,
    "stuck_alpha": COUNT,
    "attention_layers": COUNT,
    "attention": LAYERS,
}
"""What the result of a network holds of it."""

PART = Fields(
    needed={"dataset": Text()},
    may={"images": Maybe(COUNT), "classes": Maybe(COUNT), "patients": COUNT, "folds": COUNT},
)
"""Provenance of one part of the data."""

DATA = Named(Either(Plain(), PART))
"""Provenance of the data: parts, and what is said of all of them."""

SHARE_OR_NONE = Maybe(Number(low=1e-9, high=1))

MEASURE = Fields(
    needed={
        "name": Text(),
        "unit": Text(),
        "units": COUNT,
        "direction": Text(choices=("higher", "lower")),
        "bounds": Items(FIGURE, 2),
        "resolution": SHARE_OR_NONE,
        "failed": FIGURE,
        "chance": SHARE_OR_NONE,
        "replacement": Maybe(Flag()),
        "axis": Fields(needed={"name": Text(), "key": Text(), "first": COUNT}),
        "along": Flag(),
    }
)
"""What a run is scored by, as it records it."""

NETWORK = Fields(
    needed={
        "channels": COUNT,
        "size": Items(COUNT, 2),
        "outputs": COUNT,
        "class_names": Items(Text()),
    }
)
"""What the network of a run takes and gives."""

CHANNELS = Fields(needed={"mean": Items(Number()), "std": Items(Number())})
"""What the images are normalised by that one network is fed with."""

NONE: Mapping[str, Form] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the form of a run depends on.

    Attributes:
        kind: Its kind.
        measure: What it is scored by.
        data: Provenance of its data, by part.
        result: What it finished with, not yet looked at; empty before the end.
    """

    kind: str
    measure: Measure
    data: Mapping[str, Any]
    result: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether it came to its planned end."""
        return self.result.get("outcome") == "complete"

    @property
    def units(self) -> int:
        """How many test units there are; 0 where that is not known."""
        recorded = self.result.get("test_images")
        return self.measure.units or (recorded if isinstance(recorded, int) else 0)

    @property
    def score(self) -> Form:
        """A score; null in a run that did not come to its planned end."""
        low, high = self.measure.bounds
        found = Number(low=max(low, -LARGEST_FLOAT), high=min(high, LARGEST_FLOAT))
        return found if self.complete else Maybe(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunForm:
    """What a run writes down, as far as anything reads it.

    Attributes:
        start: A record before the first step is done.
        step: The record after a step.
        throughout: Names that every record after a step holds, or none of them.
        every: Whether each step leaves a record, counted from 0 on.
        result: What it finished with.
        scores: The score of each test unit, where they are not in the records.
    """

    start: Fields
    step: Fields
    result: Fields
    throughout: tuple[str, ...] = ()
    every: bool = False
    scores: Form = field(default_factory=lambda: Items(Number()))


def usual(
    facts: Facts,
    *,
    needed: Mapping[str, Form] = NONE,
    may: Mapping[str, Form] = NONE,
    start: Mapping[str, Form] = NONE,
    result: Mapping[str, Form] = NONE,
    failed: Mapping[str, Form] = NONE,
    throughout: tuple[str, ...] = (),
    every: bool = False,
) -> RunForm:
    """The form that the runs of all experiments have, with what is an experiment's own.

    Args:
        facts: What it depends on.
        needed: What a record after a step holds besides.
        may: What a record may hold besides.
        start: What a record before that holds.
        result: What the result holds besides of a run that came to its planned end.
        failed: The same of one that did not.
        throughout: As `RunForm` has it.
        every: Likewise.
    """
    measure, score = facts.measure, facts.score
    counter = {measure.axis.key: Number(low=0)}
    along = {measure.test: score} if measure.along else {}
    known: dict[str, Form] = {
        **dict.fromkeys(("train_loss", "train_accuracy"), FIGURE),
        **{"attention": LAYERS, measure.test: Maybe(score), measure.validation: Maybe(score)},
        **may,
    }
    figures: dict[str, Form] = {name: Maybe(form) for name, form in SIZES.items()}
    own = result if facts.complete else failed
    return RunForm(
        start=Fields(needed={**counter, **start}, may={**known, **needed}),
        step=Fields(needed={**counter, **along, **needed}, may=known),
        result=Fields(
            needed={"outcome": Text(), **own}, may={**figures, measure.test: Maybe(score)}
        ),
        throughout=throughout,
        every=every,
        scores=Items(score, None if measure.along or not facts.complete else measure.units),
    )
