"""The global streams: seeded inside, put back after, and compared."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from metaact.randomness import Streams, isolated_rng, preserved_rng


def _draw() -> tuple[float, float, float]:
    return float(torch.rand(())), float(np.random.random()), random.random()  # noqa: NPY002


def test_the_same_parts_draw_the_same_and_nothing_is_left() -> None:
    before = Streams.now()
    drawn = []
    for parts in ((1, "a"), (1, "a"), (2, "a")):
        with isolated_rng(*parts):
            drawn.append(_draw())
        assert Streams.now() == before
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_draw_from_any_stream_is_seen_and_undone(which: int) -> None:
    draws = (lambda: torch.rand(()), np.random.random, random.random)
    with preserved_rng():
        before = Streams.now()
        draws[which]()
        assert Streams.now() != before
        before.restore()
        assert Streams.now() == before


def test_a_draw_on_a_gpu_in_use_is_seen_and_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.Generator()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", gpu.get_state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", gpu.set_state)
    before = Streams.now()
    first = float(torch.rand((), generator=gpu))
    assert Streams.now() != before
    before.restore()
    assert Streams.now() == before
    assert float(torch.rand((), generator=gpu)) == first


def _fail() -> None:
    with isolated_rng(0):
        _draw()
        raise ValueError("x")


def test_it_is_put_back_after_an_error() -> None:
    before = Streams.now()
    with pytest.raises(ValueError, match="x"):
        _fail()
    assert Streams.now() == before
