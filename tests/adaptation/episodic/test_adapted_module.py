"""`MAML.adapt`: the network of an evaluation episode as a module, against MAML and learn2learn."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from metaact.adaptation import MAML
from metaact.errors import UsageError
from metaact.tasks import MetaBatch


@pytest.mark.parametrize("engine", ["vectorised", "loop"])
@pytest.mark.parametrize("head_only", [False, True])
def test_it_scores_as_the_test_does(
    engine: str, head_only: bool, episodes: Callable, net: Callable
) -> None:
    batch = episodes(tasks=6, queries=5)
    maml = MAML(net(), inner_lr=0.3, inner_steps=3, engine=engine, head_only=head_only)
    for t, accuracy in enumerate(maml.test(batch, inner_steps=4).tolist()):
        learner = maml.adapt(batch.support[t], batch.support_labels[t], inner_steps=4)
        right = learner(batch.query[t]).argmax(dim=1) == batch.query_labels[t]
        assert float(right.double().mean()) == accuracy


def test_its_parameters_are_those_of_gradient_descent(episodes: Callable, net: Callable) -> None:
    """The inner loop by hand, with an optimiser of PyTorch."""
    model, batch = net(), episodes()
    learner = MAML(model, inner_lr=0.3, inner_steps=3).adapt(
        batch.support[0], batch.support_labels[0]
    )
    by_hand = copy.deepcopy(model)
    descent = torch.optim.SGD(by_hand.parameters(), lr=0.3)
    for _ in range(3):
        descent.zero_grad()
        functional.cross_entropy(by_hand(batch.support[0]), batch.support_labels[0]).backward()
        descent.step()
    assert [name for name, _ in learner.named_parameters()] == [
        name for name, _ in model.named_parameters()
    ]
    for mine, theirs in zip(learner.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_it_is_a_module_of_its_own(episodes: Callable, net: Callable) -> None:
    model, batch = net(), episodes()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learner = MAML(model, inner_lr=0.3, inner_steps=2).adapt(
        batch.support[0], batch.support_labels[0]
    )
    assert not learner.training
    assert model.training
    assert all(isinstance(p, nn.Parameter) and p.is_leaf for p in learner.parameters())
    assert all(p.requires_grad for p in learner.parameters())
    learner(batch.query[0]).sum().backward()
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.zero_()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.grad is None for parameter in model.parameters())
    net().load_state_dict(learner.state_dict())


def _losses(maml: MAML, batch: MetaBatch) -> torch.Tensor:
    """The meta-loss, written as a user would who has one learner a task."""
    losses = []
    for t in range(len(batch)):
        learner = maml.adapt(batch.support[t], batch.support_labels[t], differentiable=True)
        losses.append(functional.cross_entropy(learner(batch.query[t]), batch.query_labels[t]))
    return torch.stack(losses).mean()


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("head_only", [False, True])
def test_differentiable_learners_have_the_meta_gradient(
    first_order: bool, head_only: bool, episodes: Callable, net: Callable, gradient: Callable
) -> None:
    batch = episodes()
    maml = MAML(net(), inner_lr=0.5, inner_steps=3, first_order=first_order, head_only=head_only)
    result, expected = gradient(maml, batch)
    loss = _losses(maml, batch)
    found = torch.autograd.grad(loss, list(maml.model.parameters()))
    assert loss.item() == pytest.approx(result.loss.item(), rel=1e-12)
    flat = torch.cat([g.flatten() for g in found])
    torch.testing.assert_close(flat, expected, rtol=1e-9, atol=1e-12)


def test_differentiable_learners_are_those_of_learn2learn(
    learn2learn: ModuleType, episodes: Callable, net: Callable
) -> None:
    model, batch = net(), episodes()
    ours = _losses(MAML(model, inner_lr=0.5, inner_steps=3), batch)
    theirs = learn2learn.algorithms.MAML(copy.deepcopy(model), lr=0.5)
    losses = []
    for t in range(len(batch)):
        learner = theirs.clone()
        for _ in range(3):
            learner.adapt(
                functional.cross_entropy(learner(batch.support[t]), batch.support_labels[t])
            )
        losses.append(functional.cross_entropy(learner(batch.query[t]), batch.query_labels[t]))
    mean = torch.stack(losses).mean()
    torch.testing.assert_close(ours, mean, rtol=1e-12, atol=0)
    pairs = zip(
        torch.autograd.grad(ours, list(model.parameters())),
        torch.autograd.grad(mean, list(theirs.module.parameters())),
        strict=True,
    )
    for mine, other in pairs:
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)


class _Tied(nn.Module):
    """One linear layer registered twice, and a weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.again = self.first
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.again(torch.tanh(self.second(torch.tanh(self.first(x)))))
        return self.head(hidden)  # type: ignore[no-any-return]


def test_shared_parameters_stay_shared(episodes: Callable, seeded: Callable) -> None:
    model, batch = seeded(_Tied), episodes(shape=(4,), tasks=1)
    maml = MAML(model, inner_lr=0.3, inner_steps=2)
    for differentiable in (False, True):
        learner = maml.adapt(
            batch.support[0], batch.support_labels[0], differentiable=differentiable
        )
        assert learner.again is learner.first
        assert learner.second.weight is learner.first.weight
        assert learner.first.weight is not model.first.weight
        loss = functional.cross_entropy(learner(batch.query[0]), batch.query_labels[0])
        assert loss.item() == pytest.approx(maml.evaluate(batch).loss.item(), rel=1e-12)


def test_batch_norm_normalises_by_the_images_at_hand(episodes: Callable, seeded: Callable) -> None:
    def build() -> nn.Module:
        norm = nn.BatchNorm2d(2, track_running_stats=False)
        return nn.Sequential(nn.Conv2d(1, 2, 3), norm, nn.Tanh(), nn.Flatten(), nn.Linear(128, 3))

    batch = episodes(tasks=1)
    maml = MAML(seeded(build), inner_lr=0.3, inner_steps=2)
    learner = maml.adapt(batch.support[0], batch.support_labels[0])
    loss = functional.cross_entropy(learner(batch.query[0]), batch.query_labels[0])
    assert loss.item() == pytest.approx(maml.evaluate(batch).loss.item(), rel=1e-12)


def test_random_layers_are_off_unless_it_is_differentiable(
    episodes: Callable, seeded: Callable
) -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(100, 3)))
    batch, maml = episodes(tasks=1), MAML(model, inner_lr=0.3, inner_steps=1)
    task = batch.support[0], batch.support_labels[0]
    first, second = maml.adapt(*task), maml.adapt(*task)
    assert torch.equal(first(batch.query[0]), second(batch.query[0]))
    with torch.random.fork_rng(devices=[]):
        own = maml.adapt(*task, differentiable=True)
        assert own.training
        assert not torch.equal(own(batch.query[0]), own(batch.query[0]))


def test_what_does_not_fit_is_refused(episodes: Callable, net: Callable) -> None:
    batch, maml = episodes(), MAML(net(), inner_lr=0.1, inner_steps=1)
    images, labels = batch.support[0], batch.support_labels[0]
    with pytest.raises(UsageError, match=r"`support` must be torch.float64 on cpu"):
        maml.adapt(images.float(), labels)
    with pytest.raises(UsageError, match=r"`support_labels` must be int64 \[3\]"):
        maml.adapt(images, labels[:2])
    with pytest.raises(UsageError, match=r"`support` must hold at least one image; got \[0, 1,"):
        maml.adapt(images[:0], labels[:0])
    with pytest.raises(UsageError, match=r"4 classes.*3 logits"):
        maml.adapt(images, labels + 1)
    with pytest.raises(UsageError, match="`inner_steps` must be an int >= 0"):
        maml.adapt(images, labels, inner_steps=-1)


def test_a_model_that_cannot_be_copied_is_refused(episodes: Callable, seeded: Callable) -> None:
    def build() -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(100, 3))
        model.register_buffer("seen", nn.Parameter(torch.zeros(1)) * 2)  # it has a history
        return model

    batch, maml = episodes(tasks=1), MAML(seeded(build), inner_lr=0.1, inner_steps=1)
    with pytest.raises(UsageError, match="`model` must be one that can be copied"):
        maml.adapt(batch.support[0], batch.support_labels[0])


def test_zero_steps_are_the_model_itself(episodes: Callable, net: Callable) -> None:
    model, batch = net(), episodes()
    learner = MAML(model, inner_lr=0.3, inner_steps=2).adapt(
        batch.support[0], batch.support_labels[0], inner_steps=0
    )
    images = batch.query[0]
    assert torch.equal(learner(images), functional_call(model.eval(), {}, (images,)))
