"""Networks that classify online beside the same ones one at a time, by autograd and torch.optim."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaact import activations, models
from metaact.adaptation.classifiers import Lessons, OnlineClassifiers, check_keeps_nothing
from metaact.errors import UsageError

NAMES = ("relu", "arelu", "arelu-frozen", "crelu", "fourier", "maxout", "pau")


def network(name: str, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A small MLP for 3x3 images of two channels."""
    sizes: dict[str, Any] = {"channels": 2, "size": 3, "width": 6, "layers": 2}
    draw = torch.Generator().manual_seed(seed)
    return models.mlp(name, classes=4, **sizes, generator=draw).to(dtype)


def nets_of(name: str, optimizer: str, *, stacked: bool | None = None) -> OnlineClassifiers:
    kind = type(activations.create(name))
    return OnlineClassifiers(network(name), activation=kind, optimizer=optimizer, stacked=stacked)


def lessons(steps: int, *, batch: int, seed: int, some: bool = False) -> Lessons:
    """Images and labels; where asked, with the classes that there are to choose from."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (steps, batch), generator=draw)
    outputs = torch.rand(steps, batch, 4, generator=draw) < 0.5
    outputs |= functional.one_hot(labels, 4).bool()
    images = torch.rand(steps, batch, 2, 3, 3, generator=draw, dtype=torch.float64)
    return Lessons(images=images, labels=labels, outputs=outputs if some else None)


def plainly(
    model: nn.Module, lessons: Lessons, *, optimizer: str, rate: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """What the usual loop finds right, and the numbers that it ends with."""
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
    steps, right = kind([p for p in model.parameters() if p.requires_grad], lr=rate), []
    for step, (x, y) in enumerate(zip(lessons.images, lessons.labels, strict=True)):
        logits = model(x)
        if lessons.outputs is not None:
            logits = logits.masked_fill(~lessons.outputs[step], -math.inf)
        steps.zero_grad()
        functional.cross_entropy(logits, y).backward()
        steps.step()
        right.append(logits.argmax(dim=1) == y)
    return torch.cat(right), {n: p.detach() for n, p in model.named_parameters()}


@pytest.mark.parametrize("stacked", [False, True], ids=["one by one", "stacked"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", NAMES)
def test_steps_are_those_of_torch_optim(name: str, optimizer: str, stacked: bool) -> None:
    """Long enough that steps are recorded; two streams, three rates, starts of their own."""
    nets = nets_of(name, optimizer, stacked=stacked)
    rates, of = (0.05, 0.02, 0.01), (0, 1, 0)
    known = [lessons(127, batch=3, seed=seed, some=seed == 1) for seed in range(2)]
    known[0] = Lessons(
        images=known[0].images,
        labels=known[0].labels,
        outputs=torch.ones(127, 3, 4, dtype=torch.bool),
    )
    starts = [network(name, seed=seed) for seed in range(3)]
    nets.take(rates, [nets.fresh(model) for model in starts])
    halves = [[Lessons(**dict(zip(one.__slots__, one.part(*span), strict=True))) for one in known]
              for span in ((0, 60), (60, 127))]  # fmt: skip
    right = torch.cat([nets.learn(half, of) for half in halves])
    for number, (model, rate) in enumerate(zip(starts, rates, strict=True)):
        seen, numbers = plainly(model, known[of[number]], optimizer=optimizer, rate=rate)
        assert right[:, number].bool().tolist() == seen.tolist()
        for key, value in nets.states[number].items():
            if key in numbers:
                torch.testing.assert_close(value, numbers[key], rtol=1e-7, atol=1e-9)
    assert stacked or len(nets._programs) >= 1, "steps ran as they were recorded"


@pytest.mark.parametrize("batch", [1, 5])
def test_companions_change_no_bit(batch: int) -> None:
    """In float32, as runs are: alone, or as the 3rd of 4; recorded or not."""
    found = []
    for chosen in (range(4), (2,)):
        model = network("arelu", dtype=torch.float32)
        nets = OnlineClassifiers(model, activation=activations.AReLU, optimizer="adam")
        states = [nets.fresh(network("arelu", seed=s, dtype=torch.float32)) for s in chosen]
        nets.take([0.01] * len(states), states)
        one = lessons(43, batch=batch, seed=1)
        one = Lessons(images=one.images.float(), labels=one.labels)
        right = nets.learn([one], [0] * len(states))
        place = list(chosen).index(2)
        found.append((right[:, place], nets.states[place]))
    (first, numbers), (second, alone) = found
    assert torch.equal(first, second)
    assert all(torch.equal(numbers[key], alone[key]) for key in alone)


@pytest.mark.parametrize("name", ["relu", "arelu", "crelu", "fourier", "tanh", "prelu"])
def test_layers_are_what_they_are(name: str) -> None:
    """Beside derivatives by finite differences, one unit at a time, and autograd's gradient."""
    nets, model = nets_of(name, "sgd"), network(name, seed=3)
    nets.take([0.1], [nets.fresh(model)])
    seen = lessons(50, batch=1, seed=2)
    found = nets.diagnose([seen], [0])
    assert list(found) == ["hidden.act1", "hidden.act2", "output"]
    x = seen.images.flatten(0, 1)
    units = model.get_submodule("hidden.linear1")(x.flatten(1)).detach()
    act = model.get_submodule("hidden.act1")
    slopes = []
    for unit in range(units.shape[1]):
        step = torch.zeros_like(units)
        step[:, unit] = 1e-6
        slopes.append(((act(units + step) - act(units - step)) / 2e-6).abs().sum(dim=1))
    flat = float((torch.stack(slopes).mean(dim=1) < 0.01).double().mean())
    assert float(found["hidden.act1"]["saturated_units"]) == pytest.approx(flat)
    functional.cross_entropy(model(x), seen.labels.flatten()).backward()
    head = [*model.get_submodule("head").parameters()]
    norms = [
        torch.cat([value.detach().flatten() for value in values]).norm()
        for values in (head, [p.grad for p in head if p.grad is not None])
    ]
    assert float(found["output"]["weight_norm"]) == pytest.approx(float(norms[0]))
    assert float(found["output"]["gradient_norm"]) == pytest.approx(float(norms[1]))


def test_maps_are_looked_at_by_channel() -> None:
    model = models.create("mnist-conv", "tanh", classes=4, channels=1, generator=_seeded())
    nets = OnlineClassifiers(model, activation=nn.Tanh, optimizer="sgd")
    with torch.no_grad():
        model.get_submodule("conv1").bias[:3] = -100.0  # type: ignore[index,operator]
    nets.take([0.1], [nets.fresh(model)])
    images = torch.rand(6, 1, 1, 28, 28, generator=_seeded())
    labels = torch.zeros(6, 1, dtype=torch.int64)
    found = nets.diagnose([Lessons(images=images, labels=labels)], [0])
    assert float(found["act1"]["saturated_units"]) == pytest.approx(0.3)


def test_accuracies_are_those_of_the_plain_network() -> None:
    nets, model = nets_of("relu", "sgd"), network("relu", seed=1)
    nets.take([0.1], [nets.fresh(model)])
    seen = lessons(40, batch=1, seed=5, some=True)
    images, labels = seen.images.flatten(0, 1), seen.labels.flatten()
    outputs = torch.as_tensor(seen.outputs).flatten(0, 1)
    logits = model(images).masked_fill(~outputs, -math.inf)
    expected = float((logits.argmax(dim=1) == labels).double().mean())
    assert float(nets.accuracies([(images, labels, outputs)], [0])) == pytest.approx(expected)


def test_an_output_that_is_no_number_is_no_answer() -> None:
    nets, model = nets_of("relu", "sgd"), network("relu")
    with torch.no_grad():
        model.get_submodule("head").bias[0] = math.nan  # type: ignore[index,operator]
    nets.take([0.1], [nets.fresh(model)])
    assert nets.learn([lessons(3, batch=2, seed=0)], [0]).isnan().all()


@pytest.mark.draws_globally
def test_a_network_that_keeps_something_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    with pytest.raises(UsageError, match=r"its buffer 1\.running_mean changes"):
        check_keeps_nothing(model, torch.rand(2, 1, 3, 3, generator=_seeded()))


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)
