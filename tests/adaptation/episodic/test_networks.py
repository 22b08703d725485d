"""MAML on real architectures: the engines agree, and no other image has a say where it must not."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from metaact import models
from metaact.adaptation import MAML

CLOSE = 1e-6
"""Of the largest slope: float64 rounding, which BatchNorm over four numbers amplifies."""


@pytest.mark.parametrize(
    ("name", "batch_norm"),
    [
        ("resnet18", "batch"),
        ("mobilenet", "group"),
        ("torchvision:shufflenet_v2_x0_5", "batch"),
    ],
)
def test_engines_agree(
    name: str,
    batch_norm: str,
    episodes: Callable,
    gradient: Callable,
    learn2learn: ModuleType,
) -> None:
    size = 32 if ":" in name else models.NETWORKS[name].least
    model = models.create(
        name,
        "arelu",
        classes=2,
        channels=1,
        size=size,
        batch_norm=batch_norm,
        generator=torch.Generator().manual_seed(0),
    ).double()
    batch = episodes(tasks=2, ways=2, shots=2, shape=(1, size, size))
    found = {
        engine: gradient(
            MAML(model, inner_lr=0.01, inner_steps=1, engine=engine, chunk_size=2), batch
        )
        for engine in ("vectorised", "loop", "learn2learn")
    }
    result, slope = found.pop("vectorised")
    assert slope.abs().max() > 1e-3
    for expected, expected_slope in found.values():
        torch.testing.assert_close(result.loss, expected.loss, rtol=CLOSE, atol=0)
        limit = CLOSE * float(slope.abs().max())
        torch.testing.assert_close(slope, expected_slope, rtol=0, atol=limit)


def test_a_large_network_goes_task_by_task(episodes: Callable) -> None:
    """Parameters of 32 tasks at a time would be gigabytes."""
    draw = torch.Generator().manual_seed(0)
    large = models.create("squeezenet", "relu", classes=2, channels=1, size=8, generator=draw)
    small = models.conv4("relu", classes=2, generator=draw)
    batch = episodes(tasks=32, ways=2, shape=(1, 16, 16), dtype=torch.float32)
    for model, shares in ((large, 32), (small, 2)):
        maml = MAML(model.eval(), inner_lr=0.01, inner_steps=1)
        assert maml.shares(batch) == shares
