"""One task after the other, as in the paper: the engine to read, and the others' reference."""

from __future__ import annotations

from torch import Tensor

from metaact.adaptation.stateless import Stateless

from .inner import Parameters, adapt
from .problem import Batch, Outcome, Problem
from .scoring import joined, score
from .stateful import check_unchanged, fresh_buffers


def loop(problem: Problem, batch: Batch, *, inner_steps: int) -> Outcome:
    """Adapt to one task at a time. See `Engine`.

    Raises:
        UsageError: If the model has state that changes.
    """
    call, buffers = Stateless(problem.model), fresh_buffers(problem.model)
    everything: Parameters = dict(problem.model.named_parameters())
    start = {name: everything[name] for name in problem.adapted}

    def logits_of(parameters: Parameters, images: Tensor) -> Tensor:
        return call({**everything, **buffers, **parameters}, images)

    outcomes = []
    for task in (batch[t : t + 1] for t in range(len(batch))):

        def loss(parameters: Parameters, task: Batch = task) -> Tensor:
            logits = logits_of(parameters, task.support[0])
            given = task.support_labels
            return score(logits.unsqueeze(0), given, classes=problem.classes).losses.sum()

        adapted = adapt(
            start,
            loss,
            inner_lr=problem.inner_lr,
            inner_steps=inner_steps,
            first_order=problem.first_order,
        )
        logits = logits_of(adapted, task.query[0])
        given = task.query_labels
        outcomes.append(score(logits.unsqueeze(0), given, classes=problem.classes))
        check_unchanged(buffers)
    return joined(outcomes)
