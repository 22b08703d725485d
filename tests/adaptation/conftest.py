"""Small problems that the tests of adaptation share, as fixtures that are functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metaact.adaptation import MAML, Evaluation, graphs
from metaact.adaptation.supervised import optimizers
from metaact.randomness import preserved_rng
from metaact.tasks import MetaBatch

Results = Sequence[Tensor | None]
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


UNDECLARED = ("running_mean", "running_var")
"""What `native_batch_norm` changes without saying so in its schema."""


class _Noting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for number, argument in enumerate(func._schema.arguments):
            if argument.is_write or argument.name in UNDECLARED:
                given = args[number] if number < len(args) else kwargs.get(argument.name)
                for tensor in (t for t in tree_leaves(given) if isinstance(t, Tensor)):
                    self._keep(tensor)
        results = func(*args, **kwargs)
        given = {_memory(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        self.made |= {_memory(t) for t in _tensors(results)} - given
        self.calls.append((func, args, kwargs, results))
        return results

    def _keep(self, tensor: Tensor) -> None:
        if _memory(tensor) not in self.made:
            self.before.setdefault(id(tensor), (tensor, tensor.detach().clone()))


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _tensors(results: Any) -> list[Tensor]:
    return [t for t in tree_leaves(results) if isinstance(t, Tensor)]


class Emulated:
    """What `CudaCapture` is, on a CPU: ops are noted below autograd, undone, and done again.

    As with a real graph, Python runs once: whatever it made of numbers stays what it was, and a
    tensor is read and written where it lay in the capture.

    Attributes:
        waits: Whether to say that the host waited for the device.
        fails: Whether captures fail.
        replays: How many there were.
    """

    waits = fails = False
    replays = 0

    def beside(self, work: Callable[[], Results]) -> tuple[Results, bool]:
        return work(), Emulated.waits

    def capture(self, work: Callable[[], Results]) -> Results:
        if Emulated.fails:
            try:
                raise RuntimeError("operation not permitted when stream is capturing\nmore")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")
        noting = _Noting()
        with preserved_rng(), noting:
            results = work()
        with torch.no_grad():
            for tensor, before in noting.before.values():
                tensor.copy_(before)
        self.calls = noting.calls
        for result in results:
            if result is not None:
                result.detach().zero_()  # nothing has been computed yet
        return results

    def replay(self) -> None:
        Emulated.replays += 1
        with torch.no_grad():
            for func, args, kwargs, results in self.calls:
                again = func(*args, **kwargs)
                for old, new in zip(_tensors(results), _tensors(again), strict=True):
                    if old.data_ptr() != new.data_ptr():
                        old.detach().copy_(new)


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> type[Emulated]:
    """Steps on a CPU are captured, by `Emulated`, and optimizers are those of a GPU."""
    monkeypatch.setattr(graphs, "captures", lambda device: graphs._allowed and graphs.is_plain())
    monkeypatch.setattr(graphs, "make_capture", lambda device: Emulated())
    monkeypatch.setattr(optimizers, "is_captured", lambda device: True)
    for name, value in {"waits": False, "fails": False, "replays": 0}.items():
        monkeypatch.setattr(Emulated, name, value)
    return Emulated
