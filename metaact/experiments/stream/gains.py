"""The gain of initial weights in streams: as published, or as in all experiments."""

from __future__ import annotations

import math

from metaact import activations, models

GAINS = {"tanh": 5 / 3, "sigmoid": 1.0, "lrelu": math.sqrt(2 / (1 + 0.01**2))}
"""Kaiming gains as PyTorch has them; all others start with ReLU's, as in the published code."""


def gain_of(entry: activations.Entry, init: str) -> float:
    """The gain of the weights of hidden layers at the start.

    Args:
        entry: The activation.
        init: One of `metaact.models.INITS`, or "published".
    """
    if init != "published":
        return models.gain_of(entry, init)
    return published(entry) * entry.init_gain


def published(entry: activations.Entry) -> float:
    """The gain that the published code has, without that of a control."""
    return GAINS.get(entry.name, math.sqrt(2))
