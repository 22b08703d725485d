"""All tasks of a meta-batch in one call: the default engine.

The adapted parameters are stacked along a first dimension of tasks, and only the forward pass is
vectorised (`torch.func.vmap`). Derivatives are taken outside of it by ordinary autograd on the
stacked tensors, once for the inner gradients and once more for the meta-gradient, which is cheaper
than nesting `torch.func.grad`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import vmap

from metaact.adaptation.stateless import Stateless
from metaact.adaptation.vmap.lowering import Lowering
from metaact.errors import UsageError

from .algorithms.rule import judged
from .inner import Parameters
from .problem import Batch, Outcome, Problem
from .stateful import check_unchanged, fresh_buffers


def vectorised(
    problem: Problem, batch: Batch, *, inner_steps: int, learns: bool = False
) -> Outcome:
    """Adapt to all tasks at once. See `Engine`.

    Raises:
        UsageError: If the model has an op that cannot be vectorised, or state that changes.
    """
    stacked = Stacked(problem, tasks=len(batch), device=batch.support.device)
    if learns:
        return problem.rule.learn(stacked, batch, inner_steps=inner_steps)
    adapted = problem.rule.adapt(
        stacked, batch.support, batch.support_labels, inner_steps=inner_steps
    )
    return judged(stacked, adapted, batch)


def by_products(device: torch.device) -> bool:
    """Whether convolutions of tasks are patch products, or a device's own grouped convolutions."""
    return device.type == "cpu"


class Stacked:
    """The networks of all tasks, from stacked and shared parameters; see `Tasks`."""

    dims = 1

    def __init__(self, problem: Problem, *, tasks: int, device: torch.device) -> None:
        self.problem = problem
        self._call = Stateless(problem.model)
        self._lowering = Lowering(layout=by_products(device))
        self._buffers = fresh_buffers(problem.model)
        everything = dict(problem.model.named_parameters())
        self.start: Parameters = {
            name: everything[name].expand(tasks, *everything[name].shape)
            for name in problem.adapted
        }
        self.shared: Parameters = {n: p for n, p in everything.items() if n not in self.start}

    def logits(self, own: Parameters, shared: Parameters, images: Tensor, /) -> Tensor:
        """Run the model of every task on the task's images: [tasks, images, classes]."""
        constant = {**shared, **self._buffers}

        def one_task(own: Parameters, x: Tensor) -> Tensor:
            return self._call({**constant, **own}, x)

        try:
            with self._lowering:
                logits = vmap(one_task, randomness="different")(own, images)
        except (RuntimeError, NotImplementedError) as error:
            if not _is_refusal(error):
                raise
            raise UsageError(
                f"`engine` must be 'loop' for {type(self._call.model).__name__} (it cannot be "
                f"vectorised: {str(error).splitlines()[0]}); the option is --engine loop."
            ) from error
        check_unchanged(self._buffers)
        return logits


def _is_refusal(error: Exception) -> bool:
    """Whether vmap says that it cannot run an op, as against the model failing on its own.

    What leaves torch for NumPy finds no memory behind a tensor of all tasks.
    """
    said = str(error)
    return any(word in said for word in _REFUSALS)


_REFUSALS = ("vmap", "Batching rule", "batching rule", "functorch", "Cannot access data pointer")
