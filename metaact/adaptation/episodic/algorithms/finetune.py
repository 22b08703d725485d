"""The plain baseline: a network trained on all training classes, fine-tuned to each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from metaact.adaptation.episodic.inner import Parameters
from metaact.adaptation.episodic.problem import Batch, Outcome, Tasks, adapted_names
from metaact.adaptation.episodic.scoring import score
from metaact.errors import check_int

from .rule import Descent, head_names

OLD = "head of all training classes: "


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune(Descent):
    r"""Learn to tell all training classes apart; on a task, fine-tune with a new head.

    Training is ordinary classification of the images of the meta-batch, support and query alike,
    into all training classes, by a head of its own. To adapt, the network's head is set to zero and
    `inner_steps` gradient steps are taken on the support images, with all parameters or, with
    `head_only`, with those of the head.

    Attributes:
        classes: Training classes: what the labels in training number.
        head_only: Whether only the new head is fine-tuned.

    References:
        Chen, Liu, Kira, Wang and Huang, A Closer Look at Few-shot Classification, 2019,
        https://arxiv.org/abs/1904.04232, section 3.2 ("Baseline": with `head_only`).

    Deviation:
        The new head starts at zero, so that adapting needs no random numbers, and both stages take
        as many images and steps as the other algorithms here.
    """

    classes: int = 2
    head_only: bool = False

    scores_unseen: ClassVar[bool] = False
    is_exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Descent.__post_init__(self)
        check_int("classes", self.classes, minimum=2)

    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """All, or those of the head."""
        head_names(model, why="fine-tuning with a new head")
        return adapted_names(model, self.head_only)

    def init(self, model: nn.Module, *, inner_steps: int) -> Parameters:
        """The head of training, at zero: [classes, width] and [classes]."""
        own = dict(model.named_parameters())
        return {
            OLD + name: own[name].new_zeros((self.classes, *own[name].shape[1:]))
            for name in head_names(model, why="fine-tuning with a new head")
        }

    def start(self, tasks: Tasks) -> Parameters:
        """The network's own parameters, those of the head at zero."""
        head = head_names(tasks.problem.model, why="fine-tuning with a new head")
        return {n: torch.zeros_like(p) if n in head else p for n, p in tasks.start.items()}

    def learn(self, tasks: Tasks, batch: Batch, *, inner_steps: int) -> Outcome:
        """Cross-entropy over all training classes; nothing adapts."""
        problem = tasks.problem
        own = dict(problem.model.named_parameters())
        old = {n.removeprefix(OLD): p for n, p in problem.meta.items()}
        images = torch.cat([batch.support, batch.query], dim=1)
        labels = torch.cat([batch.support_labels, batch.query_labels], dim=1)
        logits = tasks.logits({}, {**own, **old}, images)
        return score(logits, labels, classes=problem.classes)
