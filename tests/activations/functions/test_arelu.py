"""AReLU and ELSA: the paper's gradients, the clamp, and stuck α."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from metaact.activations import ELSA, AReLU, WithELSA, is_stuck
from metaact.errors import UsageError

X = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0], dtype=torch.float64)


def gradients(module: nn.Module) -> dict[str, float]:
    module.zero_grad()
    module(X).sum().backward()
    return {name: float(p.grad) for name, p in module.named_parameters() if p.grad is not None}


def sigma(beta: float) -> float:
    return 1 / (1 + math.exp(-beta))


@pytest.mark.parametrize("kind", [AReLU, ELSA])
@pytest.mark.parametrize("beta", [-3.0, 0.0, 2.0])
def test_gradients_of_alpha_and_beta_are_the_papers(kind: type[AReLU | ELSA], beta: float) -> None:
    found = gradients(kind(alpha=0.5, beta=beta).double())
    # Section 3.4: the sum of x over x < 0; σ(β)(1 − σ(β)) times the sum of x over x ≥ 0.
    assert found["alpha"] == pytest.approx(-2.5)
    assert found["beta"] == pytest.approx(sigma(beta) * (1 - sigma(beta)) * 4.0)


def test_gradient_of_x_has_the_clamped_alpha_and_the_right_hand_slope_at_zero() -> None:
    module = AReLU().double()
    with torch.no_grad():
        module.alpha.fill_(1.7)
    x = torch.tensor([-1.0, -0.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(module(x).sum(), x)
    gain = 1 + sigma(2.0)
    assert slopes.tolist() == pytest.approx([0.99, gain, gain, gain])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("alpha", "slope", "stuck"),
    [
        (-1.0, 0.01, True),
        (0.0099, 0.01, True),
        (0.01, 0.01, False),
        (0.5, 0.5, False),
        (0.99, 0.99, False),
        (0.9901, 0.99, True),
        (1.5, 0.99, True),
    ],
)
@pytest.mark.parametrize("kind", [AReLU, ELSA])
def test_clamp_edges(
    kind: type[AReLU | ELSA], alpha: float, slope: float, stuck: bool, dtype: torch.dtype
) -> None:
    module = kind().to(dtype)
    with torch.no_grad():
        module.alpha.fill_(alpha)
    y = module(torch.tensor([-1.0], dtype=dtype))
    assert y.item() == pytest.approx(-slope)
    y.sum().backward()
    assert float(module.alpha.grad) == (0.0 if stuck else -1.0)
    assert module.stuck is stuck


@pytest.mark.parametrize("alpha", [0.01, 0.99])
def test_alpha_at_an_edge_learns_in_both_precisions(alpha: float) -> None:
    module = AReLU(alpha=alpha)
    assert not module.stuck
    assert not module.double().stuck
    assert gradients(module)["alpha"] == pytest.approx(-2.5)


def test_is_stuck_takes_many() -> None:
    found = is_stuck(torch.tensor([0.0, 0.01, 0.99, 1.0, math.nan]))
    assert found.tolist() == [True, False, False, True, False]
    assert bool(is_stuck(1.2))


@pytest.mark.parametrize("kind", [AReLU, ELSA])
@pytest.mark.parametrize(
    ("argument", "value"), [("alpha", 0.0), ("alpha", 1.0), ("alpha", math.nan), ("beta", math.inf)]
)
def test_start_values_that_cannot_learn_are_refused(
    kind: type[AReLU | ELSA], argument: str, value: float
) -> None:
    with pytest.raises(UsageError, match=f"`{argument}` must be .*; got"):
        kind(**{argument: value})


def test_relu_with_elsa_is_arelu() -> None:
    x = torch.linspace(-3, 3, 61)
    both = WithELSA(nn.ReLU(), alpha=0.3, beta=-1.0)
    torch.testing.assert_close(both(x), AReLU(alpha=0.3, beta=-1.0)(x))
    assert [name for name, _ in both.named_parameters()] == ["elsa.alpha", "elsa.beta"]


def test_parameters_are_named_alpha_and_beta_and_are_scalars() -> None:
    shapes = {name: tuple(p.shape) for name, p in AReLU().named_parameters()}
    assert shapes == {"alpha": (), "beta": ()}


def test_a_copy_learns_alone() -> None:
    module = AReLU()
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin.alpha.fill_(0.1)
    assert module.alpha.item() == pytest.approx(0.9)
