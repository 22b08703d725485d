"""The gain of initial weights, a named choice. Imports torch when one is measured."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from metaact.errors import check_choice

if TYPE_CHECKING:
    from metaact import activations

INITS: dict[str, str] = {
    "default": "PyTorch's default (gain 1/√3)",
    "relu": "ReLU's gain by Kaiming's rule (√2)",
    "measured": "each arm's own measured gain by Kaiming's rule",
}
"""Which gain layers that feed an activation start with, and what that is."""

DEFAULT = 1 / math.sqrt(3)
"""PyTorch draws weights from ±1/sqrt(n), which is Kaiming's rule with this gain."""

RELU = math.sqrt(2)


def gain_of(entry: activations.Entry, init: str) -> float:
    """The gain g of a layer that feeds an activation: its n weights a unit are in ±g·sqrt(3/n).

    The variance of a weight is g²/n. With the measured one, 1/sqrt(E f(z)²) for standard normal z,
    as much is passed on as comes in (Kaiming's rule, forwards); a control whose gain is matched to
    another arm's needs no more of it there.

    Args:
        entry: The activation.
        init: One of `INITS`.

    Examples:
        >>> from metaact.activations import resolve
        >>> [round(gain_of(resolve("relu"), init), 4) for init in INITS]
        [0.5774, 1.4142, 1.4142]
        >>> round(gain_of(resolve("arelu"), "measured"), 4)
        0.6783

    References:
        He, Zhang, Ren and Sun, Delving Deep into Rectifiers, 2015,
        https://arxiv.org/abs/1502.01852, equation 10.
    """
    return DEFAULT * spread_of(entry, init) * factor_of(entry, init)


def spread_of(entry: activations.Entry, init: str | float) -> float:
    """By how much the weights before an activation are larger than by PyTorch's default.

    Args:
        entry: The activation.
        init: One of `INITS`, or the gain itself.
    """
    if not isinstance(init, str):
        return init / DEFAULT
    check_choice("init", init, INITS)
    if init == "default":
        return 1.0
    return (1 / _measured(entry) if init == "measured" else RELU) / DEFAULT


def factor_of(entry: activations.Entry, init: str | float) -> float:
    """The control's own gain, which is not needed where all are matched."""
    return 1.0 if init == "measured" else entry.init_gain


@cache
def _measured(entry: activations.Entry) -> float:
    from metaact.activations import passed_on
    from metaact.randomness import preserved_rng

    with preserved_rng():  # what a user's own draws for its start
        return passed_on(entry.factory())
