"""Small problems that the tests of adaptation share, as fixtures that are functions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metaact.adaptation import MAML, Evaluation
from metaact.tasks import MetaBatch

Episodes = Callable[..., MetaBatch]
Build = Callable[..., nn.Module]
Gradient = Callable[[MAML, MetaBatch], tuple[Evaluation, Tensor]]


def _episodes(
    *,
    tasks: int = 4,
    ways: int = 3,
    shots: int = 1,
    queries: int = 2,
    shape: tuple[int, ...] = (1, 10, 10),
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> MetaBatch:
    draw = torch.Generator().manual_seed(seed)

    def images(per_class: int) -> Tensor:
        return torch.randn(tasks, ways * per_class, *shape, generator=draw, dtype=dtype)

    def labels(per_class: int) -> Tensor:
        return torch.arange(ways).repeat_interleave(per_class).repeat(tasks, 1)

    return MetaBatch(
        support=images(shots),
        support_labels=labels(shots),
        query=images(queries),
        query_labels=labels(queries),
    )


def _seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().double()


def _net(activation: Callable[[], nn.Module] = nn.Tanh, *, ways: int = 3) -> nn.Module:
    return _seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.MaxPool2d(2),
            activation(),
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            activation(),
            nn.Flatten(),
            nn.Linear(16, ways),
        )
    )


def _gradient(maml: MAML, batch: MetaBatch) -> tuple[Evaluation, Tensor]:
    maml.model.zero_grad()
    result = maml.backward(batch)
    parts = [
        (torch.zeros_like(p) if p.grad is None else p.grad).flatten()
        for p in maml.model.parameters()
    ]
    return result, torch.cat(parts)


@pytest.fixture(scope="session")
def episodes() -> Episodes:
    """Random images with class-major labels: `episodes(tasks=, ways=, shots=, shape=, seed=)`."""
    return _episodes


@pytest.fixture(scope="session")
def seeded() -> Build:
    """Build a float64 model from a seed, without touching the global stream."""
    return _seeded


@pytest.fixture(scope="session")
def net() -> Build:
    """Convolution, pooling, strided and padded convolution, linear: `net(activation)`."""
    return _net


@pytest.fixture(scope="session")
def gradient() -> Gradient:
    """Evaluation and flat meta-gradient of all parameters; zeros for those without one."""
    return _gradient
