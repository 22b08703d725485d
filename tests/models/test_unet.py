"""U-Net: its published size, its form, its weights; networks of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from metaact import activations, models
from metaact.activations import inside_activations
from metaact.errors import UsageError
from metaact.models.dense import create_dense


def made(activation: str = "relu", *, seed: int = 0, **more: object) -> nn.Module:
    settings: dict[str, object] = {"channels": 3, "size": (32, 32), "features": 4, **more}
    generator = torch.Generator().manual_seed(seed)
    return create_dense("unet", activation, generator=generator, **settings)  # type: ignore[arg-type]


def test_it_has_the_published_number_of_parameters() -> None:
    """The port's page says 7.76 million for 3 channels, 1 output and 32 features."""
    model = made(features=32)
    assert sum(p.numel() for p in model.parameters()) == 7_763_041


@pytest.mark.parametrize("batch_norm", models.BATCH_NORM)
def test_it_gives_one_logit_a_pixel(batch_norm: str) -> None:
    model = made("arelu", batch_norm=batch_norm)
    assert model(torch.ones(2, 3, 32, 48)).shape == (2, 1, 32, 48)
    assert len(activations.attention_values(model)) == 18
    kinds = {type(module).__name__ for module in model.modules()}
    assert ("BatchNorm2d" in kinds) == (batch_norm in ("running", "batch"))
    assert ("GroupNorm" in kinds) == (batch_norm == "group")


def test_every_place_has_an_activation_of_its_own() -> None:
    model = made("prelu")
    own = [p for module in inside_activations(model) for p in module.parameters()]
    assert len(own) == len({id(p) for p in own}) == 18


def test_arms_of_a_seed_start_from_the_same_weights() -> None:
    relu, arelu, other = made("relu"), made("arelu"), made("relu", seed=1)
    inside = {id(p) for m in inside_activations(arelu) for p in m.parameters()}
    weights = [p for p in arelu.parameters() if id(p) not in inside]
    for one, same in zip(relu.parameters(), weights, strict=True):
        assert torch.equal(one, same)
    assert not torch.equal(
        relu.get_parameter("decoders.0.up.weight"), other.get_parameter("decoders.0.up.weight")
    )


def test_an_output_depends_on_the_whole_field_below_it() -> None:
    """Down and up again: a pixel's logit depends on a far one, and skips keep the near ones."""
    model = made(batch_norm="off").eval()
    image = torch.ones(1, 3, 64, 64, requires_grad=True)
    model(image)[0, 0, 32, 32].backward()
    assert image.grad is not None
    reach = image.grad.abs().sum(dim=(0, 1)) > 0
    assert bool(reach[32, 32])
    assert bool(reach[32, :8].any())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"size": (40, 40)}, "`size` must be a multiple of 16"),
        ({"features": 0}, "`features` must be an int >= 1"),
        ({"batch_norm": "runing"}, "Did you mean 'running'?"),
    ],
)
def test_what_does_not_fit_is_refused(more: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        made(**more)


def test_classifiers_are_refused_where_pixels_are_marked() -> None:
    for name in ("resnet18", "torchvision:resnet18", "timm:x"):
        with pytest.raises(UsageError, match="unet"):
            models.dense_network_of(name)


OWN = """
from torch import nn

def dense(*, classes, channels, size):
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1))

def flat(*, classes, channels, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))
"""


@pytest.mark.draws_globally
def test_a_network_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_dense.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    model = create_dense("own_dense:dense", "arelu", channels=1, size=(9, 9))
    assert model(torch.ones(2, 1, 9, 9)).shape == (2, 1, 9, 9)
    assert len(activations.attention_values(model)) == 1
    with pytest.raises(UsageError, match="every pixel"):
        create_dense("own_dense:flat", "arelu", channels=1, size=(9, 9))
    sys.modules.pop("own_dense", None)
