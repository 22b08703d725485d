"""The rerouted ops equal PyTorch's, in value and in derivatives of three orders."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, vmap
from torch.nn import functional

from metaact.adaptation.vmap import convolution, geometry, pooling
from metaact.adaptation.vmap.lowering import Lowering

CONVOLUTIONS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"padding": (2, 0), "stride": (1, 3)},
    {"dilation": 2},
    {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)},
    {"padding": "valid"},
]
# PyTorch's own forward mode is made by what it calls deprecated.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
POOLS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": (2, 3), "ceil_mode": True},
    {"kernel_size": 2, "dilation": 2},
    {"kernel_size": 2, "stride": (3, 2)},
]


def _draw(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()


def _counted(monkeypatch: pytest.MonkeyPatch, function: type) -> list[int]:
    calls: list[int] = []
    original = function.apply
    monkeypatch.setattr(function, "apply", lambda *a: (calls.append(1), original(*a))[1])
    return calls


def _same_to_third_order(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    """Compare values and, for random cotangents, three derivatives in turn."""
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    pair = [ours, theirs]
    for order in range(3):
        cotangent = _draw(*pair[0].shape, seed=order + 10).detach()
        sums = [(one.tanh() * cotangent).sum() for one in pair]
        slopes = [torch.autograd.grad(s, inputs, create_graph=True) for s in sums]
        for a, b in zip(*slopes, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
        pair = [torch.cat([g.flatten() for g in slope]) for slope in slopes]


@pytest.mark.parametrize("setting", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("threads_fit", [1, 10**6])
def test_convolution(
    setting: dict, biased: bool, threads_fit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geometry, "BUFFER_NUMBERS", threads_fit)  # one task a tile, or all
    calls = _counted(monkeypatch, convolution.Convolution)
    x, w, b = _draw(5, 2, 3, 7, 8), _draw(5, 4, 3, 3, 2, seed=1), _draw(5, 4, seed=2)
    inputs = [x, w, b] if biased else [x, w]
    with Lowering(layout=True):
        ours = vmap(lambda *own: functional.conv2d(*own, **setting))(*inputs)
    assert calls
    theirs = torch.stack(
        [functional.conv2d(*(t[i] for t in inputs), **setting) for i in range(len(x))]
    )
    _same_to_third_order(ours, theirs, inputs)


@pytest.mark.parametrize("setting", POOLS, ids=str)
def test_pooling(setting: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _counted(monkeypatch, pooling.MaxPool)
    x = _draw(5, 2, 3, 7, 8)
    with Lowering(layout=True):
        ours = vmap(nn.MaxPool2d(**setting))(x)
    assert calls
    theirs = torch.stack([functional.max_pool2d(one, **setting) for one in x])
    _same_to_third_order(ours, theirs, [x])


def test_pooling_of_ties_nan_and_infinities() -> None:
    x = torch.zeros(2, 1, 1, 4, 4)
    x[0, 0, 0, 1, 1] = torch.nan
    x[1, 0, 0, 2:] = -torch.inf
    x.requires_grad_()
    with Lowering(layout=True):
        ours = vmap(lambda one: functional.max_pool2d(one, 2))(x)
    theirs = torch.stack([functional.max_pool2d(one, 2) for one in x])
    torch.testing.assert_close(ours, theirs, equal_nan=True)
    slopes = [torch.autograd.grad(y.nan_to_num().sum(), x)[0] for y in (ours, theirs)]
    assert torch.equal(*slopes)


@pytest.mark.draws_globally  # gradgradcheck draws its own directions
def test_gradgradcheck_through_both() -> None:
    x, w, b = _draw(2, 2, 2, 5, 5), _draw(2, 3, 2, 2, 2, seed=1), _draw(2, 3, seed=2)

    def both(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        with Lowering(layout=True):
            return vmap(lambda *own: functional.max_pool2d(functional.conv2d(*own), 2))(x, w, b)

    assert gradcheck(both, (x, w, b))
    assert gradgradcheck(both, (x, w, b))


def _tangents(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """The output's tangent, and those of the gradients: forward mode, alone and over reverse."""
    with forward_ad.dual_level():
        duals = [
            forward_ad.make_dual(t, _draw(*t.shape, seed=n + 20).detach())
            for n, t in enumerate(inputs)
        ]
        y = function(*duals)
        cotangent = _draw(*y.shape, seed=30).detach()
        slopes = torch.autograd.grad((y.tanh() * cotangent).sum(), inputs, create_graph=True)
        return [forward_ad.unpack_dual(t).tangent for t in (y, *slopes)]


@FORWARD_MODE
@pytest.mark.parametrize("setting", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("biased", [True, False])
def test_forward_mode_of_convolution(setting: dict, biased: bool) -> None:
    x, w, b = _draw(5, 2, 3, 7, 8), _draw(5, 4, 3, 3, 2, seed=1), _draw(5, 4, seed=2)
    inputs = [x, w, b] if biased else [x, w]

    def ours(*given: Tensor) -> Tensor:
        with Lowering(layout=True):
            return vmap(lambda *own: functional.conv2d(*own, **setting))(*given)

    def theirs(*given: Tensor) -> Tensor:
        each = [functional.conv2d(*(t[i] for t in given), **setting) for i in range(len(x))]
        return torch.stack(each)

    for a, b in zip(_tangents(ours, inputs), _tangents(theirs, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@FORWARD_MODE
@pytest.mark.parametrize("setting", POOLS, ids=str)
def test_forward_mode_of_pooling(setting: dict) -> None:
    x = _draw(5, 2, 3, 7, 8)

    def ours(given: Tensor) -> Tensor:
        with Lowering(layout=True):
            return vmap(nn.MaxPool2d(**setting))(given)

    def theirs(given: Tensor) -> Tensor:
        return torch.stack([functional.max_pool2d(one, **setting) for one in given])

    for a, b in zip(_tangents(ours, [x]), _tangents(theirs, [x]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@FORWARD_MODE
@pytest.mark.draws_globally  # the checks draw their own directions
def test_forward_mode_through_both_by_finite_differences() -> None:
    operands = (_draw(2, 2, 2, 5, 5), _draw(2, 3, 2, 2, 2, seed=1), _draw(2, 3, seed=2))

    def both(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        with Lowering(layout=True):
            return vmap(lambda *own: functional.max_pool2d(functional.conv2d(*own), 2))(x, w, b)

    for number in range(3):  # one that moves while the others stand still

        def moved(t: Tensor, number: int = number) -> Tensor:
            return both(*(t if n == number else o.detach() for n, o in enumerate(operands)))

        assert gradcheck(moved, (operands[number],), check_forward_ad=True)
    assert gradcheck(both, operands, check_forward_ad=True)
    assert gradgradcheck(both, operands, check_fwd_over_rev=True)


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: nn.Conv2d(4, 6, 3, groups=2), (3, 4, 6, 6)),
        (lambda: nn.Conv2d(2, 3, 3, padding="same"), (3, 2, 6, 6)),
        (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (3, 2, 6, 6)),
        (lambda: nn.Conv2d(2, 3, 3), (2, 6, 6)),
        (lambda: nn.ConvTranspose2d(2, 3, 3), (3, 2, 6, 6)),
        (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.MaxPool1d(2)), (3, 2, 6)),
        (lambda: nn.Conv3d(2, 3, 3), (3, 2, 4, 4, 4)),
        (lambda: nn.MaxPool2d(2), (2, 6, 6)),
    ],
)
def test_everything_else_is_pytorchs_own(
    build: Callable[[], nn.Module], shape: tuple[int, ...], seeded: Callable
) -> None:
    model, x = seeded(build), _draw(4, *shape)
    own = {n: p.expand(4, *p.shape) for n, p in model.named_parameters()}

    def one(own: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(model, own, (x,))

    with Lowering(layout=True):
        ours = vmap(one)(own, x)
    theirs = torch.stack([model(image) for image in x])
    _same_to_third_order(ours, theirs, [x, *model.parameters()])


@pytest.mark.parametrize(
    "dims",
    [
        pair
        for pair in itertools.product([0, 1, None], repeat=2)
        if any(d is not None for d in pair)
    ],
    ids=str,
)
def test_any_place_of_the_task_dimension(dims: tuple[int | None, int | None]) -> None:
    x, w = _draw(2, 2, 2, 5, 5), _draw(2, 2, 2, 3, 3, seed=1)
    images = x if dims[0] is not None else x[0]
    weights = w if dims[1] is not None else w[0]
    with Lowering(layout=True):
        ours = vmap(functional.conv2d, in_dims=dims)(images, weights)
    at = [
        (
            images if dims[0] is None else images.select(dims[0], i),
            weights if dims[1] is None else weights.select(dims[1], i),
        )
        for i in range(2)
    ]
    theirs = torch.stack([functional.conv2d(*pair) for pair in at])
    _same_to_third_order(ours, theirs, [x, w])


def test_other_transforms_fall_through() -> None:
    x, w = _draw(3, 1, 2, 5, 5).detach(), _draw(4, 2, 3, 3, seed=1).detach()

    def slope(x: Tensor) -> Tensor:
        return torch.func.grad(lambda w: functional.conv2d(x, w).square().sum())(w)

    with Lowering(layout=True):
        nested = vmap(slope)(x)
        plain = functional.conv2d(x[0], w)
        twice = vmap(lambda one: vmap(lambda k: functional.conv2d(one, k[None]))(w))(x)
    torch.testing.assert_close(nested, torch.stack([slope(one) for one in x]))
    torch.testing.assert_close(plain, functional.conv2d(x[0], w))
    expected = torch.stack([torch.stack([functional.conv2d(a, k[None]) for k in w]) for a in x])
    torch.testing.assert_close(twice, expected)


def test_a_kernel_that_does_not_fit_says_so() -> None:
    x, w = _draw(2, 1, 1, 3, 3), _draw(2, 1, 1, 5, 5)
    with Lowering(layout=True), pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        vmap(functional.conv2d)(x, w)


@pytest.mark.draws_globally
def test_rrelu_draws_uniform_slopes_per_task() -> None:
    torch.manual_seed(0)
    x = torch.full((3, 20_000), -1.0)
    with Lowering(layout=False):
        drawn = -vmap(nn.RReLU(0.1, 0.5), randomness="different")(x)
        fixed = vmap(nn.RReLU(0.1, 0.5).eval())(x)
        right = vmap(nn.RReLU(), randomness="different")(-x)
    assert drawn.min() >= 0.1
    assert drawn.max() <= 0.5
    # Mean and standard deviation of U(0.1, 0.5): 0.3 and 0.4 / sqrt(12); 60,000 draws.
    assert drawn.mean().item() == pytest.approx(0.3, abs=0.002)
    assert drawn.std().item() == pytest.approx(0.4 / 12**0.5, abs=0.002)
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(fixed, 0.3 * x)
    assert torch.equal(right, -x)


def test_layout_off_leaves_convolutions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _counted(monkeypatch, convolution.Convolution)
    x, w = _draw(2, 1, 1, 5, 5), _draw(2, 1, 1, 3, 3)
    with Lowering(layout=False):
        vmap(functional.conv2d)(x, w)
    assert not calls
