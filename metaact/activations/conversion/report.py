"""What a conversion did: every place, what it was, what it is, and what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metaact.display import brief


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One activation of a converted network.

    Attributes:
        path: Path of the new activation.
        was: What stood there.
        now: What stands there.
        called: File and line of the call, or "" if no call was seen.
    """

    path: str
    was: str
    now: str
    called: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An activation or gate that was left as it is.

    Attributes:
        path: Path of the module, or of the call in it.
        what: The type or function.
        why: "gate or output", "mixes elements", "asked for".
    """

    path: str
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """The fit of one place to its old activation; printed, it is a line.

    Attributes:
        path: Path of the new activation.
        was: The old activation.
        parameters: Start values that were fitted, by name.
        gain: What the layers that read the place were multiplied by.
        error: Root mean square of what the fit leaves, over that of the old activation.
        plain_error: The same with the usual start values and no gain.
        into: Paths of those layers.
    """

    path: str
    was: str
    parameters: dict[str, Any]
    gain: float
    error: float
    plain_error: float
    into: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """How the places of a converted network were fitted.

    Attributes:
        places: The fit of each place.
        drift: Root mean square of the change of the network's outputs, over that of the outputs.
        plain_drift: The same with the usual start values.
        stuck: Places whose α would not learn.
    """

    places: tuple[Warmth, ...]
    drift: float
    plain_drift: float
    stuck: int

    def __repr__(self) -> str:
        return brief(
            self,
            places=len(self.places),
            drift=self.drift,
            plain_drift=self.plain_drift,
            stuck=self.stuck,
        )

    def __str__(self) -> str:
        rows = [("path", "error", "plain", "gain", "into", "start")]
        rows += [
            (
                place.path,
                f"{place.error:.3f}",
                f"{place.plain_error:.3f}",
                f"{place.gain:.3f}" if place.into else "-",
                " ".join(place.into) or "-",
                " ".join(f"{name}={shown(value)}" for name, value in place.parameters.items()),
            )
            for place in self.places
        ]
        folded = sum(bool(place.into) for place in self.places)
        return "\n".join(
            (
                *table(rows),
                f"output drift {self.drift:.3f} (plain swap {self.plain_drift:.3f}); a gain folded "
                f"at {folded} of {len(self.places)} places; {self.stuck} stuck",
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The report of `convert`; printed, it is a table.

    Attributes:
        places: Every place that was swapped, in the order of the forward pass.
        kept: What was left.
        warm: How the places were fitted, with `warm_start`.
    """

    places: tuple[Place, ...]
    kept: tuple[Kept, ...]
    warm: WarmStart | None = None

    def __repr__(self) -> str:
        return brief(self, places=len(self.places), kept=len(self.kept), warm=self.warm)

    def __str__(self) -> str:
        rows = [("path", "was", "is", "called at")]
        rows += [(p.path, p.was, p.now, p.called) for p in self.places]
        rows += [(k.path, k.what, f"kept: {k.why}", "") for k in self.kept]
        lines = [*table(rows), f"{len(self.places)} swapped, {len(self.kept)} kept"]
        return "\n".join(lines if self.warm is None else (*lines, "", str(self.warm)))


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def shown(value: Any) -> str:
    """A number, or the numbers of a list, to four digits."""
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{value:.4g}"
