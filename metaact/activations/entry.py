"""One row of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from torch import nn

from metaact.activations.plotted import curve
from metaact.display import brief, html_facts
from metaact.errors import UsageError

MARK = "metaact_activation"
"""Attribute of a module that was made as an activation and is of a type that nobody knows."""


def marked(factory: Callable[[], nn.Module]) -> nn.Module:
    """What a user's factory makes, marked as an activation; copies keep the mark."""
    module = factory()
    vars(module)[MARK] = True
    return module


def is_marked(module: nn.Module) -> bool:
    """Whether a module was made by `marked`."""
    return MARK in vars(module)


Kind = Literal["fixed", "learnable", "control", "user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the registry knows about one activation.

    Attributes:
        name: The canonical spec: `create(name)` builds it.
        title: The spelling of the paper's tables.
        factory: Makes a fresh instance; every place in a network calls it once.
        learnable: Learnable scalars per layer.
        kind: "fixed", "learnable", "control" (an arm that isolates a cause) or "user".
        citation: Authors and year.
        formula: The function in one line.
        start: Start values, or the constants of a fixed one; "" if there are none.
        aliases: Other accepted spellings; case and "_" against "-" never matter.
        paper_form: The entry that `protocol="paper"` takes instead, where the paper's own code
            computes something else than the name says.
        init_gain: What the weights and the bias of each layer that feeds the activation are
            multiplied by at initialisation.
        width_factor: How many output channels it has for each input channel: 1/2 for a maximum over
            pairs, 2 for one that keeps both signs of its input. A network asks for it when it is
            built, see `before` and `after`.
        options: Keyword arguments of `factory` that a spec may set, as in `arelu(alpha=0.25)`.
    """

    name: str
    title: str
    factory: Callable[..., nn.Module]
    learnable: int
    kind: Kind
    citation: str
    formula: str
    start: str = ""
    aliases: tuple[str, ...] = ()
    paper_form: str | None = None
    init_gain: float = 1.0
    width_factor: Fraction = Fraction(1)
    options: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, self.name)

    def _repr_html_(self) -> str:
        facts = {
            "formula": self.formula,
            "start": self.start,
            "learnable": f"{self.learnable} a layer" if self.learnable else "nothing",
            "source": self.citation,
        }
        return html_facts(self.title, facts, curve(self.factory()))

    def before(self, width: int) -> int:
        """How many channels the layer before it must give, so that it gives `width`.

        Raises:
            UsageError: If no number of them does.

        Examples:
            >>> from metaact.activations import resolve
            >>> resolve("relu").before(64), resolve("maxout").before(64)
            (64, 128)
        """
        needed = width / self.width_factor
        if needed.denominator != 1:
            raise UsageError(
                f"`activation` must give the {width} channels of a layer of this network "
                f"({self.name!r} gives multiples of {self.width_factor.numerator}); got "
                f"{self.name!r}."
            )
        return int(needed)

    def after(self, channels: int) -> int:
        """How many channels it makes of so many; they must be a multiple of those it joins."""
        made = channels * self.width_factor
        assert made.denominator == 1
        return int(made)
