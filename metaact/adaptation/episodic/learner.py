"""Meta-learning by any rule: all tasks of a meta-batch, in shares, by any engine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from metaact.activations.conversion.warm import evaluating
from metaact.adaptation import choices, ranks
from metaact.adaptation.graphs import Graphs
from metaact.adaptation.known import signature
from metaact.adaptation.program import Program, Programs
from metaact.adaptation.recording import Results
from metaact.adaptation.shares import copies, in_order, in_shares, threads
from metaact.adaptation.stateless import exact_kernels, holding
from metaact.devices import sent
from metaact.display import brief
from metaact.errors import UsageError, check_choice, check_int
from metaact.randomness import Streams

from .algorithms.rule import Descent, Rule
from .learn2learn import learn2learn
from .loop import adapted_to, loop
from .problem import (
    Batch,
    Engine,
    Key,
    Outcome,
    Problem,
    Share,
    check_batch,
    check_images,
    classes_of,
    tensors_of,
)
from .recomputed import graph_bytes, recomputed
from .replicas import among_ranks
from .scoring import joined
from .second_order import check_second_order
from .stateful import check_copy, check_modules, check_reads
from .vectorised import vectorised

ENGINES: dict[str, Engine] = dict(
    zip(choices.ENGINES, (vectorised, loop, learn2learn), strict=True)
)

# On a CPU a share holds at most about this many numbers of support or query images: enough to make
# Python's overhead small, little enough for activations to be reused from the cache. A network with
# more parameters that adapt goes task by task.
SHARE_NUMBERS = 2**18

# A batch with fewer is not divided.
FEW_NUMBERS = 2**14

# Where the graph of all inner steps would take more bytes than this, they are computed again.
LARGE_GRAPH = 4 * 2**30

Work = Callable[[Problem, Batch], Results]
"""What is done to a share: its losses and accuracies, and perhaps gradients."""


class Evaluation(NamedTuple):
    """Result of adapting to a meta-batch.

    Attributes:
        loss: Query cross-entropy, a scalar, the mean over tasks.
        accuracy: float [tasks], the share of queries each adapted network gets right, in 0..1.
    """

    loss: Tensor
    accuracy: Tensor

    def __repr__(self) -> str:
        return brief(
            self,
            loss=self.loss.item(),
            accuracy=self.accuracy.mean().item(),
            tasks=len(self.accuracy),
        )


class MetaLearner:
    r"""A network that adapts to tasks by a rule, all tasks of a meta-batch in one vectorised call.

    The model's training mode is left as it is, except by `test`. Random layers in training mode
    draw from PyTorch's global stream, every task and step its own numbers; fork that stream to keep
    it. BatchNorm must not keep running statistics: it then normalises each task's support images,
    and its query images, by their own.

    Args:
        model: Any network from images [batch, ...] to logits [batch, classes].
        rule: The algorithm, such as `metaact.adaptation.MetaSGD(inner_lr=0.01)`.
        inner_steps: Gradient steps per task; a rule that takes none takes no notice.
        chunk_size: Tasks in a share, worked on at a time by one thread: fewer need less memory, and
            the sum is the same. None chooses by the shape of the batch: one task for the engines
            that go task by task and for large networks on a CPU, all tasks on a GPU, else as many
            as fit `SHARE_NUMBERS`, in an even number of shares. `metaact.adaptation.set_threads`
            says how many threads there are.
        engine: "vectorised", "loop" (one task at a time), or "learn2learn".
        recompute: Whether the way back of the engine "vectorised" computes each second-order step
            again instead of keeping its graph: less memory, more time, the same gradient up to
            rounding. None does so where the graph would exceed `LARGE_GRAPH`. Rules whose losses
            are not those after the last step alone keep their graphs.

    Attributes:
        meta: Meta-parameters beside the network's, by name: leaves that require gradients.

    Raises:
        UsageError: If an argument is not allowed, the engine does not carry out the rule, or the
            model has a module that cannot be adapted task by task.

    Examples:
        >>> from metaact.adaptation import MetaSGD
        >>> model = nn.Sequential(nn.Linear(6, 2))
        >>> learner = MetaLearner(model, MetaSGD(inner_lr=0.5), inner_steps=3)
        >>> [(name, list(rates.shape)) for name, rates in learner.meta.items()]
        [('rate of 0.weight', [2, 6]), ('rate of 0.bias', [2])]
    """

    def __init__(
        self,
        model: nn.Module,
        rule: Rule,
        *,
        inner_steps: int = 1,
        chunk_size: int | None = None,
        engine: str = "vectorised",
        recompute: bool | None = None,
    ) -> None:
        check_modules(model)
        self._inner_steps = check_int("inner_steps", inner_steps, minimum=1)
        self._engine = check_choice("engine", engine, ENGINES)
        if engine not in rule.engines:
            raise UsageError(
                f"`engine` must be {' or '.join(map(repr, rule.engines))} for "
                f"{type(rule).__name__}; got {engine!r}."
            )
        if chunk_size is not None:
            check_int("chunk_size", chunk_size, minimum=1)
        self._chunk_size = chunk_size
        self._recompute = recompute
        self._problem = Problem(
            model=model,
            rule=rule,
            adapted=rule.adapted(model),
            meta={
                name: value.detach().requires_grad_()
                for name, value in rule.init(model, inner_steps=inner_steps).items()
            },
        )
        self._known: dict[object, bool] = {}
        self._draws = self._alone = self._read = self._differentiated = False
        self.programs = Programs()
        self.graphs = Graphs()

    def __repr__(self) -> str:
        return brief(
            self,
            type(self.model).__name__,
            rule=self.rule,
            inner_steps=self._inner_steps,
            engine=self._engine,
        )

    @property
    def meta(self) -> dict[str, Tensor]:
        """Meta-parameters beside the network's own, by name."""
        return self._problem.meta

    def parameters(self) -> list[Tensor]:
        """All that is learned over tasks: hand it to the outer optimizer."""
        return [*self.model.parameters(), *self.meta.values()]

    @property
    def rule(self) -> Rule:
        """The algorithm."""
        return self._problem.rule

    @property
    def second_order(self) -> bool:
        """Whether the meta-gradient has second derivatives of the network."""
        return isinstance(self.rule, Descent) and not self.rule.first_order

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self._problem.model

    @property
    def adapted(self) -> tuple[str, ...]:
        """Names of the parameters that the inner loop changes."""
        return self._problem.adapted

    @exact_kernels()
    def evaluate(
        self, batch: Batch, *, inner_steps: int | None = None, iteration: int = 0
    ) -> Evaluation:
        """Adapt to every task and return the mean query loss, differentiable, and accuracies.

        It is what the rule minimises over tasks, where that is another loss.

        Where the batch is worked on in several chunks and gradients are on, each chunk's gradient
        is computed at once and its graph freed, so memory stays bounded; `loss` then carries the
        finished gradient, once differentiable in the model's parameters. For a loss that is a
        plain autograd graph choose `chunk_size` >= tasks; for the value alone, use
        `torch.no_grad()`.

        Args:
            batch: Tasks of one shape, such as a `metaact.tasks.MetaBatch`.
            inner_steps: Steps for this call; None takes those of the constructor.
            iteration: Meta-updates done, for rules that change with them.

        Returns:
            The loss and the accuracies.

        Raises:
            UsageError: If the batch does not fit the model.
        """
        derivatives = torch.is_grad_enabled()
        problem, steps = self.checked(batch, inner_steps, iteration, derivatives=derivatives)
        inputs_too = batch.support.requires_grad or batch.query.requires_grad
        if not derivatives:
            return _mean([self._outcome(problem, batch, steps, learns=True)])
        if inputs_too or len(self._edges(batch)) == 2:
            return _mean(
                [self._run(problem, share, steps, learns=True) for share in self._split(batch)]
            )
        outcome, totals = self._with_gradients(problem, batch, steps)
        loss, accuracy = _mean([outcome])
        return Evaluation(_Known.apply(loss, totals, *self._trained()), accuracy)

    @exact_kernels()
    def backward(self, batch: Batch, *, iteration: int = 0) -> Evaluation:
        """Add the gradient of the mean query loss to the parameters' `.grad`, share by share.

        It is that of what the rule minimises over tasks, where that is another loss.

        Args:
            batch: Tasks of one shape.
            iteration: Meta-updates done, for rules that change with them.

        Returns:
            The loss and the accuracies before any update, detached.

        Raises:
            UsageError: If the batch does not fit the model.
        """
        problem, steps = self.checked(batch, None, iteration, derivatives=True)
        with torch.enable_grad():
            outcome, totals = self._with_gradients(problem, batch, steps)
        for parameter, total in zip(self._trained(), totals, strict=True):
            parameter.grad = _plus(parameter.grad, total)
        return _mean([outcome])

    @exact_kernels()
    def test(self, batch: Batch, inner_steps: int | None = None) -> Tensor:
        """Accuracies [tasks] with the model in eval mode and no graph kept.

        Args:
            batch: Tasks of one shape.
            inner_steps: Steps for this call; None takes those of the constructor.

        Returns:
            float [tasks] in 0..1. The model's modes are restored.

        Raises:
            UsageError: If the batch does not fit the model.
        """
        problem, steps = self.checked(batch, inner_steps, derivatives=False)
        with torch.no_grad(), evaluating(self.model):
            return self._outcome(problem, batch, steps).accuracies

    @exact_kernels()
    def adapt(
        self,
        support: Tensor,
        support_labels: Tensor,
        *,
        inner_steps: int | None = None,
        differentiable: bool = False,
    ) -> nn.Module:
        """A copy of the model that is adapted to the support images of one task.

        Whatever the engine, it is the network that `test` scores on the task's queries, in eval
        mode, with parameters of its own: it can be called, saved and trained further.

        Args:
            support: float [images, ...].
            support_labels: int64 [images], 0..classes-1 within the task.
            inner_steps: Steps for this call; None takes those of the constructor.
            differentiable: Return the network that `evaluate` scores in place of it: in the mode
                of the model, and its parameters are functions of the model's, so that a loss of
                its outputs has a meta-gradient (of first order with `first_order`).

        Returns:
            The copy; the model stays as it is.

        Raises:
            UsageError: If the images or labels do not fit the model.

        Examples:
            >>> from metaact.adaptation import MAML
            >>> maml = MAML(nn.Sequential(nn.Linear(2, 2)), inner_lr=0.5, inner_steps=20)
            >>> images, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
            >>> maml.adapt(images, labels)(images).argmax(dim=1)
            tensor([0, 1])
        """
        check_modules(self.model)
        check_images("support", support, support_labels, like=next(self.model.parameters()))
        self._look(support, derivatives=differentiable)
        steps = self._steps(inner_steps)
        problem = replace(self._problem, classes=classes_of(support_labels))
        if differentiable:
            with torch.enable_grad():
                found = adapted_to(problem, support, support_labels, inner_steps=steps)
            made = holding(self.model, found)
        else:
            with torch.no_grad(), evaluating(self.model):
                found = adapted_to(problem, support, support_labels, inner_steps=steps)
                made = holding(self.model, found, own=True)
        check_copy(self.model, made, support)
        return made

    def shares(self, batch: Batch) -> int:
        """In how many shares a batch of this shape is worked on: on any machine the same."""
        return len(self._edges(batch)) - 1

    def _trained(self) -> list[Tensor]:
        return [p for p in self.parameters() if p.requires_grad]

    def _run(self, problem: Problem, share: Batch, steps: int, *, learns: bool = False) -> Outcome:
        # There is nothing to vectorise in one task, and PyTorch's own ops are faster for it.
        alone = self._engine == "vectorised" and len(share) == 1
        engine = loop if alone else ENGINES[self._engine]
        return engine(problem, share, inner_steps=steps, learns=learns)

    def _outcome(
        self, problem: Problem, batch: Batch, steps: int, *, learns: bool = False
    ) -> Outcome:
        """Without a graph."""
        return _joined(self._in_shares(problem, batch, key=Key(steps=steps, learns=learns)))

    def _with_gradients(
        self, problem: Problem, batch: Batch, steps: int
    ) -> tuple[Outcome, list[Tensor | None]]:
        """Outcomes, and the gradients of the mean loss, those of the shares added in order."""
        again = self._recomputes(batch, steps)
        found = self._in_shares(problem, batch, key=Key(steps, True, len(batch), again))
        gradients = zip(*(results[2:] for results in found), strict=True)
        return _joined(found), [reduce(_plus, each) for each in gradients]

    def _work(self, key: Key) -> Work:
        """What a key says is done to a share."""
        trained, steps, tasks = self._trained(), key.steps, key.tasks

        def work(problem: Problem, share: Batch) -> Results:
            if not tasks:
                return self._run(problem, share, steps, learns=key.learns)
            if key.again:
                outcome, gradients = recomputed(
                    problem, share, inner_steps=steps, trained=trained, scale=1 / tasks
                )
                return *outcome, *gradients
            losses, accuracies = self._run(problem, share, steps, learns=True)
            slopes = torch.autograd.grad(losses.sum() / tasks, trained, allow_unused=True)
            return losses.detach(), accuracies, *slopes

        return work

    def _recomputes(self, batch: Batch, steps: int) -> bool:
        """Whether steps are computed again on the way back: where their graphs would be large."""
        second_order = (
            self._engine == "vectorised" and self.second_order and self.rule.is_exact and steps
        )
        if not second_order or self._recompute is not None:
            return bool(second_order and self._recompute)
        shape = (batch.support.shape, len(batch), steps)
        if shape not in self._known:
            size = graph_bytes(self._problem, batch, inner_steps=steps)
            self._known[shape] = size > LARGE_GRAPH
        return self._known[shape]

    def _in_shares(self, problem: Problem, batch: Batch, *, key: Key) -> list[Results]:
        """Do all shares; one after the other on a GPU, or if the model draws random numbers."""
        shares = list(self._split(batch))
        if batch.support.device.type != "cpu":
            return self._graphed(self._work(key), problem, shares, None if key.again else key)
        if ranks.size() > 1 and len(shares) > 1 and not self._alone:
            found = among_ranks(self, problem, shares, key)
            if found is not None:
                return found
            self._alone = True
        return self.work_on(problem, shares, key)

    def work_on(self, problem: Problem, shares: Sequence[Batch], key: Key) -> list[Results]:
        """Do shares of a batch in this process, on the CPU.

        Shares that draw from PyTorch's one stream at the same time would each get what is left by
        the others. That a model draws is seen only when it has: then it is done again, in order.
        """
        work = self._work(key)
        programs = self._recorded(work, problem, shares, key)
        if programs:
            return in_shares(lambda given: given[0](given[1]), programs)
        models: list[nn.Module] | None = None
        if len(shares) > 1 and not self._draws and threads() > 1:
            models = copies(self.model, len(shares))
        if models is None:
            device = shares[0].support.device
            return in_order(lambda share: work(problem, share), shares, device=device)

        def one(number: int) -> Results:
            return work(replace(problem, model=models[number]), shares[number])

        before = Streams.now()
        results = in_shares(one, range(len(shares)))
        if Streams.now() == before:
            return results
        self._draws = True
        before.restore()
        return self.work_on(problem, shares, key)

    def made_of(self) -> dict[str, Any]:
        """The arguments that make a learner like this one."""
        return {
            "model": self.model,
            "rule": self.rule,
            "inner_steps": self._inner_steps,
            "chunk_size": self._chunk_size,
            "engine": self._engine,
            "recompute": self._recompute,
        }

    def problem(self, *, inputs: dict[str, Tensor], classes: int) -> Problem:
        """The network and how it adapts, to tasks of so many classes."""
        return replace(self._problem, inputs=inputs, classes=classes)

    def _recorded(
        self, work: Work, problem: Problem, shares: Sequence[Batch], key: Hashable
    ) -> list[tuple[Program, list[Tensor]]]:
        """The program of each share, and what it is given; none if not all have one."""
        settings = self._settings(problem)
        if settings is None:
            return []
        own = [*self._held(problem), *problem.inputs.values()]
        found = []
        for share in shares:
            data = tensors_of(share)
            program = self.programs.find(
                (key, *settings), partial(work, problem, share), [*own, *data]
            )
            if program is not None:
                found.append((program, [*own, *data]))
        return found if len(found) == len(shares) else []

    def _graphed(
        self, work: Work, problem: Problem, shares: Sequence[Batch], key: Hashable | None
    ) -> list[Results]:
        """Do all shares by their graphs, but for those that have none; None as a key has none."""
        settings = None if key is None else self._settings(problem)

        def compute(*given: Tensor) -> Results:
            inputs = dict(zip(problem.inputs, given[4:], strict=True))
            return work(replace(problem, inputs=inputs), Share(*given[:4]))

        return [
            self.graphs.run(
                None if settings is None else (key, *settings),
                compute,
                [*tensors_of(share), *problem.inputs.values()],
                partial(self._held, problem),
            )
            for share in shares
        ]

    def _held(self, problem: Problem) -> list[Tensor]:
        return [*self.model.parameters(), *self.model.buffers(), *problem.meta.values()]

    def _settings(self, problem: Problem) -> tuple[Hashable, ...] | None:
        """What the ops of a share depend on besides its tensors; None if that is not known."""
        known = signature(self.model) if self._engine != "learn2learn" else None
        if known is None:
            return None
        names = (*problem.meta, *problem.inputs)
        return problem.adapted, problem.rule, problem.classes, names, known

    def checked(
        self,
        batch: Batch,
        inner_steps: int | None,
        iteration: int | None = None,
        *,
        derivatives: bool,
    ) -> tuple[Problem, int]:
        """What is done with a batch, and in how many steps; refused if it does not fit."""
        check_modules(self.model)
        check_batch(batch, like=next(self.model.parameters()))
        self._look(batch.support[0], derivatives=derivatives)
        classes = classes_of(batch.support_labels, batch.query_labels)
        steps = self._steps(inner_steps)
        inputs = {}
        if iteration is not None:
            inputs = self.rule.inputs(iteration, inner_steps=steps)
            inputs = {n: sent(value, batch.support.device) for n, value in inputs.items()}
        return replace(self._problem, classes=classes, inputs=inputs), steps

    def _look(self, images: Tensor, *, derivatives: bool) -> None:
        """Look once at what the model reads, and for derivatives at how it makes its own."""
        if not self._read:
            check_reads(self.model, self.adapted, images)
            self._read = True
        if derivatives and self.second_order and not self._differentiated:
            check_second_order(self.model, images)
            self._differentiated = True

    def _steps(self, inner_steps: int | None) -> int:
        if inner_steps is None:
            return self._inner_steps
        return check_int("inner_steps", inner_steps, minimum=0)

    def _split(self, batch: Batch) -> Iterator[Batch]:
        return (batch[a:b] for a, b in pairwise(self._edges(batch)))

    def _edges(self, batch: Batch) -> list[int]:
        """Where the shares of a batch begin and end, from its shape alone."""
        tasks = len(batch)
        count = -(-tasks // self._chunk_size) if self._chunk_size else self._automatic(batch)
        # Even shares: a small rest would pay the overhead of a whole one.
        return [tasks * part // count for part in range(count + 1)]

    def _automatic(self, batch: Batch) -> int:
        tasks = len(batch)
        if self._engine != "vectorised":
            return tasks
        if batch.support.device.type != "cpu":
            return 1
        everything = dict(self.model.named_parameters())
        if sum(everything[name].numel() for name in self.adapted) > SHARE_NUMBERS:
            return tasks  # one fills the cache alone, and each task has parameters of its own
        numbers = tasks * max(1, batch.support[0].numel(), batch.query[0].numel())
        # An even number, for two threads; one where a share would be little but overhead.
        even = 2 * max(1, -(-numbers // (2 * SHARE_NUMBERS)))
        return min(tasks, even) if numbers > FEW_NUMBERS else 1


class _Known(Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, gradients: list[Tensor | None], *parameters: Tensor
    ) -> Tensor:
        """Return the loss, attached to the parameters."""
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the known gradients."""
        return None, None, *(None if known is None else g * known for known in ctx.gradients)


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _joined(found: Sequence[Results]) -> Outcome:
    outcomes = []
    for losses, accuracies, *_ in found:
        assert losses is not None
        assert accuracies is not None
        outcomes.append(Outcome(losses, accuracies))
    return joined(outcomes)


def _mean(outcomes: list[Outcome]) -> Evaluation:
    losses, accuracies = joined(outcomes)
    return Evaluation(losses.mean(), accuracies)
