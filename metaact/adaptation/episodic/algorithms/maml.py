"""MAML: start values from which a few gradient steps solve a new task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .rule import Descent
from .table import THREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Maml(Descent):
    r"""θ is learned; on task i, θᵢ ← θᵢ − inner_lr · ∇L_support(θᵢ), and L_query(θᵢ) is minimised.

    With `first_order` the inner gradients are constants of the meta-gradient (FOMAML).

    References:
        Finn, Abbeel and Levine, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks,
        2017, https://arxiv.org/abs/1703.03400, algorithm 2 (first order: section 5.2).
    """

    engines: ClassVar[tuple[str, ...]] = THREE
    stacks: ClassVar[bool] = True
