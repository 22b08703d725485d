"""The controls isolate what they say they do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from metaact.activations import AReLU, FrozenAReLU, ScaledLeakyReLU, UnitAReLU, create, resolve
from metaact.errors import UsageError

X = torch.linspace(-3, 3, 61, dtype=torch.float64)


def test_the_two_frozen_forms_are_arelu_at_its_start() -> None:
    expected = AReLU().double()(X)
    torch.testing.assert_close(FrozenAReLU().double()(X), expected)
    torch.testing.assert_close(ScaledLeakyReLU()(X), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["arelu-frozen", "leakyrelu-scaled", "relu-gain"])
def test_frozen_controls_learn_nothing(name: str) -> None:
    assert not list(create(name).parameters())


def test_learned_alpha_and_beta_can_be_loaded_and_frozen() -> None:
    learned = AReLU(alpha=0.2, beta=-1.0).double()
    frozen = FrozenAReLU().double()
    frozen.load_state_dict(learned.state_dict())
    torch.testing.assert_close(frozen(X), learned(X))


def test_relu_gain_passes_on_the_second_moment_of_arelu() -> None:
    generator = torch.Generator().manual_seed(0)
    entry = resolve("relu-gain")
    weight = torch.randn(16, 8, generator=generator, dtype=torch.float64)
    half = torch.randn(50, 8, generator=generator, dtype=torch.float64)
    inputs = torch.cat([half, -half])  # every pre-activation comes with both signs

    def second_moment(activation: nn.Module, gain: float) -> float:
        with torch.no_grad():
            return float(activation(inputs @ (gain * weight).T).square().mean())

    arelu = second_moment(AReLU().double(), 1.0)
    assert second_moment(entry.factory(), entry.init_gain) == pytest.approx(arelu, rel=1e-6)
    # 1.8808² + 0.9² = 4.347
    assert arelu / second_moment(entry.factory(), 1.0) == pytest.approx(4.35, abs=0.01)


def test_relu_gain_is_the_root_of_the_two_slopes_squared() -> None:
    assert resolve("relu-gain").init_gain == pytest.approx(math.hypot(1.8807970, 0.9))
    assert {entry for entry in ("relu", "arelu", "relu-gain") if resolve(entry).init_gain != 1} == {
        "relu-gain"
    }


def test_unit_arelu_starts_with_slope_one_and_learns() -> None:
    module = UnitAReLU(alpha=0.5, beta=1.0).double()
    gain = 1 + 1 / (1 + math.exp(-1.0))
    torch.testing.assert_close(
        module(X), torch.where(X < 0, X * 0.5 / gain, X), rtol=1e-6, atol=1e-6
    )
    module(X).square().sum().backward()
    assert all(p.grad is not None and p.grad != 0 for p in module.parameters())


@pytest.mark.parametrize("positive", [0.0, -1.0, math.nan])
def test_scaled_leaky_relu_needs_a_gain(positive: float) -> None:
    with pytest.raises(UsageError, match="`positive` must be"):
        ScaledLeakyReLU(positive=positive)
