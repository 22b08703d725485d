"""The shape of an activation in six numbers, for any that acts on each element by itself."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaact.errors import UsageError
from metaact.randomness import preserved_rng

from .entry import Entry

REACH = 8.0
"""Integrals over a standard normal input go from minus to plus this."""

FLAT = 1e-3
"""A derivative smaller than this is none."""

NEAR = 4.0
"""Derivatives are looked at between minus and plus this, where inputs of a network lie."""

FAR = 30.0
"""Where the function is asked whether it still has a slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What can be said of an activation before anything is trained.

    x is standard normal, f' the derivative; where two channels are made of one, f² is the mean of
    both squares and f' the root of the sum of both squared derivatives.

    Attributes:
        gain: √E[f(x)²]: by how much it changes the size of its input.
        negative_slope: E[f'(x) | x < 0]: how much of a gradient comes through on the left, 0.01 for
            a leaky ReLU.
        dead_band: Length within [-4, 4] on which |f'| < 0.001.
        floor: Least |f'| within [-4, 4].
        kink: f'(0+) − f'(0−); 0 where the derivative is continuous.
        saturates: On which side |f'| < 0.001 far out: "left", "right", "both" or "no".

    References:
        Lillo and Cheney, Activation Function Design Sustains Plasticity in Continual Learning,
        2025, https://arxiv.org/abs/2509.22562, on which of these matter.
    """

    gain: float
    negative_slope: float
    dead_band: float
    floor: float
    kink: float
    saturates: str


def shape_of(activation: nn.Module) -> Shape:
    """Measure an activation at the parameters that it has, in evaluation mode and float64.

    Args:
        activation: A module that acts on each element by itself; it is not changed.

    Raises:
        UsageError: If it mixes elements.

    Examples:
        >>> found = shape_of(nn.LeakyReLU(0.5))
        >>> round(found.negative_slope, 3), round(found.kink, 3), found.dead_band, found.saturates
        (0.5, 0.5, 0.0, 'no')
    """
    copied = copy.deepcopy(activation).double().eval()
    step = 2 * REACH / 16_000
    x = torch.arange(-REACH + step / 2, REACH, step, dtype=torch.float64)  # 0 is between two
    y, slope = values(copied, x)
    density = torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5 * step
    left = x < 0
    near = slope[x.abs() <= NEAR]
    edge = torch.tensor([-1e-9, 1e-9, -FAR, FAR], dtype=torch.float64)
    _, ends = values(copied, edge)
    flat = [name for name, end in zip(("left", "right"), ends[2:], strict=True) if abs(end) < FLAT]
    return Shape(
        gain=float((density * y.square()).sum().sqrt()),
        negative_slope=float((density * slope)[left].sum() / density[left].sum()),
        dead_band=round(float((near.abs() < FLAT).sum() * step), 6),
        floor=float(near.abs().min()),
        kink=round(float(ends[1] - ends[0]), 6),
        saturates={0: "no", 1: flat[0] if flat else "no", 2: "both"}[len(flat)],
    )


def shape_record(entry: Entry) -> dict[str, float]:
    """The shape of an arm as a run records it, by name; {} of one that has none.

    The gain is that with which it starts, its control's own factor with it; how much it saturates
    is on how many sides.

    Examples:
        >>> from metaact.activations import resolve
        >>> shape = shape_record(resolve("relu"))
        >>> list(shape), shape["dead_band"], shape["sides"]
        (['negative_slope', 'gain', 'floor', 'dead_band', 'kink', 'sides'], 4.0, 1)
    """
    try:
        with preserved_rng():  # what a user's own draws for its start
            found = shape_of(entry.factory())
    except UsageError:
        return {}
    return {
        "negative_slope": found.negative_slope,
        "gain": found.gain * entry.init_gain,
        "floor": found.floor,
        "dead_band": found.dead_band,
        "kink": abs(found.kink),
        "sides": {"no": 0, "both": 2}.get(found.saturates, 1),
    }


SAMPLE = 4096, 64
"""Examples and channels on which an activation is measured that mixes its channels."""


def passed_on(activation: nn.Module) -> float:
    """√E[f(z)²] of standard normal z, as `Shape.gain`, of any activation.

    What mixes channels, as Maxout, is measured on a fixed sample: to about 0.3 %.

    Examples:
        >>> round(passed_on(nn.ReLU()) ** 2, 6)
        0.5
    """
    try:
        return shape_of(activation).gain
    except UsageError:
        draw = torch.Generator().manual_seed(0)
        z = torch.randn(SAMPLE, generator=draw, dtype=torch.float64)
        with torch.no_grad(), preserved_rng():
            made: Tensor = copy.deepcopy(activation).double().eval()(z)
        return float(made.square().mean().sqrt())


def values(activation: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Values and derivatives [points] of an activation at points [points].

    Raises:
        UsageError: If an element of the result depends on another of the input.
    """
    given = x.detach().reshape(-1, 1).requires_grad_()
    name = type(activation).__name__
    why = f"`activation` must act on each element by itself to have a shape; {name} does not"
    try:
        with preserved_rng():
            made, few = activation(given), activation(given[::7])
        if made.ndim != 2 or not torch.allclose(made[::7], few):
            raise UsageError(f"{why}.")
        channels = list(made.unbind(dim=1))
        slopes = [
            torch.autograd.grad(channel.sum(), given, retain_graph=True)[0].squeeze(1)
            for channel in channels
        ]
    except (RuntimeError, IndexError) as error:
        raise UsageError(f"{why} ({error}).") from error
    if len(channels) == 1:
        return channels[0].detach(), slopes[0]
    squares = torch.stack([channel.detach().square() for channel in channels])
    return squares.mean(dim=0).sqrt(), torch.stack(slopes).square().sum(dim=0).sqrt()
