"""The meta-gradient of a vectorised batch from the parameters of each step alone.

With g(θ) = ∇L_support(θ) an inner step is θ' = s(θ, g(θ)), so a gradient v in θ' is one in θ, and
in every parameter φ that is not adapted, of the gradient of s(θ, g(θ))ᵀ·v. For MAML, where s is
θ − η·g, these are v − η·H(θ)·v, H the Hessian of L_support, and −η·(∂g/∂φ)ᵀ·v. The inner loop is
run without any graph, and only the parameters of its steps are kept. The way back computes each
step's gradient again, takes these products, and frees the step's graph before the next.

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

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from metaact.randomness import Streams, preserved_rng

from .algorithms.rule import Descent, judged
from .inner import Parameters
from .problem import Batch, Outcome, Problem, tensors_of
from .scoring import score
from .vectorised import Stacked, vectorised

Slopes = dict[str, Tensor | None]


def graph_bytes(problem: Problem, batch: Batch, *, inner_steps: int) -> int:
    """About how much memory the graph of so many inner steps keeps, from one step of one task."""
    kept: dict[int, int] = {}
    there = {
        t.untyped_storage().data_ptr() for t in (*tensors_of(batch), *problem.model.parameters())
    }

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in there:
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
    rule = problem.rule
    assert isinstance(rule, Descent)
    tasks = Stacked(problem, tasks=len(batch), device=batch.support.device)
    shared = {name: p for name, p in tasks.shared.items() if p.requires_grad} | problem.meta
    at = {name: value.detach() for name, value in rule.start(tasks).items()}

    def step(at: Parameters, number: int, *, exact: bool) -> Parameters:
        """The parameters after one more step, those that the loss does not use left out."""
        others = tasks.shared if exact else {n: p.detach() for n, p in tasks.shared.items()}
        logits = tasks.logits(at, others, batch.support)
        losses = score(logits, batch.support_labels, classes=problem.classes).losses
        found = torch.autograd.grad(
            losses.sum(), list(at.values()), create_graph=exact, allow_unused=True
        )
        slopes = {n: g for n, g in zip(at, found, strict=True) if g is not None}
        values = {name: at[name] for name in slopes}
        return rule.update(problem, values, slopes, number, dims=tasks.dims)

    walked = []
    for number in range(inner_steps):
        walked.append((at, Streams.now()))
        after = step(_leaves(at), number, exact=False)
        at = {**at, **{name: value.detach() for name, value in after.items()}}
    last = _leaves(at)
    outcome = judged(tasks, last, batch)
    slopes = _gradients(scale * outcome.losses.sum(), last | shared)
    drawn = Streams.now()
    for number, (at, before) in reversed(list(enumerate(walked))):
        before.restore()
        leaves = _leaves(at)
        _step_back(step(leaves, number, exact=True), slopes, leaves, shared)
    drawn.restore()
    names = {id(p): name for name, p in (dict(problem.model.named_parameters()) | shared).items()}
    totals = {
        name: slope.sum(dim=0) if slope is not None and name in at else slope
        for name, slope in slopes.items()
    }
    done = Outcome(outcome.losses.detach(), outcome.accuracies)
    return done, [totals.get(names[id(parameter)]) for parameter in trained]


def _leaves(values: Parameters) -> Parameters:
    return {name: value.detach().requires_grad_() for name, value in values.items()}


def _gradients(value: Tensor, wanted: Parameters) -> Slopes:
    found = torch.autograd.grad(value, list(wanted.values()), allow_unused=True)
    return dict(zip(wanted, found, strict=True))


def _step_back(after: Parameters, slopes: Slopes, leaves: Parameters, shared: Parameters) -> None:
    """Take the gradients `slopes` from after a step to before it.

    Args:
        after: What the step made of some of the leaves; the others it left as they were.
        slopes: Gradients in the values after the step, and in what tasks share; they are replaced.
        leaves: The values before the step.
        shared: What tasks share.
    """
    products = []
    for name, value in after.items():
        slope = slopes[name]
        if slope is not None:
            products.append((value * slope).sum())
            slopes[name] = None
    if not products:
        return
    for name, change in _gradients(torch.stack(products).sum(), leaves | shared).items():
        if change is not None:
            before = slopes[name]
            slopes[name] = change if before is None else before + change
