"""The shares of a work: any number of threads computes the same, to the bit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from metaact import activations, models
from metaact.adaptation import MAML, Recipe, Trainer, evaluate, set_threads, threads
from metaact.adaptation.episodic import learner as maml_module
from metaact.adaptation.shares import copies, in_shares
from metaact.errors import UsageError
from metaact.randomness import isolated_rng
from metaact.tasks import MetaBatch


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    set_threads(None)


def images(tasks: int, *, dtype: torch.dtype = torch.float32) -> MetaBatch:
    draw = torch.Generator().manual_seed(3)
    pixels = torch.rand(tasks, 6, 1, 28, 28, generator=draw).to(dtype)
    labels = torch.arange(3).repeat_interleave(2).repeat(tasks, 1)
    return MetaBatch(
        support=pixels, support_labels=labels, query=pixels.flip(1), query_labels=labels.flip(1)
    )


def network() -> nn.Module:
    draw = torch.Generator().manual_seed(0)
    return models.mnist_conv("arelu", classes=3, generator=draw)


def slopes(maml: MAML, batch: MetaBatch) -> list[Tensor]:
    maml.model.zero_grad()
    maml.backward(batch)
    return [p.grad.clone() for p in maml.model.parameters() if p.grad is not None]


@pytest.mark.parametrize("engine", ["vectorised", "loop"])
def test_threads_change_no_bit_of_gradients_losses_and_tests(engine: str) -> None:
    batch = images(7)
    found = []
    for count in (1, 2, 3):
        set_threads(count)
        maml = MAML(network(), inner_lr=0.1, inner_steps=2, chunk_size=2, engine=engine)
        evaluation = maml.evaluate(batch)
        found.append([*slopes(maml, batch), evaluation.loss.detach(), maml.test(batch)])
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


class Noisy(nn.Module):
    """Draws in training from PyTorch's one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.RReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def test_random_layers_draw_the_same_numbers_on_any_number_of_threads() -> None:
    batch = images(8)
    with isolated_rng("weights"):
        model = Noisy()
    found = []
    for count in (1, 3):
        set_threads(count)
        maml = MAML(model, inner_lr=0.1, inner_steps=2, chunk_size=2)
        for _ in range(2):  # the second time it is known that the model draws
            with isolated_rng("layers"):
                found.append(slopes(maml, batch))
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


class Closed(nn.Module):
    """Reaches a parameter by a closure, which a copy would not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.5))
        self.f = lambda x: torch.relu(x) + self.slope * x

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.f(x)
        return y


class Counting(nn.Module):
    """Does something else every time."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Drawing(nn.Module):
    """Draws from a stream of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = torch.Generator().manual_seed(1)

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + torch.rand(x.shape[-1], generator=self.stream))


def _hooked() -> nn.Module:
    layer = nn.Tanh()
    layer.register_forward_hook(lambda module, given, output: output * 2)
    return layer


def _patched() -> nn.Module:
    layer, forward = nn.Tanh(), nn.Tanh().forward
    layer.forward = lambda x: 2 * forward(x)  # type: ignore[method-assign]
    return layer


def _locked() -> nn.Module:
    layer = nn.Tanh()
    layer.lock = threading.Lock()  # type: ignore[assignment]
    return layer


@pytest.mark.parametrize("build", [Closed, Counting, Drawing, _hooked, _patched, _locked])
@pytest.mark.parametrize("recompute", [False, True])
def test_what_a_copy_might_miss_is_worked_on_by_one_thread(
    build: Callable[[], nn.Module], recompute: bool
) -> None:
    found = []
    for count in (1, 2):
        set_threads(count)
        with isolated_rng("weights"):
            model = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), build(), nn.Linear(8, 3))
        assert copies(model, 2) is None
        maml = MAML(model, inner_lr=0.1, inner_steps=1, chunk_size=1, recompute=recompute)
        found.append(slopes(maml, images(4)))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", activations.names())
def test_our_own_networks_are_worked_on_by_several(name: str) -> None:
    with isolated_rng("weights"):
        model = models.mnist_conv(name, classes=3)
    assert copies(model, 2) is not None


def test_copies_share_parameters_and_nothing_else() -> None:
    model = network()
    _, copied = copies(model, 2) or []
    assert all(a is b for a, b in zip(model.parameters(), copied.parameters(), strict=True))
    assert not {id(m) for m in model.modules()} & {id(m) for m in copied.modules()}


def test_the_callers_threads_and_gradients_hold() -> None:
    before = torch.get_num_threads()
    set_threads(2)
    seen: Callable[[int], tuple[int, bool]] = lambda _: (  # noqa: E731
        torch.get_num_threads(),
        torch.is_grad_enabled(),
    )
    with torch.no_grad():
        assert in_shares(seen, range(4)) == [(1, False)] * 4
    assert in_shares(seen, range(4)) == [(1, True)] * 4
    assert torch.get_num_threads() == before


def test_the_first_error_in_the_order_of_shares_is_raised() -> None:
    set_threads(3)

    def work(number: int) -> int:
        if number in (1, 2):
            raise ValueError(f"share {number}")
        return number

    with pytest.raises(ValueError, match="share 1"):
        in_shares(work, range(4))
    assert in_shares(lambda n: n, range(3)) == [0, 1, 2]


def test_the_number_of_threads() -> None:
    set_threads(5)
    assert threads() == 5
    with pytest.raises(UsageError, match="`threads` must be an int >= 1"):
        set_threads(0)
    code = "from metaact.adaptation import threads; print(threads())"
    for given, expected in (("3", "3"), ("1", "1")):
        environ = {**os.environ, "METAACT_THREADS": given}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("head_only", [False, True])
@pytest.mark.parametrize("activation", ["arelu", "relu", "tanh", "pau"])
def test_recomputed_steps_give_the_gradient_of_the_kept_graph(
    activation: str, head_only: bool
) -> None:
    draw = torch.Generator().manual_seed(0)
    model = models.mnist_conv(activation, classes=3, generator=draw).double()
    batch = images(3, dtype=torch.float64)
    found = []
    for recompute in (False, True):
        maml = MAML(model, inner_lr=0.1, inner_steps=3, head_only=head_only, recompute=recompute)
        found.append(slopes(maml, batch))
    for kept, again in zip(*found, strict=True):
        torch.testing.assert_close(again, kept, rtol=1e-10, atol=1e-12)


def test_large_graphs_are_recomputed_and_small_ones_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    real = maml_module.recomputed
    monkeypatch.setattr(
        maml_module, "recomputed", lambda *a, **k: called.append(1) or real(*a, **k)
    )
    slopes(MAML(network(), inner_lr=0.1, inner_steps=2), images(2))
    assert not called
    monkeypatch.setattr(maml_module, "LARGE_GRAPH", 1000)
    slopes(MAML(network(), inner_lr=0.1, inner_steps=2), images(2))
    assert called
    slopes(MAML(network(), inner_lr=0.1, inner_steps=2, first_order=True), images(2))
    assert len(called) == 1


def test_training_and_evaluation_are_the_same_on_any_number_of_threads() -> None:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (300, 1, 28, 28), dtype=torch.uint8, generator=draw)
    data = SimpleNamespace(pixels=pixels, labels=torch.randint(3, (300,), generator=draw))
    found = []
    for count in (1, 2):
        set_threads(count)
        trainer = Trainer(network(), data, recipe=Recipe(lr=0.01), seed=0)
        assert trainer.shares == 2
        outcome = trainer.epoch()
        score = evaluate(trainer.model, data)
        found.append((outcome, score.loss, [p.clone() for p in trainer.model.parameters()]))
    assert found[0][:2] == found[1][:2]
    assert all(torch.equal(a, b) for a, b in zip(found[0][2], found[1][2], strict=True))


class AcrossTheBatch(nn.Module):
    """An image's output depends on the others, and no layer of PyTorch says so."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.flatten(1))
        return y - y.mean(dim=0)


@pytest.mark.parametrize(
    "build", [Noisy, AcrossTheBatch, lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())]
)
def test_what_needs_the_whole_batch_gets_it(build: Callable[[], nn.Module]) -> None:
    draw = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (300, 1, 28, 28), dtype=torch.uint8, generator=draw)
    data = SimpleNamespace(pixels=pixels, labels=torch.arange(300) % 3)
    with isolated_rng("weights"):
        model = build()
    assert Trainer(model, data, recipe=Recipe(lr=0.01), seed=0).shares == 1


@pytest.mark.parametrize("mode", models.BATCH_NORM)
def test_an_update_is_that_of_the_whole_batch(mode: str) -> None:
    """BatchNorm takes its batch whole; without it, shares add up to the plain gradient."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (128, 1, 16, 16), dtype=torch.uint8, generator=draw)
    data = SimpleNamespace(pixels=pixels, labels=torch.arange(128) % 3)

    def build() -> nn.Module:
        return models.conv4(
            "arelu", classes=3, filters=4, batch_norm=mode, generator=draw.manual_seed(1)
        )

    trainer = Trainer(build(), data, recipe=Recipe(lr=0.1), seed=0)
    assert trainer.shares == (1 if mode in ("running", "batch") else 2)
    trainer.epoch()
    plain = build().train()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    nn.functional.cross_entropy(plain(pixels / 255), data.labels).backward()
    optimizer.step()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(trainer.model.state_dict()[name], value, rtol=1e-4, atol=1e-5)
