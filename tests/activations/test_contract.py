"""One contract for all activations: every row of the registry against every property."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from metaact.activations import create, inside_activations, names, resolve

SPECS = (*names(), "relu+elsa", "tanh+elsa", "pau-paper+elsa", "arelu(alpha=0.25,beta=1)")


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def relu(x: float) -> float:
    return max(0.0, x)


def leaky(slope: float) -> Callable[[float], float]:
    return lambda x: x if x >= 0 else slope * x


def two(negative: float, positive: float) -> Callable[[float], float]:
    return lambda x: positive * x if x >= 0 else negative * x


def polynomial(coefficients: tuple[float, ...], x: float) -> float:
    return sum(c * x**k for k, c in enumerate(coefficients))


# Start values in the AReLU authors' published code.
AUTHORS_A = (0.0335583603, 0.505000375, 1.65343934, 2.01001052, 0.931901999, 0.152424124)
AUTHORS_B = (3.30847488e-06, 3.98021568, 5.12471206e-07, 0.301830109)
# Least squares over 1001 points, found once with scipy; `test_pau_fit.py` finds them again.
OUR_A = (0.0335803817, 0.505, 1.6520172986, 2.0064348039, 0.9293625551, 0.1518623935)
OUR_B = (0.0, 3.9731382255, 0.0, 0.3007176108)
# λ and α of Klambauer et al. 2017, section 2.
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
HALF = 0.5 / math.sqrt(2 * math.pi)
GAIN = 1 + sigmoid(2.0)


def authors_pau(x: float) -> float:
    q = 1 + sum(abs(b) * abs(x) ** k for k, b in enumerate(AUTHORS_B, start=1))
    return polynomial(AUTHORS_A, x) / q


def our_pau(x: float) -> float:
    return polynomial(OUR_A, x) / (1 + abs(polynomial((0.0, *OUR_B), x)))


def authors_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(0.7979946 * (x + 0.044715 * x**3)))


ORACLES: dict[str, Callable[[float], float]] = {
    "celu": lambda x: x if x > 0 else math.expm1(x),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "gelu": lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))),
    "lrelu": leaky(0.01),
    "relu": relu,
    "relu6": lambda x: min(relu(x), 6.0),
    "rrelu": leaky((1 / 8 + 1 / 3) / 2),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x)),
    "sigmoid": sigmoid,
    "softplus": lambda x: relu(x) + math.log1p(math.exp(-abs(x))),
    "swish": lambda x: x * sigmoid(x),
    "tanh": math.tanh,
    "apl": lambda x: relu(x) + 0.2 * relu(0.5 - x),
    "comb": relu,
    "pau": our_pau,
    "prelu": leaky(0.25),
    "slaf": lambda x: polynomial((HALF, 0.5, HALF, 0.0), x),
    "arelu": two(0.9, GAIN),
    "swish-beta": lambda x: x * sigmoid(x),
    "squared-relu": lambda x: relu(x) ** 2,
    "telu": lambda x: x * math.tanh(math.exp(x)),
    "xielu": lambda x: 0.8 * (x * x if x > 0 else math.expm1(x) - x) + 0.5 * x,
    "golu": lambda x: x * math.exp(-math.exp(-x)),
    "smooth-leaky": lambda x: 0.1 * x + 0.9 * x * sigmoid(5 * x / 3),
    "random-smooth-leaky": lambda x: x * (11 / 48 + 37 / 48 * sigmoid(5 * x / 3)),
    "gelu-paper": authors_gelu,
    "maxout-paper": lambda x: x,
    "pau-paper": authors_pau,
    "slaf-paper": lambda x: 1 + x,
    "arelu-frozen": two(0.9, GAIN),
    "leakyrelu-scaled": two(0.9, GAIN),
    "relu-gain": relu,
    "arelu-unit": two(0.9 / GAIN, 1.0),
    "relu+elsa": two(0.9, GAIN),
    "tanh+elsa": lambda x: math.tanh(x) + two(0.9, sigmoid(2.0))(x),
    "pau-paper+elsa": lambda x: authors_pau(x) + two(0.9, sigmoid(2.0))(x),
    "arelu(alpha=0.25,beta=1)": two(0.25, 1 + sigmoid(1.0)),
}


DOUBLING: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "crelu": (relu, lambda x: relu(-x)),
    "fourier": (math.sin, math.cos),
}


def ready(spec: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A fresh instance in eval mode: what is random in training is fixed here."""
    return create(spec).to(dtype).eval()


def away_from_kinks() -> Tensor:
    """float64 [2, 4, 3], no value within 0.05 of a kink of any activation (0, 0.5, 6)."""
    x = torch.linspace(-2.95, 2.9, 24, dtype=torch.float64).reshape(4, 3, 2).permute(2, 0, 1)
    assert (x.abs() > 0.05).all()
    assert ((x - 0.5).abs() > 0.05).all()
    return x


def as_function(module: nn.Module) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The module as a function of (x, *parameters), and its parameters, detached."""
    keys = [key for key, _ in module.named_parameters()]
    values = tuple(p.detach().clone() for p in module.parameters())
    for key, value in zip(keys, values, strict=True):
        if key.endswith("denominator"):
            value += 0.01  # |b_k| has a kink at 0, and b₁ and b₃ start at it or a millionth away

    def function(x: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = functional_call(module, dict(zip(keys, parameters, strict=True)), (x,))
        return result

    return function, values


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_()


@pytest.mark.parametrize("spec", SPECS)
def test_value(spec: str) -> None:
    x = torch.linspace(-7, 7, 120, dtype=torch.float64).reshape(2, 20, 3)
    got = ready(spec)(x)
    if spec == "maxout":
        expected = torch.tensor(
            [[[max(row[2 * c][i], row[2 * c + 1][i]) for i in range(3)] for c in range(10)]
             for row in x.tolist()],
            dtype=torch.float64,
        )  # fmt: skip
    elif spec in DOUBLING:
        parts = [[f(value) for value in x.flatten().tolist()] for f in DOUBLING[spec]]
        both = [torch.tensor(part, dtype=torch.float64).reshape(x.shape) for part in parts]
        expected = torch.cat(both, dim=1)
    else:
        values = [ORACLES[spec](value) for value in x.flatten().tolist()]
        expected = torch.tensor(values, dtype=torch.float64).reshape(x.shape)
    # Start values are float32 numbers, so agreement is to float32's precision.
    torch.testing.assert_close(got, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spec", SPECS)
def test_shape_and_precision_are_kept(spec: str, dtype: torch.dtype) -> None:
    before = resolve(spec).before
    for shape in ([2, 4], [2, 4, 5, 7], [0, 4, 2, 2]):
        wide = [shape[0], before(shape[1]), *shape[2:]]
        x = torch.linspace(-1, 1, math.prod(wide), dtype=dtype).reshape(wide)
        copy = x.clone()
        y = ready(spec, dtype)(x)
        assert y.dtype == dtype
        assert y.shape[1] == resolve(spec).after(wide[1])
        assert list(y.shape) == shape
        assert torch.equal(x, copy), "the input must not be overwritten"


@pytest.mark.parametrize("spec", SPECS)
def test_both_precisions_agree(spec: str) -> None:
    x = away_from_kinks()
    narrow = ready(spec, torch.float32)(x.float())
    torch.testing.assert_close(narrow.double(), ready(spec)(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("spec", SPECS)
def test_gradient_and_gradient_of_the_gradient(spec: str) -> None:
    function, parameters = as_function(ready(spec))
    inputs = tuple(leaf(t) for t in (away_from_kinks(), *parameters))

    def copied(*arguments: Tensor) -> Tensor:
        return function(*arguments) * 1.0  # the identity would hand gradcheck its own input back

    shape = function(*inputs).shape
    weights = torch.linspace(-1, 2, shape.numel(), dtype=torch.float64).reshape(shape)
    assert torch.autograd.gradcheck(copied, inputs)
    assert torch.autograd.gradgradcheck(copied, inputs, grad_outputs=leaf(weights))


def adapted_loss(function: Callable[..., Tensor], *, first_order: bool) -> Callable[..., Tensor]:
    """The loss after one inner step on (weight, *parameters) of act(weight · x)."""
    x = away_from_kinks()

    def loss(weight: Tensor, *parameters: Tensor) -> Tensor:
        return (function(weight * x, *parameters) - 0.3).square().mean()

    def outer(weight: Tensor, *parameters: Tensor) -> Tensor:
        start = (weight, *parameters)
        steps = torch.autograd.grad(loss(*start), start, create_graph=not first_order)
        return loss(*(value - 0.1 * step for value, step in zip(start, steps, strict=True)))

    return outer


@pytest.mark.parametrize("spec", SPECS)
def test_second_order_is_there_and_right(spec: str) -> None:
    function, parameters = as_function(ready(spec))
    start = [leaf(t) for t in (torch.tensor(0.9, dtype=torch.float64), *parameters)]
    assert torch.autograd.gradcheck(adapted_loss(function, first_order=False), start)
    exact = torch.autograd.grad(adapted_loss(function, first_order=False)(*start), start)
    first = torch.autograd.grad(adapted_loss(function, first_order=True)(*start), start)
    assert not torch.allclose(exact[0], first[0], rtol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_vmap_over_tasks_is_a_loop_over_tasks(spec: str) -> None:
    generator = torch.Generator().manual_seed(0)
    function, parameters = as_function(ready(spec))
    x = torch.randn(3, 2, 4, 3, generator=generator, dtype=torch.float64)
    tasks = [
        p + 0.05 * torch.randn(3, *p.shape, generator=generator, dtype=torch.float64)
        for p in parameters
    ]

    def loss(x: Tensor, *parameters: Tensor) -> Tensor:
        return function(x, *parameters).square().sum()

    def curvature(x: Tensor, *parameters: Tensor) -> Tensor:
        step = grad(loss)(x, *parameters)
        return loss(x - 0.1 * step, *parameters)

    arguments = tuple(range(1 + len(parameters)))
    for transform in (function, grad(loss, argnums=arguments), grad(curvature, argnums=arguments)):
        together = vmap(transform)(x, *tasks)
        alone = [transform(x[i], *(t[i] for t in tasks)) for i in range(3)]
        if isinstance(together, Tensor):
            torch.testing.assert_close(together, torch.stack(alone))
            continue
        for number, part in enumerate(together):
            torch.testing.assert_close(part, torch.stack([one[number] for one in alone]))


@pytest.mark.parametrize("spec", SPECS)
def test_copies_carry_the_state_and_share_nothing(spec: str) -> None:
    module = ready(spec)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(0.5)
    x = away_from_kinks()
    expected = module(x)
    loaded = ready(spec)
    loaded.load_state_dict(module.state_dict())
    copied = copy.deepcopy(module)
    for other in (loaded, copied, pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x), expected)
        assert not {p.data_ptr() for p in other.parameters()} & {
            p.data_ptr() for p in module.parameters()
        }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spec", SPECS)
def test_far_out_and_zero_are_finite_to_second_order(spec: str, dtype: torch.dtype) -> None:
    module = ready(spec, dtype)
    x = leaf(torch.tensor([[-1e4, 1e4, 0.0, -0.0, 1e-30, -1e-30]], dtype=dtype))
    start = (x, *module.parameters())
    value = module(x)
    assert value.isfinite().all()
    slopes = torch.autograd.grad(value.sum(), start, create_graph=True, materialize_grads=True)
    assert all(slope.isfinite().all() for slope in slopes)
    total = torch.stack([slope.sum() for slope in slopes]).sum()
    if total.requires_grad:
        bends = torch.autograd.grad(total, start, allow_unused=True, materialize_grads=True)
        assert all(bend.isfinite().all() for bend in bends)


@pytest.mark.parametrize("spec", SPECS)
def test_parameter_count_is_the_registrys(spec: str) -> None:
    assert sum(p.numel() for p in create(spec).parameters()) == resolve(spec).learnable


@pytest.mark.parametrize("spec", SPECS)
def test_it_is_found_in_a_network_with_all_of_its_parameters(spec: str) -> None:
    activation = create(spec)
    found = inside_activations(nn.Sequential(nn.Flatten(), activation))
    assert {*activation.modules()} <= found


@pytest.mark.parametrize("spec", SPECS)
def test_every_instance_is_fresh(spec: str) -> None:
    factory = resolve(spec).factory
    first, second = factory(), factory()
    assert first is not second
    assert not {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}


@pytest.mark.parametrize("spec", SPECS)
def test_the_global_stream_is_untouched(spec: str) -> None:
    before = torch.get_rng_state()
    ready(spec)(away_from_kinks())
    assert torch.equal(torch.get_rng_state(), before)
