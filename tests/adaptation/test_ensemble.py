"""Networks side by side against each of them alone, whatever they differ in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import vmap

from metaact import activations, models
from metaact.adaptation import misfit, refusal
from metaact.adaptation.ensemble import Bank, Ensemble
from metaact.adaptation.stateless import Stateless
from metaact.errors import UsageError
from metaact.randomness import isolated_rng

IMAGES = torch.linspace(-2, 2, 3 * 2 * 784, dtype=torch.float64).view(3, 2, 1, 28, 28).sin()
"""Two for each of three networks."""

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def network(name: str, seed: int) -> nn.Module:
    draw = torch.Generator().manual_seed(seed)
    entry = activations.resolve(name)
    return models.mnist_conv(entry, classes=5, generator=draw).double()


def together(networks: list[nn.Module], images: Tensor = IMAGES) -> Tensor:
    ensemble = Ensemble(networks)
    call = Stateless(ensemble.model)
    return vmap(call)(ensemble.stacked(), images)


def apart(networks: list[nn.Module], images: Tensor = IMAGES) -> Tensor:
    return torch.stack([one(x) for one, x in zip(networks, images, strict=True)])


def draws(name: str) -> bool:
    module = activations.resolve(name).factory().double()
    x = torch.ones(1, 4, 2, 2, dtype=torch.float64)
    with isolated_rng("draws"):
        return not torch.equal(module(-x), module(-x))


def fits(name: str) -> bool:
    """As wide as its input, and no random numbers in training."""
    return activations.resolve(name).width_factor == 1 and not draws(name)


@pytest.mark.parametrize("name", [n for n in activations.names() if fits(n)])
def test_any_activation_beside_two_others(name: str) -> None:
    trio = [network(each, seed) for seed, each in enumerate(("arelu", name, "relu"))]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)


def test_what_is_the_same_is_computed_once_for_all() -> None:
    """Only activations differ, and equal neighbours are one."""
    four = [network(name, seed) for seed, name in enumerate(("arelu", "arelu", "relu", "arelu"))]
    ensemble = Ensemble(four)
    banks = {n: m for n, m in ensemble.model.named_modules() if isinstance(m, Bank)}
    assert sorted(banks) == ["act1", "act2", "act3"]
    assert {bank.counts for bank in banks.values()} == {(2, 1, 1)}
    assert ensemble.names[3]["act2.alpha"] == "act2.arms.2.alpha"
    alike = Ensemble(four[:2])
    assert not any(isinstance(module, Bank) for module in alike.model.modules())


def test_rows_of_a_network_may_be_several() -> None:
    """As in meta-learning, where every task has a row."""
    trio = [network(name, seed) for seed, name in enumerate(("arelu", "prelu", "prelu"))]
    ensemble = Ensemble(trio)
    call = Stateless(ensemble.model)
    values = {n: v.repeat_interleave(2, dim=0) for n, v in ensemble.stacked().items()}
    images = torch.cat([IMAGES, -IMAGES])
    found = vmap(call)(values, images)
    wanted = apart([one for one in trio for _ in range(2)], images)
    torch.testing.assert_close(found, wanted, **EXACT)


class Drawn(nn.Module):
    """Its slope is drawn when it is made, and no parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = float(torch.rand(()))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)


class Swish(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.rand(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.rate * x)


def seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    with isolated_rng("network", seed):
        layers = nn.Conv2d(1, 2, 5), make(), nn.Flatten(), nn.Linear(1152, 3), make()
        return nn.Sequential(*layers).double()


class Held(nn.Module):
    """What it drew is a tensor, and no buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.rand(()).double()

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.slope * x)


class Hooked(nn.PReLU):
    """A hook says what comes out."""

    def __init__(self) -> None:
        super().__init__()
        factor = float(torch.rand(()))
        self.register_forward_hook(lambda module, given, made: factor * made)


LAYERS = [Drawn, Held, Hooked, Swish, nn.PReLU, lambda: nn.ReLU(inplace=True)]


@pytest.mark.parametrize("layer", LAYERS)
def test_networks_of_several_seeds_keep_what_is_their_own(layer: Callable[[], nn.Module]) -> None:
    trio = [seeded(layer, seed) for seed in range(3)]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)


class Own(nn.Module):
    """A network of the user's own, which keeps what it drew."""

    def __init__(self, act: nn.Module, *, draws: bool = False) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(784, 4), act, nn.Linear(4, 3)
        self.scale = float(torch.rand(())) if draws else 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.last(self.act(self.first(x.flatten(1))))


def test_a_network_of_the_users_own() -> None:
    with isolated_rng("network"):
        trio = [Own(act).double() for act in (Swish(), Swish(), nn.ReLU())]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)
    banks = [m for m in Ensemble(trio).model.modules() if isinstance(m, Bank)]
    assert [bank.counts for bank in banks] == [(2, 1)]
    with isolated_rng("network"):
        drawn = [Own(nn.ReLU(), draws=True).double() for _ in range(2)]
    with pytest.raises(UsageError, match="the same layers"):
        Ensemble(drawn)


def test_one_layer_at_several_places() -> None:
    """Without parameters it is put wherever it stands; what it shares with others cannot be."""

    def shared(act: nn.Module, seed: int) -> nn.Module:
        with isolated_rng("network", seed):
            return nn.Sequential(
                nn.Flatten(), nn.Linear(784, 4), act, nn.Linear(4, 4), act, nn.Linear(4, 3)
            ).double()

    trio = [shared(act, seed) for seed, act in enumerate((nn.ReLU(), nn.Tanh(), nn.ReLU()))]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)
    trio = [shared(act, seed) for seed, act in enumerate((nn.PReLU(), nn.Tanh(), nn.ReLU()))]
    with pytest.raises(UsageError, match="share parameters between what differs"):
        Ensemble(trio)


class Twice(nn.Module):
    """One activation under two names."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.first = self.second = act

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_one_layer_under_two_names() -> None:
    def made(act: nn.Module) -> nn.Module:
        with isolated_rng("network"):
            inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 4))
            return nn.Sequential(inner, Twice(act), nn.Linear(4, 3)).double()

    trio = [made(act) for act in (nn.ReLU(), nn.Tanh(), nn.Sigmoid())]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)


def frozen(model: nn.Module) -> nn.Module:
    model.get_submodule("head").requires_grad_(False)
    return model


def test_a_layer_that_is_trained_in_one_of_them_alone() -> None:
    trio = [frozen(network("arelu", 0)), network("arelu", 1), network("arelu", 2)]
    torch.testing.assert_close(together(trio), apart(trio), **EXACT)
    assert [n for n in Ensemble(trio).trained() if "head" in n] == [
        "head.arms.1.weight",
        "head.arms.1.bias",
    ]


class Uncopied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.numbers = (number for number in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("networks", "message"),
    [
        ([network("relu", 0), network("maxout", 1)], "layers of equal width"),
        ([network("relu", 0), seeded(nn.ReLU, 0)], "the same layers"),
        ([seeded(Uncopied, 0), seeded(Uncopied, 1)], "can be copied"),
    ],
)
def test_networks_that_do_not_fit_together(networks: list[nn.Module], message: str) -> None:
    class Data:
        pixels = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
        labels = torch.zeros(2, dtype=torch.int64)

    assert message in str(misfit(networks, Data()))
    alone = refusal(networks[1], Data())
    assert alone is None or "cannot be copied" in alone


def test_a_bank_is_nothing_alone() -> None:
    with pytest.raises(UsageError, match=r"torch\.func\.vmap"):
        Bank.of([nn.ReLU(), nn.Tanh()])(torch.ones(2))


def test_nothing_can_be_trained_in_the_network_that_stands_for_them_all() -> None:
    ensemble = Ensemble([network("arelu", 0), network("relu", 1)])
    assert {p.device.type for p in ensemble.model.parameters()} == {"meta"}
    assert len(ensemble) == 2
