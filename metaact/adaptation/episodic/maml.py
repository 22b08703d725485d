"""MAML: learn start values from which a few gradient steps solve a new task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from metaact.adaptation import choices
from metaact.adaptation.stateless import differentiable_kernels
from metaact.errors import check_choice, check_int, check_rate

from .learn2learn import learn2learn
from .loop import loop
from .problem import Batch, Engine, Outcome, Problem, adapted_names, check_batch
from .scoring import joined
from .stateful import check_modules
from .vectorised import vectorised

ENGINES: dict[str, Engine] = dict(
    zip(choices.ENGINES, (vectorised, loop, learn2learn), strict=True)
)

# On a CPU a chunk holds about this many numbers of support or query images per call: enough to
# make Python's overhead small, little enough for activations to be reused from the cache. That is
# 32 tasks of 5 MNIST images, or 13 of 25. Between half and twice as many the time is flat.
CHUNK_NUMBERS = 2**18


class Evaluation(NamedTuple):
    """Result of adapting to a meta-batch.

    Attributes:
        loss: Query cross-entropy, a scalar, the mean over tasks.
        accuracy: float [tasks], the share of queries each adapted network gets right, in 0..1.
    """

    loss: Tensor
    accuracy: Tensor


class MAML:
    r"""Model-agnostic meta-learning, all tasks of a meta-batch in one vectorised call.

    For each task i, starting from the model's parameters θ,

        θᵢ ← θᵢ − inner_lr · ∇ L_support,i(θᵢ)     `inner_steps` times,

    and the meta-loss is the mean over tasks of L_query,i(θᵢ), both cross-entropies. Its gradient
    in θ is exact, through all inner steps, unless `first_order` says otherwise.

    The model's training mode is left as it is, except by `test`. Random layers in training mode
    draw from PyTorch's global stream, every task and step its own numbers; fork that stream to keep
    it. BatchNorm must not keep running statistics: it then normalises each task's support images,
    and its query images, by their own.

    Args:
        model: Any network from images [batch, ...] to logits [batch, classes].
        inner_lr: Step size of the inner loop.
        inner_steps: Gradient steps per task.
        first_order: Treat the inner gradients as constants (FOMAML); builds no inner graph.
        head_only: Adapt only the last linear layer in the inner loop (ANIL): the child module
            `head` if there is one, else the last `nn.Linear`; or names of parameters or modules.
            All parameters still get a meta-gradient.
        chunk_size: Tasks worked on at a time: fewer need less memory, and the sum is the same.
            None chooses: one task for the engines that go task by task, all tasks on a GPU, on a
            CPU as many as fit `CHUNK_NUMBERS`.
        engine: "vectorised", "loop" (one task at a time), or "learn2learn".

    Raises:
        UsageError: If an argument is not allowed, or the model has a module that cannot be
            adapted task by task.

    Examples:
        >>> from metaact.tasks import MetaBatch
        >>> draw = torch.Generator().manual_seed(0)
        >>> images = torch.randn(4, 2, 6, generator=draw)
        >>> labels = torch.tensor([0, 1]).expand(4, 2)
        >>> batch = MetaBatch(
        ...     support=images, support_labels=labels, query=images, query_labels=labels
        ... )
        >>> maml = MAML(nn.Sequential(nn.Linear(6, 2)), inner_lr=0.5, inner_steps=3)
        >>> before, after = maml.test(batch, inner_steps=0), maml.test(batch, inner_steps=50)
        >>> after.tolist()
        [1.0, 1.0, 1.0, 1.0]

    References:
        Finn, Abbeel and Levine, Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks,
        2017, https://arxiv.org/abs/1703.03400, algorithm 2 (first order: section 5.2).
        Raghu, Raghu, Bengio and Vinyals, Rapid Learning or Feature Reuse? Towards Understanding the
        Effectiveness of MAML, 2020, https://arxiv.org/abs/1909.09157 (ANIL, section 4).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        inner_lr: float,
        inner_steps: int,
        first_order: bool = False,
        head_only: bool | Sequence[str] = False,
        chunk_size: int | None = None,
        engine: str = "vectorised",
    ) -> None:
        check_modules(model)
        self._problem = Problem(
            model=model,
            adapted=adapted_names(model, head_only),
            inner_lr=check_rate("inner_lr", inner_lr),
            first_order=first_order,
        )
        self._inner_steps = check_int("inner_steps", inner_steps, minimum=1)
        self._engine = check_choice("engine", engine, ENGINES)
        if chunk_size is not None:
            check_int("chunk_size", chunk_size, minimum=1)
        self._chunk_size = chunk_size

    @property
    def model(self) -> nn.Module:
        """The network; hand its parameters to the outer optimizer."""
        return self._problem.model

    @property
    def adapted(self) -> tuple[str, ...]:
        """Names of the parameters that the inner loop changes."""
        return self._problem.adapted

    @differentiable_kernels()
    def evaluate(self, batch: Batch, *, inner_steps: int | None = None) -> Evaluation:
        """Adapt to every task and return the mean query loss, differentiable, and accuracies.

        Where the batch is worked on in several chunks and gradients are on, each chunk's gradient
        is computed at once and its graph freed, so memory stays bounded; `loss` then carries the
        finished gradient, once differentiable in the model's parameters. For a loss that is a
        plain autograd graph choose `chunk_size` >= tasks; for the value alone, use
        `torch.no_grad()`.

        Args:
            batch: Tasks of one shape, such as a `metaact.tasks.MetaBatch`.
            inner_steps: Steps for this call; None takes those of the constructor.

        Returns:
            The loss and the accuracies.

        Raises:
            UsageError: If the batch does not fit the model.
        """
        steps = self._checked(batch, inner_steps)
        chunks = list(self._chunks(batch))
        trained = [p for p in self.model.parameters() if p.requires_grad]
        inputs_too = batch.support.requires_grad or batch.query.requires_grad
        if len(chunks) == 1 or inputs_too or not torch.is_grad_enabled():
            outcomes = [self._run(chunk, steps) for chunk in chunks]
            return _mean(outcomes)
        totals: list[Tensor | None] = [None] * len(trained)
        outcomes = []
        for chunk in chunks:
            outcome = self._run(chunk, steps)
            share = outcome.losses.sum() / len(batch)
            gradients = torch.autograd.grad(share, trained, allow_unused=True)
            totals = [_plus(a, b) for a, b in zip(totals, gradients, strict=True)]
            outcomes.append(Outcome(outcome.losses.detach(), outcome.accuracies))
        loss, accuracy = _mean(outcomes)
        return Evaluation(_Known.apply(loss, totals, *trained), accuracy)

    @differentiable_kernels()
    def backward(self, batch: Batch) -> Evaluation:
        """Add the gradient of the mean query loss to the parameters' `.grad`, chunk by chunk.

        Args:
            batch: Tasks of one shape.

        Returns:
            The loss and the accuracies before any update, detached.

        Raises:
            UsageError: If the batch does not fit the model.
        """
        steps = self._checked(batch, None)
        outcomes = []
        with torch.enable_grad():
            for chunk in self._chunks(batch):
                outcome = self._run(chunk, steps)
                torch.autograd.backward(outcome.losses.sum() / len(batch))
                outcomes.append(Outcome(outcome.losses.detach(), outcome.accuracies))
        return _mean(outcomes)

    @differentiable_kernels()
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
        steps = self._checked(batch, inner_steps)
        with torch.no_grad(), _eval_mode(self.model):
            return torch.cat([self._run(chunk, steps).accuracies for chunk in self._chunks(batch)])

    def _run(self, chunk: Batch, steps: int) -> Outcome:
        return ENGINES[self._engine](self._problem, chunk, inner_steps=steps)

    def _checked(self, batch: Batch, inner_steps: int | None) -> int:
        check_modules(self.model)
        check_batch(batch, like=next(self.model.parameters()))
        if inner_steps is None:
            return self._inner_steps
        return check_int("inner_steps", inner_steps, minimum=0)

    def _chunks(self, batch: Batch) -> Iterator[Batch]:
        tasks = len(batch)
        size = self._chunk_size or self._automatic(batch)
        count = -(-tasks // size)
        # Even shares: a small rest would pay the overhead of a whole chunk.
        edges = [tasks * part // count for part in range(count + 1)]
        return (batch[a:b] for a, b in pairwise(edges))

    def _automatic(self, batch: Batch) -> int:
        if self._engine != "vectorised":
            return 1
        if batch.support.device.type != "cpu":
            return len(batch)
        largest = max(batch.support[0].numel(), batch.query[0].numel())
        return max(1, CHUNK_NUMBERS // max(1, largest))


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


def _mean(outcomes: list[Outcome]) -> Evaluation:
    losses, accuracies = joined(outcomes)
    return Evaluation(losses.mean(), accuracies)


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
