"""MAML against closed forms and finite differences; its memory, modes and refusals."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from metaact.adaptation import MAML, Maml, program
from metaact.adaptation.episodic import learner as maml_module
from metaact.adaptation.episodic.inner import path
from metaact.adaptation.episodic.vectorised import vectorised
from metaact.adaptation.vmap.convolution import Adjoint, Convolution
from metaact.adaptation.vmap.pooling import MaxPool
from metaact.errors import UsageError
from metaact.tasks import MetaBatch

ENGINES = ["vectorised", "loop"]
THREE = (*ENGINES, "learn2learn")


def _plain_loss(model: nn.Module, batch: MetaBatch, *, lr: float, steps: int) -> float:
    """MAML's loss with no shared code and no second derivative: an oracle for differences."""
    losses = []
    for t in range(len(batch)):
        own = {n: p.detach().clone().requires_grad_() for n, p in model.named_parameters()}
        for _ in range(steps):
            logits = functional_call(model, own, (batch.support[t],))
            loss = functional.cross_entropy(logits, batch.support_labels[t])
            slopes = torch.autograd.grad(loss, list(own.values()))
            own = {
                n: (p - lr * g).detach().requires_grad_()
                for (n, p), g in zip(own.items(), slopes, strict=True)
            }
        logits = functional_call(model, own, (batch.query[t],))
        losses.append(functional.cross_entropy(logits, batch.query_labels[t]).item())
    return sum(losses) / len(losses)


@pytest.mark.parametrize("engine", ENGINES)
def test_meta_gradient_is_that_of_finite_differences(
    engine: str, episodes: Callable, gradient: Callable, net: Callable
) -> None:
    model, batch = net(), episodes()
    maml = MAML(model, inner_lr=0.5, inner_steps=4, engine=engine)
    result, exact = gradient(maml, batch)
    assert result.loss.item() == pytest.approx(
        _plain_loss(model, batch, lr=0.5, steps=4), rel=1e-12
    )
    _, first = gradient(MAML(model, inner_lr=0.5, inner_steps=4, first_order=True), batch)
    draw, step = torch.Generator().manual_seed(1), 1e-5
    for _ in range(3):
        way = torch.randn(len(exact), generator=draw, dtype=torch.float64)
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                start = nn.utils.parameters_to_vector(model.parameters())
                nn.utils.vector_to_parameters(start + sign * step * way, model.parameters())
            sides.append(_plain_loss(model, batch, lr=0.5, steps=4))
            nn.utils.vector_to_parameters(start, model.parameters())
        slope = (sides[0] - sides[1]) / (2 * step)
        assert exact @ way == pytest.approx(slope, rel=1e-6)
        assert first @ way != pytest.approx(slope, rel=1e-2)  # the second-order part is there


def test_quadratic_in_closed_form() -> None:
    """L(θ) = ½(θ−c)ᵀA(θ−c): θ after k steps is c + (I − lr·A)ᵏ(θ₀ − c), known by hand."""
    draw = torch.Generator().manual_seed(0)
    root = torch.randn(3, 3, generator=draw, dtype=torch.float64)
    a = root @ root.T + torch.eye(3, dtype=torch.float64)
    centres = torch.randn(5, 3, generator=draw, dtype=torch.float64)
    goals = torch.randn(5, 3, generator=draw, dtype=torch.float64)
    start = torch.randn(3, generator=draw, dtype=torch.float64, requires_grad=True)

    def quadratic(theta: dict[str, Tensor], number: int) -> Tensor:
        away = theta["theta"] - centres
        return 0.5 * torch.einsum("ti,ij,tj->", away, a, away)

    rule = Maml(inner_lr=0.1)
    for first_order in (False, True):
        stacked = {"theta": start.expand(5, 3)}
        *_, last = path(
            stacked,
            quadratic,
            lambda values, slopes, number: rule.step(values, slopes, {}, number),
            inner_steps=4,
            exact=not first_order,
        )
        adapted = last["theta"]
        power = torch.linalg.matrix_power(torch.eye(3, dtype=torch.float64) - 0.1 * a, 4)
        by_hand = centres + (start.detach() - centres) @ power
        torch.testing.assert_close(adapted.detach(), by_hand)
        (slope,) = torch.autograd.grad(0.5 * (adapted - goals).square().sum(), start)
        expected = (by_hand - goals).sum(0)
        torch.testing.assert_close(slope, expected if first_order else power @ expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_softmax_regression_by_hand(engine: str, episodes: Callable, seeded: Callable) -> None:
    """One step of a linear model: the gradient of cross-entropy is (softmax − onehot) xᵀ / n."""
    model, batch = seeded(lambda: nn.Linear(6, 3, bias=False)), episodes(tasks=1, shape=(6,))
    x, y = batch.support[0], functional.one_hot(batch.support_labels[0], 3).double()
    w = model.weight.detach()
    w = w - 0.7 * (torch.softmax(x @ w.T, 1) - y).T @ x / len(x)
    logits = batch.query[0] @ w.T
    expected = functional.cross_entropy(logits, batch.query_labels[0])
    result = MAML(model, inner_lr=0.7, inner_steps=1, engine=engine).evaluate(batch)
    torch.testing.assert_close(result.loss.detach(), expected)
    hits = logits.argmax(1) == batch.query_labels[0]
    assert result.accuracy.tolist() == [hits.double().mean().item()]


@pytest.mark.parametrize("setting", [{}, {"first_order": True}, {"head_only": True}])
def test_chunks_change_nothing(
    setting: dict, episodes: Callable, gradient: Callable, net: Callable
) -> None:
    model, batch = net(), episodes(tasks=7)
    whole = MAML(model, inner_lr=0.3, inner_steps=3, chunk_size=7, **setting)
    expected, slope = gradient(whole, batch)
    for size in (1, 3, 100):
        parts = MAML(model, inner_lr=0.3, inner_steps=3, chunk_size=size, **setting)
        result, same = gradient(parts, batch)
        torch.testing.assert_close(same, slope, rtol=1e-11, atol=1e-13)
        assert torch.equal(result.accuracy, expected.accuracy)
        model.zero_grad()
        evaluated = parts.evaluate(batch)
        (3 * evaluated.loss).backward()
        flat = torch.cat([p.grad.flatten() for p in model.parameters()])
        torch.testing.assert_close(flat, 3 * slope, rtol=1e-11, atol=1e-13)
        assert torch.equal(parts.test(batch), whole.test(batch))


def test_a_task_alone_scores_as_in_company(episodes: Callable, net: Callable) -> None:
    batch = episodes(tasks=6, queries=7)
    maml = MAML(net(), inner_lr=0.3, inner_steps=3)
    alone = torch.cat([maml.test(batch[t : t + 1]) for t in range(6)])
    assert torch.equal(maml.test(batch), alone)
    turned = MetaBatch(
        support=batch.support.flip(0),
        support_labels=batch.support_labels.flip(0),
        query=batch.query.flip(0),
        query_labels=batch.query_labels.flip(0),
    )
    assert torch.equal(maml.test(turned), alone.flip(0))


def _nodes(loss: Tensor) -> Counter[str]:
    """How often each kind of node is in the graph behind a loss."""
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [before for before, _ in node.next_functions]
    return Counter(node.name() for node in seen)


@pytest.mark.parametrize("engine", ["vectorised", "loop", "learn2learn"])
@pytest.mark.parametrize("head_only", [False, True])
def test_first_order_keeps_no_inner_graph(
    engine: str, head_only: bool, episodes: Callable, net: Callable, learn2learn: ModuleType
) -> None:
    model, batch = net(), episodes()

    def graph(steps: int, *, first_order: bool) -> Counter[str]:
        maml = MAML(
            model,
            inner_lr=0.1,
            inner_steps=steps,
            first_order=first_order,
            head_only=head_only,
            engine=engine,
            chunk_size=len(batch),
        )
        return _nodes(maml.evaluate(batch).loss)

    more = graph(6, first_order=True) - graph(1, first_order=True)
    # Each further step is one subtraction (or sum with a constant) per parameter, no layer.
    assert set(more) <= {"SubBackward0", "AddBackward0"}
    exact = graph(6, first_order=False) - graph(1, first_order=False)
    assert any("LogSoftmax" in name for name in exact)


@pytest.mark.parametrize("asked_for", [1, 10**9], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("first_order", [False, True])
def test_nothing_outlives_an_iteration(
    first_order: bool,
    asked_for: int,
    episodes: Callable,
    net: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No graph is left alive, and none waits for the cycle collector."""
    monkeypatch.setattr(program, "ASKED_FOR", asked_for)
    maml = MAML(net(), inner_lr=0.1, inner_steps=3, first_order=first_order, chunk_size=2)
    batch = episodes()

    def alive() -> int:
        kinds = (Convolution._backward_cls, Adjoint._backward_cls, MaxPool._backward_cls)
        tensors = sum(type(o) is Tensor for o in gc.get_objects())
        return tensors + sum(issubclass(type(o), kinds) for o in gc.get_objects())

    counts = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            maml.model.zero_grad()
            maml.backward(batch)
            maml.evaluate(batch).loss.backward()
            maml.test(batch)
            counts.append(alive())
    finally:
        gc.enable()
    assert counts[1] == counts[-1], counts


def test_backward_adds_to_gradients_and_detaches(episodes: Callable, net: Callable) -> None:
    maml, batch = MAML(net(), inner_lr=0.1, inner_steps=2), episodes()
    result = maml.backward(batch)
    assert not result.loss.requires_grad
    assert result.accuracy.shape == (4,)
    once = [p.grad.clone() for p in maml.model.parameters()]
    with torch.no_grad():
        again = maml.backward(batch)
    assert torch.equal(again.loss, result.loss)
    for p, g in zip(maml.model.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * g)


def test_evaluate_without_gradients_is_the_same_value(episodes: Callable, net: Callable) -> None:
    for setting in ({}, {"first_order": True}, {"chunk_size": 3}, {"engine": "loop"}):
        maml, batch = MAML(net(), inner_lr=0.1, inner_steps=2, **setting), episodes()
        with torch.no_grad():
            bare = maml.evaluate(batch)
        assert not bare.loss.requires_grad
        full = maml.evaluate(batch)
        torch.testing.assert_close(bare.loss, full.loss.detach(), rtol=1e-12, atol=0)
        assert torch.equal(bare.accuracy, full.accuracy)


def test_one_graph_reaches_the_images(episodes: Callable, net: Callable) -> None:
    """Inputs that want a gradient get one, in chunks too (then in one graph)."""
    slopes = []
    for size in (1, 4):
        batch = episodes()
        batch.support.requires_grad_()
        maml = MAML(net(), inner_lr=0.5, inner_steps=2, chunk_size=size)
        slopes.append(torch.autograd.grad(maml.evaluate(batch).loss, batch.support)[0])
    assert slopes[0].abs().max() > 0
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-13)


def test_step_count_differs_at_test_time(episodes: Callable, net: Callable) -> None:
    model, batch = net(), episodes(queries=20)
    two = MAML(model, inner_lr=0.3, inner_steps=2)
    nine = MAML(model, inner_lr=0.3, inner_steps=9)
    assert torch.equal(two.test(batch, inner_steps=9), nine.test(batch))
    with torch.no_grad():
        bare = model(batch.query.flatten(0, 1)).argmax(1).view(4, -1) == batch.query_labels
    assert torch.equal(two.test(batch, inner_steps=0), bare.double().mean(1))
    fitted = MAML(model, inner_lr=0.3, inner_steps=2).evaluate(
        MetaBatch(
            support=batch.support,
            support_labels=batch.support_labels,
            query=batch.support,
            query_labels=batch.support_labels,
        ),
        inner_steps=200,
    )
    assert fitted.accuracy.tolist() == [1.0] * 4


@pytest.mark.draws_globally
@pytest.mark.parametrize("layer", [lambda: nn.Dropout(0.5), lambda: nn.RReLU(0.0, 1.0)])
@pytest.mark.parametrize("engine", ENGINES)
def test_random_layers(engine: str, layer: Callable, episodes: Callable, seeded: Callable) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 40), layer(), nn.Linear(40, 3)))
    one = episodes(tasks=1, queries=30, shape=(6,))
    same = MetaBatch(
        support=one.support.expand(5, -1, -1),
        support_labels=one.support_labels.expand(5, -1),
        query=one.query.expand(5, -1, -1),
        query_labels=one.query_labels.expand(5, -1),
    )
    maml = MAML(model, inner_lr=0.2, inner_steps=3, engine=engine)
    outcomes = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        outcomes.append(maml.evaluate(same).loss.item())
    assert outcomes[0] == outcomes[1] != outcomes[2]
    assert len(maml.evaluate(same).accuracy.unique()) > 1  # equal tasks, numbers of their own
    assert len(maml.test(same).unique()) == 1
    before = torch.get_rng_state()
    maml.test(same)
    assert torch.equal(before, torch.get_rng_state())
    assert all(module.training for module in model.modules())


def test_test_restores_mixed_modes(episodes: Callable, net: Callable) -> None:
    model = net()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    MAML(model, inner_lr=0.1, inner_steps=1).test(episodes())
    assert [module.training for module in model.modules()] == modes


def test_batch_norm_uses_each_tasks_own_images(
    episodes: Callable, gradient: Callable, seeded: Callable
) -> None:
    def build() -> nn.Module:
        norm = nn.BatchNorm2d(3, track_running_stats=False)
        return nn.Sequential(nn.Conv2d(1, 3, 3), norm, nn.Tanh(), nn.Flatten(), nn.Linear(192, 3))

    model, batch = seeded(build), episodes()
    results = [
        gradient(MAML(model, inner_lr=0.2, inner_steps=3, engine=engine), batch)[1]
        for engine in ENGINES
    ]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-12)
    scaled = batch.support.clone()
    scaled[1] *= 100  # a task's images must not touch another's result
    other = MetaBatch(
        support=scaled,
        support_labels=batch.support_labels,
        query=batch.query,
        query_labels=batch.query_labels,
    )
    maml = MAML(model, inner_lr=0.2, inner_steps=3)
    kept = torch.tensor([0, 2, 3])
    assert torch.equal(maml.test(batch)[kept], maml.test(other)[kept])


def test_frozen_batch_norm_is_a_constant(
    episodes: Callable, gradient: Callable, seeded: Callable
) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)))
    model[1].eval()
    before = {name: value.clone() for name, value in model[1].named_buffers()}
    results = [
        gradient(MAML(model, inner_lr=0.2, inner_steps=3, engine=e), episodes(shape=(6,)))[1]
        for e in ENGINES
    ]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-12)
    for name, value in model[1].named_buffers():
        assert torch.equal(value, before[name])
    model.train()
    maml = MAML(model.eval(), inner_lr=0.2, inner_steps=3)
    model.train()
    with pytest.raises(UsageError, match=r"`1` \(BatchNorm1d\) must not keep running statistics"):
        maml.evaluate(episodes(shape=(6,)))


class _Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.linear(x)


class _Replacing(_Counting):
    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        return self.linear(x)


class _Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if x.sum() > 0 else self.linear(-x)


class _Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).detach()


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(1, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x.unsqueeze(2))[0][:, -1])


@pytest.mark.parametrize(
    ("build", "engine", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)), "loop", r"`1` \(BatchNorm1d\)"),
        (lambda: nn.SyncBatchNorm(6), "vectorised", "several processes"),
        *((_Counting, engine, "`seen` of the model changes") for engine in THREE),
        *((_Replacing, engine, "`seen` of the model changes") for engine in THREE),
        (_Branching, "vectorised", "`engine` must be 'loop' for _Branching"),
        (_Recurrent, "vectorised", "`engine` must be 'loop' for _Recurrent.*lstm"),
        (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)),
            "loop",
            r"_SpectralNorm\) must not estimate its spectral norm",
        ),
        (
            lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 3)),
            "vectorised",
            r"_SpectralNorm\) must not estimate its spectral norm",
        ),
        (
            lambda: nn.utils.spectral_norm(nn.Linear(6, 3)),
            "vectorised",
            r"`model` \(Linear\) must not estimate its spectral norm",
        ),
        (lambda: nn.DataParallel(nn.Linear(6, 3)), "loop", "pass its `.module`"),
        (_Detached, "loop", "logits without a gradient"),
        (_Detached, "vectorised", "logits without a gradient"),
        (_Detached, "learn2learn", "logits without a gradient"),
    ],
)
def test_refused_by_name(
    build: Callable,
    engine: str,
    message: str,
    episodes: Callable,
    seeded: Callable,
    request: pytest.FixtureRequest,
) -> None:
    if engine == "learn2learn":
        request.getfixturevalue("learn2learn")
    model = seeded(build)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UsageError, match=message):
        MAML(model, inner_lr=0.1, inner_steps=1, engine=engine).evaluate(episodes(shape=(6,)))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_what_vmap_refuses_the_loop_engine_runs(
    episodes: Callable, gradient: Callable, seeded: Callable
) -> None:
    for build in (_Branching, _Recurrent):
        maml = MAML(seeded(build), inner_lr=0.1, inner_steps=2, engine="loop")
        result, slope = gradient(maml, episodes(shape=(6,)))
        assert result.loss.isfinite()
        assert slope.abs().max() > 0


def test_a_lazy_module_is_refused() -> None:
    with pytest.raises(UsageError, match="run the model once"):
        MAML(nn.Sequential(nn.LazyLinear(3)), inner_lr=0.1, inner_steps=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"inner_lr": 0.0}, "`inner_lr` must be a finite number > 0"),
        ({"inner_lr": float("nan")}, "`inner_lr`"),
        ({"inner_steps": 0}, "`inner_steps` must be an int >= 1"),
        ({"chunk_size": 0}, "`chunk_size` must be an int >= 1"),
        ({"engine": "vectorized"}, "Did you mean 'vectorised'"),
        ({"head_only": ["6.wieght"]}, "Did you mean '6.weight'"),
        ({"head_only": ["2"]}, "must have trainable parameters"),
    ],
)
def test_wrong_arguments(wrong: dict, message: str, net: Callable) -> None:
    with pytest.raises(UsageError, match=message):
        MAML(net(), **({"inner_lr": 0.1, "inner_steps": 1} | wrong))


def test_heads(net: Callable, seeded: Callable) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Conv2d(1, 2, 1)
            self.last = nn.Linear(2, 2)

    def adapted(model: nn.Module, head_only: object) -> tuple[str, ...]:
        return MAML(model, inner_lr=0.1, inner_steps=1, head_only=head_only).adapted

    assert adapted(seeded(Named), True) == ("head.weight", "head.bias")
    assert adapted(net(), True) == ("6.weight", "6.bias")
    assert adapted(net(), "0") == ("0.weight", "0.bias")
    with pytest.raises(UsageError, match=r"without nn\.Linear"):
        adapted(seeded(lambda: nn.Conv2d(1, 2, 1)), True)


def test_batches_that_do_not_fit(episodes: Callable, net: Callable) -> None:
    maml = MAML(net(), inner_lr=0.1, inner_steps=1)
    with pytest.raises(UsageError, match=r"`batch.support` must be torch.float64"):
        maml.evaluate(episodes(dtype=torch.float32))
    with pytest.raises(UsageError, match="at least one task"):
        maml.test(episodes()[:0])
    with pytest.raises(UsageError, match="`inner_steps` must be an int >= 0"):
        maml.test(episodes(), inner_steps=-1)


def test_labels_beyond_the_logits_are_refused(episodes: Callable, net: Callable) -> None:
    maml = MAML(net(ways=3), inner_lr=0.1, inner_steps=1)
    with pytest.raises(UsageError, match=r"4 classes.*3 logits"):
        maml.evaluate(episodes(ways=4))


def test_automatic_shares_follow_the_size_of_a_task(
    episodes: Callable, net: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def spy(problem: object, batch: MetaBatch, **more: object) -> object:
        sizes.append(len(batch))
        return vectorised(problem, batch, **more)

    monkeypatch.setitem(maml_module.ENGINES, "vectorised", spy)
    monkeypatch.setattr(maml_module, "loop", spy)  # which is what one task alone gets
    batch = episodes(tasks=7, shots=1, queries=1)  # 300 numbers a task
    monkeypatch.setattr(maml_module, "FEW_NUMBERS", 2000)
    for room, expected in ((10**6, [3, 4]), (600, [1, 2, 2, 2]), (1, [1] * 7)):
        monkeypatch.setattr(maml_module, "SHARE_NUMBERS", room)
        sizes.clear()
        maml = MAML(net(), inner_lr=0.1, inner_steps=1)
        maml.backward(batch)
        assert sorted(sizes) == expected
        assert maml.shares(batch) == len(expected)
    monkeypatch.setattr(maml_module, "SHARE_NUMBERS", 2**18)
    monkeypatch.setattr(maml_module, "FEW_NUMBERS", 10**6)
    assert maml.shares(batch) == 1
