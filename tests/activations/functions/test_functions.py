"""What single activations have beyond the contract."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor, nn
from torch.func import grad, vmap

from metaact.activations import (
    APL,
    PAU,
    SLAF,
    Maxout,
    PaperGELU,
    PReLU,
    RandomSmoothLeaky,
    RReLU,
    SmoothLeaky,
)
from metaact.activations.functions.pau import (
    DENOMINATOR,
    NUMERATOR,
    PAPER_DENOMINATOR,
    PAPER_NUMERATOR,
)
from metaact.activations.pau_fit import fit, leaky_relu
from metaact.errors import UsageError


def test_pau_start_values_are_the_fit() -> None:
    numerator, denominator = fit()
    # The optimiser stops at a tolerance, and where it stops depends on the processor: 5e-8 seen.
    assert numerator == pytest.approx(NUMERATOR, abs=1e-6)
    assert denominator == pytest.approx(DENOMINATOR, abs=1e-6)


def test_the_fit_is_at_least_as_good_as_the_authors() -> None:
    x = np.linspace(-3, 3, 1001)

    def error(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> float:
        top = sum(a * x**k for k, a in enumerate(numerator))
        bottom = 1 + sum(b * np.abs(x) ** k for k, b in enumerate(denominator, start=1))
        return float(np.square(top / bottom - leaky_relu(x)).mean())

    ours = error(NUMERATOR, DENOMINATOR)
    assert ours <= error(PAPER_NUMERATOR, PAPER_DENOMINATOR)
    assert math.sqrt(ours) < 0.006


def test_pau_has_no_pole_whatever_it_learns() -> None:
    module = PAU(denominator=(-3.0, -2.0, 5.0, -1.0)).double()
    y = module(torch.linspace(-10, 10, 20_001, dtype=torch.float64))
    bound = torch.tensor(NUMERATOR).sum() * 10**5  # Q ≥ 1, so |P/Q| ≤ |P|
    assert y.abs().max() < bound


def test_slaf_starts_as_the_cubic_nearest_to_relu() -> None:
    # The normal equations under a standard normal weight, by quadrature.
    def moment(power: int, low: float) -> float:
        return float(quad(lambda x: x**power * math.exp(-x * x / 2), low, 40)[0])

    gram = [[moment(i + j, -40) for j in range(4)] for i in range(4)]
    wanted = [moment(i + 1, 0) for i in range(4)]
    start = SLAF().coefficients.detach().numpy()
    np.testing.assert_allclose(start, np.linalg.solve(gram, wanted), atol=1e-6)


def test_paper_gelu_is_near_the_exact_one() -> None:
    x = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    assert (PaperGELU()(x) - nn.GELU()(x)).abs().max() < 5e-4
    difference = (PaperGELU()(x) - nn.GELU(approximate="tanh")(x)).abs().max()
    assert 1e-6 < difference < 1e-4, "the authors' constant is not √(2/π)"


def test_prelu_is_torchs_with_both_gradients_and_state() -> None:
    ours, theirs = PReLU(init=0.3), nn.PReLU(init=0.3)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    results = []
    for module in (ours, theirs):
        x = torch.linspace(-2, 2, 9, requires_grad=True)  # 0 is among them
        inputs = (x, *module.parameters())
        slopes = torch.autograd.grad(module(x).square().sum(), inputs, create_graph=True)
        bends = torch.autograd.grad(sum(s.square().sum() for s in slopes), inputs)
        results.append([module(x), *slopes, *bends])
    for mine, reference in zip(*results, strict=True):
        torch.testing.assert_close(mine, reference)


def test_apl_with_two_pieces() -> None:
    module = APL(a=(0.2, -0.5), b=(0.5, -1.0))
    y = module(torch.tensor([-2.0, 0.25]))
    assert y.tolist() == pytest.approx([0.2 * 2.5 - 0.5 * 1.0, 0.25 + 0.2 * 0.25])


def test_maxout_takes_the_greater_of_neighbours() -> None:
    x = torch.tensor([[1.0, -2.0, 3.0, 7.0, 0.0, 0.0]], requires_grad=True)
    y = Maxout()(x)
    assert y.tolist() == [[1.0, 7.0, 0.0]]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, 0.0, 0.0, 1.0, 0.5, 0.5]], "a tie is shared"


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 4, 4)])
def test_maxout_needs_a_multiple_of_its_group(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="multiple of 2"):
        Maxout()(torch.zeros(shape))


@pytest.mark.draws_globally
def test_rrelu_draws_per_element_in_training_only() -> None:
    module = RReLU()
    x = -torch.ones(20_000)
    torch.manual_seed(0)
    slopes = -module(x)
    assert slopes.min() >= 1 / 8
    assert slopes.max() <= 1 / 3
    # Moments of U(1/8, 1/3): mean 11/48, variance (5/24)²/12.
    assert slopes.mean().item() == pytest.approx(11 / 48, abs=2e-3)
    assert slopes.var().item() == pytest.approx((5 / 24) ** 2 / 12, rel=0.05)
    torch.manual_seed(0)
    assert torch.equal(-module(x), slopes)
    assert torch.equal(module(torch.ones(5)), torch.ones(5))
    module.eval()
    torch.testing.assert_close(-module(x), torch.full((20_000,), 11 / 48))


@pytest.mark.draws_globally
def test_rrelu_in_training_differs_between_tasks_under_vmap_of_second_order() -> None:
    module = RReLU().double()

    def loss(x: Tensor) -> Tensor:
        return module(x).square().sum()

    def curvature(x: Tensor) -> Tensor:
        return loss(x - 0.1 * grad(loss)(x))

    x = -torch.ones(4, 6, dtype=torch.float64)
    for transform in (module, grad(loss), grad(curvature)):
        found = vmap(transform, randomness="different")(x)
        assert len({tuple(row) for row in found.tolist()}) == 4


@pytest.mark.draws_globally
def test_rrelu_gradient_in_training_is_that_of_the_slope_drawn() -> None:
    module = RReLU().double()
    x = torch.linspace(-2, -1, 6, dtype=torch.float64, requires_grad=True)
    y = module(x)
    (slopes,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slopes, y.detach() / x.detach())


@pytest.mark.draws_globally
def test_the_random_smooth_leaky_draws_a_slope_per_element_in_training_only() -> None:
    module = RandomSmoothLeaky()
    far = torch.full((20_000,), -50.0)  # σ(kx) is 0 there: what is left is the slope
    torch.manual_seed(0)
    slopes = module(far) / far
    assert 1 / 8 <= slopes.min() < 0.13
    assert 0.33 < slopes.max() <= 1 / 3
    assert slopes.mean().item() == pytest.approx(11 / 48, abs=2e-3)
    module.eval()
    x = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(module(x), SmoothLeaky(alpha=11 / 48)(x))


def test_smooth_leaky_is_leaky_relu_in_the_limit_and_least_steep_where_it_says() -> None:
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    torch.testing.assert_close(
        SmoothLeaky(alpha=0.3, sharpness=1e4)(x), nn.functional.leaky_relu(x, 0.3)
    )
    fine = torch.linspace(-4, 0, 40_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(SmoothLeaky(sharpness=2.0)(fine).sum(), fine)
    assert float(fine.detach()[slope.argmin()]) == pytest.approx(-2.4 / 2, abs=0.01)
    assert slope.min() > 0  # α = 0.1 is above 0.09


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: RandomSmoothLeaky(lower=0.5, upper=0.1), "0 <= lower <= upper"),
        (lambda: SmoothLeaky(sharpness=0.0), "`sharpness` must be a number > 0"),
        (lambda: RReLU(lower=0.5, upper=0.1), "0 <= lower <= upper"),
        (lambda: SLAF(coefficients=()), "1 to 8 numbers"),
        (lambda: SLAF(coefficients=(math.nan,)), "finite"),
        (lambda: PAU(numerator=(1.0,)), "6 and"),
        (lambda: APL(a=(1.0,), b=()), "equally many"),
        (lambda: Maxout(pool=0), "`pool` must be an int >= 1"),
        (lambda: PReLU(init=math.inf), "`init` must be a finite number"),
    ],
)
def test_bad_start_values_are_refused(build: object, message: str) -> None:
    assert callable(build)
    with pytest.raises(UsageError, match=message):
        build()
