"""MAML: learn start values from which a few gradient steps solve a new task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from .algorithms.anil import Anil
from .algorithms.maml import Maml
from .learner import MetaLearner


class MAML(MetaLearner):
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
        chunk_size: Tasks in a share, worked on at a time by one thread: fewer need less memory, and
            the sum is the same. None chooses by the shape of the batch: one task for the engines
            that go task by task and for large networks on a CPU, all tasks on a GPU, else as many
            as fit `SHARE_NUMBERS`, in an even number of shares. `metaact.adaptation.set_threads`
            says how many threads there are.
        engine: "vectorised", "loop" (one task at a time), or "learn2learn".
        recompute: Whether the way back of the engine "vectorised" computes each second-order step
            again instead of keeping its graph: less memory, more time, the same gradient up to
            rounding. None does so where the graph would exceed `LARGE_GRAPH`.

    Raises:
        UsageError: If an argument is not allowed, or the model has a module that cannot be
            adapted task by task.

    Examples:
        >>> import torch
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
        recompute: bool | None = None,
    ) -> None:
        settings: dict[str, Any] = {"inner_lr": inner_lr, "first_order": first_order}
        named = head_only if isinstance(head_only, bool) else _tuple(head_only)
        rule = Anil(**settings, head_only=named) if named is not False else Maml(**settings)
        super().__init__(
            model,
            rule,
            inner_steps=inner_steps,
            chunk_size=chunk_size,
            engine=engine,
            recompute=recompute,
        )


def _tuple(names: Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
