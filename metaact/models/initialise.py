"""Weights drawn from a generator of the caller's, never from the global stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from metaact.activations import inside_activations
from metaact.randomness import isolated_rng

Model = TypeVar("Model", bound=nn.Module)


def built(make: Callable[[], Model], *, generator: torch.Generator | None, gain: float) -> Model:
    """Build a network with a linear layer `head` and draw its weights from `generator`.

    Args:
        make: Builds it. What PyTorch's layers draw on the way is thrown away; what a user's own
            activation draws for its start depends on the generator's seed. The global streams stay
            as they were.
        generator: Source of the weights; None draws one seed from the global stream.
        gain: Factor for every layer that feeds an activation.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ()).item()))
    with isolated_rng("start values", generator.initial_seed()):
        model = make()
    initialise(model, generator=generator, gain=gain, head="head")
    return model


def initialise(model: nn.Module, *, generator: torch.Generator, gain: float, head: str) -> None:
    """Draw all convolution and linear weights again, as PyTorch's default initialisation does.

    Weights and biases are uniform in ±1/sqrt(fan_in), which is what `kaiming_uniform_(a=sqrt 5)`
    amounts to. Every layer but the head is then multiplied by `gain`: a positively homogeneous
    activation such as ReLU passes the gain on, so its output has gain² times the second moment.

    What lies inside an activation is left as it is.

    Two models that differ only in their activation get the same weights from the same generator
    state, where shapes agree.

    Args:
        model: Changed in place. Layers are visited in `named_modules` order.
        generator: Source of all randomness, on the CPU.
        gain: Factor for every layer that feeds an activation (1 changes nothing).
        head: Name of the layer that feeds no activation.
    """
    inside = inside_activations(model)
    with torch.no_grad():
        for name, module in model.named_modules():
            if not isinstance(module, nn.Conv2d | nn.Linear) or module in inside:
                continue
            bound = 1 / math.sqrt(module.weight[0].numel())
            scale = 1.0 if name == head else gain
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    drawn = torch.rand(parameter.shape, generator=generator)
                    parameter.copy_((2 * drawn - 1) * bound * scale)
