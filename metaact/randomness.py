"""Seeds derived from what they are for, and the global streams, seeded and restored."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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


@contextmanager
def preserved_rng() -> Iterator[None]:
    """Put the global generators of PyTorch, NumPy and Python back after what happens inside."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
