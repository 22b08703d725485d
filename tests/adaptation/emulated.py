"""CUDA graphs on a CPU: ops are noted below autograd, undone, and done again on the same memory.

As with a real graph, Python runs once: whatever it made of numbers stays what it was, and a tensor
is read and written where it lay in the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from metaact.adaptation import graphs
from metaact.adaptation.supervised import optimizers
from metaact.randomness import preserved_rng

Results = Sequence[Tensor | None]


class _Noting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self.made: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for number, argument in enumerate(func._schema.arguments):
            if argument.is_write:
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
    """What `CudaCapture` is, on a CPU.

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
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
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
    """Computations on a CPU are captured, by `Emulated`, and optimizers are those of a GPU."""
    monkeypatch.setattr(graphs, "captures", lambda device: graphs._allowed and graphs.is_plain())
    monkeypatch.setattr(graphs, "make_capture", lambda device: Emulated())
    monkeypatch.setattr(optimizers, "is_captured", lambda device: True)
    for name, value in {"waits": False, "fails": False, "replays": 0}.items():
        monkeypatch.setattr(Emulated, name, value)
    return Emulated
