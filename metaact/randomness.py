"""Seeds derived from what they are for, and PyTorch's global stream, seeded and restored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

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
    """Seed the global generators from `parts` inside, and restore them after.

    RReLU and dropout can only draw from the global stream. Seeding it anew for every iteration or
    epoch makes a resumed run draw what the uninterrupted one would have drawn.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derived_seed(*parts))
        yield
