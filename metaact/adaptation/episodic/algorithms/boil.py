"""BOIL: body only update in the inner loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from metaact.adaptation.episodic.problem import adapted_names
from metaact.errors import UsageError

from .rule import Descent


@dataclass(frozen=True, slots=True, kw_only=True)
class Boil(Descent):
    """MAML whose inner steps change all but the head; everything is learned over tasks.

    The head is the child module `head` if there is one, else the last `nn.Linear`. Features must
    then move to where a fixed head tells the classes apart.

    References:
        Oh, Yoo, Kim and Yun, BOIL: Towards Representation Change for Few-shot Learning, 2021,
        https://arxiv.org/abs/2008.08882, section 3.
    """

    stacks: ClassVar[bool] = True

    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """All that are trained but those of the head."""
        head = adapted_names(model, True)
        body = tuple(name for name in adapted_names(model, False) if name not in head)
        if not body:
            raise UsageError(
                "`model` must have trainable parameters outside its head for BOIL; "
                f"{type(model).__name__} has none."
            )
        return body
