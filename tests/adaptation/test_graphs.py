"""Steps as CUDA graphs, emulated on a CPU, against ordinary steps."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaact import activations
from metaact.adaptation import (
    MAML,
    Anil,
    Maml,
    MamlPlusPlus,
    MetaLearner,
    MetaSGD,
    MetaStack,
    ProtoNet,
    Reptile,
    Rule,
    graphs,
    set_graphs,
)
from metaact.adaptation.classifiers import Lessons, OnlineClassifiers
from metaact.adaptation.online import OnlineNets, columns, initial, layout_of
from metaact.adaptation.program import Programs
from metaact.adaptation.supervised import optimizers
from metaact.adaptation.supervised.recipe import Recipe
from metaact.adaptation.supervised.stacked import stacked_epoch
from metaact.adaptation.supervised.trainer import Normalisation, Trainer
from metaact.randomness import isolated_rng

Results = Sequence[Tensor | None]


class Sum:
    """A computation that counts how often Python did it."""

    def __init__(self) -> None:
        self.calls = 0
        self.total = torch.zeros(2)

    def __call__(self, x: Tensor) -> Results:
        self.calls += 1
        self.total += x
        return self.total * 10, None


def test_inputs_are_copied_in_and_results_out(emulated: Any) -> None:
    compute, known = Sum(), graphs.Graphs()
    x = torch.tensor([1.0, 2.0])
    found = [known.run("sum", compute, [x * n], lambda: [compute.total]) for n in range(1, 8)]
    assert compute.calls == graphs.ORDINARY + 1
    assert (len(known), emulated.replays) == (1, 7 - graphs.ORDINARY)
    expected = [10 * sum(range(n + 1)) * x for n in range(1, 8)]
    for (value, nothing), want in zip(found, expected, strict=True):
        assert nothing is None
        assert torch.equal(value, want)  # also the earlier ones, after all later calls
    assert torch.equal(compute.total, 28 * x)


@pytest.mark.parametrize("change", ["shape", "dtype", "stride", "place", "key", "gradients"])
def test_what_is_not_the_computation_that_was_captured_is_another(
    emulated: Any, change: str
) -> None:
    known, held = graphs.Graphs(), [torch.zeros(2)]
    calls = []

    def compute(x: Tensor) -> Results:
        calls.append(x)
        return (x * 2,)

    x = torch.arange(4.0).view(2, 2)
    for _ in range(graphs.ORDINARY + 1):
        known.run("double", compute, [x], lambda: held)
    before = len(calls)
    known.run("double", compute, [x], lambda: held)
    assert len(calls) == before
    if change == "place":
        held[0] = torch.zeros(2)
    other = {"shape": x[:1], "dtype": x.double(), "stride": x.t()}.get(change, x)
    with torch.set_grad_enabled(change != "gradients"):
        key = "another" if change == "key" else "double"
        (found,) = known.run(key, compute, [other], lambda: held)
    assert len(calls) == before + 1
    assert torch.equal(found, other * 2)


def test_a_step_that_waits_stays_ordinary_and_says_so(emulated: Any) -> None:
    compute, known = Sum(), graphs.Graphs()
    emulated.waits = True
    for _ in range(graphs.ORDINARY - 1):
        known.run("sum", compute, [torch.ones(2)])
    with pytest.warns(RuntimeWarning, match=r"not captured.*host waits"):
        known.run("sum", compute, [torch.ones(2)])
    for _ in range(2):
        known.run("sum", compute, [torch.ones(2)])
    assert (compute.calls, len(known), emulated.replays) == (5, 0, 0)
    assert torch.equal(compute.total, torch.full((2,), 5.0))


def test_a_capture_that_fails_leaves_an_ordinary_step_and_says_so(
    emulated: Any,
) -> None:
    compute, known = Sum(), graphs.Graphs()
    emulated.fails = True
    for _ in range(graphs.ORDINARY):
        known.run("sum", compute, [torch.ones(2)])
    with pytest.warns(RuntimeWarning, match=r"\(operation not permitted when .* capturing\)\.$"):
        known.run("sum", compute, [torch.ones(2)])
    for _ in range(2):
        (value, _) = known.run("sum", compute, [torch.ones(2)])
    assert (compute.calls, len(known)) == (6, 0)
    assert torch.equal(value, torch.full((2,), 60.0))


def test_graphs_can_be_switched_off(emulated: Any) -> None:
    compute, known = Sum(), graphs.Graphs()
    set_graphs(False)
    try:
        for _ in range(6):
            known.run("sum", compute, [torch.ones(2)])
    finally:
        set_graphs(True)
    assert (compute.calls, emulated.replays) == (6, 0)


def test_the_oldest_graphs_are_forgotten_and_copies_have_none(emulated: Any) -> None:
    known = graphs.Graphs()
    for size in range(1, graphs.MOST_GRAPHS + 3):
        for _ in range(graphs.ORDINARY + 1):
            known.run("double", lambda x: (x * 2,), [torch.ones(size)])
    assert len(known) == graphs.MOST_GRAPHS
    assert len(copy.deepcopy(known)) == 0


SGD = Recipe(lr=0.05, batch_size=8)
ADAM = Recipe(
    lr=0.01, batch_size=8, optimizer="adam", weight_decay=0.01, schedule="cosine", epochs=4
)
FULL = Recipe(
    lr=0.2,
    batch_size=8,
    nesterov=True,
    weight_decay=0.02,
    schedule="cosine",
    warmup_epochs=1,
    epochs=4,
    clip_norm=1.9,
    augmentation="crop-flip",
)
"""Everything at once: every update has a rate of its own."""


@dataclass(frozen=True, eq=False)
class Labelled:
    pixels: Tensor
    labels: Tensor


@pytest.fixture
def images() -> Labelled:
    """Seven whole batches of eight, and one of four."""
    draw = torch.Generator().manual_seed(5)
    labels = torch.randint(3, (60,), generator=draw)
    return Labelled(torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8, generator=draw), labels)


def network(activation: Callable[[], nn.Module], *, random: bool = True) -> nn.Module:
    """With running statistics and dropout, if it may draw and remember."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        between = (nn.BatchNorm2d(4), activation(), nn.Dropout(0.1)) if random else (activation(),)
        return nn.Sequential(nn.Conv2d(1, 4, 3), *between, nn.Flatten(), nn.Linear(144, 3))


def trainer(
    images: Labelled,
    recipe: Recipe,
    activation: Callable[[], nn.Module] = nn.PReLU,
    *,
    seed: int = 1,
    random: bool = True,
) -> Trainer:
    model = network(activation, random=random)
    normalisation = Normalisation(mean=(0.3,), std=(0.2,))
    return Trainer(model, images, recipe=recipe, seed=seed, normalisation=normalisation)


def state(one: Trainer) -> Tensor:
    tensors = [*one.model.parameters(), *one.model.buffers()]
    tensors += [v for s in one.optimizer.state.values() for v in s.values()]
    return torch.cat([t.detach().double().flatten() for t in tensors])


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL])
@pytest.mark.parametrize("name", ["arelu", "rrelu"])
def test_training_by_graphs_is_training_to_the_bit(
    images: Labelled, emulated: Any, recipe: Recipe, name: str
) -> None:
    layer = activations.resolve(name).factory
    captured, ordinary = trainer(images, recipe, layer), trainer(images, recipe, layer)
    for _ in range(4):
        loss = captured.epoch().loss
        set_graphs(False)
        assert ordinary.epoch().loss == loss
        set_graphs(True)
    assert len(captured.graphs) == 2  # of a whole batch and of the last
    assert emulated.replays > 20
    assert torch.equal(state(captured), state(ordinary))


def test_a_run_by_graphs_continues_from_its_checkpoint(images: Labelled, emulated: Any) -> None:
    for recipe in (ADAM, FULL):
        whole, killed = trainer(images, recipe), trainer(images, recipe)
        killed.epoch()
        saved = io.BytesIO()
        torch.save(killed.state_dict(), saved)
        killed.epoch()
        saved.seek(0)
        killed.load_state_dict(torch.load(saved, weights_only=True))  # its graph is of other memory
        for _ in range(2):
            killed.epoch()
        for _ in range(3):
            whole.epoch()
        assert torch.equal(state(killed), state(whole))


@pytest.mark.parametrize("recipe", [SGD, ADAM])
def test_checkpoints_move_between_devices(
    images: Labelled, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    """Between the optimizers of the two, on one device."""
    whole = trainer(images, recipe)
    for _ in range(2):
        whole.epoch()
    for first in (True, False):
        monkeypatch.setattr(optimizers, "is_captured", lambda device, first=first: first)
        begun = trainer(images, recipe)
        begun.epoch()
        monkeypatch.setattr(optimizers, "is_captured", lambda device, first=first: not first)
        ended = trainer(images, recipe)
        ended.load_state_dict(begun.state_dict())
        ended.epoch()
        (group,) = {id(g["fused"]): g for g in ended.optimizer.param_groups}.values()
        assert bool(group["fused"]) is not first
        assert isinstance(group["lr"], Tensor) is not first
        torch.testing.assert_close(state(ended), state(whole), rtol=1e-4, atol=1e-5)


PLAIN = {"lr": 2**-6, "schedule": "constant", "warmup_epochs": 0}
"""Rates that float32 holds exactly, as those on a GPU are."""


@pytest.mark.parametrize("recipe", [replace(one, **PLAIN) for one in (SGD, ADAM, FULL)])
def test_the_optimizers_of_a_gpu_are_those_of_a_cpu(
    images: Labelled, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    ends = []
    for captured in (False, True):
        monkeypatch.setattr(optimizers, "is_captured", lambda device, c=captured: c)
        one = trainer(images, recipe, random=False)
        one.model.double()
        for _ in range(3):
            one.epoch()
        ends.append(torch.cat([p.detach().flatten() for p in one.model.parameters()]))
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("recipe", [SGD, ADAM, FULL])
def test_a_stack_by_graphs_is_the_stack_to_the_bit(
    images: Labelled, emulated: Any, recipe: Recipe
) -> None:
    ends = []
    for allowed in (True, False):
        set_graphs(allowed)
        team = [
            trainer(images, replace(recipe, lr=recipe.lr / (1 + s)), seed=s, random=False)
            for s in (0, 1, 2)
        ]
        losses = [[o.loss for o in stacked_epoch(team)] for _ in range(2)]
        ends.append((losses, torch.stack([state(one) for one in team])))
    set_graphs(True)
    assert emulated.replays >= 8
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


RULES: dict[str, Rule] = {
    "anil": Anil(inner_lr=0.1),
    "maml++": MamlPlusPlus(inner_lr=0.1, multi_step=6),
    "meta-sgd": MetaSGD(inner_lr=0.1),
    "protonet": ProtoNet(),
    "reptile": Reptile(inner_lr=0.1),
}


def meta_trained(learner: MetaLearner, episodes: Any) -> tuple[list[float], Tensor]:
    """Six iterations by Adam, and an evaluation after each."""
    optimizer = torch.optim.Adam(learner.parameters(), 0.01)
    found = []
    for iteration in range(6):
        batch = episodes(tasks=3, seed=iteration)
        optimizer.zero_grad()
        with isolated_rng("maml", iteration):
            outcome = learner.backward(batch, iteration=iteration)
            found += [float(outcome.loss), *outcome.accuracy.tolist()]
            optimizer.step()
            found += learner.test(batch).tolist()
    return found, torch.cat([p.detach().flatten() for p in learner.parameters()])


@pytest.mark.parametrize("name", ["maml", "rrelu", "loop", "recompute", *RULES])
def test_meta_learning_by_graphs_is_meta_learning_to_the_bit(
    emulated: Any,
    monkeypatch: pytest.MonkeyPatch,
    episodes: Any,
    net: Any,
    name: str,
) -> None:
    on_a_gpu(monkeypatch)
    layer = activations.resolve(name if name == "rrelu" else "arelu").factory
    settings: dict[str, Any] = {"inner_lr": 0.1, "inner_steps": 2}
    if name == "loop":
        settings |= {"engine": "loop"}
    if name == "recompute":
        settings |= {"recompute": True}
    ends, learners = [], []
    for allowed in (True, False):
        set_graphs(allowed)
        rule = RULES.get(name)
        model = net(layer)
        learner = MAML(model, **settings) if rule is None else MetaLearner(model, rule)
        ends.append(meta_trained(learner, episodes))
        learners.append(learner)
    set_graphs(True)
    assert len(learners[0].graphs) == (1 if name == "recompute" else 2)
    assert emulated.replays > 0
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


def test_a_stack_of_learners_by_graphs_is_the_stack_to_the_bit(
    emulated: Any, episodes: Any, net: Any
) -> None:
    """Of two arms; a checkpoint that one of them loads is other memory, and another graph."""
    ends, kept = [], []
    for allowed in (True, False):
        set_graphs(allowed)
        layers = [activations.resolve(name).factory for name in ("arelu", "arelu", "relu")]
        learners = [MetaLearner(net(layer), Maml(inner_lr=0.1)) for layer in layers]
        optimizers = [torch.optim.Adam(one.parameters(), 0.01) for one in learners]
        stack = MetaStack(learners)
        for iteration in range(8):
            for optimizer in optimizers:
                optimizer.zero_grad()
            if iteration == 6:
                kept.append(emulated.replays)
                model = learners[1].model
                model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
                optimizers[1] = torch.optim.Adam(learners[1].parameters(), 0.01)
            stack.backward([episodes(seed=10 * n + iteration) for n in range(3)])
            for optimizer in optimizers:
                optimizer.step()
        ends.append(torch.cat([p.detach().flatten() for o in learners for p in o.parameters()]))
    set_graphs(True)
    assert kept[0] == 3
    assert emulated.replays == 3
    assert torch.equal(ends[0], ends[1])


def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares are worked on as they are there."""

    def in_shares(self: MetaLearner, problem: Any, batch: Any, *, key: Any) -> Any:
        shares = list(self._split(batch))
        return self._graphed(self._work(key), problem, shares, None if key.again else key)

    monkeypatch.setattr(MetaLearner, "_in_shares", in_shares)


class Counting(nn.Module):
    """What a user's module may do, and a graph would not see."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def test_what_may_be_no_function_of_what_is_seen_stays_ordinary(
    emulated: Any, images: Labelled, episodes: Any, net: Any
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = trainer(images, SGD, Counting)
        one.epoch()
        team = [trainer(images, SGD, Doubling, seed=s, random=False) for s in (0, 1)]
        stacked_epoch(team)
    assert len(one.graphs) == emulated.replays == 0


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_streams_by_graphs_are_streams_to_the_bit(
    emulated: Any, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.setattr(OnlineNets, "_programmed", lambda self, given: None)
    activation = activations.resolve("arelu").factory()
    layout = layout_of(activation, inputs=4, hidden=5)
    draw = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(63, 5, 3, generator=draw), torch.randn(63, 3, generator=draw)
    numbers = [initial(activation, layout, gain=1.4, seed=seed) for seed in range(3)]
    moments = ("first", "second") if optimizer == "adam" else ()
    start = columns([{"numbers": n, **{m: torch.zeros_like(n) for m in moments}} for n in numbers])
    ends = []
    for allowed in (True, False):
        set_graphs(allowed)
        nets = OnlineNets(copy.deepcopy(activation), layout, optimizer=optimizer)
        nets.take(torch.tensor([0.01, 0.02, 0.03]), start)
        ends.append((nets.learn(inputs, targets), nets.state["numbers"]))
    set_graphs(True)
    assert emulated.replays == 6 - graphs.ORDINARY
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_streams_of_images_by_graphs_are_streams_to_the_bit(
    emulated: Any, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    monkeypatch.setattr(Programs, "find", lambda self, *given: None)
    draw = torch.Generator().manual_seed(0)
    models = [network(activations.resolve("arelu").factory, random=False) for _ in range(3)]
    for model in models:
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.rand(parameter.shape, generator=draw)
    lessons = Lessons(
        images=torch.rand(63, 2, 1, 8, 8, generator=draw),
        labels=torch.randint(3, (63, 2), generator=draw),
    )
    ends = []
    for allowed in (True, False):
        set_graphs(allowed)
        kind = type(activations.resolve("arelu").factory())
        nets = OnlineClassifiers(models[0], activation=kind, optimizer=optimizer, stacked=True)
        nets.take([0.01, 0.02, 0.03], [nets.fresh(model) for model in models])
        right = nets.learn([lessons], [0, 0, 0])
        ends.append(
            torch.cat([right.flatten(), *(v.flatten() for s in nets.states for v in s.values())])
        )
    set_graphs(True)
    assert emulated.replays == 6 - graphs.ORDINARY
    assert torch.equal(*ends)
