"""Loss and accuracy of classifiers, one of each per task."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from metaact.errors import UsageError

from .problem import Outcome


def score(logits: Tensor, labels: Tensor, *, classes: int) -> Outcome:
    """Mean cross-entropy and share of right answers within each task.

    Args:
        logits: float [tasks, images, classes].
        labels: int64 [tasks, images].
        classes: How many there are; see `Problem`.

    Returns:
        Losses, differentiable in the logits, and accuracies; both [tasks].

    Raises:
        UsageError: As `check_logits` does.
    """
    check_logits(logits, labels, classes=classes)
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    hits = (logits.detach().argmax(dim=2) == labels).to(logits.dtype)
    return Outcome(losses.view_as(labels).mean(dim=1), hits.mean(dim=1))


def check_logits(logits: Tensor, labels: Tensor, *, classes: int) -> None:
    """Refuse what a model makes of images if it is no logits of their classes.

    Args:
        logits: float [tasks, images, classes].
        labels: int64 [tasks, images].
        classes: How many there are; see `Problem`.

    Raises:
        UsageError: If the model gives no logits per image, or fewer than there are classes.
    """
    if logits.ndim != 3 or logits.shape[:2] != labels.shape:
        raise UsageError(
            f"`model` must give logits [{labels.shape[1]}, classes] for {labels.shape[1]} images; "
            f"got {list(logits.shape[1:])}."
        )
    if logits.shape[2] < classes:
        raise UsageError(
            f"`model` must give a logit for each of the batch's {classes} classes; "
            f"got {logits.shape[2]} logits."
        )


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcomes of several groups of tasks, one after the other."""
    return Outcome(
        torch.cat([outcome.losses for outcome in outcomes]),
        torch.cat([outcome.accuracies for outcome in outcomes]),
    )
