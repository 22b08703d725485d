"""Warm start: the fits against closed forms, and what a fold may and may not do."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaact.activations import AReLU, convert, entries
from metaact.activations.conversion.report import Conversion, WarmStart


@pytest.fixture(autouse=True)
def own_stream() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def warmed(model: nn.Module, activation: str, x: Tensor) -> tuple[nn.Module, WarmStart]:
    converted, report = convert(model, activation, warm_start=x, report=True)
    assert isinstance(report, Conversion)
    assert report.warm is not None
    return converted, report.warm


class Block(nn.Module):
    """A residual block: its first activation feeds one layer, its second also the shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + x)


def test_it_finds_the_parameters_of_an_arelu() -> None:
    class Between(nn.Module):  # no layer can take a gain
        def __init__(self) -> None:
            super().__init__()
            self.act = AReLU(alpha=0.3, beta=0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x) + x

    converted, warm = warmed(Between(), "arelu", images(64, 100))
    place = converted.get_submodule("act")
    assert place.alpha.item() == pytest.approx(0.3, abs=0.02)
    assert place.beta.item() == pytest.approx(0.5, abs=0.05)
    assert warm.places[0].into == ()
    assert warm.drift < 0.01 < warm.plain_drift


def test_the_gain_of_a_fixed_activation_is_that_of_least_squares() -> None:
    model = nn.Sequential(nn.Tanh(), nn.Linear(100, 3))
    x = images(64, 100)
    converted, warm = warmed(model, "relu", x)
    gain = float((x.relu() * x.tanh()).sum() / (x.relu() ** 2).sum())
    (place,) = warm.places
    assert place.gain == pytest.approx(gain, rel=0.03)
    assert place.into == ("1",)
    torch.testing.assert_close(converted[1].weight, place.gain * model[1].weight)
    torch.testing.assert_close(converted[1].bias, model[1].bias)


@pytest.mark.parametrize("functional", [False, True])
def test_a_gain_alone_is_folded_exactly(functional: bool) -> None:
    slope, gain = 0.9, 1 + float(torch.sigmoid(torch.tensor(2.0)))

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(1, 4, 3)
            self.act = nn.LeakyReLU(slope / gain)
            self.two = nn.Conv2d(4, 4, 3)
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            act = (lambda x: F.leaky_relu(x, slope / gain)) if functional else self.act
            x = F.dropout(F.max_pool2d(act(self.one(x)), 2), 0.5, self.training)
            return self.head(self.act(self.two(x)).flatten(1))

    model = Pooled().eval()
    x = images(8, 1, 10, 10)
    converted, warm = warmed(model, "leakyrelu-scaled", x)
    assert [place.into for place in warm.places] == [("two",), ("head",)]
    assert all(place.gain == pytest.approx(1 / gain, rel=1e-5) for place in warm.places)
    assert warm.drift < 1e-5
    torch.testing.assert_close(converted(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_shortcut_a_norm_and_a_shared_layer_take_no_gain() -> None:
    model = nn.Sequential(Block(), Block(), nn.Linear(4, 2))
    _, warm = warmed(model, "arelu", images(64, 4))
    assert [place.into for place in warm.places] == [
        ("0.second",),
        (),  # the shortcut of the next block reads it too
        ("1.second",),
        ("2",),
    ]
    norm = nn.BatchNorm1d(4)
    norm.running_mean = torch.full((4,), 0.3)
    model = nn.Sequential(nn.ReLU(), norm, nn.Linear(4, 2)).eval()
    assert warmed(model, "arelu", images(64, 4))[1].places[0].into == ()
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(4, 2))
    into = [place.into for place in warmed(model, "arelu", images(64, 4))[1].places]
    assert into == [(), ("4",)]
    split = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Twice(), nn.ReLU(), nn.Linear(4, 2))
    assert warmed(split, "arelu", images(64, 4))[1].places[0].into == ("2.one", "2.two")


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)
        self.two = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.one(x) + self.two(x)


def test_nothing_is_stuck_and_nothing_else_changes() -> None:
    model = nn.Sequential(Block(), Block(), nn.Linear(4, 2)).train()
    before = copy.deepcopy(model.state_dict())
    stream = torch.get_rng_state()
    converted, warm = warmed(model, "arelu", images(200, 4))
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in converted.modules())
    assert warm.stuck == 0
    alphas = [m.alpha.item() for m in converted.modules() if isinstance(m, AReLU)]
    assert alphas == pytest.approx([0.05] * 4)
    assert warm.drift < 0.15 < warm.plain_drift
    assert "output drift" in str(warm)
    assert len(str(warm).splitlines()) == 6


@pytest.mark.parametrize("old", [nn.ReLU(), nn.GELU()], ids=["relu", "gelu"])
@pytest.mark.parametrize("name", [e.name for e in entries() if e.learnable])
def test_every_activation_with_parameters_is_fitted(name: str, old: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(8, 8), old, nn.Linear(8, 2))
    _, warm = warmed(model, name, images(64, 8))
    (place,) = warm.places
    assert place.error <= place.plain_error + 1e-3
    # One is affine, the other a parabola on the right.
    assert place.error < {"slaf-paper": 0.7, "xielu": 0.25}.get(name, 0.2)
    assert place.parameters


def test_a_trained_network_still_works_after_the_swap() -> None:
    x = images(256, 2)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    model = nn.Sequential(
        nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(150):
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    def accuracy(network: nn.Module) -> float:
        return float((network(x).argmax(1) == labels).float().mean())

    plain = accuracy(convert(model, "arelu"))
    warm = accuracy(convert(model, "arelu", warm_start=x))
    assert accuracy(model) > 0.97
    assert warm > 0.95
    assert warm > plain
