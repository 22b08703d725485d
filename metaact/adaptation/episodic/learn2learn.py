"""The same computation by learn2learn: the reference engine, if learn2learn is installed."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact.adaptation.stateless import Stateless, check_same, logits_of, reads
from metaact.errors import MissingDependencyError, UsageError, named_reason

from .algorithms.rule import Descent
from .inner import NO_GRADIENT
from .problem import Batch, Outcome, Problem
from .scoring import check_logits, joined, score
from .stateful import check_unchanged, held_buffers

INSTALL = (
    "pip install --no-deps learn2learn==0.2.0 -C--build-option=build_ext && "
    "pip install gym requests tqdm"
)


def import_learn2learn() -> ModuleType:
    """Import learn2learn, without what its own dependencies say of their age.

    Raises:
        MissingDependencyError: If it is not installed; the message holds the command.
    """
    try:
        # gym, which it imports, warns and prints that it is no longer maintained.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            return importlib.import_module("learn2learn")
    except ImportError as error:
        raise MissingDependencyError(
            f"the engine 'learn2learn' needs learn2learn 0.2.0 ({error}); install it by: {INSTALL}"
        ) from error


def learn2learn(
    problem: Problem, batch: Batch, *, inner_steps: int, learns: bool = False
) -> Outcome:
    """Adapt by clones of `learn2learn.algorithms.MAML`. See `Engine`.

    It carries out the rules that minimise the loss of the queries, by plain steps.

    Raises:
        MissingDependencyError: If learn2learn is not installed.
        UsageError: If the adapted parameters are not exactly those of one module, learn2learn's
            clone of the model would not be one, or the model has state that changes.
    """
    rule = problem.rule
    assert isinstance(rule, Descent)
    if rule.inner_clip:
        raise UsageError(
            "`engine` must be 'vectorised' or 'loop' with `inner_clip` (learn2learn clips no "
            "gradients); got 'learn2learn'."
        )
    name, part = _adapted_module(problem)
    call = Stateless(problem.model)
    exact = torch.is_grad_enabled() and not rule.first_order
    wrapped: Any = _wrapped(part, lr=rule.inner_lr, first_order=not exact)

    with held_buffers(problem.model) as buffers:

        def forward(learner: Any, images: Tensor) -> Tensor:
            if not name:
                logits = logits_of(learner(images))
                check_same(buffers, dict(learner.module.named_buffers()))
                return logits
            own = {f"{name}.{n}": p for n, p in learner.module.named_parameters()}
            return call({**buffers, **own}, images)

        if not name:
            _check_clone(problem, wrapped, lambda learner: forward(learner, batch.support[0]))
        outcomes = []
        for task in (batch[t : t + 1] for t in range(len(batch))):
            with torch.enable_grad():
                learner = wrapped.clone()
                for _ in range(inner_steps):
                    logits = forward(learner, task.support[0])
                    given = task.support_labels
                    check_logits(logits.unsqueeze(0), given, classes=problem.classes)
                    if not logits.requires_grad:
                        raise UsageError(NO_GRADIENT)
                    learner.adapt(functional.cross_entropy(logits, task.support_labels[0]))
            logits = forward(learner, task.query[0])
            given = task.query_labels
            outcomes.append(score(logits.unsqueeze(0), given, classes=problem.classes))
            check_unchanged(buffers)
    return joined(outcomes)


def _wrapped(module: nn.Module, *, lr: float, first_order: bool) -> object:
    algorithms: Any = import_learn2learn().algorithms
    made: object = algorithms.MAML(
        module, lr=lr, first_order=first_order, allow_unused=True, allow_nograd=True
    )
    return made


def _check_clone(problem: Problem, wrapped: Any, forward: Callable[[Any], object]) -> None:
    """Refuse a model whose clone is not a network of its own.

    learn2learn copies a module's attributes as they are and makes new parameters for the modules
    registered in it: what reaches a layer by another way (a plain list, a closure, a method kept as
    an attribute) reaches the model's own.

    Args:
        problem: The model and how it adapts.
        wrapped: Makes the clones.
        forward: Calls a clone.

    Raises:
        UsageError: If it is one; the message says why.
    """
    parameters = dict(problem.model.named_parameters())
    adapted = {name: parameters[name] for name in problem.adapted}
    try:
        with torch.no_grad():
            learner = wrapped.clone()
        (shared,) = reads(lambda: forward(learner), adapted)
    except UsageError:
        raise
    except Exception as error:  # the model itself can be called: `check_reads` did
        why = f"and cannot clone this one: {named_reason(error)}"
        raise _not_by_clones(problem.model, why) from error
    for name in adapted:
        if name in shared:
            raise _not_by_clones(
                problem.model,
                f"and a clone of this one would read its own `{name}`, reached by a plain list, a "
                "closure or a method kept as an attribute; layers in nn.ModuleList can be cloned",
            )


def _not_by_clones(model: nn.Module, why: str) -> UsageError:
    return UsageError(
        f"`engine` must be 'vectorised' or 'loop' for {type(model).__name__} (learn2learn adapts "
        f"clones of a model, {why}); got 'learn2learn'."
    )


def _adapted_module(problem: Problem) -> tuple[str, nn.Module]:
    """The module whose trainable parameters are exactly the adapted ones; "" is the model."""
    for name, module in problem.model.named_modules():
        own = [
            f"{name}.{n}" if name else n for n, p in module.named_parameters() if p.requires_grad
        ]
        if tuple(own) == problem.adapted:
            return name, module
    raise UsageError(
        "`head_only` must name all parameters of one module for the engine 'learn2learn' (it "
        f"adapts whole modules); got {', '.join(problem.adapted)}."
    )
