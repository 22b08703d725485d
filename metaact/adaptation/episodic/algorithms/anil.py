"""ANIL: almost no inner loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from metaact.adaptation.episodic.problem import adapted_names

from .rule import Descent
from .table import THREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Anil(Descent):
    """MAML whose inner steps change the head alone; everything is learned over tasks.

    Attributes:
        head_only: True for the child module `head`, or else the last `nn.Linear`; or names of
            parameters or modules, which then adapt in its place.

    References:
        Raghu, Raghu, Bengio and Vinyals, Rapid Learning or Feature Reuse? Towards Understanding the
        Effectiveness of MAML, 2020, https://arxiv.org/abs/1909.09157, section 4.
    """

    head_only: bool | tuple[str, ...] = True

    engines: ClassVar[tuple[str, ...]] = THREE
    stacks: ClassVar[bool] = True

    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """Those of the head."""
        named: bool | Sequence[str] = self.head_only
        return adapted_names(model, named)
