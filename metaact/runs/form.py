"""The form of what is written down: declared once, and checked where it is read."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from metaact.errors import LARGEST_FLOAT, LARGEST_INT, RunError


class Form(Protocol):
    """What a value of JSON must be."""

    def fault(self, value: object, name: str) -> str | None:
        """What a value must be and is not, as part of a sentence; None if it is.

        Args:
            value: The value, as JSON.
            name: What it is called.
        """


def _must(name: str, allowed: str, value: object) -> str:
    return f"`{name}` must be {allowed}; got {reprlib.repr(value)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A finite number.

    Attributes:
        low: The least.
        high: The greatest; by default that of float32, in which networks compute.
        whole: Whether it counts.

    Examples:
        >>> Number(low=0, high=1).fault(2, "share")
        '`share` must be a number in [0, 1]; got 2'
    """

    low: float = -LARGEST_FLOAT
    high: float = LARGEST_FLOAT
    whole: bool = False

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        kind = type(value)
        if (kind is int or (kind is float and not self.whole)) and self.low <= value <= self.high:  # type: ignore[operator]  # a number
            return None
        allowed = "a whole number" if self.whole else "a number"
        if self.low > -LARGEST_FLOAT:
            end = f"in [{self.low:g}, {self.high:g}]" if self.high < LARGEST_INT else ""
            allowed += f" {end or f'>= {self.low:g}'}"
        return _must(name, allowed, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text.

    Attributes:
        choices: Those that are allowed; empty allows all.
    """

    choices: tuple[str, ...] = ()

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        if isinstance(value, str) and (not self.choices or value in self.choices):
            return None
        allowed = f"one of {', '.join(self.choices)}" if self.choices else "a text"
        return _must(name, allowed, value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        return None if isinstance(value, bool) else _must(name, "true or false", value)


@dataclass(frozen=True, slots=True)
class Plain:
    """Anything that is no mapping."""

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        return _must(name, "no mapping", value) if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Maybe:
    """Something, or null.

    Attributes:
        of: What it is where it is not null.
    """

    of: Form

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        return None if value is None else self.of.fault(value, name)


@dataclass(frozen=True, slots=True)
class Either:
    """One of two.

    Attributes:
        first: What it may be.
        second: What else; what it must be, where it is neither.
    """

    first: Form
    second: Form

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        return self.first.fault(value, name) and self.second.fault(value, name)


@dataclass(frozen=True, slots=True)
class Items:
    """A list.

    Attributes:
        of: What each item is.
        length: How many there are; None for any number.
    """

    of: Form
    length: int | None = None

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        if not isinstance(value, list):
            return _must(name, "a list", value)
        if self.length is not None and len(value) != self.length:
            return f"`{name}` must hold {self.length} values; got {len(value)}"
        found = (self.of.fault(item, f"{name}[{place}]") for place, item in enumerate(value))
        return next((fault for fault in found if fault), None)


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping with any names.

    Attributes:
        of: What each of its values is; None for anything.
    """

    of: Form | None = None

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        if not isinstance(value, dict):
            return _must(name, "a mapping", value)
        if self.of is None:
            return None
        found = (self.of.fault(item, _within(name, key)) for key, item in value.items())
        return next((fault for fault in found if fault), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A mapping with certain names; it may have others, which nobody reads.

    Attributes:
        needed: What it holds, by name.
        may: What it may hold besides: only where it applies, or since a later version.
    """

    needed: Mapping[str, Form] = field(default_factory=dict)
    may: Mapping[str, Form] = field(default_factory=dict)

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`; a whole record or document has the name ""."""
        if not isinstance(value, dict):
            return _must(name, "a mapping", value)
        for key, form in self.needed.items():
            if key not in value:
                return f"it must hold `{_within(name, key)}`"
            if fault := form.fault(value[key], _within(name, key)):
                return fault
        for key, form in self.may.items():
            if key in value and (fault := form.fault(value[key], _within(name, key))):
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Packed:
    """Answers, right or wrong, as `pack_bits` writes them.

    Attributes:
        count: How many they are.
    """

    count: int

    def fault(self, value: object, name: str) -> str | None:
        """See `Form`."""
        if not isinstance(value, str):
            return _must(name, "packed answers", value)
        from .packed import unpack_bits  # NumPy is not needed for what holds none

        try:
            unpack_bits(value, self.count)
        except (RunError, ValueError) as error:
            return _must(name, f"{self.count} packed answers", str(error).rstrip("."))
        return None


def _within(name: str, key: str) -> str:
    return f"{name}.{key}" if name else key


COUNT = Number(low=0, high=LARGEST_INT, whole=True)
"""A whole number from 0 on."""

ABOUT: Mapping[str, Form] = {
    "command": Fields(
        needed={"verb": Text(), "arguments": Items(Text()), "options": Named(Text())}
    ),
    "measure": Fields(may={"name": Text(), "axis": Fields(needed={"key": Text(), "first": COUNT})}),
    "length": COUNT,
    "network": Named(),
    "points": Items(COUNT),
    "notes": Items(Text()),
    "needs": Items(Text()),
    "examples": Items(Fields(needed={"file": Text(), "caption": Text()})),
}
"""What `config.json` holds of a run beside its settings; version 0.1.0 recorded none of it."""
