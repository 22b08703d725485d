"""Several independent networks meta-learned in one vectorised call.

The parameters of all networks are stacked along a first dimension of runs, and every task starts
from those of its run: to the engine the tasks of all runs are the tasks of one meta-batch. One
backward pass of the summed losses gives every run its own meta-gradient, as no loss depends on
another run. Only the gradient is computed together: each run has its own optimizer, and goes on
alone at any time.

It is worth while on a GPU, which the tasks of one small network leave idle; on a CPU they fill the
cores already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from metaact.adaptation.ensemble import Ensemble
from metaact.adaptation.graphs import Graphs
from metaact.adaptation.known import signature
from metaact.adaptation.recording import Results
from metaact.adaptation.stateless import exact_kernels
from metaact.errors import UsageError
from metaact.randomness import Streams

from .algorithms.rule import Descent
from .inner import Parameters
from .learner import LARGE_GRAPH, Evaluation, MetaLearner
from .problem import Batch, Problem, Share, tensors_of
from .recomputed import graph_bytes
from .vectorised import Stacked

RATE = "inner rate"


class MetaStack:
    """Networks whose meta-gradients are computed together.

    Args:
        learners: At least one. They may differ in the numbers of their networks, in `inner_lr` and,
            where the rule has no meta-parameters, in the activations, nothing else; those with the
            same activations lie side by side, so that they are computed together. The layers must
            not draw random numbers nor keep running statistics; `metaact.adaptation.refusal` says
            whether they do.

    Raises:
        UsageError: If the learners do not fit together, or the rule or engine is one that is not
            stacked.

    Examples:
        >>> from torch import nn
        >>> from metaact.adaptation import Maml
        >>> from metaact.tasks import MetaBatch
        >>> acts = nn.ReLU(), nn.Tanh()
        >>> nets = [nn.Sequential(nn.Linear(6, 4), act, nn.Linear(4, 2)) for act in acts]
        >>> stack = MetaStack([MetaLearner(net, Maml(inner_lr=0.1)) for net in nets])
        >>> images, labels = torch.ones(3, 2, 6), torch.tensor([[0, 1]] * 3)
        >>> batch = MetaBatch(
        ...     support=images, support_labels=labels, query=images, query_labels=labels
        ... )
        >>> [list(found.accuracy.shape) for found in stack.backward([batch, batch])]
        [[3], [3]]
        >>> all(parameter.grad is not None for net in nets for parameter in net.parameters())
        True
    """

    def __init__(self, learners: Sequence[MetaLearner]) -> None:
        first = learners[0]
        for number, one in enumerate(learners):
            why = stack_refusal(one)
            if why is not None:
                raise UsageError(f"learners in a stack must be vectorised gradient steps; {why}.")
            if _shared(one) != _shared(first):
                raise UsageError(
                    "learners in a stack must share the rule (but for `inner_lr`), its "
                    f"meta-parameters and the steps; number {number} differs from number 0."
                )
        self.learners, self._looked = tuple(learners), False
        self._ensemble = Ensemble([one.model for one in learners])
        adapted = {
            names[name]
            for one, names in zip(learners, self._ensemble.names, strict=True)
            for name in one.adapted
        }
        self._adapted = tuple(n for n, _ in self._ensemble.model.named_parameters() if n in adapted)
        if first.meta and any(
            own != new for each in self._ensemble.names for own, new in each.items()
        ):
            raise UsageError(
                f"learners in a stack must have equal activations for {type(first.rule).__name__}."
            )
        self._graphs, self._known = Graphs(), signature(self._ensemble.model)
        rates = [one.rule.inner_lr for one in learners if isinstance(one.rule, Descent)]
        like = next(first.model.parameters())
        self._rates = torch.tensor(rates, dtype=like.dtype).to(like.device)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.learners)} of {self.learners[0]!r})"

    @exact_kernels()
    def backward(self, batches: Sequence[Batch], *, iteration: int = 0) -> list[Evaluation]:
        """Add to every parameter's `.grad` the gradient of its run's mean query loss.

        Each run gets what `MetaLearner.backward` gives it alone, beyond the rounding of differently
        blocked sums.

        Args:
            batches: One for each run, all of one shape.
            iteration: Meta-updates done.

        Returns:
            Loss and accuracies of each run before any update, detached.

        Raises:
            UsageError: If a batch does not fit its model or the others, or a model draws random
                numbers.
        """
        shapes = {tuple(tensor.shape for tensor in tensors_of(batch)) for batch in batches}
        if len(batches) != len(self.learners) or len(shapes) > 1:
            raise UsageError(
                f"`batches` must be {len(self.learners)} of one shape, one for each run; got "
                f"{len(batches)} of {len(shapes)} shapes."
            )
        pairs = list(zip(self.learners, batches, strict=True))
        checked = [one.checked(batch, None, iteration, derivatives=True) for one, batch in pairs]
        steps, classes = checked[0][1], max(own.classes for own, _ in checked)
        parts = zip(*map(tensors_of, batches), strict=True)
        given = [torch.cat(part) for part in parts]

        def compute(*given: Tensor) -> Results:
            return self._gradients(Share(*given), steps, classes)

        key = None if self._known is None else (steps, classes, self._known)
        before = None if self._looked else Streams.now()
        with torch.enable_grad():
            losses, accuracies, *slopes = self._graphs.run(key, compute, given, self._held)
        if before is not None and Streams.now() != before:
            before.restore()
            raise UsageError("models in a stack must draw no random numbers; these do.")
        self._looked = True
        assert losses is not None
        assert accuracies is not None
        for number in range(len(self.learners)):
            for parameter, slope in zip(self._learned(number), slopes, strict=True):
                if parameter is not None and slope is not None:
                    own = slope[number]
                    parameter.grad = own if parameter.grad is None else parameter.grad + own
        return [Evaluation(*each) for each in zip(losses, accuracies, strict=True)]

    def _learned(self, number: int) -> list[Tensor | None]:
        """What a run learns over tasks, in the order of the gradients; None for what it has not."""
        one, names = self.learners[number], self._ensemble.names[number]
        own = {names[name]: parameter for name, parameter in one.model.named_parameters()}
        trained = [own.get(name) for name in self._ensemble.trained()]
        return [*trained, *(value for value in one.meta.values() if value.requires_grad)]

    def _held(self) -> list[Tensor]:
        buffers = (buffer for one in self.learners for buffer in one.model.buffers())
        learned = (p for one in self.learners for p in one.parameters())
        return [*learned, *buffers, self._rates]

    def _gradients(self, batch: Batch, steps: int, classes: int) -> Results:
        """Losses [runs], accuracies [runs, tasks], and the gradients of all that is learned."""
        first, runs = self.learners[0], len(self.learners)
        each = len(batch) // runs
        own = self._ensemble.stacked()
        trained = {name: own[name].requires_grad_() for name in self._ensemble.trained()}
        rule = first.rule
        assert isinstance(rule, Descent)
        if first.meta:
            meta = _stacked([one.meta for one in self.learners])
        else:
            rule = _Rates(inner_lr=1.0, first_order=rule.first_order, inner_clip=rule.inner_clip)
            meta = {RATE: self._rates}
        problem = Problem(
            model=self._ensemble.model,
            rule=rule,
            adapted=self._adapted,
            meta={name: _of_tasks(value, each) for name, value in meta.items()},
            classes=classes,
        )
        outcome = rule.learn(_Runs(problem, own, each=each), batch, inner_steps=steps)
        losses = outcome.losses.view(runs, each).mean(dim=1)
        wanted = [*trained.values(), *(value for value in meta.values() if value.requires_grad)]
        slopes = torch.autograd.grad(losses.sum(), wanted, allow_unused=True)
        return losses.detach(), outcome.accuracies.view(runs, each), *slopes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rates(Descent):
    """Steps of plain gradient descent, at the rate of each task's run."""

    def step(
        self, values: Parameters, gradients: Parameters, meta: Parameters, number: int
    ) -> Parameters:
        """θ − rate · g."""
        return {
            name: value - meta[RATE].view(-1, *[1] * (value.ndim - 1)) * gradients[name]
            for name, value in values.items()
        }


class _Runs(Stacked):
    """The networks of the tasks of all runs: nothing but the form is shared among them."""

    def __init__(self, problem: Problem, values: Parameters, *, each: int) -> None:
        device = next(iter(values.values())).device
        super().__init__(problem, tasks=1, device=device)
        own = {name: _of_tasks(value, each) for name, value in values.items()}
        self.start = {name: own[name] for name in problem.adapted}
        self.shared = {name: value for name, value in own.items() if name not in self.start}

    def logits(self, own: Parameters, shared: Parameters, images: Tensor, /) -> Tensor:
        """Run the model of every task, all of its parameters those of its run."""
        return super().logits({**shared, **own}, {}, images)


def _stacked(values: Sequence[Parameters]) -> Parameters:
    """Meta-parameters of all runs, [runs, ...]: leaves."""
    return {
        name: torch.stack([each[name].detach() for each in values]).requires_grad_()
        for name in values[0]
    }


def _of_tasks(value: Tensor, each: int) -> Tensor:
    """Of every run [runs, ...] to of every task [runs × each, ...]."""
    return value.unsqueeze(1).expand(len(value), each, *value.shape[1:]).flatten(0, 1)


def most_runs(learner: MetaLearner, batch: Batch) -> int:
    """How many such runs fit into a stack, so that their graph is not too large to be kept."""
    problem, steps = learner.checked(batch, None, 0, derivatives=True)
    with torch.enable_grad():
        return max(1, LARGE_GRAPH // max(1, graph_bytes(problem, batch, inner_steps=steps)))


def stack_refusal(learner: MetaLearner) -> str | None:
    """Why a learner is in no stack, half a sentence."""
    if not vars(type(learner.rule)).get("stacks", False):  # a subclass may compute anything
        return f"{type(learner.rule).__name__} is not stacked"
    if learner.made_of()["engine"] != "vectorised":
        return f"the engine is {learner.made_of()['engine']!r}"
    return None


def _shared(learner: MetaLearner) -> Any:
    """What the learners of a stack have in common."""
    rule = learner.rule
    assert isinstance(rule, Descent)
    meta = [(name, value.shape, value.requires_grad) for name, value in learner.meta.items()]
    return replace(rule, inner_lr=1.0), learner.made_of()["inner_steps"], meta
