"""What is trained, at which rate, and with which decay."""

import copy

import pytest
import torch
from torch import nn

from metaact.activations.entry import marked
from metaact.adaptation.supervised.optimizers import make_optimizer
from metaact.adaptation.supervised.recipe import Recipe
from metaact.errors import UsageError


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU())
        return nn.Sequential(block, nn.Linear(2, 2))


def settings(recipe: Recipe) -> dict[str, tuple[float, float]]:
    model = network()
    names = {id(p): n for n, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in make_optimizer(model, recipe).param_groups
        for p in group["params"]
    }


ALL = {"0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias", "0.2.weight", "1.weight", "1.bias"}


def test_decay_of_all_is_of_all() -> None:
    found = settings(Recipe(lr=0.1, weight_decay=0.5, decay="all"))
    assert found == dict.fromkeys(ALL, (0.1, 0.5))


def test_decay_spares_activations_by_default() -> None:
    found = settings(Recipe(lr=0.1, weight_decay=0.5))
    assert {rate for rate, _ in found.values()} == {0.1}
    assert {n for n, (_, decay) in found.items() if decay == 0} == {"0.2.weight"}


def test_decay_pushes_a_slope_towards_zero_unless_spared() -> None:
    slopes = {}
    for decay in ("all", "weights"):
        model = network()
        recipe = Recipe(lr=0.1, momentum=0.0, weight_decay=0.5, decay=decay)
        optimizer = make_optimizer(model, recipe)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        slopes[decay] = float(model.get_parameter("0.2.weight").detach())
    assert slopes == {"all": pytest.approx(0.25 * (1 - 0.1 * 0.5)), "weights": 0.25}


@pytest.mark.parametrize(
    ("recipe", "trained"),
    [
        (Recipe(lr=1.0, train_layers=("1",)), {"1.weight", "1.bias"}),
        (Recipe(lr=1.0, train_layers=("activations",)), {"0.2.weight"}),
        (Recipe(lr=1.0, train_layers=("weights",)), ALL - {"0.2.weight"}),
        (Recipe(lr=1.0, freeze_activations=True), ALL - {"0.2.weight"}),
        # The last linear layer is the head, whatever it is called.
        (Recipe(lr=1.0, train_layers=("head",)), {"1.weight", "1.bias"}),
        (Recipe(lr=1.0, train_layers=("0.0", "1")), ALL - {"0.1.weight", "0.1.bias", "0.2.weight"}),
    ],
)
def test_only_the_named_layers_are_trained(recipe: Recipe, trained: set[str]) -> None:
    assert set(settings(recipe)) == trained
    model = network()
    make_optimizer(model, recipe)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == trained


def test_first_fitting_rate_wins() -> None:
    recipe = Recipe(lr=1.0, layer_lrs=(("activations", 0.1), ("0", 0.2), ("all", 0.3)))
    rates = {name: lr for name, (lr, _) in settings(recipe).items()}
    assert rates["0.2.weight"] == 0.1
    assert rates["0.0.weight"] == 0.2
    assert rates["1.weight"] == 0.3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_layers": ("activation",)}, "`train_layers`.*'activations'"),
        ({"layer_lrs": (("2", 0.1),)}, "`layer_lrs`"),
        ({"train_layers": ("activations",), "freeze_activations": True}, "something to train"),
    ],
)
def test_layers_that_are_not_there_are_refused(change: dict, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=words):
        make_optimizer(network(), Recipe(lr=0.1, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"lr": float("nan")},
        {"lr": 0.0},
        {"optimizer": "sdg"},
        {"decay": "none"},
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"batch_size": 0},
        {"train_layers": ()},
        {"layer_lrs": (("all", -1.0),)},
    ],
)
def test_settings_outside_their_range_are_refused(change: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=next(iter(change))):
        Recipe(**{"lr": 0.1, **change})


class _Scale(nn.Module):
    """A layer of the user's own: one number, as an activation may have."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x


class _Gated(nn.Module):
    """An activation of the user's own that holds a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(x.unsqueeze(-1)).sigmoid().squeeze(-1)


def test_what_a_module_is_decides_and_not_what_its_parameters_look_like() -> None:
    with torch.random.fork_rng():
        gated = marked(_Gated)
        normed = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
        model = nn.Sequential(nn.Linear(2, 2), gated, _Scale(), normed, nn.PReLU(num_parameters=2))
    copied = copy.deepcopy(model)  # a copy keeps the mark
    make_optimizer(copied, Recipe(lr=0.1, train_layers=("activations",)))
    trained = {n for n, p in copied.named_parameters() if p.requires_grad}
    assert trained == {"1.gate.weight", "1.gate.bias", "4.weight"}


def test_a_parameter_of_many_names_is_trained_once_by_each_of_them() -> None:
    with torch.random.fork_rng():
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    model = nn.Sequential()
    model.add_module("first", first)
    model.add_module("again", first)
    model.add_module("second", second)
    optimizer = make_optimizer(model, Recipe(lr=0.1, layer_lrs=(("second", 0.2),)))
    ids = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(ids) == sorted({id(p) for p in model.parameters()})
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(first.weight)] == rates[id(second.bias)] == 0.2
    assert rates[id(first.bias)] == 0.1


def test_a_lazy_network_is_named() -> None:
    with pytest.raises(UsageError, match=r"`0` \(LazyLinear\) has no parameters yet"):
        make_optimizer(nn.Sequential(nn.LazyLinear(3)), Recipe(lr=0.1))


def test_mixed_precision_is_refused_on_a_cpu() -> None:
    with pytest.raises(UsageError, match="`precision` must be float32 on a CPU"):
        make_optimizer(network(), Recipe(lr=0.1, precision="bfloat16"))
