"""Meta-SGD: a learned step size, and sign, for every parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from metaact.adaptation.episodic.inner import Parameters

from .rule import Descent


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaSGD(Descent):
    r"""θᵢ ← θᵢ − α ∘ ∇L_support(θᵢ), where θ and α, of the shape of θ, are learned together.

    All entries of α start at `inner_lr`.

    References:
        Li, Zhou, Chen and Li, Meta-SGD: Learning to Learn Quickly for Few-Shot Learning, 2017,
        https://arxiv.org/abs/1707.09835, algorithm 1.

    Deviation:
        α starts at one number, where the paper draws it from [0.005, 0.1]: so that it can be tuned
        as MAML's rate.
    """

    stacks: ClassVar[bool] = True

    def init(self, model: nn.Module, *, inner_steps: int) -> Parameters:
        """α: a rate for every entry of every parameter that adapts."""
        own = dict(model.named_parameters())
        return {
            rate_of(name): torch.full_like(own[name], self.inner_lr, requires_grad=False)
            for name in self.adapted(model)
        }

    def step(
        self, values: Parameters, gradients: Parameters, meta: Parameters, number: int
    ) -> Parameters:
        """θ − α ∘ g."""
        return {n: v - meta[rate_of(n)] * gradients[n] for n, v in values.items()}


def rate_of(name: str) -> str:
    """What the rate of a parameter, or of a layer, is called."""
    return f"rate of {name}"
