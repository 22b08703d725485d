"""How an arm looks in every picture: colour and marker of its activation, line style of its kind.

An activation keeps its colour and marker whatever other arms are in the picture, and no other
activation of the registry has that colour. A control has those of the activation it belongs to and
a dashed line, training on the target only a dotted one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .canvas import COLOURS, MORE_COLOURS

Choice = TypeVar("Choice")

BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
INDIGO, TEAL, FOREST, OLIVE, ROSE, WINE, PURPLE, BROWN, SLATE, VIOLET, SEA, MOSS = MORE_COLOURS

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*")

# The first seven have the colours that are told apart best.
ACTIVATIONS: dict[str, tuple[str, str]] = {
    "arelu": (VERMILION, "o"),
    "relu": (BLUE, "s"),
    "selu": (GREEN, "^"),
    "prelu": (PINK, "D"),
    "elu": (ORANGE, "v"),
    "gelu": (SKY, "P"),
    "swish": (BLACK, "X"),
    "celu": (WINE, "s"),
    "lrelu": (FOREST, "<"),
    "maxout": (BROWN, ">"),
    "relu6": (INDIGO, "o"),
    "rrelu": (OLIVE, "*"),
    "sigmoid": (TEAL, "p"),
    "softplus": (SEA, "v"),
    "tanh": (PURPLE, "*"),
    "apl": (VIOLET, "D"),
    "comb": (ROSE, "^"),
    "pau": (SLATE, "p"),
    "slaf": (MOSS, "<"),
}
"""Colour and marker of the paper's nineteen activations."""

CONTROLS: dict[str, str] = {
    "arelu-frozen": "arelu",
    "arelu-unit": "arelu",
    "leakyrelu-scaled": "lrelu",
    "relu-gain": "relu",
    "gelu-paper": "gelu",
    "maxout-paper": "maxout",
    "pau-paper": "pau",
    "slaf-paper": "slaf",
}
"""The activation that a control, or a form as the authors' code has it, belongs to."""

TARGET_ONLY = ", target only"
"""How the name of a baseline ends: an arm that was trained on the target only."""

FILLS = ("full", "none", "left", "right", "top", "bottom")
WIDTHS = (1.6, 2.6, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How an arm is drawn.

    Attributes:
        color: As Matplotlib takes it, one of `canvas.COLOURS` and `canvas.MORE_COLOURS`.
        marker: Matplotlib's name of the marker.
        linestyle: "-" for an activation, "--" for a control, ":" for training on the target only.
        fillstyle: How the marker is filled: tells one activation at several rates apart.
        linewidth: In points; tells more than six of them apart.
    """

    color: str
    marker: str
    linestyle: str = "-"
    fillstyle: str = "full"
    linewidth: float = WIDTHS[0]

    def as_plot(self) -> dict[str, Any]:
        """Keywords for Matplotlib's `plot`."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.linestyle,
            "fillstyle": self.fillstyle,
            "linewidth": self.linewidth,
        }


def looks(names: Sequence[str]) -> dict[str, Look]:
    """The look of each arm of one picture.

    Args:
        names: Names of arms: the activation's canonical name, then optionally a blank and its
            rates, then optionally ", target only".

    Examples:
        >>> found = looks(["arelu", "arelu-frozen", "arelu lr 0.01", "arelu, target only"])
        >>> {(look.color, look.marker) for look in found.values()}
        {('#D55E00', 'o')}
        >>> [(look.linestyle, look.fillstyle) for look in found.values()]
        [('-', 'full'), ('--', 'full'), ('-', 'none'), (':', 'full')]
    """
    found: dict[str, Look] = {}
    seen: dict[Look, int] = {}
    for name in dict.fromkeys(names):
        look = _alone(name)
        turn = seen.get(look, 0)
        seen[look] = turn + 1
        found[name] = replace(
            look,
            fillstyle=FILLS[turn % len(FILLS)],
            linewidth=WIDTHS[turn // len(FILLS) % len(WIDTHS)],
        )
    return found


def _alone(name: str) -> Look:
    """The look of an arm that has the picture for itself."""
    activation = _activation(name)
    base, elsa, _ = activation.partition("+")
    line = ":" if name.endswith(TARGET_ONLY) else "--" if base in CONTROLS else "-"
    base = CONTROLS.get(base, base)
    color, marker = ACTIVATIONS[base] if base in ACTIVATIONS else _by_name(base)
    if elsa:
        marker = _choice([m for c, m in FREE if c == color], f"{base}+elsa")
    return Look(color=color, marker=marker, linestyle=line)


def _activation(name: str) -> str:
    """The activation in the name of an arm, without its start values and rates.

    Examples:
        >>> _activation("pau(numerator=(0.1,1,),denominator=(1,)) lr 0.01, target only")
        'pau'
        >>> _activation("elu(alpha=0.5)+elsa(beta=1) inner lr 0.02, lr 0.005")
        'elu+elsa'
    """
    while (shorter := re.sub(r"\([^()]*\)", "", name)) != name:
        name = shorter
    return re.split(r"[\s,]", name, maxsplit=1)[0]


FREE = tuple(
    (color, marker)
    for color in (*COLOURS, *MORE_COLOURS)
    for marker in MARKERS
    if (color, marker) not in ACTIVATIONS.values()
)
"""Colours and markers of what is not in the table."""

OWN = tuple(pair for pair in FREE if pair[0] in MORE_COLOURS)
"""Those of users' own activations, which leave the best-known ones theirs."""


def _by_name(name: str) -> tuple[str, str]:
    return _choice(OWN, name)


def _choice(among: Sequence[Choice], name: str) -> Choice:
    """One of several, by a hash that is the same in every process."""
    digest = hashlib.sha256(name.encode()).digest()
    return among[int.from_bytes(digest[:8], "big") % len(among)]
