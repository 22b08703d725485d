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

from .inner import Parameters, adapt
from .problem import Batch, Outcome, Problem
from .scoring import score
from .stateful import check_unchanged, fresh_buffers


def vectorised(problem: Problem, batch: Batch, *, inner_steps: int) -> Outcome:
    """Adapt to all tasks at once. See `Engine`.

    Raises:
        UsageError: If the model has an op that cannot be vectorised, or state that changes.
    """
    forward = Forward(problem, tasks=len(batch), device=batch.support.device)
    exact = torch.is_grad_enabled() and not problem.first_order
    shared = forward.shared if exact else {n: p.detach() for n, p in forward.shared.items()}

    def loss(stacked: Parameters) -> Tensor:
        return forward(stacked, shared, batch.support, batch.support_labels).losses.sum()

    adapted = adapt(
        forward.stacked,
        loss,
        inner_lr=problem.inner_lr,
        inner_steps=inner_steps,
        first_order=problem.first_order,
    )
    return forward(adapted, forward.shared, batch.query, batch.query_labels)


class Forward:
    """Loss and accuracy of every task, from stacked and shared parameters."""

    def __init__(self, problem: Problem, *, tasks: int, device: torch.device) -> None:
        self._call = Stateless(problem.model)
        self._classes = problem.classes
        self._lowering = Lowering(layout=device.type == "cpu")
        self._buffers = fresh_buffers(problem.model)
        everything = dict(problem.model.named_parameters())
        self.stacked = {
            name: everything[name].expand(tasks, *everything[name].shape)
            for name in problem.adapted
        }
        self.shared: Parameters = {n: p for n, p in everything.items() if n not in self.stacked}

    def __call__(
        self, stacked: Parameters, shared: Parameters, images: Tensor, labels: Tensor
    ) -> Outcome:
        """Run the model of every task on the task's images."""
        constant = {**shared, **self._buffers}

        def one_task(own: Parameters, x: Tensor) -> Tensor:
            return self._call({**constant, **own}, x)

        try:
            with self._lowering:
                logits = vmap(one_task, randomness="different")(stacked, images)
        except (RuntimeError, NotImplementedError) as error:
            if not _is_refusal(error):
                raise
            raise UsageError(
                f"`engine` must be 'loop' for {type(self._call.model).__name__} (it cannot be "
                f"vectorised: {str(error).splitlines()[0]}); the option is --engine loop."
            ) from error
        check_unchanged(self._buffers)
        return score(logits, labels, classes=self._classes)


def _is_refusal(error: Exception) -> bool:
    """Whether vmap says that it cannot run an op, as against the model failing on its own.

    What leaves torch for NumPy finds no memory behind a tensor of all tasks.
    """
    said = str(error)
    return any(word in said for word in _REFUSALS)


_REFUSALS = ("vmap", "Batching rule", "batching rule", "functorch", "Cannot access data pointer")
