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


def built(
    make: Callable[[], Model],
    *,
    generator: torch.Generator | None,
    gain: float,
    spread: float = 1.0,
) -> Model:
    """Build a network with a linear layer `head` and draw its weights from `generator`.

    Args:
        make: Builds it. What PyTorch's layers draw on the way is thrown away; what a user's own
            activation draws for its start depends on the generator's seed. The global streams stay
            as they were.
        generator: Source of the weights; None draws one seed from the global stream.
        gain: Factor for every layer that feeds an activation.
        spread: Factor for the weights of these layers alone.
    """
    generator = generator_or_new(generator)
    with isolated_rng("start values", generator.initial_seed()):
        model = make()
    initialise(model, generator=generator, gain=gain, spread=spread)
    return model


def generator_or_new(generator: torch.Generator | None) -> torch.Generator:
    """The generator, or one whose seed is drawn from the global stream."""
    if generator is not None:
        return generator
    return torch.Generator().manual_seed(int(torch.randint(2**31, ()).item()))


FEED_NO_ACTIVATION = ("head", "gate", "up")
"""Layers whose output no activation takes, by the last part of their path."""

_DRAWN = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def initialise(
    model: nn.Module, *, generator: torch.Generator, gain: float, spread: float = 1.0
) -> None:
    """Draw all convolution and linear weights again, as PyTorch's default initialisation does.

    Weights and biases are uniform in ±1/sqrt(fan_in), which is what `kaiming_uniform_(a=sqrt 5)`
    amounts to. Every layer that feeds an activation is then multiplied by `gain`; where
    convolutions are normalised, it is the weight of the normalisation, which would undo theirs. A
    positively homogeneous activation such as ReLU passes the gain on, so its output has gain² times
    the second moment. (Past a residual sum that holds for the branch alone: what the identity
    carries is not multiplied.)

    What lies inside an activation is left as it is.

    Two models that differ only in their activation get the same weights from the same generator
    state, where shapes agree.

    Args:
        model: Changed in place. Layers are visited in `named_modules` order.
        generator: Source of all randomness, on the CPU.
        gain: Factor for every layer that feeds an activation (1 changes nothing).
        spread: Factor for the weights of these layers, where they are normalised, too; biases stay
            (`gains.spread_of`).
    """
    inside = inside_activations(model)
    kinds = (nn.BatchNorm2d, nn.GroupNorm)
    norms = {m for m in model.modules() if isinstance(m, kinds)} - inside
    with torch.no_grad():
        for name, module in model.named_modules():
            if module in norms:
                module.weight.fill_(gain)
            if not isinstance(module, _DRAWN) or module in inside:
                continue
            bound = 1 / math.sqrt(module.weight[0].numel())
            normalised = bool(norms) and isinstance(module, nn.Conv2d)
            fed = name.rpartition(".")[2] not in FEED_NO_ACTIVATION
            scale = gain if fed and not normalised else 1.0
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    drawn = torch.rand(parameter.shape, generator=generator)
                    parameter.copy_((2 * drawn - 1) * bound * scale)
            if fed:
                module.weight.mul_(spread)
