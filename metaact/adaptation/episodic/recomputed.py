"""The meta-gradient of a vectorised batch from the parameters of each step alone.

With g(θ) = ∇L_support(θ) an inner step is θ' = θ − η·g(θ), so a gradient v in θ' is one in θ of

    v − η·H(θ)·v,

H the Hessian of L_support, and one in a parameter φ that is not adapted of −η·(∂g/∂φ)ᵀ·v. The inner
loop is run without any graph, and only the parameters of its steps are kept. The way back computes
each step's gradient again, takes these products, and frees the step's graph before the next.

Memory grows with the steps by the parameters alone; the time is that of one more gradient a step.

Reference:
    Kemaev et al., Scalable Meta-Learning via Mixed-Mode Differentiation, 2025,
    https://arxiv.org/abs/2505.00793, sections 3 and 4.

Deviation:
    The products are taken by reverse over reverse mode, where that work takes forward over reverse.
    The memory is of the same order, every op that the kept graph needs is enough, and PyTorch has
    one level of forward mode for a whole process, which threads cannot share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from metaact.randomness import Streams, preserved_rng

from .inner import Parameters, adapt
from .problem import Batch, Outcome, Problem
from .vectorised import Forward, vectorised

Slopes = dict[str, Tensor | None]


def graph_bytes(problem: Problem, batch: Batch, *, inner_steps: int) -> int:
    """About how much memory the graph of so many inner steps keeps, from one step of one task."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with preserved_rng(), saved_tensors_hooks(pack, lambda tensor: tensor):
        outcome = vectorised(problem, batch[:1], inner_steps=1)
        del outcome
    return sum(kept.values()) * len(batch) * inner_steps


def recomputed(
    problem: Problem, batch: Batch, *, inner_steps: int, trained: Sequence[Tensor], scale: float
) -> tuple[Outcome, list[Tensor | None]]:
    """Adapt to all tasks at once and differentiate.

    Args:
        problem: The model and how it adapts, by second-order steps.
        batch: The tasks.
        inner_steps: Number of steps.
        trained: The model's parameters that the gradients are wanted of.
        scale: Factor of the sum of all tasks' query losses.

    Returns:
        Losses and accuracies, detached, and the gradients of scale · Σ losses, one of each of
        `trained`; None for one that has no influence.
    """
    forward = Forward(problem, tasks=len(batch), device=batch.support.device)
    constants = {name: p.detach() for name, p in forward.shared.items()}
    shared = {name: p for name, p in forward.shared.items() if p.requires_grad}

    def loss(stacked: Parameters, others: Parameters) -> Tensor:
        return forward(stacked, others, batch.support, batch.support_labels).losses.sum()

    at = {name: value.detach() for name, value in forward.stacked.items()}
    path = []
    for _ in range(inner_steps):
        path.append((at, Streams.now()))
        with torch.no_grad():
            at = adapt(
                at,
                lambda stacked: loss(stacked, constants),
                inner_lr=problem.inner_lr,
                inner_steps=1,
                first_order=True,
            )
    last = {name: value.detach().requires_grad_() for name, value in at.items()}
    outcome = forward(last, forward.shared, batch.query, batch.query_labels)
    slopes = _gradients(scale * outcome.losses.sum(), last | shared)
    after = Streams.now()
    for at, drawn in reversed(path):
        drawn.restore()
        _step_back(
            at, slopes, shared, lambda stacked: loss(stacked, forward.shared), lr=problem.inner_lr
        )
    after.restore()
    names = {id(p): name for name, p in problem.model.named_parameters()}
    totals = {
        name: slope.sum(dim=0) if slope is not None and name in at else slope
        for name, slope in slopes.items()
    }
    done = Outcome(outcome.losses.detach(), outcome.accuracies)
    return done, [totals.get(names[id(parameter)]) for parameter in trained]


def _gradients(value: Tensor, wanted: Parameters) -> Slopes:
    found = torch.autograd.grad(value, list(wanted.values()), allow_unused=True)
    return dict(zip(wanted, found, strict=True))


def _step_back(
    at: Parameters,
    slopes: Slopes,
    shared: Parameters,
    loss: Callable[[Parameters], Tensor],
    *,
    lr: float,
) -> None:
    """Take the gradients `slopes` from after a step to before it."""
    leaves = {name: value.detach().requires_grad_() for name, value in at.items()}
    first = torch.autograd.grad(
        loss(leaves), list(leaves.values()), create_graph=True, allow_unused=True
    )
    # g·v, whose gradient is H·v; a gradient that is constant has none.
    product: list[Tensor] = []
    for gradient, name in zip(first, leaves, strict=True):
        slope = slopes[name]
        if gradient is not None and slope is not None and gradient.requires_grad:
            product.append((gradient * slope).sum())
    if not product:
        return
    for name, change in _gradients(torch.stack(product).sum(), leaves | shared).items():
        if change is not None:
            before = slopes[name]
            slopes[name] = -lr * change if before is None else before - lr * change
