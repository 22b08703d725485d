"""How an arm looks in every picture: colour and marker of its activation, line style of its kind.

An activation keeps its colour and marker whatever other arms are in the picture, and no other
activation of the registry has that colour. A control has those of the activation it belongs to and
a dashed line, training on the target only a dotted one. What is not in the table, as a user's own
activation, has a colour of its own, and another one only beside an arm that would share it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from .canvas import ALL_COLOURS, COLOURS, MODERN_COLOURS, MORE_COLOURS, OWN_COLOURS

Choice = TypeVar("Choice")

BLUE, VERMILION, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
INDIGO, TEAL, FOREST, OLIVE, ROSE, WINE, PURPLE, BROWN, SLATE, VIOLET, SEA, MOSS = MORE_COLOURS
AZURE, CRIMSON, KHAKI, LAVENDER, RUST, LEAF, COBALT, AUBERGINE, FERN = MODERN_COLOURS

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
    "crelu": (COBALT, "D"),
    "swish-beta": (KHAKI, "X"),
    "squared-relu": (AZURE, ">"),
    "telu": (LEAF, "s"),
    "fourier": (LAVENDER, "*"),
    "xielu": (RUST, "P"),
    "golu": (CRIMSON, "^"),
    "smooth-leaky": (AUBERGINE, "<"),
    "random-smooth-leaky": (FERN, "o"),
}
"""Colour and marker of the paper's nineteen activations and of those of today."""

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
        color: As Matplotlib takes it, one of `canvas.ALL_COLOURS`.
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

    def as_point(self) -> dict[str, Any]:
        """The same for a point by itself; one that no line tells to be a control's is hollow."""
        hollow = self.linestyle != "-" and self.fillstyle == "full"
        fill = "none" if hollow else self.fillstyle
        return {**self.as_plot(), "linestyle": "none", "fillstyle": fill}


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
    pairs = _pairs({_base(name) for name in names})
    for name in dict.fromkeys(names):
        look = _drawn(name, *pairs[_base(name)])
        turn = seen.get(look, 0)
        seen[look] = turn + 1
        found[name] = replace(
            look,
            fillstyle=FILLS[turn % len(FILLS)],
            linewidth=WIDTHS[turn // len(FILLS) % len(WIDTHS)],
        )
    return found


def _base(name: str) -> str:
    """The activation whose colour an arm has."""
    base = _activation(name).partition("+")[0]
    return CONTROLS.get(base, base)


def _pairs(bases: Collection[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each activation of one picture, no colour twice while there are enough.

    Those of the table have theirs. Each other has that of its name, or, where another has it, the
    next one that is free: whatever the order of the arms.
    """
    found = {base: ACTIVATIONS[base] for base in bases if base in ACTIVATIONS}
    taken = {color for color, _ in found.values()}
    for base in sorted(set(bases) - set(found)):
        color, marker = _choice(OWN, base)
        start = OWN_COLOURS.index(color)
        turned = (*OWN_COLOURS[start:], *OWN_COLOURS[:start], *reversed(ALL_COLOURS))
        color = next((one for one in turned if one not in taken), color)
        taken.add(color)
        found[base] = color, marker
    return found


def _drawn(name: str, color: str, marker: str) -> Look:
    """The look of an arm whose activation has this colour and marker."""
    base, elsa, _ = _activation(name).partition("+")
    line = ":" if name.endswith(TARGET_ONLY) else "--" if base in CONTROLS else "-"
    if elsa:
        free = [m for m in MARKERS if (color, m) not in ACTIVATIONS.values() and m != marker]
        marker = _choice(free, f"{CONTROLS.get(base, base)}+elsa")
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


OWN = tuple((color, marker) for color in OWN_COLOURS for marker in MARKERS)
"""Colours and markers of what is not in the table."""


def _choice(among: Sequence[Choice], name: str) -> Choice:
    """One of several, by a hash that is the same in every process."""
    digest = hashlib.sha256(name.encode()).digest()
    return among[int.from_bytes(digest[:8], "big") % len(among)]
