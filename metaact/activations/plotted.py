"""An activation as a small picture of its function, for notebooks."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from metaact.display import escaped, html_facts

RANGE = 3.0
POINTS = 121
SIZE = 120
"""Width and height in pixels."""


class Plotted:
    """What shows itself in a notebook as a curve, with its formula."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        assert isinstance(self, nn.Module)
        line = " ".join((type(self).__doc__ or "").split("\n\n")[0].split())
        return html_facts(repr(self), {"": line}, curve(self))


def curve(activation: nn.Module) -> str:
    """The function on [-3, 3] as SVG, a random one in its evaluation mode; "" if it mixes elements.

    Args:
        activation: It is left as it is.
    """
    own = next(iter(activation.parameters()), torch.zeros(()))
    x = torch.linspace(-RANGE, RANGE, POINTS, dtype=own.dtype, device=own.device)
    try:
        with torch.no_grad():
            y = copy.deepcopy(activation).eval()(x)
    except (RuntimeError, IndexError, ValueError):
        return ""
    return _svg(x, y) if y.shape == x.shape and bool(y.isfinite().all()) else ""


def _svg(x: Tensor, y: Tensor) -> str:
    """Lines in the colour of the text, so that it shows on light and on dark."""
    low, high = min(float(y.min()), -1.0), max(float(y.max()), 1.0)

    def place(a: float, b: float) -> str:
        across = SIZE * (a + RANGE) / (2 * RANGE)
        return f"{across:.1f},{SIZE * (high - b) / (high - low):.1f}"

    points = " ".join(map(place, x.tolist(), y.tolist()))
    axes = [(-RANGE, 0.0, RANGE, 0.0), (0.0, low, 0.0, high)]
    cross = "".join(
        f'<polyline points="{place(a, b)} {place(c, d)}" stroke-opacity="0.3"/>'
        for a, b, c, d in axes
    )
    label = f"x from {-RANGE:g} to {RANGE:g}, y from {low:.3g} to {high:.3g}"
    return (
        f'<svg width="{SIZE}" height="{SIZE}" viewBox="-2 -2 {SIZE + 4} {SIZE + 4}" role="img" '
        f'fill="none" stroke="currentColor" stroke-width="1.5"><title>{escaped(label)}</title>'
        f'{cross}<polyline points="{points}"/></svg>'
    )
