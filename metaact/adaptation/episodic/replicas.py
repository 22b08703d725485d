"""Shares of a meta-batch that other processes work on, each with a copy of the learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from metaact.adaptation import ranks
from metaact.adaptation.known import is_known
from metaact.adaptation.recording import Results
from metaact.adaptation.shares import is_plain
from metaact.adaptation.stateless import differentiable_kernels
from metaact.randomness import Streams

from .problem import Batch, Key, Problem

if TYPE_CHECKING:
    from .learner import MetaLearner


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tasks:
    """A batch that takes its own tensors along, and not those of which it is a part."""

    support: Tensor
    support_labels: Tensor
    query: Tensor
    query_labels: Tensor

    def __len__(self) -> int:
        return len(self.support)

    def __getitem__(self, tasks: slice) -> _Tasks:
        parts = (self.support, self.support_labels, self.query, self.query_labels)
        return _tasks(*(part[tasks] for part in parts))


def _tasks(*parts: Tensor) -> _Tasks:
    support, support_labels, query, query_labels = parts
    return _Tasks(
        support=support, support_labels=support_labels, query=query, query_labels=query_labels
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What another process needs to work on shares.

    Attributes:
        number: Of the learner.
        alive: The numbers of all learners that are there still.
        made_of: The arguments of the learner, the first time that it is asked.
        state: The values of its parameters and buffers, and of its meta-parameters.
        modes: Whether each module is in training.
        inputs: Of the problem.
        classes: Of the problem.
        key: What is done to a share.
        gradients: Whether gradients are on.
        shares: The shares.
    """

    number: int
    alive: tuple[int, ...]
    made_of: dict[str, Any] | None
    state: list[Tensor]
    modes: list[bool]
    inputs: dict[str, Tensor]
    classes: int
    key: Key
    gradients: bool
    shares: list[_Tasks]


_numbers: WeakKeyDictionary[MetaLearner, int] = WeakKeyDictionary()
"""Of the learners that other processes know."""

_counter = count()

_copies: dict[int, MetaLearner] = {}
"""In another process: the learners, by their number in rank 0."""


def among_ranks(
    learner: MetaLearner, problem: Problem, shares: Sequence[Batch], key: Key
) -> list[Results] | None:
    """Work on the shares of a batch with the other processes.

    Args:
        learner: Whose.
        problem: What is done.
        shares: Two or more, on the CPU.
        key: What is done to each.

    Returns:
        The results in the order of the shares. None if they must be worked on here: the model drew
        random numbers, is not known to be what a copy of it is, or another process failed.
    """
    if not (is_plain() and all(map(is_known, learner.model.modules()))):
        return None
    before, size = Streams.now(), ranks.size()
    is_new = learner not in _numbers
    number = _numbers.setdefault(learner, next(_counter))
    request = _Request(
        number=number,
        alive=tuple(_numbers.values()),
        made_of=learner.made_of() if is_new else None,
        state=_state(learner),
        modes=[module.training for module in learner.model.modules()],
        inputs=problem.inputs,
        classes=problem.classes,
        key=key,
        gradients=torch.is_grad_enabled(),
        shares=[],
    )
    parts = [
        replace(request, shares=[_own(share) for share in shares[rank::size]])
        for rank in range(size)
    ]
    answers = ranks.each(
        _work_on, parts, here=lambda: (learner.work_on(problem, shares[::size], key), False)
    )
    drew = Streams.now() != before
    if drew or any(isinstance(one, ranks.Failed) or one[1] for one in answers):
        before.restore()
        return None
    found: list[Any] = [None] * len(shares)
    for rank, (results, _) in enumerate(answers):
        found[rank::size] = results
    return found


def _own(share: Batch) -> _Tasks:
    parts = (share.support, share.support_labels, share.query, share.query_labels)
    return _tasks(*(part.detach().clone() for part in parts))


def _state(learner: MetaLearner) -> list[Tensor]:
    model = learner.model
    held = (*model.parameters(), *model.buffers(), *learner.meta.values())
    return [tensor.detach() for tensor in held]


def _work_on(request: _Request) -> tuple[list[Results], bool]:
    """In another process: the results of shares, and whether random numbers were drawn."""
    for gone in _copies.keys() - set(request.alive):
        del _copies[gone]
    if request.made_of is not None:
        from .learner import MetaLearner

        _copies[request.number] = MetaLearner(**request.made_of)
    learner = _copies[request.number]
    for mine, value in zip(_state(learner), request.state, strict=True):
        mine.copy_(value)
    for module, mode in zip(learner.model.modules(), request.modes, strict=True):
        module.training = mode
    before = Streams.now()
    with differentiable_kernels(), torch.set_grad_enabled(request.gradients):
        problem = learner.problem(inputs=request.inputs, classes=request.classes)
        found = learner.work_on(problem, request.shares, request.key)
    drew = Streams.now() != before
    before.restore()
    return [tuple(r if r is None else r.detach() for r in each) for each in found], drew
