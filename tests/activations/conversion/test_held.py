"""However a network holds its activations: all that it calls are swapped, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from metaact.activations import convert
from metaact.errors import UsageError

SHARED = nn.ReLU()


@pytest.fixture(autouse=True)
def own_stream() -> Iterator[None]:
    """The networks of these tests draw their weights from a stream of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Net(nn.Module):
    """A layer and an activation; `call` gets from one to the other."""

    def __init__(self, hold: Callable[[Net], object], call: Callable[[Net, Tensor], Tensor]):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.act = nn.ReLU()
        self.held = hold(self)
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self, x)


class OfGlobal(Net):
    """Calls an activation that its file holds."""

    def forward(self, x: Tensor) -> Tensor:
        return SHARED(self.layer(x))


class OfClass(Net):
    """Calls an activation that its class holds."""

    shared = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.shared(self.layer(x))  # type: ignore[no-any-return]


def through(network: Net, x: Tensor) -> Tensor:
    for module in network.held:  # type: ignore[union-attr]
        x = module(x)
    return x


def by_held(network: Net, x: Tensor) -> Tensor:
    return network.held(network.layer(x))  # type: ignore[operator,no-any-return]


def by_child(network: Net, x: Tensor) -> Tensor:
    return network.act(network.layer(x))  # type: ignore[no-any-return]


class Own(nn.Module):
    """An activation of one's own that is no child."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


REFUSED: dict[str, tuple[Callable[[Net], object], Callable[[Net, Tensor], Tensor]]] = {
    "list": (lambda n: [n.layer, n.act], through),
    "tuple": (lambda n: (n.layer, n.act), through),
    "only in a list": (lambda n: [n.layer, nn.ReLU()], through),
    "own type in a list": (lambda n: [n.layer, Own()], through),
    "mapping": (lambda n: {"act": n.act}, lambda n, x: n.held["act"](n.layer(x))),  # type: ignore[index]
    "object": (lambda n: SimpleNamespace(act=n.act), lambda n, x: n.held.act(n.layer(x))),  # type: ignore[attr-defined]
    "closure": (lambda n: lambda x: n.act(x), by_held),
    "default": (lambda n: lambda x, act=n.act: act(x), by_held),
    "bound method": (lambda n: n.act.forward, by_held),
    "partial": (lambda n: partial(n.act), by_held),
    "global": (lambda n: lambda x: SHARED(x), by_held),
}

SWAPPED: dict[str, tuple[Callable[[Net], object], Callable[[Net, Tensor], Tensor]]] = {
    "child": (lambda n: None, by_child),
    "ModuleList": (lambda n: nn.ModuleList([n.layer, n.act]), through),
    "list of a container": (
        lambda n: n.add_module("body", nn.Sequential(n.layer, nn.ReLU())) or [n.body],
        through,
    ),
    "list of layers": (lambda n: [n.layer, nn.CrossEntropyLoss()], by_child),
    "plain values": (lambda n: {"width": 6, "act": nn.ReLU, "call": torch.relu}, by_child),
}


def calls_of_relu(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a forward pass calls nn.ReLU."""
    count = 0

    def counted(self: nn.ReLU, x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return x.clamp(min=0)

    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", counted)
        network(torch.randn(2, 6, generator=torch.Generator().manual_seed(0)))
    return count


@pytest.mark.parametrize("example", [None, torch.ones(2, 6)], ids=["traced", "example"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_swap_would_not_reach_is_refused_by_name(name: str, example: Tensor | None) -> None:
    network = Net(*REFUSED[name])
    network(torch.ones(2, 6))
    with pytest.raises(UsageError, match=r"as children alone .* held by `held`\. Hold it in"):
        convert(network, "arelu", example=example)


@pytest.mark.parametrize(
    ("kind", "place"), [(OfGlobal, "OfGlobal.forward"), (OfClass, "OfClass.shared")]
)
def test_a_global_variable_and_a_class_are_named(kind: type[Net], place: str) -> None:
    with pytest.raises(UsageError, match=rf"held by `{place}`"):
        convert(kind(*SWAPPED["child"]), "arelu")


@pytest.mark.parametrize("example", [None, torch.ones(2, 6)], ids=["traced", "example"])
@pytest.mark.parametrize("name", SWAPPED)
def test_no_old_activation_is_called_after_a_swap(
    name: str, example: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Net(*SWAPPED[name])
    assert calls_of_relu(network, monkeypatch) == 1
    converted = convert(network, "arelu", example=example)
    assert calls_of_relu(converted, monkeypatch) == 0
