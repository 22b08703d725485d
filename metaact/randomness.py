"""Seeds derived from what they are for, and the global streams, seeded and restored."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch


def derived_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts; nearby parts give unrelated seeds.

    Examples:
        >>> derived_seed("order", 0, 1) == derived_seed("order", 0, 2)
        False
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@contextmanager
def isolated_rng(*parts: int | str) -> Iterator[None]:
    """Seed the global generators of PyTorch, NumPy and Python inside, and restore them after.

    RReLU and dropout can only draw from the global stream, and a user's own activation may draw
    from any. Seeding them anew for every iteration, epoch and evaluation makes a resumed run draw
    what the uninterrupted one would have drawn.
    """
    with preserved_rng():
        seed = derived_seed(*parts)
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002  # the global stream is what is seeded
        random.seed(seed)
        yield


@dataclass(frozen=True, slots=True)
class Streams:
    """Where the global generators of PyTorch, NumPy and Python are.

    Equal where nothing was drawn in between. On a GPU in use, the current one, PyTorch has another.
    """

    torch: bytes
    gpu: bytes
    numpy: tuple[object, ...]
    python: tuple[object, ...]

    @staticmethod
    def now() -> Streams:
        """Where they are now."""
        name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  # only looked at
        with no_dispatch():  # this is no op of the computation around
            now = _bytes(torch.get_rng_state())
            gpu = _bytes(torch.cuda.get_rng_state()) if _gpu_is_used() else b""
        return Streams(
            torch=now,
            gpu=gpu,
            numpy=(name, np.asarray(keys).tobytes(), *rest),
            python=random.getstate(),
        )

    def restore(self) -> None:
        """Put them back here."""
        name, keys, *rest = self.numpy
        assert isinstance(keys, bytes)
        state: Any = (name, np.frombuffer(keys, dtype=np.uint32), *rest)
        with no_dispatch():
            torch.set_rng_state(_tensor(self.torch))
            if self.gpu:
                torch.cuda.set_rng_state(_tensor(self.gpu))
        np.random.set_state(state)  # noqa: NPY002  # put back where it was
        random.setstate(self.python)


def _gpu_is_used() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]  # in torch


def _bytes(state: Tensor) -> bytes:
    return state.numpy().tobytes()


def _tensor(state: bytes) -> Tensor:
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)


@contextmanager
def preserved_rng() -> Iterator[None]:
    """Put the global generators of PyTorch, NumPy and Python back after what happens inside."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    before = Streams.now()
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        before.restore()
