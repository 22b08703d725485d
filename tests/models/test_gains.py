"""Named gains of initial weights, in networks with and without normalisation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from metaact import activations, models
from metaact.errors import UsageError


def network(arm: str, init: str, *, name: str = "conv4", batch_norm: str = "off") -> nn.Module:
    return models.create(
        name,
        arm,
        classes=5,
        channels=3,
        size=32,
        batch_norm=batch_norm,
        init=init,
        generator=torch.Generator().manual_seed(0),
    )


def numbers(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.named_parameters()}


def fan_in(weight: Tensor) -> int:
    return weight[0].numel()


@pytest.mark.parametrize("batch_norm", ["off", "batch"])
@pytest.mark.parametrize(
    ("arm", "init", "gain"),
    [
        ("relu", "relu", math.sqrt(2)),
        ("arelu", "relu", math.sqrt(2)),
        ("relu", "measured", math.sqrt(2)),
        ("tanh", "measured", 1.5925),  # 1/sqrt(E tanh²), by quadrature with SciPy: below
        ("relu-gain", "measured", math.sqrt(2)),
    ],
)
def test_weights_that_feed_an_activation_have_the_gain_and_nothing_else_does(
    arm: str, init: str, gain: float, batch_norm: str
) -> None:
    usual = numbers(network("relu", "default", batch_norm=batch_norm))
    found = numbers(network(arm, init, batch_norm=batch_norm))
    for name, value in usual.items():
        if name.startswith("head") or value.ndim == 1:
            assert torch.equal(found[name], value), name
            continue
        bound = gain * math.sqrt(3 / fan_in(value))
        assert 0.9 * bound < float(found[name].abs().max()) <= bound * (1 + 1e-4)
        torch.testing.assert_close(found[name], value * gain * math.sqrt(3), rtol=1e-4, atol=0)


def test_the_default_is_the_default_of_pytorch() -> None:
    for value in (p for p in numbers(network("relu", "default")).values() if p.ndim > 1):
        bound = 1 / math.sqrt(fan_in(value))
        assert 0.9 * bound < float(value.abs().max()) <= bound
    assert models.gain_of(activations.resolve("arelu"), "default") == 1 / math.sqrt(3)


@pytest.mark.parametrize("arm", ["relu", "tanh", "arelu", "gelu", "elu", "selu", "prelu"])
def test_with_its_measured_gain_an_arm_passes_on_as_much_as_comes_in(arm: str) -> None:
    """By quadrature: E f(g·z/g)² for z normal, times g², is 1."""
    from scipy.integrate import quad

    module = activations.create(arm).double().eval()

    def squared(x: float) -> float:
        value = float(module(torch.tensor([[x]], dtype=torch.float64)).detach())
        return value**2 * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)

    moment = quad(squared, -8, 0)[0] + quad(squared, 0, 8)[0]
    gain = models.gain_of(activations.resolve(arm), "measured")
    assert gain**2 * moment == pytest.approx(1, rel=1e-4)


def test_what_mixes_channels_is_measured_on_a_sample() -> None:
    before = torch.get_rng_state()
    # E max(x, y)² = 1 for two standard normals
    assert models.gain_of(activations.resolve("maxout"), "measured") == pytest.approx(1, rel=5e-3)
    assert torch.equal(torch.get_rng_state(), before)


def test_anothers_network_draws_its_own_weights() -> None:
    with pytest.raises(UsageError, match="`init` must be default for torchvision:resnet18"):
        network("relu", "relu", name="torchvision:resnet18")
    with pytest.raises(UsageError, match="`init` must be one of"):
        network("relu", "kaiming")


def test_a_network_for_every_pixel_takes_it_too() -> None:
    def unet(init: str) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(0)
        model = models.create_dense(
            "unet", "relu", channels=1, size=(16, 16), features=2, init=init, generator=draw
        )
        return numbers(model)

    usual, larger = unet("default"), unet("relu")
    factors = {n: float(larger[n].abs().sum() / v.abs().sum()) for n, v in usual.items() if v.any()}
    high = [n for n, factor in factors.items() if factor == pytest.approx(math.sqrt(6), rel=1e-4)]
    assert all(usual[name].ndim == 4 for name in high)
    assert len(high) > 10
    assert all(factors[n] == pytest.approx(1) for n in set(factors) - set(high))
