"""Prototypical networks: the class whose mean is nearest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaact.adaptation.episodic.inner import Parameters
from metaact.adaptation.episodic.problem import Tasks

from .rule import Rule, head_names


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoNet(Rule):
    r"""Logits of an image are −‖f(x) − c_k‖², where c_k is the mean of f over class k's support.

    f is the network below its head. As ‖f(x)‖² is the same for all classes, the logits may be those
    of a head with the weights 2c_k and the biases −‖c_k‖²: that head is what a task adapts to. No
    gradient step is taken.

    References:
        Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, 2017,
        https://arxiv.org/abs/1703.05175, equations 1, 2 and 8.

    Deviation:
        Tasks of training have as many ways as those of testing, where the paper trains on more.
    """

    def adapted(self, model: nn.Module) -> tuple[str, ...]:
        """Those of the head, which is replaced."""
        return head_names(model, why="prototypical networks")

    def adapt(
        self, tasks: Tasks, images: Tensor, labels: Tensor, *, inner_steps: int
    ) -> Parameters:
        """The head that measures distances from the means of the classes."""
        weight, bias = self.adapted(tasks.problem.model)
        head = dict(tasks.problem.model.named_parameters())[weight]
        ways, width = head.shape
        identity = torch.eye(width, dtype=head.dtype, device=head.device)
        zeros = torch.zeros(width, dtype=head.dtype, device=head.device)
        shared = {**tasks.shared, weight: identity, bias: zeros}
        features = tasks.logits({}, shared, images)
        belongs = (labels.unsqueeze(2) == torch.arange(ways, device=labels.device)).to(head.dtype)
        count = belongs.sum(dim=1)
        means = torch.einsum("tnk,tnf->tkf", belongs, features) / count.clamp(min=1).unsqueeze(2)
        apart = -means.square().sum(dim=2)
        found = {weight: 2 * means, bias: apart.masked_fill(count == 0, -torch.inf)}
        return found if tasks.dims else {name: value.squeeze(0) for name, value in found.items()}
