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
    return joined(
        [_one_task(problem, batch[t : t + 1], inner_steps=inner_steps) for t in range(len(batch))]
    )


def _one_task(problem: Problem, task: Batch, *, inner_steps: int) -> Outcome:
    adapted = adapted_to(problem, task.support[0], task.support_labels[0], inner_steps=inner_steps)
    buffers = fresh_buffers(problem.model)
    logits = Stateless(problem.model)({**buffers, **adapted}, task.query[0])
    check_unchanged(buffers)
    return score(logits.unsqueeze(0), task.query_labels, classes=problem.classes)


def adapted_to(problem: Problem, images: Tensor, labels: Tensor, *, inner_steps: int) -> Parameters:
    """The parameters of a model, those that adapt after their steps on one task's support images.

    Args:
        problem: The model and how it adapts.
        images: float [images, ...].
        labels: int64 [images].
        inner_steps: Number of steps.

    Returns:
        All parameters by name; differentiable in the model's own where gradients are on.

    Raises:
        UsageError: If the model has state that changes.
    """
    call, buffers = Stateless(problem.model), fresh_buffers(problem.model)
    everything: Parameters = dict(problem.model.named_parameters())

    def loss(parameters: Parameters) -> Tensor:
        logits = call({**everything, **buffers, **parameters}, images)
        given = labels.unsqueeze(0)
        return score(logits.unsqueeze(0), given, classes=problem.classes).losses.sum()

    adapted = adapt(
        {name: everything[name] for name in problem.adapted},
        loss,
        inner_lr=problem.inner_lr,
        inner_steps=inner_steps,
        first_order=problem.first_order,
    )
    check_unchanged(buffers)
    return {**everything, **adapted}
