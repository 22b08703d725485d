"""Controls: which arm is the control of which, one literal table; nothing here needs torch.

A control answers whether AReLU's advantage is learned, or only a scale. The activations themselves
are in `functions/`: `frozen_arelu`, `unit_arelu`, `scaled_leaky_relu`.
"""

from __future__ import annotations

import re

KINDS = ("frozen", "gain")
"""What a control takes away: "frozen" is the same function with nothing learned, "gain" the same
function behind weights that pass on as much as AReLU does at its start."""

CONTROLS: dict[str, dict[str, str]] = {
    "arelu": {"frozen": "arelu-frozen"},
    "relu": {"gain": "relu-gain"},
}
"""The controls of an activation, by its canonical name and by kind."""

KEEPS_ARGUMENTS = ("frozen",)
"""Kinds of controls that take the start values of their arm."""


def controls_of(name: str) -> dict[str, str | None]:
    """The controls of an arm, by kind; None where it has none of a kind.

    Start values go over to a frozen twin: it stays where its arm starts.

    Args:
        name: Canonical name of the arm.

    Examples:
        >>> controls_of("arelu(alpha=0.25,beta=1)")
        {'frozen': 'arelu-frozen(alpha=0.25,beta=1)', 'gain': None}
        >>> controls_of("relu")
        {'frozen': None, 'gain': 'relu-gain'}
        >>> controls_of("relu+elsa")
        {'frozen': None, 'gain': None}
    """
    found = re.fullmatch(r"([\w-]+)(\([^()]*\))?", name)
    base, arguments = (found[1], found[2] or "") if found else ("", "")
    kept = {
        kind: control + (arguments if kind in KEEPS_ARGUMENTS else "")
        for kind, control in CONTROLS.get(base, {}).items()
    }
    return {kind: kept.get(kind) for kind in KINDS}


def is_control(name: str) -> bool:
    """Whether an arm is the control of another.

    Examples:
        >>> is_control("arelu-frozen(alpha=0.25,beta=1)"), is_control("arelu")
        (True, False)
    """
    controls = {control for by_kind in CONTROLS.values() for control in by_kind.values()}
    return name.partition("(")[0] in controls
