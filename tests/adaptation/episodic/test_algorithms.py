"""Every algorithm against closed forms, finite differences, learn2learn, and the other engine."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import fields
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from metaact import models
from metaact.adaptation import (
    MAML,
    Anil,
    Boil,
    FineTune,
    Maml,
    MamlPlusPlus,
    MetaLearner,
    MetaSGD,
    ProtoNet,
    Reptile,
    Rule,
)
from metaact.adaptation.episodic.algorithms import table
from metaact.adaptation.episodic.algorithms.mamlpp import WEIGHTS
from metaact.adaptation.episodic.inner import clipped
from metaact.errors import UsageError
from metaact.experiments.maml import MamlConfig
from metaact.settings import by_name
from metaact.tasks import MetaBatch

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
RULES: dict[str, Rule] = {
    "maml": Maml(inner_lr=0.3),
    "fomaml": Maml(inner_lr=0.3, first_order=True),
    "maml, clipped": Maml(inner_lr=0.3, inner_clip=0.2),
    "anil": Anil(inner_lr=0.3),
    "boil": Boil(inner_lr=0.3),
    "boil, first order": Boil(inner_lr=0.3, first_order=True),
    "metasgd": MetaSGD(inner_lr=0.3),
    "metasgd, first order": MetaSGD(inner_lr=0.3, first_order=True),
    "metasgd, clipped": MetaSGD(inner_lr=0.3, inner_clip=0.2),
    "maml++": MamlPlusPlus(inner_lr=0.3, multi_step=10),
    "maml++, faded": MamlPlusPlus(inner_lr=0.3),
    "reptile": Reptile(inner_lr=0.3),
    "protonet": ProtoNet(),
    "finetune": FineTune(inner_lr=0.3, classes=7),
    "finetune, head": FineTune(inner_lr=0.3, classes=7, head_only=True),
}
NOT_A_LOSS = ("reptile",)
"""Whose meta-gradient is that of no loss."""

FIRST_ORDER = ("fomaml", "boil, first order", "metasgd, first order")

Found = tuple[Tensor, Tensor, dict[str, Tensor]]


@pytest.fixture(scope="module")
def small(seeded: Callable) -> nn.Module:
    """A perceptron of six numbers."""
    return seeded(lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)))


@pytest.fixture(scope="module")
def batch(episodes: Callable) -> MetaBatch:
    """Four tasks for it."""
    return episodes(tasks=4, queries=3, shape=(6,))


def learner_of(name: str, model: nn.Module, **options: object) -> MetaLearner:
    made = MetaLearner(copy.deepcopy(model), RULES[name], **{"inner_steps": 3, **options})
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():  # away from where meta-parameters start: from zero, and from equal rates
        for value in made.meta.values():
            value += 0.1 * torch.randn(value.shape, generator=draw, dtype=value.dtype)
    return made


def found(learner: MetaLearner, batch: MetaBatch, *, iteration: int = 3) -> Found:
    """Loss, accuracies and the gradient of everything that is learned."""
    for parameter in learner.parameters():
        parameter.grad = None
    loss, accuracy = learner.backward(batch, iteration=iteration)
    named = [*learner.model.named_parameters(), *learner.meta.items()]
    return loss, accuracy, {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named}


def agree(one: Found, other: Found) -> None:
    torch.testing.assert_close(one[0], other[0], **CLOSE)
    assert torch.equal(one[1], other[1])
    torch.testing.assert_close(one[2], other[2], **CLOSE)


@pytest.mark.parametrize("name", RULES)
def test_engines_and_chunks_agree(name: str, small: nn.Module, batch: MetaBatch) -> None:
    """One vectorised call, one task after the other, and shares of any size are the same."""
    whole = learner_of(name, small, chunk_size=4)
    expected = found(whole, batch)
    assert max(float(g.abs().max()) for g in expected[2].values()) > 1e-3
    agree(found(learner_of(name, small, engine="loop"), batch), expected)
    agree(found(learner_of(name, small, chunk_size=3), batch), expected)
    for steps in (0, 5):
        scores = whole.test(batch, steps)
        assert torch.equal(learner_of(name, small, engine="loop").test(batch, steps), scores)


@pytest.mark.parametrize("name", ["maml, clipped", "maml++", "reptile", "protonet", "finetune"])
def test_engines_agree_on_a_network_of_convolutions_and_arelu(
    name: str, episodes: Callable
) -> None:
    draw = torch.Generator().manual_seed(0)
    model = models.conv4("arelu", classes=3, filters=2, batch_norm="batch", generator=draw)
    batch = episodes(tasks=2, shape=(1, 16, 16))
    one, other = (
        learner_of(name, model.double(), engine=engine) for engine in ("vectorised", "loop")
    )
    agree(found(one, batch), found(other, batch))


@pytest.mark.parametrize("name", RULES)
def test_the_adapted_module_is_what_a_test_scores(
    name: str, small: nn.Module, batch: MetaBatch
) -> None:
    learner = learner_of(name, small)
    scores = learner.test(batch)
    for task in range(len(batch)):
        own = learner.adapt(batch.support[task], batch.support_labels[task])
        hits = own(batch.query[task]).argmax(dim=1) == batch.query_labels[task]
        assert hits.double().mean() == scores[task]


@pytest.mark.parametrize("name", [n for n in RULES if n not in (*NOT_A_LOSS, *FIRST_ORDER)])
def test_meta_gradient_is_that_of_finite_differences(
    name: str, small: nn.Module, batch: MetaBatch
) -> None:
    learner = learner_of(name, small)
    gradient = found(learner, batch)[2]
    draw, size = torch.Generator().manual_seed(1), 1e-5
    leaves = dict([*learner.model.named_parameters(), *learner.meta.items()])
    way = {n: torch.randn(p.shape, generator=draw, dtype=p.dtype) for n, p in leaves.items()}
    sides = []
    for sign in (1, -2):
        with torch.no_grad():
            for n, p in leaves.items():
                p += sign * size * way[n]
            sides.append(float(learner.evaluate(batch, iteration=3).loss))
    slope = sum(float((gradient[n] * way[n]).sum()) for n in leaves)
    assert slope == pytest.approx((sides[0] - sides[1]) / (2 * size), rel=1e-5)


@pytest.mark.parametrize(
    "name", ["maml", "maml, clipped", "anil", "boil", "metasgd", "metasgd, clipped"]
)
def test_steps_that_are_computed_again_have_the_same_gradient(
    name: str, small: nn.Module, batch: MetaBatch
) -> None:
    expected = found(learner_of(name, small, recompute=False), batch)
    agree(found(learner_of(name, small, recompute=True), batch), expected)


@pytest.mark.parametrize("name", RULES)
def test_recorded_calls_have_the_same_bits(name: str, small: nn.Module, episodes: Callable) -> None:
    """From the tenth call on a computation is a program; the weights of losses change meanwhile."""
    learner = learner_of(name, small)
    for call in range(11):
        batch = episodes(tasks=2, queries=3, shape=(6,), seed=call)
        got = found(learner, batch, iteration=call % 5)
    assert len(learner.programs) == 1
    expected = found(learner_of(name, small), batch, iteration=call % 5)
    assert torch.equal(expected[0], got[0])
    assert all(torch.equal(g, got[2][n]) for n, g in expected[2].items())


class Line(nn.Module):
    """One number that is multiplied by another."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([w], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class OneNumber(nn.Module):
    """One parameter w; logits (w·x, 0) of one number x: a loss of which all is known by hand."""

    def __init__(self, w: float) -> None:
        super().__init__()
        self.body = Line(w)

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x)
        return torch.cat([z, torch.zeros_like(z)], dim=1)


def one_number(x: float, y: int, q: float, r: int) -> MetaBatch:
    image = torch.tensor([[[x]], [[x]]], dtype=torch.float64)
    query = torch.tensor([[[q]], [[q]]], dtype=torch.float64)
    return MetaBatch(
        support=image,
        support_labels=torch.tensor([[y], [y]]),
        query=query,
        query_labels=torch.tensor([[r], [r]]),
    )


@pytest.mark.parametrize("engine", ["vectorised", "loop"])
def test_by_hand(engine: str) -> None:
    """L(w) = softplus(−wx) for label 0: g = −xσ(−wx), H = x²σ(wx)σ(−wx), and so on by hand."""
    w, x, q, a = 0.4, 1.5, -0.7, 0.6
    batch = one_number(x, 0, q, 0)

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    def gradient(value: float, at: float) -> float:
        return -at * sigma(-value * at)

    g = gradient(w, x)
    hessian = x * x * sigma(w * x) * sigma(-w * x)
    v = w - a * g
    outer = gradient(v, q)

    def learned(rule: Rule, **options: object) -> dict[str, Tensor]:
        made = MetaLearner(OneNumber(w), rule, **{"inner_steps": 1, "engine": engine, **options})
        return found(made, batch, iteration=0)[2]

    (maml,) = learned(Maml(inner_lr=a)).values()
    assert float(maml) == pytest.approx(outer * (1 - a * hessian), rel=1e-12)
    (first,) = learned(Maml(inner_lr=a, first_order=True)).values()
    assert float(first) == pytest.approx(outer, rel=1e-12)

    both = learned(MetaSGD(inner_lr=a))
    assert float(both["body.weight"]) == pytest.approx(outer * (1 - a * hessian), rel=1e-12)
    assert float(both["rate of body.weight"]) == pytest.approx(-outer * g, rel=1e-12)

    # Two steps at rates a: after each the query loss counts half, as the fading has not begun.
    g2, h2 = gradient(v, x), x * x * sigma(v * x) * sigma(-v * x)
    u = v - a * g2
    dv, du = 1 - a * hessian, (1 - a * hessian) * (1 - a * h2)
    steps = learned(MamlPlusPlus(inner_lr=a, multi_step=4), inner_steps=2)
    expected = 0.5 * (outer * dv + gradient(u, q) * du)
    assert float(steps["body.weight"]) == pytest.approx(expected, rel=1e-12)
    rates = [
        0.5 * (-g * outer + gradient(u, q) * -g * (1 - a * h2)),
        0.5 * -g2 * gradient(u, q),
    ]
    assert steps["rate of body"].tolist() == pytest.approx(rates, rel=1e-12)

    # Reptile: two steps, of the support image and of the query image; θ − θᵢ is the gradient.
    (moved,) = learned(Reptile(inner_lr=a), inner_steps=2).values()
    second = gradient(v, q)
    assert float(moved) == pytest.approx(w - (v - a * second), rel=1e-12)

    clip = abs(g) / 4  # the clipped step is of fixed length, so it has no Hessian
    (short,) = learned(Maml(inner_lr=a, inner_clip=clip)).values()
    landed = w - a * clip * (1 if g > 0 else -1)
    assert float(short) == pytest.approx(gradient(landed, q), rel=1e-12)
    (long,) = learned(Maml(inner_lr=a, inner_clip=4 * abs(g))).values()
    assert float(long) == pytest.approx(float(maml), rel=1e-12)


def test_clipping_is_of_the_norm_over_all_parameters_of_a_task() -> None:
    draw = torch.Generator().manual_seed(0)
    gradients = {
        "a": torch.randn(5, 3, 2, generator=draw, dtype=torch.float64),
        "b": torch.randn(5, 4, generator=draw, dtype=torch.float64) * torch.arange(5.0).view(5, 1),
    }
    found = clipped(gradients, 2.5, dims=1)
    for task in range(5):
        own = nn.ParameterList([nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))])
        for parameter, gradient in zip(own.double(), gradients.values(), strict=True):
            parameter.grad = gradient[task].clone()
        nn.utils.clip_grad_norm_(own, 2.5)
        for parameter, gradient in zip(own, found.values(), strict=True):
            torch.testing.assert_close(gradient[task], parameter.grad, rtol=1e-6, atol=1e-9)
        alone = clipped({n: g[task] for n, g in gradients.items()}, 2.5, dims=0)
        torch.testing.assert_close(alone, {n: g[task] for n, g in found.items()})


def test_a_clipped_gradient_of_zero_has_finite_slopes() -> None:
    gradient = torch.zeros(2, 3, requires_grad=True)
    clipped({"a": gradient}, 1.0, dims=1)["a"].sum().backward()
    assert torch.equal(gradient.grad, torch.ones(2, 3))


@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "metasgd", "metasgd, first order"])
def test_learn2learn_finds_the_same(
    name: str, small: nn.Module, episodes: Callable, learn2learn: ModuleType
) -> None:
    """MAML, MetaSGD, and ANIL as in its examples: features outside, the head in `MAML`."""
    model, batch = small, episodes(queries=3, shape=(6,))
    rule = RULES[name]
    loss, _, gradient = found(MetaLearner(model, rule, inner_steps=3), batch)
    theirs, algorithms = copy.deepcopy(model), learn2learn.algorithms
    features: nn.Module = nn.Identity()
    whole = theirs
    if name == "anil":
        features, theirs = theirs[:-1], theirs[-1]
    if name.startswith("metasgd"):
        made = algorithms.MetaSGD(theirs, lr=rule.inner_lr, first_order=rule.first_order)
    else:
        made = algorithms.MAML(theirs, lr=rule.inner_lr, first_order=rule.first_order)
    total = torch.zeros(())
    for t in range(len(batch)):
        clone = made.clone()
        for _ in range(3):
            logits = clone(features(batch.support[t]))
            clone.adapt(functional.cross_entropy(logits, batch.support_labels[t]))
        logits = clone(features(batch.query[t]))
        total = total + functional.cross_entropy(logits, batch.query_labels[t]) / len(batch)
    total.backward()
    torch.testing.assert_close(loss, total.detach(), check_dtype=False, **CLOSE)
    names = [n for n, _ in model.named_parameters()]
    torch.testing.assert_close(
        [gradient[n] for n in names], [p.grad for p in whole.parameters()], **CLOSE
    )
    if name.startswith("metasgd"):
        rates = [gradient[f"rate of {n}"] for n in names]
        torch.testing.assert_close(rates, [lr.grad for lr in made.lrs], **CLOSE)


def test_prototypes_are_learn2learns(
    small: nn.Module, episodes: Callable, learn2learn: ModuleType
) -> None:
    """Its prototypical networks: `SVClassifier`'s neighbour, prototypes of normalised distance."""
    prototypes = pytest.importorskip("learn2learn.nn").PrototypicalClassifier
    model, batch = small, episodes(shots=2, queries=3, shape=(6,))
    loss, accuracy, gradient = found(MetaLearner(model, ProtoNet()), batch)
    theirs = copy.deepcopy(model)
    losses, hits = [], []
    for t in range(len(batch)):
        classifier = prototypes(
            support=theirs[:-1](batch.support[t]),
            labels=batch.support_labels[t],
            distance="euclidean",
        )
        logits = classifier(theirs[:-1](batch.query[t]))
        losses.append(functional.cross_entropy(logits, batch.query_labels[t]))
        hits.append((logits.argmax(1) == batch.query_labels[t]).double().mean())
    torch.stack(losses).mean().backward()
    torch.testing.assert_close(loss, torch.stack(losses).mean().detach(), **CLOSE)
    assert accuracy.tolist() == [float(h) for h in hits]
    for name, parameter in theirs[:-1].named_parameters():
        torch.testing.assert_close(gradient[name], parameter.grad, **CLOSE)


def test_distances_from_means_by_hand(small: nn.Module, episodes: Callable) -> None:
    """−‖f(x) − c_k‖² itself, where the rule has a linear head; a class without images is far."""
    model, batch = small, episodes(shots=2, queries=3, shape=(6,))
    adapted = MetaLearner(model, ProtoNet()).adapt(batch.support[0], batch.support_labels[0])
    body = model[:-1]
    means = body(batch.support[0]).view(3, 2, -1).mean(1)
    distances = -torch.cdist(body(batch.query[0]), means).square()
    torch.testing.assert_close(
        adapted(batch.query[0]).log_softmax(1), distances.log_softmax(1), **CLOSE
    )
    two = batch.support_labels[0] < 2
    fewer = MetaLearner(model, ProtoNet()).adapt(
        batch.support[0][two], batch.support_labels[0][two]
    )
    assert bool((fewer(batch.query[0])[:, 2] == -torch.inf).all())


def test_reptile_moves_by_the_mean_of_what_tasks_adapt_to(
    small: nn.Module, episodes: Callable
) -> None:
    """One SGD step at 1 lands on the mean of plain SGD over every third image, task by task."""
    model, batch = copy.deepcopy(small), episodes(queries=3, shape=(6,))
    ends = []
    for t in range(len(batch)):
        own = copy.deepcopy(model)
        images = torch.cat([batch.support[t], batch.query[t]])
        labels = torch.cat([batch.support_labels[t], batch.query_labels[t]])
        inner = torch.optim.SGD(own.parameters(), lr=0.3)
        for step in range(3):
            inner.zero_grad()
            functional.cross_entropy(own(images[step::3]), labels[step::3]).backward()
            inner.step()
        ends.append(nn.utils.parameters_to_vector(own.parameters()).detach())
    learner = MetaLearner(model, RULES["reptile"], inner_steps=3)
    outer = torch.optim.SGD(learner.parameters(), lr=1.0)
    learner.backward(batch)
    outer.step()
    landed = nn.utils.parameters_to_vector(model.parameters()).detach()
    torch.testing.assert_close(landed, torch.stack(ends).mean(0), **CLOSE)


def test_boil_leaves_the_head_and_anil_the_body(small: nn.Module, batch: MetaBatch) -> None:
    start = dict(small.named_parameters())
    for rule, kept in ((RULES["boil"], "2."), (RULES["anil"], "0.")):
        learner = MetaLearner(small, rule, inner_steps=3)
        adapted = learner.adapt(batch.support[0], batch.support_labels[0])
        for name, value in adapted.named_parameters():
            assert torch.equal(value, start[name]) is name.startswith(kept)


def test_fine_tuning_is_plain_training_then_plain_steps(
    small: nn.Module, batch: MetaBatch, seeded: Callable
) -> None:
    model = small
    learner = learner_of("finetune", model)
    _, _, gradient = found(learner, batch)
    plain = copy.deepcopy(model)
    plain[-1] = seeded(lambda: nn.Linear(8, 7))
    with torch.no_grad():
        for own, old in zip(plain[-1].parameters(), learner.meta.values(), strict=True):
            own.copy_(old)
    images = torch.cat([batch.support, batch.query], 1).flatten(0, 1)
    labels = torch.cat([batch.support_labels, batch.query_labels], 1).flatten()
    functional.cross_entropy(plain(images), labels).backward()
    assert not gradient["2.weight"].any()
    torch.testing.assert_close(gradient["0.weight"], plain[0].weight.grad, **CLOSE)
    torch.testing.assert_close(
        [gradient[n] for n in learner.meta], [p.grad for p in plain[-1].parameters()], **CLOSE
    )

    fresh = copy.deepcopy(learner.model)
    nn.init.zeros_(fresh[-1].weight)
    nn.init.zeros_(fresh[-1].bias)
    inner = torch.optim.SGD(fresh.parameters(), lr=0.3)
    for _ in range(3):
        inner.zero_grad()
        functional.cross_entropy(fresh(batch.support[1]), batch.support_labels[1]).backward()
        inner.step()
    adapted = learner.adapt(batch.support[1], batch.support_labels[1])
    torch.testing.assert_close(adapted(batch.query[1]), fresh(batch.query[1]), **CLOSE)


def test_the_losses_of_steps_fade_to_the_last() -> None:
    rule = MamlPlusPlus(inner_lr=0.1, multi_step=8)
    weights = [rule.inputs(i, inner_steps=4)[WEIGHTS] for i in range(8)]
    assert weights[0].tolist() == pytest.approx([0.25] * 4)
    assert weights[4].tolist() == pytest.approx([0.125, 0.125, 0.125, 0.625])
    assert all(float(w.sum()) == pytest.approx(1) for w in weights)
    assert rule.inputs(8, inner_steps=4) == {}


def test_maml_of_rates_that_are_all_alike_is_maml(small: nn.Module, episodes: Callable) -> None:
    """Untouched, Meta-SGD and MAML++ without its fading give the gradient of MAML in θ."""
    model, batch = small, episodes(shape=(6,))
    loss, _, gradient = found(MAML(model, inner_lr=0.3, inner_steps=3), batch)
    for rule in (RULES["metasgd"], RULES["maml++, faded"]):
        other, _, theirs = found(MetaLearner(model, rule, inner_steps=3), batch)
        torch.testing.assert_close(other, loss, **CLOSE)
        torch.testing.assert_close({n: theirs[n] for n in gradient}, gradient, **CLOSE)


@pytest.mark.parametrize("name", table.ALGORITHMS)
def test_what_the_table_says_is_so(name: str) -> None:
    row, rule = table.ALGORITHMS[name], table.find(name)
    assert rule.engines == row.engines
    settings = by_name(MamlConfig)
    own = {item.name for item in fields(rule) if item.name in settings}
    steps = {"inner_steps", "test_inner_steps"} if "inner_lr" in own else set()
    outer = {"outer_step"} if name == "reptile" else {"meta_lr"}
    asked = {
        s for s in settings if (o := settings[s].only) and o[0] == "algorithm" and name in o[1]
    }
    assert asked == set(row.reads)
    hidden = {"first_order"} if name in ("reptile", "finetune") else set()
    given = {"head_only"} if name == "maml" else set()
    assert own - hidden | steps | outer | given == set(row.reads)


def test_an_engine_that_does_not_carry_out_a_rule_is_refused(net: Callable) -> None:
    for name in ("boil", "metasgd", "maml++", "reptile", "protonet", "finetune"):
        with pytest.raises(UsageError, match="`engine` must be 'vectorised' or 'loop'"):
            MetaLearner(net(), RULES[name], engine="learn2learn")


def test_a_network_without_a_linear_end_is_refused(seeded: Callable) -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 10), nn.Flatten()))
    for name in ("protonet", "finetune"):
        with pytest.raises(UsageError, match=r"must end in an nn\.Linear with a bias"):
            MetaLearner(model, RULES[name])


def test_a_rule_of_ones_own(small: nn.Module, episodes: Callable) -> None:
    """`init` and `step` are all that a rule needs: here steps of the sign, at a learned rate."""

    class Signs(Maml):
        def init(self, model: nn.Module, *, inner_steps: int) -> dict[str, Tensor]:
            return {"rate": torch.tensor(self.inner_lr, dtype=torch.float64)}

        def step(self, values: dict, gradients: dict, meta: dict, number: int) -> dict:
            return {n: v - meta["rate"] * gradients[n].sign() for n, v in values.items()}

    model, batch = small, episodes(shape=(6,))
    learner = MetaLearner(model, Signs(inner_lr=0.01), inner_steps=1)
    gradient = found(learner, batch)[2]
    expected = torch.zeros((), dtype=torch.float64)
    for t in range(len(batch)):
        own = {n: p.detach().clone().requires_grad_() for n, p in model.named_parameters()}
        loss = functional.cross_entropy(
            functional_call(model, own, (batch.support[t],)), batch.support_labels[t]
        )
        signs = [g.sign() for g in torch.autograd.grad(loss, list(own.values()))]
        moved = {n: p - 0.01 * s for (n, p), s in zip(own.items(), signs, strict=True)}
        after = functional.cross_entropy(
            functional_call(model, moved, (batch.query[t],)), batch.query_labels[t]
        )
        slopes = torch.autograd.grad(after, list(moved.values()))
        expected -= sum((s * g).sum() for s, g in zip(signs, slopes, strict=True)) / len(batch)
    torch.testing.assert_close(gradient["rate"], expected, **CLOSE)
