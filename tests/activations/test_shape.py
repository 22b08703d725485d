"""The shape of an activation against what is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from metaact.activations import create, shape_of
from metaact.errors import UsageError

HALF_NORMAL = math.sqrt(2 / math.pi)
"""E|x| of a standard normal x."""


@pytest.mark.parametrize(
    ("spec", "gain"),
    [
        ("relu", math.sqrt(1 / 2)),
        ("lrelu(negative_slope=0.5)", math.sqrt((1 + 0.25) / 2)),
        ("prelu", math.sqrt((1 + 0.25**2) / 2)),
        ("arelu", math.sqrt((0.9**2 + (1 + 1 / (1 + math.exp(-2))) ** 2) / 2)),
        ("selu", 1.0),  # what it was made for: a fixed point of the variance
        ("squared-relu", math.sqrt(3 / 2)),  # E[x⁴]/2
        ("crelu", math.sqrt(1 / 2)),
        ("fourier", math.sqrt(1 / 2)),  # sin² + cos² = 1, over two channels
        ("maxout-paper", 1.0),
    ],
)
def test_gain(spec: str, gain: float) -> None:
    assert shape_of(create(spec)).gain == pytest.approx(gain, rel=1e-5)


def test_the_slope_on_the_left_is_that_of_a_leaky_relu_and_an_integral_elsewhere() -> None:
    assert shape_of(nn.LeakyReLU(0.3)).negative_slope == pytest.approx(0.3)
    # E[exp(x) | x < 0] of ELU: 2·exp(1/2)·Φ(−1).
    expected = 2 * math.exp(0.5) * 0.5 * math.erfc(1 / math.sqrt(2))
    assert shape_of(nn.ELU()).negative_slope == pytest.approx(expected, rel=1e-5)
    # 2x for x > 0 turned round: E[2|x| | x < 0].
    assert shape_of(Left()).negative_slope == pytest.approx(-2 * HALF_NORMAL, rel=1e-4)


class Left(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(max=0).square()


def test_what_is_dead_what_kinks_and_what_saturates() -> None:
    relu, six, tanh = (shape_of(module) for module in (nn.ReLU(), nn.ReLU6(), nn.Tanh()))
    assert (relu.dead_band, relu.floor, relu.kink, relu.saturates) == (4.0, 0.0, 1.0, "left")
    assert six.saturates == tanh.saturates == "both"
    assert (tanh.dead_band, tanh.kink) == (0.0, 0.0)
    assert tanh.floor == pytest.approx(1 - math.tanh(4) ** 2, rel=1e-2)
    assert shape_of(nn.Hardshrink(0.5)).dead_band == pytest.approx(1.0, abs=2e-3)
    assert shape_of(nn.SELU()).kink == pytest.approx(1.0507 * (1 - 1.67326), abs=1e-4)
    assert shape_of(create("swish")).kink == 0.0


def test_a_module_that_mixes_elements_has_none() -> None:
    for module in (nn.Softmax(dim=0), create("maxout"), nn.Flatten(0)):
        with pytest.raises(UsageError, match=r"itself to have a shape|multiple of 2"):
            shape_of(module)


def test_it_is_measured_as_it_is_and_left_as_it_was() -> None:
    module = create("arelu(alpha=0.25,beta=1)").train()
    before = [p.clone() for p in module.parameters()]
    assert shape_of(module).negative_slope == pytest.approx(0.25)
    assert module.training
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module.alpha.dtype == torch.float32
