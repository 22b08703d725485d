"""One task after the other, as in the paper: the engine to read, and the others' reference."""

from __future__ import annotations

from torch import Tensor

from metaact.adaptation.stateless import Stateless

from .algorithms.rule import judged
from .inner import Parameters
from .problem import Batch, Outcome, Problem
from .scoring import joined
from .stateful import check_unchanged, fresh_buffers


def loop(problem: Problem, batch: Batch, *, inner_steps: int, learns: bool = False) -> Outcome:
    """Adapt to one task at a time. See `Engine`.

    Raises:
        UsageError: If the model has state that changes.
    """
    return joined(
        [
            _one_task(problem, batch[t : t + 1], inner_steps=inner_steps, learns=learns)
            for t in range(len(batch))
        ]
    )


def _one_task(problem: Problem, task: Batch, *, inner_steps: int, learns: bool) -> Outcome:
    alone = OneTask(problem)
    if learns:
        return problem.rule.learn(alone, task, inner_steps=inner_steps)
    adapted = problem.rule.adapt(alone, task.support, task.support_labels, inner_steps=inner_steps)
    return judged(alone, adapted, task)


class OneTask:
    """The network of one task; see `Tasks`."""

    dims = 0

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._call = Stateless(problem.model)
        everything: Parameters = dict(problem.model.named_parameters())
        self.start = {name: everything[name] for name in problem.adapted}
        self.shared = {name: p for name, p in everything.items() if name not in self.start}

    def logits(self, own: Parameters, shared: Parameters, images: Tensor, /) -> Tensor:
        """Logits [1, images, classes].

        Raises:
            UsageError: If the model has state that changes.
        """
        buffers = fresh_buffers(self.problem.model)
        found = self._call({**shared, **buffers, **own}, images[0]).unsqueeze(0)
        check_unchanged(buffers)
        return found


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
    alone = OneTask(problem)
    adapted = problem.rule.adapt(
        alone, images.unsqueeze(0), labels.unsqueeze(0), inner_steps=inner_steps
    )
    return {**dict(problem.model.named_parameters()), **adapted}
