"""Slowly changing regression beside a second implementation of its published description."""

from __future__ import annotations

import numpy as np
import pytest

from metaact.errors import UsageError
from metaact.tasks.streams.regression import SlowlyChanging

FROZEN = "9248b8d0"
"""Beginning of the hash of the first task of seed 0: other streams, other results."""


def by_hand(stream: SlowlyChanging, bits: np.ndarray, target: str) -> float:
    """The target of one input, one unit after the other.

    Dohare et al. (2024), Methods: with m+1 input bits, the last always 1, a unit's output is 1 if
    its weighted sum exceeds (m+1)·β − S, S the number of its weights that are −1.
    """
    bits = [*bits.tolist(), 1]
    total = 0
    for weights, out in zip(stream.first.tolist(), stream.second.tolist(), strict=False):
        summed, minus = 0, 0.0
        for bit, weight in zip(bits, weights, strict=True):
            summed += bit * weight
            minus += weight == -1
        if target == "code":  # their S has half the bias in place of whether it is −1
            minus += weights[-1] / 2 - (weights[-1] == -1)
        if summed > len(bits) * 0.7 - minus:
            total += out
    return total + stream.second[-1]


@pytest.mark.parametrize("target", ["code", "text"])
def test_targets_are_as_described(target: str) -> None:
    stream = SlowlyChanging(3, target=target)
    bits = np.random.default_rng(0).integers(0, 2, (50, 20)).astype(np.uint8)
    assert stream.target(bits).tolist() == [by_hand(stream, row, target) for row in bits]
    assert set(np.unique(stream.first)) == {-1, 1} == set(np.unique(stream.second))


@pytest.mark.parametrize(
    ("target", "bias", "needed"),
    [("text", 1, 14), ("text", -1, 15), ("code", 1, 14), ("code", -1, 17)],
)
def test_a_unit_fires_where_enough_bits_are_as_it_wants_them(
    target: str, bias: int, needed: int
) -> None:
    """Of the 20 bits; in the text the bias is one more that is as wanted where it is +1."""
    stream = SlowlyChanging(0, target=target)
    unit = int((stream.first[:, -1] == bias).nonzero()[0][0])
    found = []
    for matching in (needed, needed - 1):
        bits = (stream.first[unit, :20] > 0).astype(np.uint8)
        bits[: 20 - matching] ^= 1
        whole = stream.target(bits[None])[0]
        stream.second[unit] *= -1
        found.append(stream.target(bits[None])[0] != whole)
    assert found == [True, False]


def test_one_slow_bit_is_flipped_between_tasks_and_each_in_turn() -> None:
    stream = SlowlyChanging(1)
    slow = np.array([stream.slow(task) for task in range(600)], dtype=int)
    flipped = np.abs(np.diff(slow, axis=0))
    assert (flipped.sum(axis=1) == 1).all()
    counts = flipped.sum(axis=0)
    assert counts.min() > 15  # 40 are expected of each of 15
    assert counts.max() < 75


def test_all_slow_bits_are_redrawn_where_asked() -> None:
    stream = SlowlyChanging(1, change="redraw")
    slow = np.array([stream.slow(task) for task in range(600)], dtype=int)
    assert abs(np.abs(np.diff(slow, axis=0)).mean() - 0.5) < 0.03
    assert np.abs(slow.mean(axis=0) - 0.5).max() < 0.1


def test_fast_bits_are_drawn_anew_for_each_example() -> None:
    (block,) = SlowlyChanging(2).blocks(0, 10_000)
    counts = np.bincount(block.fast, minlength=32)
    assert ((counts - 312.5) ** 2 / 312.5).sum() < 70  # chi square of 31 degrees: 1 in 10,000
    assert (block.inputs()[:, :15] == block.slow).all()
    assert len(np.unique(block.inputs(), axis=0)) == 32


def test_a_part_of_a_stream_is_that_of_the_whole() -> None:
    whole, part = SlowlyChanging(4, every=100), SlowlyChanging(4, every=100)
    blocks = whole.blocks(0, 450)
    assert [len(block.fast) for block in blocks] == [100, 100, 100, 100, 50]
    (late,) = part.blocks(410, 430)
    assert late.fast.tolist() == blocks[-1].fast[10:30].tolist()
    assert late.slow.tolist() == blocks[-1].slow.tolist()
    assert late.targets.tolist() == blocks[-1].targets.tolist()


def test_streams_are_frozen_and_differ_by_seed() -> None:
    hashes = [SlowlyChanging(seed).blocks(0, 20_000)[0].sha256() for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0].startswith(FROZEN)


def test_an_unknown_kind_of_change_is_refused() -> None:
    with pytest.raises(UsageError, match="flip-one"):
        SlowlyChanging(0, change="flip")


@pytest.mark.parametrize("change", ["flip-one", "redraw"])
def test_in_a_transition_slow_bits_are_those_of_one_task_or_the_other(change: str) -> None:
    stream = SlowlyChanging(0, every=300, change=change, transition=200)
    assert stream.task(0).late is None
    (part,) = stream.blocks(300, 500)
    assert part.late is not None
    assert part.before is not None
    assert 0.3 < part.late.mean() < 0.7
    assert part.before.slow.tolist() == stream.slow(0).tolist()
    assert part.slow.tolist() == stream.slow(1).tolist()
    assert part.before.targets.tolist() == stream.target(part.before.inputs()).tolist()
    (rest,) = stream.blocks(500, 600)
    assert rest.late is None
    abrupt = SlowlyChanging(0, every=300, change=change)
    assert abrupt.blocks(500, 600)[0].sha256() == rest.sha256()
    assert abrupt.blocks(300, 500)[0].sha256() != part.sha256()


def test_a_transition_longer_than_a_task_is_refused() -> None:
    with pytest.raises(UsageError, match="`transition` must be an int"):
        SlowlyChanging(0, every=300, transition=301)


def test_what_a_network_draws_is_the_streams_however_it_is_cut() -> None:
    stream = SlowlyChanging(3, every=400)
    whole = np.concatenate([part.drawn(len(part), 7) for part in stream.blocks(0, 1000)])
    cut = [part for start in range(0, 1000, 90) for part in stream.blocks(start, start + 90)]
    assert np.array_equal(np.concatenate([p.drawn(len(p), 7) for p in cut])[:1000], whole)
    assert 0 <= whole.min() < 0.001
    assert 0.999 < whole.max() < 1
    assert abs(whole.mean() - 0.5) < 4 * (1 / 12 / whole.size) ** 0.5
    first = stream.blocks(0, 1)[0]
    others = [first.drawn(1, 7, "to look"), SlowlyChanging(4).blocks(0, 1)[0].drawn(1, 7)]
    assert not any(np.isclose(other, whole[:1]).any() for other in others)
