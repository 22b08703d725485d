"""MAML++: a rate per layer and step, and a loss after every step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from torch import nn

from metaact.adaptation.episodic.inner import Parameters, last
from metaact.adaptation.episodic.problem import Batch, Outcome, Tasks
from metaact.errors import check_int

from .metasgd import rate_of
from .rule import Descent, judged

WEIGHTS = "weights of the losses"


@dataclass(frozen=True, slots=True, kw_only=True)
class MamlPlusPlus(Descent):
    r"""In layer l, θᵢ ← θᵢ − α_{l,k} · ∇L_support(θᵢ) at step k; θ and all α are learned together.

    The loss of a task is Σₖ wₖ · L_query(θᵢ after step k). The weights begin at 1/K each. Over
    `multi_step` iterations those of all but the last step go to 0 on a straight line, that of the
    last to 1; from then on it is MAML's loss. All α start at `inner_lr`; steps beyond those of
    training take the rates of the last.

    Attributes:
        multi_step: Iterations over which the loss after every step fades to that after the last.

    References:
        Antoniou, Edwards and Storkey, How to Train Your MAML, 2019,
        https://arxiv.org/abs/1810.09502, section 4 (multi-step loss optimization; learning
        per-layer per-step learning rates).

    Deviation:
        Of the paper's six changes these two. Statistics of BatchNorm per step, the annealing of
        the order of derivatives and of the meta learning rate are left out. The weights go to
        zero, where the authors' code stops at 0.03/K before it drops them.
    """

    multi_step: int = 0

    is_exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Descent.__post_init__(self)
        check_int("multi_step", self.multi_step, minimum=0)

    def init(self, model: nn.Module, *, inner_steps: int) -> Parameters:
        """α: for every layer with parameters that adapt, a rate a step, [steps]."""
        own = dict(model.named_parameters())
        return {
            rate_of(_layer(name)): torch.full(
                (inner_steps,), self.inner_lr, dtype=own[name].dtype, device=own[name].device
            )
            for name in self.adapted(model)
        }

    def inputs(self, iteration: int, *, inner_steps: int) -> Parameters:
        """The weight of the loss after each step, [steps]; nothing where the last alone counts."""
        if iteration >= self.multi_step or inner_steps < 2:
            return {}
        early = (1 - iteration / self.multi_step) / inner_steps
        weights = torch.full((inner_steps,), early)
        weights[-1] = 1 - early * (inner_steps - 1)
        return {WEIGHTS: weights}

    def step(
        self, values: Parameters, gradients: Parameters, meta: Parameters, number: int
    ) -> Parameters:
        """θ − α_{l,k} · g."""
        found = {}
        for name, value in values.items():
            rates = meta[rate_of(_layer(name))]
            found[name] = value - rates[min(number, len(rates) - 1)] * gradients[name]
        return found

    def learn(self, tasks: Tasks, batch: Batch, *, inner_steps: int) -> Outcome:
        """The weighted losses after all steps; accuracies after the last."""
        weights = tasks.problem.inputs.get(WEIGHTS)
        steps = self.steps(tasks, batch.support, batch.support_labels, inner_steps=inner_steps)
        if weights is None:
            return judged(tasks, last(steps), batch)
        outcomes = [judged(tasks, values, batch) for values in islice(steps, 1, None)]
        weighted = [
            weight.to(outcome.losses) * outcome.losses
            for weight, outcome in zip(weights.unbind(), outcomes, strict=True)
        ]
        return Outcome(torch.stack(weighted).sum(dim=0), outcomes[-1].accuracies)


def _layer(name: str) -> str:
    """The module that a parameter belongs to."""
    return name.rpartition(".")[0]
