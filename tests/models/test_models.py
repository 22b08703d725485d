"""Sizes as published, weights from the caller's generator, the gain control."""

from __future__ import annotations

import math

import pytest
import torch

from metaact import activations, models
from metaact.errors import UsageError


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("channels", "weights"), [(1, 12_930), (3, 13_430)])
def test_mnist_conv_has_the_published_size(channels: int, weights: int) -> None:
    """12,930 and 13,430: counted in the AReLU authors' code."""
    model = models.mnist_conv("relu", channels=channels, generator=_generator())
    assert sum(p.numel() for p in model.parameters()) == weights


@pytest.mark.parametrize("name", activations.names())
def test_every_activation_adds_its_parameters_at_three_places(name: str) -> None:
    entry = activations.resolve(name)
    model = models.mnist_conv(name, classes=5, generator=_generator()).eval()
    images = torch.rand(2, 1, 28, 28, generator=_generator())
    assert model(images).shape == (2, 5)
    own = [p for part in (model.act1, model.act2, model.act3) for p in part.parameters()]
    assert sum(p.numel() for p in own) == 3 * entry.learnable
    assert len({id(p) for p in own}) == len(own)


@pytest.mark.parametrize("batch_norm", ["batch", "off"])
def test_conv4_has_finns_size(batch_norm: str) -> None:
    """Four 3x3 layers of 64 filters: 640 + 3 * 36,928; BatchNorm 4 * 128; head 64 * 5 + 5."""
    model = models.conv4("relu", classes=5, batch_norm=batch_norm, generator=_generator())
    expected = 640 + 3 * 36_928 + (512 if batch_norm == "batch" else 0) + 325
    assert sum(p.numel() for p in model.parameters()) == expected
    assert model(torch.rand(3, 1, 28, 28, generator=_generator())).shape == (3, 5)
    assert not list(model.buffers())


def test_initialisation_is_pytorchs_default() -> None:
    """Uniform in ±1/sqrt(fan_in): bound and variance (bound² / 3) of the largest layer."""
    weight = models.conv4("relu", generator=_generator()).features[1][0].weight
    bound = 1 / math.sqrt(64 * 9)
    assert weight.abs().max() <= bound
    assert weight.var().item() == pytest.approx(bound**2 / 3, rel=0.02)


def test_relu_gain_passes_on_arelus_second_moment() -> None:
    """For a symmetric input, E[relu(c x)²] = c²/2 must be E[arelu(x)²] = (g² + C²)/2."""
    x = torch.randn(200_000, generator=_generator())
    gain = activations.resolve("relu-gain").init_gain
    arelu = activations.create("arelu")
    ratio = (torch.relu(gain * x) ** 2).mean() / (arelu(x) ** 2).mean()
    assert ratio.item() == pytest.approx(1, rel=0.02)
    plain = models.mnist_conv("relu", generator=_generator())
    scaled = models.mnist_conv("relu-gain", generator=_generator())
    torch.testing.assert_close(scaled.conv2.weight, gain * plain.conv2.weight)
    assert torch.equal(scaled.head.weight, plain.head.weight)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match="conv4"):
        models.create("conv5", "relu", classes=5, channels=1)
    with pytest.raises(UsageError, match="28"):
        models.mnist_conv("relu", size=32)
    with pytest.raises(UsageError, match="mnist-conv has no BatchNorm"):
        models.create("mnist-conv", "relu", classes=5, channels=1, batch_norm="batch")
    with pytest.raises(UsageError, match="batch_norm"):
        models.create("conv4", "relu", classes=5, channels=1, batch_norm="layer")
