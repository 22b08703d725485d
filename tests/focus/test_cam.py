"""Grad-CAM against its closed form and finite differences, in float64; layers by name."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor, nn

from metaact import focus, models
from metaact.errors import MissingDependencyError, UsageError
from metaact.focus.cam import ALL_AGAINST, DEAD, NO_GRADIENT, ONE_POSITION

pytest.importorskip("captum")

SIZE, KINDS = 9, 3


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _images(count: int = 5) -> Tensor:
    return torch.randn(count, 1, SIZE, SIZE, generator=_generator(), dtype=torch.float64)


def _drawn(model: nn.Module) -> nn.Module:
    generator = _generator()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return model.double()


class Net(nn.Module):
    """Convolution, activation, squares, and a linear layer on the mean of each channel."""

    def __init__(self, activation: nn.Module, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = norm or nn.Identity()
        self.act = activation
        self.head = nn.Linear(4, KINDS)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.act(self.norm(self.conv(x)))
        return self.head((hidden**2).mean(dim=(2, 3)))


@pytest.fixture
def net(skip_init: None) -> Net:
    return _drawn(Net(nn.LeakyReLU(0.3)))


@pytest.fixture(autouse=True)
def skip_init(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are made without their own draws, which would touch the global stream."""
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda self: None)
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: None)


def _closed_form(net: Net, features: Tensor, classes: Tensor) -> Tensor:
    """Σ_k mean(∂y/∂A_k)·A_k with y = Σ_k h_ck·mean(A_k²) + b, so that the mean gradient is known.

    ∂y/∂A_k(p) = h_ck·2·A_k(p) / positions.
    """
    positions = features.shape[2] * features.shape[3]
    weights = net.head.weight[classes] * 2 * features.mean(dim=(2, 3)) / positions
    return (weights[:, :, None, None] * features).sum(dim=1)


def test_the_closed_form(net: Net) -> None:
    images, classes = _images(), torch.tensor([0, 1, 2, 0, 1])
    found = focus.grad_cam(net, images, classes, layer="act")
    expected = _closed_form(net, net.act(net.conv(images)), classes).detach()
    torch.testing.assert_close(found.values, expected, rtol=1e-12, atol=1e-14)
    assert found.signed
    assert found.blank == ("",) * 5
    probabilities = net(images).softmax(dim=1)[torch.arange(5), classes]
    torch.testing.assert_close(found.probabilities, probabilities.detach())


def test_weights_by_finite_differences(net: Net) -> None:
    """The mean gradient of a channel is what a constant added to its map does to the logit."""
    image, step = _images(1), 1e-6
    features = net.act(net.conv(image)).detach()

    def logit(shift: Tensor) -> Tensor:
        moved = features + shift[None, :, None, None]
        return net.head((moved**2).mean(dim=(2, 3)))[0, 1].detach()

    slopes = torch.stack(
        [(logit(step * e) - logit(-step * e)) / (2 * step) for e in torch.eye(4).double()]
    )
    positions = features.shape[2] * features.shape[3]
    expected = (slopes[None, :, None, None] / positions * features).sum(dim=1)
    found = focus.grad_cam(net, image, torch.tensor([1]), layer="act")
    torch.testing.assert_close(found.values, expected, rtol=1e-6, atol=1e-9)


def test_without_classes_the_answer_is_explained(net: Net) -> None:
    found = focus.grad_cam(net, _images(), layer="act")
    assert torch.equal(found.classes, net(_images()).argmax(dim=1))
    assert torch.equal(found.classes, found.predictions)


def test_images_that_are_normalised_together_are_explained_one_by_one() -> None:
    """Each map is of its own image's logit, though the others' depend on it, too."""
    net = _drawn(Net(nn.Softplus(), nn.BatchNorm2d(4, affine=False, track_running_stats=False)))
    images, classes = _images(), torch.tensor([2, 0, 1, 1, 0])
    found = focus.grad_cam(net, images, classes, layer="conv")
    for i, label in enumerate(classes.tolist()):
        features = net.conv(images).detach().requires_grad_()
        logits = net.head((net.act(net.norm(features)) ** 2).mean(dim=(2, 3)))
        (gradient,) = torch.autograd.grad(logits[i, label], features)
        weights = gradient[i].mean(dim=(1, 2))
        expected = (weights[:, None, None] * features[i]).sum(dim=0).detach()
        torch.testing.assert_close(found.values[i], expected)


def test_work_in_place_and_frozen_weights_change_nothing() -> None:
    plain, in_place = (_drawn(Net(nn.ReLU(inplace=way))) for way in (False, True))
    for parameter in in_place.parameters():
        parameter.requires_grad_(False)
    classes = torch.zeros(5, dtype=torch.int64)
    for layer in ("conv", "act"):
        maps = [
            focus.grad_cam(net, _images(), classes, layer=layer).values for net in (plain, in_place)
        ]
        assert torch.equal(*maps)


def test_the_network_is_left_as_it_was(net: Net) -> None:
    net.train()
    net.act.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    focus.grad_cam(net, _images(), layer="act")
    focus.feature_maps(net, _images(), layer="act")
    assert net.training
    assert not net.act.training
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


def test_a_blank_map_says_why(net: Net) -> None:
    classes = torch.zeros(5, dtype=torch.int64)
    relu = _drawn(Net(nn.ReLU()))
    with torch.no_grad():
        relu.conv.bias.fill_(-100)
    assert focus.grad_cam(relu, _images(), classes, layer="act").blank == (DEAD,) * 5
    with torch.no_grad():
        net.head.weight.zero_()
    assert focus.grad_cam(net, _images(), classes, layer="act").blank == (NO_GRADIENT,) * 5
    with torch.no_grad():
        relu.conv.bias.fill_(1)
        relu.head.weight.fill_(-1)
    found = focus.grad_cam(relu, _images(), classes, layer="act")
    assert not found.signed
    assert found.blank == (ALL_AGAINST,) * 5
    # Of features with signs such a map is shown: it is all below 0.
    with torch.no_grad():
        net.head.weight.fill_(-1)
    signed = focus.grad_cam(net, _images(), classes, layer="act")
    assert signed.signed
    assert signed.blank == ("",) * 5
    one = nn.Sequential(nn.Conv2d(1, 2, SIZE), nn.ReLU(), nn.Flatten(), nn.Linear(2, KINDS))
    assert focus.grad_cam(_drawn(one), _images(), classes, layer="0").blank == (ONE_POSITION,) * 5


def test_maps_over_the_image_keep_the_place_of_what_they_show() -> None:
    values = torch.zeros(1, 4, 4)
    values[0, 1, 2] = 1
    maps = focus.CamMaps(
        layer="x",
        values=values,
        classes=torch.zeros(1, dtype=torch.int64),
        predictions=torch.zeros(1, dtype=torch.int64),
        probabilities=torch.ones(1),
        signed=False,
        blank=("",),
    ).over((16, 16))
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    for axis, place in ((rows, 1), (columns, 2)):
        centre = float((maps[0] * axis).sum() / maps[0].sum())
        assert centre == pytest.approx(4 * place + 1.5)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("mnist-conv", "act1", "conv3"),
        ("conv4", "features.0.2", "features.3.0"),
        ("resnet18", "blocks.1.activation", "blocks.7.branch.3"),
        ("vgg11", "features.2", "features.25"),
    ],
)
def test_the_default_layers_of_known_networks(name: str, first: str, last: str) -> None:
    size = 28 if name == "mnist-conv" else 32
    model = models.create(
        name, "arelu", classes=4, channels=1, size=size, generator=torch.Generator().manual_seed(0)
    )
    images = torch.zeros(2, 1, size, size)
    assert focus.find_layer(model, images, "first-stage").name == first
    assert focus.find_layer(model, images, "last-conv").name == last


def test_a_layer_that_is_not_there_is_told_the_nearest_names(net: Net) -> None:
    with pytest.raises(UsageError, match=r"got 'convv'; the nearest names are 'conv'"):
        focus.grad_cam(net, _images(), layer="convv")
    with pytest.raises(UsageError, match="got 'head', which gives none"):
        focus.grad_cam(net, _images(), layer="head")
    with pytest.raises(UsageError, match=r"an activation .*nearest names are 'act'"):
        focus.feature_maps(net, _images(), layer="conv")


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.head = nn.Linear(SIZE * SIZE, KINDS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.act(x)).flatten(1))


def test_a_layer_that_is_called_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="act is called 2 times"):
        focus.grad_cam(_drawn(Twice()), _images(), layer="act")


@pytest.mark.parametrize("classes", [torch.tensor([0, 1]), torch.full((5,), KINDS)])
def test_classes_that_do_not_fit_are_refused(net: Net, classes: Tensor) -> None:
    with pytest.raises(UsageError, match="`classes` must be int64"):
        focus.grad_cam(net, _images(), classes, layer="act")


def test_without_captum_the_message_holds_the_command(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingDependencyError, match="pip install captum"):
        focus.grad_cam(net, _images(), layer="act")


def test_feature_maps_are_what_the_activation_takes_and_gives() -> None:
    net = _drawn(Net(nn.ReLU(inplace=True)))
    found = focus.feature_maps(net, _images(), layer="act")
    torch.testing.assert_close(found.before, net.conv(_images()).detach())
    torch.testing.assert_close(found.after, found.before.clamp(min=0))
    assert bool((found.before < 0).any())
    assert torch.equal(found.predictions, net(_images()).argmax(dim=1))
    assert torch.equal(found.dead, (found.before <= 0).all(dim=3).all(dim=2))
