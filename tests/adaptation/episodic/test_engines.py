"""The three engines compute the same losses and meta-gradients."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from metaact import activations, models
from metaact.adaptation import MAML
from metaact.errors import MissingDependencyError, UsageError
from metaact.tasks import MetaBatch

# float64 rounding through five second-order steps; the contract asks for 1e-5 only
CLOSE = {"rtol": 1e-10, "atol": 1e-11}
SETTINGS = [
    {},
    {"first_order": True},
    {"head_only": True},
    {"head_only": True, "first_order": True},
]


def _agree(
    one: MAML, other: MAML, batch: MetaBatch, gradient: Callable[..., tuple]
) -> torch.Tensor:
    (result, slope), (expected, expected_slope) = gradient(one, batch), gradient(other, batch)
    torch.testing.assert_close(result.loss, expected.loss, **CLOSE)
    torch.testing.assert_close(slope, expected_slope, **CLOSE)
    assert torch.equal(result.accuracy, expected.accuracy)
    return slope


@pytest.mark.parametrize("other", ["loop", "learn2learn"])
@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: "+".join(s) or "second-order")
def test_engines_agree_on_the_papers_network(
    other: str, shots: int, setting: dict, episodes: Callable, gradient: Callable, learn2learn
) -> None:
    model = models.mnist_conv("arelu", classes=5, generator=torch.Generator().manual_seed(1))
    model.double()
    batch = episodes(tasks=3, ways=5, shots=shots, queries=shots, shape=(1, 28, 28))
    pair = [
        MAML(model, inner_lr=0.05, inner_steps=5, engine=engine, **setting)
        for engine in ("vectorised", other)
    ]
    assert _agree(*pair, batch, gradient).abs().max() > 1e-3


@pytest.mark.parametrize("name", [n for n in activations.PAPER if n != "rrelu"])
def test_engines_agree_for_every_activation(
    name: str, episodes: Callable, gradient: Callable, net: Callable
) -> None:
    if activations.resolve(name).width_factor != 1:
        pytest.skip("changes the number of channels: see models.conv4 below")
    model = net(activations.resolve(name).factory)
    pair = [MAML(model, inner_lr=0.1, inner_steps=3, engine=e) for e in ("vectorised", "loop")]
    _agree(*pair, episodes(), gradient)


@pytest.mark.parametrize("name", ["arelu", "maxout", "relu"])
@pytest.mark.parametrize("batch_norm", ["batch", "off"])
def test_engines_agree_on_conv4(
    name: str, batch_norm: str, episodes: Callable, gradient: Callable, learn2learn: ModuleType
) -> None:
    draw = torch.Generator().manual_seed(0)
    model = models.conv4(name, classes=3, filters=4, batch_norm=batch_norm, generator=draw)
    model.double()
    batch = episodes(ways=3, shots=2, shape=(1, 16, 16))
    for other in ("loop", "learn2learn"):
        pair = [MAML(model, inner_lr=0.1, inner_steps=3, engine=e) for e in ("vectorised", other)]
        _agree(*pair, batch, gradient)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: "+".join(s) or "second-order")
def test_frozen_and_unused_parameters(
    setting: dict, episodes: Callable, gradient: Callable, seeded: Callable, learn2learn
) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(6, 4)
            self.frozen = nn.Linear(4, 4).requires_grad_(False)
            self.unused = nn.Linear(2, 2)
            self.head = nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self.frozen(torch.tanh(self.body(x)))))

    model = seeded(Odd)
    for other in ("loop", "learn2learn"):
        pair = [
            MAML(model, inner_lr=0.3, inner_steps=4, engine=e, **setting)
            for e in ("vectorised", other)
        ]
        _agree(*pair, episodes(shape=(6,)), gradient)
    assert model.frozen.weight.grad is None
    assert model.unused.weight.grad is None or not model.unused.weight.grad.any()


def test_tied_weights(episodes: Callable, gradient: Callable, seeded: Callable) -> None:
    def tied() -> nn.Module:
        first, second = nn.Linear(6, 6), nn.Linear(6, 6)
        second.weight = first.weight
        return nn.Sequential(first, nn.Tanh(), second, nn.Linear(6, 3))

    model = seeded(tied)
    pair = [MAML(model, inner_lr=0.3, inner_steps=3, engine=e) for e in ("vectorised", "loop")]
    _agree(*pair, episodes(shape=(6,)), gradient)


def test_some_named_parameters(episodes: Callable, gradient: Callable, net: Callable) -> None:
    model, names = net(), ["0.bias", "3"]
    pair = [
        MAML(model, inner_lr=0.3, inner_steps=3, engine=e, head_only=names)
        for e in ("vectorised", "loop")
    ]
    assert pair[0].adapted == ("0.bias", "3.weight", "3.bias")
    _agree(*pair, episodes(), gradient)


def test_learn2learn_cannot_adapt_loose_parameters(
    episodes: Callable, net: Callable, learn2learn: ModuleType
) -> None:
    maml = MAML(net(), inner_lr=0.1, inner_steps=1, engine="learn2learn", head_only=["0.bias"])
    with pytest.raises(UsageError, match="all parameters of one module"):
        maml.test(episodes())


def test_missing_learn2learn_names_the_command(
    episodes: Callable, net: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "learn2learn", None)
    maml = MAML(net(), inner_lr=0.1, inner_steps=1, engine="learn2learn")
    with pytest.raises(MissingDependencyError, match=r"pip install --no-deps learn2learn==0\.2\.0"):
        maml.test(episodes())
