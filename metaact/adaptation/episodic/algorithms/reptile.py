"""Reptile: move the start values towards what tasks adapt to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from metaact.adaptation.episodic.inner import last, per_task
from metaact.adaptation.episodic.problem import Batch, Outcome, Tasks

from .rule import Descent, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Reptile(Descent):
    r"""θ ← θ + outer_step · (mean over tasks of θᵢ − θ), θᵢ after inner steps of SGD.

    `learn` hands out θ − θᵢ as the gradient, so the outer optimizer is SGD at `outer_step`. In
    training a task's images, support and query together, are divided into as many parts as there
    are steps, and every step takes one: the minibatches whose differences Reptile learns from.
    The loss and accuracies of training are those of query images that were trained on.

    References:
        Nichol, Achiam and Schulman, On First-Order Meta-Learning Algorithms, 2018,
        https://arxiv.org/abs/1803.02999, algorithm 2 (in batches) and section 4.

    Deviation:
        Inner steps are those of SGD, as everywhere here, where the paper's experiments take Adam
        without momentum; the outer step size is constant, where theirs goes to 0.
    """

    first_order: bool = True

    scores_unseen: ClassVar[bool] = False
    is_exact: ClassVar[bool] = False

    def learn(self, tasks: Tasks, batch: Batch, *, inner_steps: int) -> Outcome:
        """The loss of the queries, whose gradient is θ − θᵢ."""
        images = torch.cat([batch.support, batch.query], dim=1)
        labels = torch.cat([batch.support_labels, batch.query_labels], dim=1)
        parts = max(1, min(inner_steps, images.shape[1]))
        values = last(self.steps(tasks, images, labels, inner_steps=inner_steps, parts=parts))
        with torch.no_grad():
            outcome = judged(tasks, values, batch)
        if not torch.is_grad_enabled():
            return outcome
        # A sum whose gradient in θ is θ − θᵢ, of which the value is taken off again.
        products = [
            per_task(start * (start - values[name]).detach(), dims=tasks.dims)
            for name, start in tasks.start.items()
        ]
        apart = torch.stack(products).sum(dim=0)
        return Outcome(outcome.losses + (apart - apart.detach()), outcome.accuracies)
