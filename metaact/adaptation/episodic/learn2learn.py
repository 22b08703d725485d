"""The same computation by learn2learn: the reference engine, if learn2learn is installed."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact.adaptation.stateless import Stateless, logits_of
from metaact.errors import MissingDependencyError, UsageError

from .inner import NO_GRADIENT
from .problem import Batch, Outcome, Problem
from .scoring import check_logits, joined, score

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


def learn2learn(problem: Problem, batch: Batch, *, inner_steps: int) -> Outcome:
    """Adapt by clones of `learn2learn.algorithms.MAML`. See `Engine`.

    Raises:
        MissingDependencyError: If learn2learn is not installed.
        UsageError: If the adapted parameters are not exactly those of one module.
    """
    algorithms: Any = import_learn2learn().algorithms
    name, part = _adapted_module(problem)
    call = Stateless(problem.model)
    exact = torch.is_grad_enabled() and not problem.first_order
    wrapped = algorithms.MAML(
        part, lr=problem.inner_lr, first_order=not exact, allow_unused=True, allow_nograd=True
    )

    def forward(learner: Any, images: Tensor) -> Tensor:
        if not name:
            return logits_of(learner(images))
        own = {f"{name}.{n}": p for n, p in learner.module.named_parameters()}
        return call(own, images)

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
    return joined(outcomes)


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
