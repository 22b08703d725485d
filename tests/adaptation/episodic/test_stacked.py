"""Meta-gradients of several runs in one call against those of each run alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaact import activations
from metaact.adaptation import (
    ALGORITHMS,
    Anil,
    Boil,
    Maml,
    MetaLearner,
    MetaSGD,
    MetaStack,
    ProtoNet,
)
from metaact.adaptation.episodic.algorithms.rule import Descent
from metaact.adaptation.episodic.algorithms.table import find
from metaact.adaptation.episodic.stacked import most_runs, stack_refusal
from metaact.errors import UsageError

RULES: dict[str, Descent] = {
    "maml": Maml(inner_lr=0.1),
    "fomaml": Maml(inner_lr=0.1, first_order=True),
    "clipped": Maml(inner_lr=0.1, inner_clip=0.3),
    "anil": Anil(inner_lr=0.1),
    "anil by name": Anil(inner_lr=0.1, head_only=("3",)),
    "boil": Boil(inner_lr=0.1),
    "metasgd": MetaSGD(inner_lr=0.1),
}

ARMS = ("arelu", "arelu", "relu", "arelu-frozen", "prelu")
RATES = (0.1, 0.02, 0.3, 0.05, 0.1)

EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture
def team(net: Any) -> Callable[..., list[MetaLearner]]:
    """`team(rule, arms)`: a run for each arm, of weights and a rate of its own."""

    def made(rule: Descent, arms: Sequence[str] = ARMS, **settings: Any) -> list[MetaLearner]:
        learners = []
        for number, (arm, rate) in enumerate(zip(arms, RATES, strict=False)):
            model = net(activations.resolve(arm).factory)
            draw = torch.Generator().manual_seed(number)
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    noise = torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype)
                    parameter.data.add_(0.1 * noise)
            one = replace(rule, inner_lr=rate)
            learners.append(MetaLearner(model, one, **{"inner_steps": 2, **settings}))
        return learners

    return made


def arms_of(rule: Descent) -> Sequence[str]:
    """Those that may be in one stack."""
    return ("arelu",) * 3 if isinstance(rule, MetaSGD) else ARMS


def gradients(one: MetaLearner) -> list[Tensor | None]:
    return [p.grad for p in one.parameters() if p.requires_grad]


@pytest.mark.parametrize("name", RULES)
def test_every_run_gets_its_own_gradient(
    name: str, team: Callable[..., list[MetaLearner]], episodes: Any
) -> None:
    rule = RULES[name]
    together, alone = team(rule, arms_of(rule)), team(rule, arms_of(rule))
    stack = MetaStack(together)
    batches = [episodes(seed=number) for number in range(len(alone))]
    for _ in range(2):  # added to what is there
        found = stack.backward(batches)
        wanted = [one.backward(batch) for one, batch in zip(alone, batches, strict=True)]
        for a, b in zip(found, wanted, strict=True):
            torch.testing.assert_close(a.loss, b.loss, **EXACT)
            assert torch.equal(a.accuracy, b.accuracy)
            assert not a.loss.requires_grad
    for one, other in zip(together, alone, strict=True):
        pairs = list(zip(gradients(one), gradients(other), strict=True))
        assert any(a is not None and bool(a.any()) for a, _ in pairs)
        for a, b in pairs:
            torch.testing.assert_close(torch.zeros(()) if a is None else a, b, **EXACT)


@pytest.mark.parametrize("name", RULES)
def test_training_in_a_stack_is_training_alone(
    name: str, team: Callable[..., list[MetaLearner]], episodes: Any
) -> None:
    """Also for one that joins late, and leaves."""
    rule = RULES[name]
    runs, alone = team(rule, arms_of(rule)), team(rule, arms_of(rule))
    optimizers = [
        [torch.optim.Adam(one.parameters(), 0.01) for one in group] for group in (runs, alone)
    ]
    for iteration in range(6):
        batches = [episodes(seed=10 * n + iteration) for n in range(len(runs))]
        for group in optimizers:
            for optimizer in group:
                optimizer.zero_grad()
        here = [n for n in range(len(runs)) if n != 1 or iteration in (2, 3)]
        MetaStack([runs[n] for n in here]).backward([batches[n] for n in here])
        if 1 not in here:
            runs[1].backward(batches[1])
        for one, batch in zip(alone, batches, strict=True):
            one.backward(batch)
        for group in optimizers:
            for optimizer in group:
                optimizer.step()
    for one, other in zip(runs, alone, strict=True):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_companions_make_no_difference(
    team: Callable[..., list[MetaLearner]], episodes: Any
) -> None:
    """Not even one that has left the finite numbers."""
    ends = []
    for others in ((), (1, 2), (4, 3)):
        runs = team(Maml(inner_lr=0.1))
        for parameter in runs[4].model.parameters():
            parameter.data.fill_(torch.nan)
        chosen = [0, *others]
        MetaStack([runs[n] for n in chosen]).backward([episodes(seed=n) for n in chosen])
        ends.append(gradients(runs[0]))
    for end in ends[1:]:
        for a, b in zip(end, ends[0], strict=True):
            torch.testing.assert_close(a, b, **EXACT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halved(Maml):
    """A rule of one's own, which inherits more than it computes."""

    def step(self, values: Any, gradients: Any, meta: Any, number: int) -> Any:
        return {n: v - 0.5 * self.inner_lr * gradients[n] for n, v in values.items()}


class Slope(nn.PReLU):
    """Parameters of the same names and shapes."""


def test_what_is_not_stacked_is_refused(
    team: Callable[..., list[MetaLearner]], net: Any, episodes: Any
) -> None:
    model = net()
    for rule, engine, message in (
        (Halved(inner_lr=0.1), "vectorised", "Halved is not stacked"),
        (ProtoNet(), "vectorised", "ProtoNet is not stacked"),
        (Maml(inner_lr=0.1), "loop", "the engine is 'loop'"),
    ):
        learner = MetaLearner(model, rule, engine=engine)
        assert stack_refusal(learner) == message
        with pytest.raises(UsageError, match=message):
            MetaStack([learner])
    pair = [team(Maml(inner_lr=0.1))[0], team(Maml(inner_lr=0.1, first_order=True))[1]]
    with pytest.raises(UsageError, match="number 1 differs from number 0"):
        MetaStack(pair)
    rated = MetaSGD(inner_lr=0.1)
    with pytest.raises(UsageError, match="equal activations for MetaSGD"):
        MetaStack([MetaLearner(net(layer), rated) for layer in (nn.PReLU, Slope)])
    stack = MetaStack(team(Maml(inner_lr=0.1))[:2])
    with pytest.raises(UsageError, match="2 of one shape, one for each run; got 1 of 1 shapes"):
        stack.backward([episodes()])
    with pytest.raises(UsageError, match="got 2 of 2 shapes"):
        stack.backward([episodes(), episodes(tasks=3)])
    assert "2 of MetaLearner" in repr(stack)


def test_rules_say_whether_they_are_stacked() -> None:
    stacked = [name for name in ALGORITHMS if find(name).stacks]
    assert stacked == ["maml", "fomaml", "anil", "boil", "metasgd"]


def test_a_stack_is_no_larger_than_its_graphs_may_be(
    team: Callable[..., list[MetaLearner]], episodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, *_ = team(Maml(inner_lr=0.1))
    few, many = (most_runs(one, episodes(tasks=tasks)) for tasks in (64, 4))
    assert many == pytest.approx(16 * few, rel=0.1)
    longer = team(Maml(inner_lr=0.1), inner_steps=8)[0]
    assert most_runs(longer, episodes()) == pytest.approx(many / 4, rel=0.1)
    monkeypatch.setattr("metaact.adaptation.episodic.stacked.LARGE_GRAPH", 10)
    assert most_runs(one, episodes()) == 1


def test_modules_in_evaluation_mode_stay_so(net: Any, episodes: Any) -> None:
    """The stack is in the modes that its networks have when it is made."""
    found = []
    for stacked in (False, True):
        learners = []
        for _ in range(2):
            model = nn.Sequential(net(), nn.Dropout(0.5))
            learners.append(MetaLearner(model.eval(), Maml(inner_lr=0.1)))
        batches = [episodes(seed=seed) for seed in (0, 1)]
        if stacked:
            MetaStack(learners).backward(batches)
        else:
            for learner, batch in zip(learners, batches, strict=True):
                learner.backward(batch)
        found.append([g for learner in learners for g in gradients(learner)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_what_draws_is_refused_and_nothing_is_drawn(net: Any, episodes: Any) -> None:
    learners = [
        MetaLearner(nn.Sequential(net(), nn.Dropout(0.5)), Maml(inner_lr=0.1)) for _ in range(2)
    ]
    with pytest.raises(UsageError, match="draw no random numbers"):
        MetaStack(learners).backward([episodes(seed=seed) for seed in (0, 1)])
    assert all(gradient is None for one in learners for gradient in gradients(one))
