"""Activations that are called as functions: each place its own, and nothing half converted."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from metaact.activations import AReLU, Entry, convert
from metaact.errors import UsageError

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Functional(nn.Module):
    """Six calls: two functions on one line, a loop, a method, a clamp, in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.leaky_relu(self.layer(x), 0.2))
        for _ in range(2):
            x = torch.tanh(x + 1)
        x = self.act(x).relu_() - 0.1
        return F.hardtanh(x).clamp(min=0)


NAMES = ["relu_0", "leaky_relu_0", "tanh_0", "relu_1", "hardtanh_0", "clamp_0"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = Functional()
        self.second = Functional()

    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x)) / 1000).softmax(dim=1)


@pytest.fixture(autouse=True)
def own_stream() -> object:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def told_apart(model: nn.Module) -> nn.Module:
    """Every place gets another α."""
    with torch.no_grad():
        for number, place in enumerate(m for m in model.modules() if isinstance(m, AReLU)):
            place.alpha.fill_(0.1 + 0.05 * number)
    return model


@pytest.mark.parametrize("example", [None, X])
def test_every_call_in_the_source_has_its_own(example: Tensor | None) -> None:
    model, report = convert(Net(), "arelu", example=example, report=True)
    paths = [
        f"{block}.{path}"
        for block in ("first", "second")
        for path in [f"functional.{name}" for name in NAMES[:3]]
        + ["act"]
        + [f"functional.{name}" for name in NAMES[3:]]
    ]
    assert sorted(place.path for place in report.places) == sorted(paths)
    assert [place.path for place in report.places][:2] == [
        "first.functional.leaky_relu_0",
        "first.functional.relu_0",
    ], "in the order of the forward pass"
    assert {place.called.split(":")[0] for place in report.places} == {"test_functional.py"}
    assert [kept.what for kept in report.kept] == ["softmax"]
    model(X).square().sum().backward()
    for path in paths:
        assert model.get_submodule(path).alpha.grad is not None
    assert "clamp_0" in str(report)
    assert "leaky_relu(negative_slope=0.2" in str(report)


def test_the_calls_reach_their_places() -> None:
    model = told_apart(convert(Functional(), "arelu"))
    layer, act = model.layer, model.act
    f = {name: model.get_submodule(f"functional.{name}") for name in NAMES}
    x = f["relu_0"](f["leaky_relu_0"](layer(X)))
    for _ in range(2):
        x = f["tanh_0"](x + 1)
    x = f["relu_1"](act(x)) - 0.1
    torch.testing.assert_close(model(X), f["clamp_0"](f["hardtanh_0"](x)))


@pytest.mark.parametrize(
    "call",
    [
        F.relu,
        F.gelu,
        F.silu,
        F.elu,
        F.relu6,
        F.softplus,
        F.mish,
        F.hardswish,
        torch.relu,
        torch.tanh,
        torch.selu,
        lambda x: x.relu(),
        lambda x: x.tanh(),
        lambda x: F.relu(x, inplace=True),
        lambda x: (x + 0).relu_(),
        lambda x: F.relu(input=x),
        lambda x: x.clamp(min=0),
        lambda x: torch.clamp(x, 0),
        lambda x: x.clamp_min(0),
        lambda x: x.clamp(0, 6),
        lambda x: F.threshold(x, 0.0, 0.0),
    ],
)
def test_forms_of_calls(call: Callable[[Tensor], Tensor]) -> None:
    class One(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return call(self.layer(x))

    model = One()
    for example in (None, X):
        converted = told_apart(convert(model, "arelu", example=example))
        (place,) = (m for m in converted.modules() if isinstance(m, AReLU))
        torch.testing.assert_close(converted(X), place(model.layer(X)))


def test_it_survives_copies_pickles_state_dicts_and_threads() -> None:
    model = told_apart(convert(Net(), "arelu"))
    expected = model(X)
    fresh = convert(Net(), "arelu")
    fresh.load_state_dict(model.state_dict())
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh]
    for other in others:
        assert torch.equal(other(X), expected)
        with torch.no_grad():
            other.get_submodule("first.functional.tanh_0").alpha.fill_(0.9)
            other.get_submodule("first.functional.relu_1").beta.fill_(0.0)
        assert not torch.equal(other(X), expected)
    assert torch.equal(model(X), expected)
    results: list[Tensor] = []
    threads = [threading.Thread(target=lambda: results.append(model(X))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(result, expected) for result in results)
    assert len(results) == 3


def test_a_part_alone_and_after_an_error() -> None:
    model = told_apart(convert(Net(), "arelu"))
    expected = model.first(X)
    with pytest.raises(RuntimeError):
        model(X[:, :3])
    assert torch.equal(model.first(X), expected)
    assert torch.equal(F.relu(-X), (-X).clamp(min=0)), "nothing is left switched on"


def test_it_works_under_functional_call_and_vmap() -> None:
    model = told_apart(convert(Net(), "arelu")).double()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    scales = torch.tensor([0.5, 0.8, 1.0], dtype=torch.float64)
    tasks = {name: torch.stack([s * p for s in scales]) for name, p in parameters.items()}
    x = X.double()

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return functional_call(model, parameters, (x,)).square().mean()

    def adapted(parameters: dict[str, Tensor]) -> Tensor:
        steps = grad(loss)(parameters)
        return loss({name: p - 0.1 * steps[name] for name, p in parameters.items()})

    together = vmap(grad(adapted))(tasks)
    for task in range(3):
        alone = grad(adapted)({name: p[task] for name, p in tasks.items()})
        for name, value in alone.items():
            torch.testing.assert_close(together[name][task], value)


def test_a_call_in_training_alone_is_found() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.layer(x))
            return x + F.gelu(x) if self.training else x

    for model in (Auxiliary(), Auxiliary().eval()):
        for example in (None, X):
            converted = convert(model, "arelu", example=example)
            assert sum(isinstance(m, AReLU) for m in converted.modules()) == 2


def test_a_call_that_was_not_seen_raises() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late = False
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x) if self.late else self.act(x)

    model = convert(Late(), "arelu")
    model(X)
    model.late = True
    with pytest.raises(UsageError, match=r"got a call of relu at test_functional\.py"):
        model(X)


def test_a_converted_network_converts_again() -> None:
    again = convert(convert(Net(), "prelu"), "arelu")
    direct = convert(Net(), "arelu")
    assert again.state_dict().keys() == direct.state_dict().keys()
    torch.testing.assert_close(again(X), direct(X))


def test_keep_and_refuse() -> None:
    kept = convert(Functional(), "arelu", functional="keep")
    assert [n for n, m in kept.named_modules() if isinstance(m, AReLU)] == ["act"]
    with pytest.raises(UsageError, match=r"got leaky_relu at test_functional\.py:\d+; relu at "):
        convert(Functional(), "arelu", functional="refuse")
    one, report = convert(Functional(), "arelu", keep=["functional.tanh_0"], report=True)
    assert [k.path for k in report.kept] == ["functional.tanh_0"]
    assert len(report.places) == 6
    one(X)


def test_gates_are_kept_and_listed() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            gate = torch.sigmoid(self.layer(x))
            hard = F.relu6(self.layer(x) + 3) / 6
            return F.glu(F.relu(x) * gate * hard)

    for example in (None, X):
        model, report = convert(Gated(), "arelu", example=example, report=True)
        assert [p.path for p in report.places] == ["functional.relu_0"]
        assert {(k.what, k.why) for k in report.kept} == {
            ("sigmoid", "gate or output"),
            ("relu6", "gate or output"),
            ("glu", "mixes elements"),
        }
        model(X)
    _, report = convert(Gated(), "arelu", gates=True, report=True)
    assert len(report.places) == 3


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        (lambda x: x * torch.sigmoid(x), "sigmoid"),
        (lambda x: torch.sigmoid(1.702 * x) * x, "sigmoid"),
        (lambda x: x * F.relu6(x + 3) / 6, "relu6"),
        (lambda x: x * torch.tanh(F.softplus(x)), "softplus"),
        (lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.0447 * x**3))), "tanh"),
    ],
)
def test_an_activation_that_is_written_out_is_refused_whole(
    written: Callable[[Tensor], Tensor], parts: str
) -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(written(self.layer(x)))

    for example in (None, X):
        with pytest.raises(UsageError, match=f"written out.*got {parts} at test_functional"):
            convert(Written(), "arelu", example=example)


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class HardSigmoid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x + 3) / 6


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


def test_an_unknown_activation_module_names_also() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Swish(), nn.Linear(4, 4), HardSigmoid(), Wrapped())
    with pytest.raises(UsageError, match=r"`also` must .* 1 \(Swish\)\. Pass also=\[Swish\]"):
        convert(model, "arelu")
    swapped, report = convert(model, "arelu", also=[Swish], report=True)
    assert isinstance(swapped[1], AReLU)
    assert isinstance(swapped[4].act, AReLU)
    assert ("3", "HardSigmoid", "gate or output") in {(k.path, k.what, k.why) for k in report.kept}
    kept = convert(model, "arelu", keep=["1"])
    assert isinstance(kept[1], Swish)
    torch.testing.assert_close(kept[1](X), X * X.sigmoid())
    kept(X)


def test_a_fused_norm_is_refused() -> None:
    class InplaceAbn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    model = nn.Sequential(nn.Linear(4, 4), InplaceAbn(), nn.ReLU())
    with pytest.raises(UsageError, match=r"a InplaceAbn has one in the formula.*got one at '1'"):
        convert(model, "arelu")


def test_a_container_that_would_call_the_new_child_is_refused() -> None:
    class Twice(nn.Sequential):
        def forward(self, input: Tensor) -> Tensor:
            return F.relu(super().forward(input))

    with pytest.raises(UsageError, match="goes through its children"):
        convert(Twice(nn.Linear(4, 4)), "arelu")


def test_a_call_with_a_parameter_is_refused() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor([0.2]))

        def forward(self, x: Tensor) -> Tensor:
            return F.prelu(x, self.slope)

    for example in (None, X):
        with pytest.raises(UsageError, match="got prelu at test_functional"):
            convert(Own(), "arelu", example=example)


def calls_in_evaluation(model: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """How often an AReLU is called where torch would take its fused code."""
    calls: list[int] = []
    for module in model.modules():
        if isinstance(module, AReLU):
            module.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        model.eval()(*inputs)
    return len(calls)


@pytest.mark.parametrize("activation", ["relu", "gelu", F.relu, nn.GELU()])
def test_torchs_transformer_layers(activation: object) -> None:
    more = {"dim_feedforward": 8, "dropout": 0.0, "batch_first": True, "activation": activation}
    model = nn.Transformer(4, 2, 2, 2, **more)  # type: ignore[arg-type]
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, **more),  # type: ignore[arg-type]
        2,
        enable_nested_tensor=False,
    )
    tokens = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
    for example in (None, (tokens, tokens)):
        if example is None:
            converted = convert(nn.Sequential(encoder), "arelu")
            inputs: tuple[Tensor, ...] = (tokens,)
            places = 2
        else:
            converted = convert(model, "arelu", example=example)
            inputs, places = example, 4
        found = [m for m in converted.modules() if isinstance(m, AReLU)]
        assert len(found) == places
        for other in (converted, copy.deepcopy(converted), pickle.loads(pickle.dumps(converted))):
            assert calls_in_evaluation(other, inputs) == places


@pytest.mark.parametrize(
    ("name", "modules", "functions"),
    # DenseNet-121: two in each of 58 layers, one in the stem and each of three transitions, and
    # the last as a function. GoogLeNet: all 57 as functions, and 2 in each auxiliary head.
    [("densenet121", 120, 1), ("googlenet", 0, 61)],
)
def test_networks_of_torchvision(name: str, modules: int, functions: int) -> None:
    from torchvision import models

    with torch.device("meta"):
        more = {"init_weights": False} if name == "googlenet" else {}
        model = models.get_model(name, weights=None, **more)
    converted, report = convert(model, "arelu", report=True)
    called = sum("functional." in place.path for place in report.places)
    assert (len(report.places) - called, called) == (modules, functions)
    assert converted.eval()(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 1000)


def test_networks_of_timm() -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model("lcnet_050", pretrained=False)  # norms that hold an activation
    _, report = convert(model, "arelu", report=True)
    # One in the stem, two in each of 13 blocks, one in the head, one in each of two gates.
    assert len(report.places) == 30
    assert [kept.why for kept in report.kept] == ["gate or output"] * 2
    assert not any(place.path.endswith(".gate") for place in report.places)


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x) - 0.1 * torch.tanh(x)


def test_what_an_activation_calls_inside_is_its_own_affair() -> None:
    own = Entry(
        name="own",
        title="Own",
        factory=Own,
        learnable=0,
        kind="user",
        citation="user",
        formula="",
    )
    model = nn.Sequential(Functional(), nn.ReLU())
    converted = convert(model, own)
    assert sum(isinstance(m, Own) for m in converted.modules()) == 8
    converted(X)
    again = convert(
        nn.Sequential(nn.Linear(4, 4), Own(), nn.ReLU()), "arelu", also=[Own], keep=["1"]
    )
    torch.testing.assert_close(again[1](X), Own()(X))
    again(X)
