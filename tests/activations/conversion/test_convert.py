"""`convert`: every place its own activation, and nothing missed in silence."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from metaact.activations import AReLU, CallSites, FrozenAReLU, Maxout, convert, create
from metaact.errors import UsageError


class Block(nn.Module):
    """A residual block in the manner of torchvision: one in-place ReLU, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.relu(self.first(x))) + x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(x))


class Branching(Block):
    """Cannot be traced: it branches on data."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else x


def count(model: nn.Module, kind: type[nn.Module] = AReLU) -> int:
    return sum(isinstance(module, kind) for module in model.modules())


@pytest.fixture(autouse=True)
def own_stream() -> Iterator[None]:
    """The networks of these tests draw their weights from a stream of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def net() -> Net:
    """A network with the same weights at every call."""
    torch.manual_seed(0)
    return Net()


X = torch.linspace(-1, 1, 12).reshape(3, 4)


def test_every_call_of_a_shared_module_gets_its_own() -> None:
    model = convert(net(), "arelu")
    assert [name for name, _ in model.named_parameters() if "relu" in name] == [
        f"blocks.{block}.relu.{call}.{parameter}"
        for block in (0, 1)
        for call in (0, 1)
        for parameter in ("alpha", "beta")
    ]
    model(X).sum().backward()
    alphas = [p.grad for name, p in model.named_parameters() if name.endswith("alpha")]
    assert len({float(g) for g in alphas if g is not None}) == 4, "each call has its own gradient"


def test_the_calls_are_answered_in_order() -> None:
    model = convert(net(), "arelu")
    reference = net()
    relus = [module for module in model.modules() if isinstance(module, AReLU)]
    with torch.no_grad():
        for number, relu in enumerate(relus):
            relu.alpha.fill_(0.1 + 0.2 * number)

    def block(x: Tensor, number: int) -> Tensor:
        layers = reference.blocks[number]
        first, second = relus[2 * number : 2 * number + 2]
        return second(layers.second(first(layers.first(x))) + x)

    expected = reference.head(block(block(X, 0), 1))
    for _ in range(2):  # the count starts again at every forward
        torch.testing.assert_close(model(X), expected)


def test_the_input_network_is_left_as_it_is() -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())
    names = [name for name, _ in model.named_modules()]
    expected = model(X)
    convert(model, "arelu")
    assert [name for name, _ in model.named_modules()] == names
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(model(X), expected)


def test_relu_for_relu_computes_the_same() -> None:
    model = net()
    torch.testing.assert_close(convert(model, "relu")(X), model(X))


def test_an_interrupted_forward_does_not_shift_the_calls() -> None:
    model = convert(net(), "arelu")
    with torch.no_grad():
        model.get_submodule("blocks.0.relu.0").alpha.fill_(0.2)
    expected = model(X)
    block = model.get_submodule("blocks.0")
    original = block.second
    block.second = nn.Linear(5, 5, device="meta")
    with pytest.raises(RuntimeError):
        model(X)
    block.second = original
    assert torch.equal(model(X), expected)


def test_a_part_alone_goes_round() -> None:
    model = convert(net(), "arelu")
    block = model.get_submodule("blocks.0")
    with torch.no_grad():
        block.get_submodule("relu.0").alpha.fill_(0.2)
    assert torch.equal(block(X), block(X))


def test_it_survives_copies_and_being_part_of_another_network() -> None:
    model = convert(net(), "arelu")
    with torch.no_grad():
        model.get_submodule("blocks.0.relu.0").alpha.fill_(0.2)
    expected = model(X)
    fresh = convert(net(), "arelu")
    fresh.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
        assert torch.equal(other(X), expected)
        with torch.no_grad():
            other.get_submodule("blocks.0.relu.0").alpha.fill_(0.9)
        assert not torch.equal(other(X), expected)
        assert torch.equal(model(X), expected)
    torch.testing.assert_close(nn.Sequential(model, nn.Identity())(X), expected)


def test_it_works_under_functional_call_and_vmap() -> None:
    model = convert(net(), "arelu").double()
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


def test_one_instance_at_two_paths_becomes_two() -> None:
    shared = nn.Tanh()
    model = convert(nn.Sequential(nn.Linear(4, 4), shared, nn.Linear(4, 4), shared), "arelu")
    assert isinstance(model[1], AReLU)
    assert isinstance(model[3], AReLU)
    assert model[1] is not model[3]


def test_a_second_name_of_the_same_place_stays_a_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()
            self.net = nn.Sequential(nn.Linear(4, 4), self.act)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    model = convert(Named(), "arelu")
    assert model.get_submodule("act") is model.get_submodule("net.1")
    assert len(list(model.parameters())) == 4


def test_a_shared_block_calls_the_same_place_again() -> None:
    block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model = convert(nn.Sequential(block, block), "arelu")
    assert count(model) == 1
    assert model[0] is model[1]
    model(X)


def test_a_network_that_is_not_run_through_keeps_one_a_module() -> None:
    class Auxiliary(Net):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    assert count(convert(Auxiliary(), "arelu")) == 5


@pytest.mark.parametrize("spec", ["relu+elsa", "prelu", "arelu-frozen", "swish"])
def test_a_converted_network_converts_again(spec: str) -> None:
    model = net()
    again = convert(convert(model, spec), "arelu")
    direct = convert(model, "arelu")
    assert again.state_dict().keys() == direct.state_dict().keys()
    torch.testing.assert_close(again(X), direct(X))


def test_mode_precision_and_device_are_the_networks() -> None:
    model = convert(net().double().eval().to("meta"), "arelu")
    for module in model.modules():
        assert not module.training
    assert {(p.dtype, p.device.type) for p in model.parameters()} == {(torch.float64, "meta")}


def test_an_activation_alone_is_converted() -> None:
    assert isinstance(convert(nn.ReLU(), "arelu"), AReLU)


def test_gates_and_softmax_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sigmoid(), nn.Softmax(dim=1))
    kinds = [type(module) for module in convert(model, "arelu")]
    assert kinds == [nn.Linear, AReLU, nn.Sigmoid, nn.Softmax]
    kinds = [type(module) for module in convert(model, "arelu", gates=True)]
    assert kinds == [nn.Linear, AReLU, AReLU, nn.Softmax]


def test_keep_and_also() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.abs()

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Odd(), nn.GELU())
    for example in (None, X):
        converted = convert(model, "arelu", keep=["3"], also=[Odd], example=example)
        assert [type(module) for module in converted] == [nn.Linear, AReLU, AReLU, nn.GELU]
    with pytest.raises(UsageError, match=r"`keep` must hold paths.*got '0'"):
        convert(model, "arelu", keep=["0"])


def test_no_activation_is_an_error_that_names_the_gates() -> None:
    with pytest.raises(UsageError, match=r"with none\.$"):
        convert(nn.Linear(2, 2), "arelu")
    with pytest.raises(UsageError, match=r"gates or outputs: 1; gates=True"):
        convert(nn.Sequential(nn.Linear(2, 2), nn.Sigmoid()), "arelu")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [("maxout", "gives 1/2 for each"), ("relu-gain", "initialisation"), ("arelo", "Did you mean")],
)
def test_what_a_swap_cannot_give_is_refused(spec: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        convert(net(), spec)
    assert count(convert(net(), "maxout", protocol="paper"), Maxout) == 4


def test_a_real_maxout_cannot_be_replaced() -> None:
    model = nn.Sequential(nn.Linear(4, 8), create("maxout"), nn.Linear(4, 1), nn.ReLU())
    with pytest.raises(UsageError, match="got one at '1'"):
        convert(model, "arelu")
    assert count(convert(model, "arelu", keep=["1"])) == 1


@pytest.mark.parametrize("inputs", [X + 2, (X + 2,)])
def test_an_example_counts_the_calls_of_what_cannot_be_traced(
    inputs: Tensor | tuple[Tensor],
) -> None:
    model = convert(Branching(), "arelu", example=inputs)
    assert count(model) == 2
    assert count(model, CallSites) == 1
    model(X + 2)


def test_what_cannot_be_traced_needs_an_example() -> None:
    with pytest.raises(UsageError, match=r"`example` must be given .*TraceError"):
        convert(Branching(), "arelu")


def test_a_call_that_was_not_seen_raises() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late = False
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.act(x) - 1)
            return self.act(x) if self.late else x

    model = convert(Late(), "arelu")
    model(X)
    model.late = True
    with pytest.raises(UsageError, match=r"got a call of the activation at test_convert\.py"):
        model(X)


def test_an_example_leaves_statistics_and_streams_alone() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(), nn.ReLU())
    stream = torch.get_rng_state()
    converted = convert(model, "arelu", example=X)
    convert(model, "arelu")
    assert torch.equal(torch.get_rng_state(), stream)
    assert int(model[0].num_batches_tracked) == 0
    assert int(converted[0].num_batches_tracked) == 0


def test_results_that_nobody_uses_and_overwritten_inputs_are_named() -> None:
    class Discards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            x = x + 1
            self.act(x)
            return x

    class Reads(Discards):
        def forward(self, x: Tensor) -> Tensor:
            x = x * 2
            return self.act(x) + x

    class ReadsShape(Discards):
        def forward(self, x: Tensor) -> Tensor:
            x = x + 1
            return self.act(x).reshape(x.size(0), -1)

    for example in (None, X):
        with pytest.raises(UsageError, match="got act called for the overwriting alone"):
            convert(Discards(), "arelu", example=example)
        with pytest.warns(UserWarning, match="reads the input of act after"):
            convert(Reads(), "arelu", example=example)
        assert count(convert(ReadsShape(), "arelu", example=example)) == 1


@pytest.mark.parametrize(
    ("name", "places", "sites"),
    # ResNet-18: one ReLU after the stem and two in each of eight blocks. MobileNetV2: two ReLU6 in
    # each of sixteen inverted residuals, one in the first, one in the stem, one at the end.
    # VGG-11: eight convolutions and two linear layers.
    [("resnet18", 17, 8), ("mobilenet_v2", 35, 0), ("vgg11", 10, 0)],
)
def test_networks_of_torchvision(name: str, places: int, sites: int) -> None:
    from torchvision import models

    with torch.device("meta"):
        model = models.get_model(name, weights=None)
    converted = convert(model, "arelu")
    assert count(converted) == places
    assert count(converted, CallSites) == sites
    assert len({id(p) for n, p in converted.named_parameters() if n.endswith("alpha")}) == places
    assert count(converted, nn.ReLU) == count(converted, nn.ReLU6) == 0
    assert converted(torch.zeros(2, 3, 64, 64, device="meta")).shape == (2, 1000)


def test_resnet_takes_every_activation_once() -> None:
    from torchvision import models

    model = convert(models.resnet18(num_classes=5), "arelu").eval()
    model(torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)).sum().backward()
    gradients = [p.grad for name, p in model.named_parameters() if name.endswith(".beta")]
    assert len(gradients) == 17
    assert all(g is not None and g != 0 for g in gradients)


def test_squeeze_and_excitation_keeps_its_gates() -> None:
    from torchvision import models

    with torch.device("meta"):
        model = models.mobilenet_v3_small(weights=None)
    gates = count(model, nn.Hardsigmoid)
    converted = convert(model, "arelu")
    assert count(converted, nn.Hardsigmoid) == gates == 9
    assert count(converted, nn.Hardswish) == count(converted, nn.ReLU) == 0
    assert count(convert(model, "arelu", gates=True), nn.Hardsigmoid) == 0


def test_controls_convert_too() -> None:
    model = convert(net(), "arelu-frozen")
    assert count(model, FrozenAReLU) == 4
    torch.testing.assert_close(model(X), convert(net(), "arelu")(X))
