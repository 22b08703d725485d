"""α and β of a network's attention layers, read off for the record."""

from __future__ import annotations

import torch
from torch import nn

from .functions.arelu import AReLU
from .functions.elsa import ELSA
from .functions.unit_arelu import UnitAReLU
from .slopes import is_stuck


def attention_values(model: nn.Module) -> dict[str, dict[str, float]]:
    """α and β of every layer that learns them.

    Args:
        model: Any network.

    Returns:
        Per layer, by its path in the model, {"alpha": α before clamping, "beta": β}; empty for a
        network without AReLU or ELSA, and without the frozen controls.

    Examples:
        >>> attention_values(nn.Sequential(nn.Linear(2, 2), AReLU()))["1"]["beta"]
        2.0
    """
    found = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, AReLU | ELSA | UnitAReLU)
    }
    both = [value.detach().reshape(()) for one in found.values() for value in (one.alpha, one.beta)]
    numbers = iter(torch.stack(both).tolist() if both else [])  # a GPU is waited for once
    return {path: {"alpha": next(numbers), "beta": next(numbers)} for path in found}


def stuck_count(model: nn.Module) -> int:
    """How many of these layers have an α outside [0.01, 0.99], where its gradient is zero."""
    return sum(bool(is_stuck(v["alpha"])) for v in attention_values(model).values())
