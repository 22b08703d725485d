"""Networks of torchvision, of timm and of the user: built, converted, normalised, refused."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaact import models
from metaact.activations import AReLU
from metaact.errors import MissingDependencyError, UsageError

SOURCE = '''
import torch
from torch import nn

def small(classes, channels, size):
    """Two places; images of any size."""
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8 * (size[0] // 2) * (size[1] // 2), 6), nn.Tanh(),
        nn.Dropout(0.5), nn.Linear(6, classes),
    )
def strided(classes, channels, size):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 11), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, classes),
    )
def ten(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], 10), nn.ReLU())
def linear(classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))
def two(classes, channels, size):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small(classes, channels, size)
        def forward(self, x):
            y = self.net(x)
            return (y, y) if self.training else y
    return Two()
def unready(classes):
    return nn.Linear(2, classes)
def leaves(classes, channels, size):
    raise SystemExit("enough")
def number(classes, channels, size):
    return 3
'''
FORM: dict[str, Any] = {"classes": 3, "channels": 1, "size": (10, 12)}


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)


def made(name: str, activation: str = "arelu", *, seed: int = 0, **more: Any) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return models.create(name, activation, **FORM | more, generator=generator)


def kinds(model: nn.Module) -> list[type]:
    return [type(module) for module in model.modules()]


def test_a_network_of_the_user_s_own() -> None:
    model = made("nets:small")
    assert kinds(model).count(AReLU) == 2
    assert not {nn.ReLU, nn.Tanh} & set(kinds(model))
    assert model.eval()(torch.zeros(2, 1, 10, 12)).shape == (2, 3)


def test_weights_follow_the_seed_and_are_the_same_for_all_arms() -> None:
    first, again, other = made("nets:small"), made("nets:small", "relu"), made("nets:small", seed=1)
    weights = dict(again.named_parameters())
    assert all(torch.equal(first.get_parameter(name), value) for name, value in weights.items())
    assert not torch.equal(first.get_parameter("0.weight"), other.get_parameter("0.weight"))


def test_nothing_of_being_tried_is_left() -> None:
    (norm,) = [m for m in made("nets:small").modules() if isinstance(m, nn.BatchNorm2d)]
    assert norm.num_batches_tracked == 0
    assert not norm.running_mean.any()


@pytest.mark.parametrize("mode", ["running", "batch", "group", "off"])
def test_normalisation_is_put_in_place(mode: str) -> None:
    model = made("nets:small", batch_norm=mode).eval()
    place = model.get_submodule("1")
    expected = {"group": nn.GroupNorm, "off": nn.Identity}
    assert type(place) is expected.get(mode, nn.BatchNorm2d)
    assert bool(list(model.buffers())) == (mode == "running")
    x = torch.rand(4, 1, 10, 12, generator=torch.Generator().manual_seed(0))
    alone = torch.allclose(model(x)[:2], model(x[:2]), atol=1e-6)
    assert alone == (mode != "batch")


def test_a_normalisation_that_is_not_there_is_not_replaced() -> None:
    with pytest.raises(UsageError, match="`batch_norm` must be left out for nets:strided"):
        made("nets:strided", size=16, batch_norm="group")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere:net", "No module named 'nowhere'"),
        ("nets:nothing", "no attribute 'nothing'"),
        ("nets:SOURCE", "no attribute 'SOURCE'"),
        ("nets:torch", "cannot be called"),
        ("nets:unready", "unexpected keyword argument 'channels'"),
        ("nets:leaves", "SystemExit: enough"),
        ("nets:number", "it returned a int"),
        ("nets:strided", "`model` must take images of 1x10x12"),
        ("nets:ten", r"`model` must give logits \[2, 3\] .* got \[2, 10\] from 'nets:ten'"),
        ("nets:two", "got tuple from 'nets:two'"),
        ("nets:linear", "must have an activation"),
        ("nets:", "a name on both sides of its colon"),
        ("torchvision:resnet81", "Did you mean torchvision:resnet"),
        ("torchvision:fcn_resnet50", "classifiers that torchvision lists"),
        ("torchvision:vgg11_bn", "`model` must take images of 1x10x12"),
        ("resnet18:", "a name on both sides"),
        ("resnet81", "Did you mean 'resnet18'"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        made(name)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("`model` ")


@pytest.mark.parametrize("activation", ["maxout", "relu-gain"])
def test_what_a_swap_cannot_give_is_refused(activation: str) -> None:
    with pytest.raises(UsageError, match="`activation` must"):
        made("nets:small", activation)


def test_a_hash_of_the_file_names_the_run(tmp_path: Path) -> None:
    (first,) = models.source_identity("nets:small").values()
    (tmp_path / "nets.py").write_text(SOURCE + "\n")
    assert models.source_identity("nets:small") != {"model_sha256": first}
    for name in ("resnet18", "torchvision:resnet18", "timm:resnet18"):
        assert models.source_identity(name) == {}


@pytest.mark.parametrize(("channels", "own"), [(1, 1), (3, 3), (5, 5)])
def test_torchvision_takes_other_channels(channels: int, own: int) -> None:
    model = made("torchvision:shufflenet_v2_x0_5", channels=channels, size=32)
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert first.weight.shape[1] == first.in_channels == own
    assert model.eval()(torch.zeros(2, channels, 32, 32)).shape == (2, 3)
    assert nn.ReLU not in kinds(model)


def test_timm() -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    model = made("timm:test_resnet", size=32, batch_norm="batch")
    assert nn.ReLU not in kinds(model)
    assert kinds(model).count(AReLU) > 3
    assert not list(model.buffers())
    assert model.eval()(torch.zeros(2, 1, 32, 32)).shape == (2, 3)
    with pytest.raises(UsageError, match="Did you mean timm:test_resnet"):
        made("timm:tset_resnet")


def test_missing_timm_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependencyError, match="pip install timm"):
        made("timm:resnet18")
