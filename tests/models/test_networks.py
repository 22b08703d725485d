"""The networks for 32x32 images: sizes, places, blocks, widths, normalisation, gain."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock
from torchvision.models.shufflenetv2 import InvertedResidual
from torchvision.models.squeezenet import Fire as TorchvisionFire
from torchvision.ops import Conv2dNormActivation, SqueezeExcitation

from metaact import activations, models
from metaact.errors import UsageError
from metaact.models._mobilenet import separable
from metaact.models._resnet18 import Block
from metaact.models._seresnet18 import Excitation
from metaact.models._shufflenetv2 import Unit
from metaact.models._squeezenet import Fire
from metaact.models.table import BATCH_NORM, NETWORKS

RELU = activations.resolve("relu")

# Millions of parameters for 100 classes that the CIFAR-100 collection of weiaicunzai prints, and
# the places of the networks' papers: by hand, one for each activation in a figure or table.
PRINTED = {
    "vgg11": ("28.5", 8 + 2),
    "vgg13": ("28.7", 10 + 2),
    "resnet18": ("11.2", 1 + 8 * 2),
    "seresnet18": ("11.4", 1 + 8 * 3),
    "shufflenetv2": ("1.3", 1 + 3 * 3 + (3 + 7 + 3) * 2 + 1),
    "squeezenet": ("0.78", 1 + 8 * 3),
    "mobilenet": ("3.3", 1 + 13 * 2),
}
SMALL = tuple(name for name in NETWORKS if name not in ("vgg11", "vgg13"))


class Doubled(nn.Module):
    """max(0, x) and max(0, −x) side by side: twice the channels."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.relu(), (-x).relu()], dim=1)


DOUBLED = replace(RELU, name="doubled", factory=Doubled, width_factor=Fraction(2))


def made(name: str, activation: Any = "relu", *, classes: int = 5, **more: Any) -> nn.Module:
    return models.create(
        name,
        activation,
        classes=classes,
        **{"channels": 3, "size": NETWORKS[name].size or 32} | more,
        generator=torch.Generator().manual_seed(0),
    )


@cache
def plain(name: str, classes: int = 5) -> nn.Module:
    """With ReLU, to be looked at: made once."""
    return made(name, classes=classes)


def images_for(name: str, count: int = 2) -> Tensor:
    """The smallest that the network takes, or those that it was made for."""
    size = 32 if NETWORKS[name].flat else NETWORKS[name].least
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_for_100_classes_are_those_printed(name: str) -> None:
    """Within one unit of the last printed digit, which the collection rounds or cuts.

    Its SEResNet-18 has 11.31 million by its own code (ResNet-18 and 89,080, by hand, and biases).
    """
    text, _ = PRINTED[name]
    unit = 10.0 ** -len(text.partition(".")[2])
    assert abs(parameters(plain(name, 100)) / 1e6 - float(text)) < unit


def test_parameters_are_those_of_torchvision_but_for_the_stem() -> None:
    """Its networks are for 224x224 images: 7x7 stems, 7x7 positions before VGG's wide layers."""
    theirs = torchvision.models
    with torch.random.fork_rng():
        resnet = parameters(theirs.resnet18(num_classes=100)) - 64 * 3 * (49 - 9)
        shuffle = parameters(theirs.shufflenet_v2_x1_0(num_classes=100))
        squeeze = parameters(theirs.squeezenet1_0(num_classes=100)) - 96 * 3 * (49 - 9)
        vgg = parameters(theirs.vgg11_bn(num_classes=100)) - (25_088 - 512) * 4096
    assert parameters(plain("resnet18", 100)) == resnet
    assert parameters(plain("shufflenetv2", 100)) == shuffle
    # Its convolutions have a bias; ours leave that to BatchNorm, which has two numbers a channel.
    assert parameters(plain("vgg11", 100)) == vgg - (64 + 128 + 2 * 256 + 4 * 512)
    maps = 96 + sum(narrow + wide for narrow, wide in zip(
        (16, 16, 32, 32, 48, 48, 64, 64), (128, 128, 256, 256, 384, 384, 512, 512), strict=True
    ))  # fmt: skip
    assert parameters(plain("squeezenet", 100)) == squeeze + maps
    # Excitation of 64, 128, 256, 512 channels, twice each, reduced by 16, with biases.
    gates = sum(2 * (2 * c * c // 16 + c // 16 + c) for c in (64, 128, 256, 512))
    assert parameters(plain("seresnet18", 100)) == resnet + gates


def test_mobilenet_has_the_layers_of_table_1() -> None:
    """3x3 and 1x1 convolutions of each row of the paper's table 1, BatchNorm, the classifier."""
    rows = [(32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)]
    rows += [(512, 512)] * 5 + [(512, 1024), (1024, 1024)]
    expected = 3 * 32 * 9 + 2 * 32 + 1024 * 100 + 100
    expected += sum(9 * a + 2 * a + a * b + 2 * b for a, b in rows)
    assert parameters(plain("mobilenet", 100)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_every_place_has_an_activation_of_its_own(name: str) -> None:
    places: list[nn.Module] = []

    def factory() -> nn.Module:
        places.append(activations.create("arelu"))
        return places[-1]

    model = made(name, replace(activations.resolve("arelu"), factory=factory), classes=100)
    expected = {"mnist-conv": 3, "mlp": 3, "conv4": 4} | {
        n: count for n, (_, count) in PRINTED.items()
    }
    assert len(places) == expected[name]
    assert parameters(model) - parameters(plain(name, 100)) == 2 * expected[name]
    # Each is called once in a forward pass.
    called: list[nn.Module] = []
    for place in places:
        place.register_forward_hook(lambda module, *_: called.append(module))
    with torch.no_grad():
        assert model.eval()(images_for(name)).shape == (2, 100)
    assert sorted(map(id, called)) == sorted(map(id, places))


@pytest.mark.parametrize("name", NETWORKS)
def test_head_is_linear(name: str) -> None:
    head = plain(name, 100).head
    assert isinstance(head, nn.Linear)
    assert head.out_features == 100


def test_gates_are_no_places() -> None:
    model = made("seresnet18", "tanh")
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(nn.Sigmoid) == 8
    assert kinds.count(nn.Tanh) == 25
    assert nn.ReLU not in kinds


def same(ours: nn.Module, theirs: nn.Module, x: Tensor) -> None:
    """Give both the same weights, in their order, and compare what they make of x, in training."""
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        with torch.no_grad():
            mine.copy_(other)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.draws_globally
def test_blocks_are_those_of_torchvision() -> None:
    x = torch.randn(2, 8, 6, 6)
    same(Block(RELU, 8, 8, stride=1, batch_norm="running"), BasicBlock(8, 8), x)
    down = nn.Sequential(nn.Conv2d(8, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
    same(
        Block(RELU, 8, 16, stride=2, batch_norm="running"),
        BasicBlock(8, 16, stride=2, downsample=down),
        x,
    )
    same(Unit(RELU, 8, 8, stride=1, batch_norm="running"), InvertedResidual(8, 8, 1), x)
    theirs = InvertedResidual(8, 16, 2)
    theirs.branch1, theirs.branch2 = theirs.branch2, theirs.branch1  # ours has the long one first
    ours = Unit(RELU, 8, 16, stride=2, batch_norm="running")
    for mine, other in ((ours.branch, theirs.branch1), (ours.other, theirs.branch2)):
        assert mine is not None
        same(mine, other, x)
    joined = torch.cat([ours.other(x), ours.branch(x)], dim=1)
    torch.testing.assert_close(ours(x), torchvision.models.shufflenetv2.channel_shuffle(joined, 2))
    same(Fire(RELU, 8, 4, 12, batch_norm="off"), TorchvisionFire(8, 4, 6, 6), x)
    excitation = SqueezeExcitation(32, 2)
    weights = [p.flatten(1) if p.ndim == 4 else p for p in excitation.parameters()]
    mine = Excitation(RELU, 32)
    for parameter, weight in zip(mine.parameters(), weights, strict=True):
        with torch.no_grad():
            parameter.copy_(weight)
    x = torch.randn(2, 32, 5, 5)
    torch.testing.assert_close(mine(x), excitation(x))
    layer = nn.Sequential(*separable(RELU, 8, 12, stride=2, batch_norm="running"))
    x = torch.randn(2, 8, 6, 6)
    same(
        layer,
        nn.Sequential(
            Conv2dNormActivation(8, 8, 3, stride=2, groups=8),
            Conv2dNormActivation(8, 12, 1),
        ),
        x,
    )


@pytest.mark.draws_globally
def test_a_bypass_adds_where_it_fits() -> None:
    fire = Fire(RELU, 8, 4, 8, batch_norm="off")
    x = torch.ones(1, 8, 3, 3)
    added = fire(x)
    fire.bypass = False
    torch.testing.assert_close(added, x + fire(x))


def widths(model: nn.Module) -> list[int]:
    """Of its convolutions, or of its linear layers where it has none."""
    found = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    return found or [m.out_features for m in model.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("activation", ["maxout", DOUBLED], ids=["halves", "doubles"])
def test_an_activation_may_change_the_width(name: str, activation: Any) -> None:
    """All of a network but the layer before each activation keeps the published widths."""
    changed = made(name, activation).eval()
    assert changed.head.weight.shape == plain(name).head.weight.shape
    assert changed(images_for(name)).shape == (2, 5)
    wide, published = widths(changed), widths(plain(name))
    ratio = 2 if activation == "maxout" else Fraction(1, 2)
    assert wide[0] == published[0] * ratio


def test_a_width_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(UsageError, match="doubled"):
        models.conv4(DOUBLED, filters=7, generator=torch.Generator())


@pytest.mark.parametrize("name", [name for name, one in NETWORKS.items() if one.halvings])
def test_images_must_not_be_halved_away(name: str) -> None:
    least = NETWORKS[name].least
    assert plain(name, 100).eval()(images_for(name, 1)).shape == (1, 100)
    with pytest.raises(UsageError, match=f"`size` must be an int >= {least} .{name} halves"):
        made(name, size=least - 1)


def test_an_mlp_has_the_layers_that_are_asked_for() -> None:
    draw = torch.Generator().manual_seed(0)
    sizes: dict[str, Any] = {"channels": 3, "size": (4, 5), "width": 6, "layers": 2}
    model = models.mlp("crelu", classes=7, **sizes, generator=draw)
    shapes = [tuple(p.shape) for n, p in model.named_parameters() if n.endswith("weight")]
    assert shapes == [(3, 60), (3, 6), (7, 6)]
    with pytest.raises(UsageError, match="layers"):
        models.mlp("relu", layers=0)
    first = models.mlp("relu", init=2.0, generator=draw).hidden[0]
    assert 0.99 < float(first.weight.detach().abs().max()) / (2 * (3 / 784) ** 0.5) <= 1


def test_sizes_are_told_as_they_are() -> None:
    with pytest.raises(UsageError, match=r"`size` must be 28 .*; got 28x32"):
        models.create("mnist-conv", "relu", classes=5, channels=1, size=(28, 32))


@pytest.mark.parametrize("name", ["conv4", "shufflenetv2", "squeezenet"])
@pytest.mark.parametrize("mode", BATCH_NORM)
def test_what_an_output_depends_on(name: str, mode: str) -> None:
    """On other images of the batch: in training with BatchNorm, in evaluation with "batch"."""
    model = made(name, batch_norm=mode)
    x = images_for(name, 4)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    alone = {}
    for training in (True, False):
        model.train(training)
        with torch.no_grad():
            alone[training] = torch.allclose(model(x)[:2], model(x[:2]), atol=1e-5)
    assert alone[True] == (mode in ("group", "off"))
    assert alone[False] == (mode != "batch")
    assert bool(list(model.buffers())) == (mode == "running")


@pytest.mark.parametrize("name", SMALL)
def test_a_gain_reaches_the_first_activation(name: str) -> None:
    """Also past BatchNorm, which would undo a convolution's; and neither head nor gate."""
    gain = activations.resolve("relu-gain").init_gain
    scaled = made(name, "relu-gain")
    outputs = []
    for model in (plain(name), scaled):
        first = next(m for m in model.modules() if isinstance(m, nn.ReLU))
        with first.register_forward_hook(lambda _, x, y: outputs.append(y)):
            model.eval()(images_for(name))
    torch.testing.assert_close(outputs[1], gain * outputs[0], rtol=1e-4, atol=1e-4)
    assert torch.equal(plain(name).head.weight, scaled.head.weight)
    gates = [m.gate for m in scaled.modules() if isinstance(m, Excitation)]
    for gate, other in zip(
        gates, [m.gate for m in plain(name).modules() if isinstance(m, Excitation)], strict=True
    ):
        assert torch.equal(gate.weight, other.weight)


@pytest.mark.parametrize("name", SMALL)
def test_arms_of_a_seed_start_from_the_same_weights(name: str) -> None:
    other = made(name, "arelu").state_dict()
    weights = dict(plain(name).named_parameters())
    assert all(torch.equal(other[key], value) for key, value in weights.items())
