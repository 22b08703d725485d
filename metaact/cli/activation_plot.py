"""A picture of each activation and its derivative, at its start values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from metaact import activations, analysis
from metaact.errors import UsageError

RANGE = 8.0
"""Inputs on either side: past 6, where ReLU6 stops."""

POINTS = 401


def plot_activations(names: Sequence[str], target: Path) -> list[Path]:
    """Draw activations.

    Args:
        names: Names as `metaact.activations.resolve` takes them; "paper", "modern" or "all" for
            several, of which those that give two channels for one are left out.
        target: Where to write, without suffix.

    Returns:
        The files written, PNG and SVG.

    Raises:
        UsageError: If a name is unknown or an activation mixes channels.
        RunError: If the picture cannot be written.
    """
    found = [activations.resolve(name, "paper") for name in activations.expanded(names)]
    entries = [entry for entry in found if entry.width_factor <= 1 or entry.name in names]
    figure = analysis.activation_curves(
        {entry.name: _curve(entry.name, entry.factory()) for entry in entries},
        title="Activations and their derivatives at the start values",
    )
    return analysis.save_figure(figure, target)


def _curve(name: str, activation: nn.Module) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, values and derivatives [points]; random activations in their evaluation mode."""
    x = torch.linspace(-RANGE, RANGE, POINTS, requires_grad=True)
    try:
        y = activation.eval()(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
    except (RuntimeError, IndexError, UsageError) as error:
        raise UsageError(
            f"`activation` must act on each element by itself to be drawn; {name!r} does not "
            f"({error})."
        ) from error
    return x.detach().numpy(), y.detach().numpy(), slope.numpy()
