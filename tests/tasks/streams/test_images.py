"""Streams of images: what changes between tasks, what does not, and how gradually."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest

from metaact.errors import UsageError
from metaact.tasks.streams.images import Classes, ImageStream, Permuted, RandomLabels
from metaact.tasks.streams.stream import late

LABELS = np.repeat(np.arange(6), 20)

Make = Callable[..., ImageStream]

STREAMS: dict[str, Make] = {
    "permuted": lambda **more: Permuted(LABELS, pixels=49, **more),
    "random-labels": lambda **more: RandomLabels(LABELS, classes=6, **more),
    "classes": lambda **more: Classes(LABELS, classes=6, **more),
    "cumulative": lambda **more: Classes(LABELS, classes=6, cumulative=True, **more),
    "own head": lambda **more: Classes(LABELS, classes=6, head="task", **more),
}

FROZEN = {
    "permuted": "81b6f3db",
    "random-labels": "a074c3c9",
    "classes": "1ab4fad6",
    "cumulative": "fc489105",
    "own head": "856433e8",
}
"""Beginnings of hashes of the second task of seed 0: other streams, other results."""


@pytest.mark.parametrize("name", STREAMS)
def test_streams_are_frozen_and_differ_by_seed_and_task(name: str) -> None:
    make = STREAMS[name]
    hashes = [make(seed=seed, every=100, transition=20).task(1).sha256() for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[0].startswith(FROZEN[name])
    stream = make(seed=0, every=100)
    assert stream.task(1).sha256() != stream.task(2).sha256()


@pytest.mark.parametrize("name", STREAMS)
def test_a_part_of_a_stream_is_that_of_the_whole(name: str) -> None:
    blocks = STREAMS[name](seed=3, every=100, transition=30).blocks(0, 450)
    assert [len(block) for block in blocks] == [100, 100, 100, 100, 50]
    (part,) = STREAMS[name](seed=3, every=100, transition=30).blocks(210, 260)
    assert part.sha256() == blocks[2].part(10, 60).sha256()


@pytest.mark.parametrize("name", STREAMS)
def test_a_task_passes_over_its_images(name: str) -> None:
    stream = STREAMS[name](seed=1, every=240)
    for number in range(5):
        task = stream.task(number)
        pool = stream._pool(number)
        first = task.images[: min(len(pool), 240)]
        assert set(task.images) <= set(pool)
        assert len(set(first)) == len(first), "each once before any twice"
        assert not task.late.any()


def test_each_task_has_a_permutation_of_its_own_the_first_too() -> None:
    stream = STREAMS["permuted"](seed=0, every=50)
    found = [stream.task(number).places[0].tolist() for number in range(4)]
    assert all(sorted(one) == list(range(49)) for one in found)
    assert len({tuple(one) for one in [*found, range(49)]}) == 5
    assert stream.task(2).places[1].tolist() == found[1]
    assert (stream.task(3).labels == LABELS[stream.task(3).images]).all()


def test_labels_are_drawn_for_a_task_and_stay_for_it() -> None:
    stream = STREAMS["random-labels"](seed=0, every=6000)
    told = []
    for number in range(2):
        task = stream.task(number)
        by_image = [set(task.labels[task.images == image]) for image in range(len(LABELS))]
        assert all(len(one) == 1 for one in by_image)
        told.append([one.pop() for one in by_image])
    counts = np.bincount(told[0], minlength=6)
    assert ((counts - 20) ** 2 / 20).sum() < 25  # chi square of 5 degrees: 1 in 7,000
    same = np.mean(np.equal(*told))
    assert same < 0.35, "of six labels a sixth agrees by chance"


@pytest.mark.parametrize("name", ["classes", "own head", "cumulative"])
def test_all_classes_come_before_any_comes_again(name: str) -> None:
    stream = STREAMS[name](seed=2, every=120)
    assert isinstance(stream, Classes)
    turns = [[stream.group(turn * 3 + n).tolist() for n in range(3)] for turn in range(2)]
    assert all(sorted(chain(*groups)) == list(range(6)) for groups in turns)
    assert turns[0] != turns[1]
    so_far: set[int] = set()
    for number, group in enumerate(turns[0]):
        so_far |= set(group)
        task = stream.task(number)
        assert set(task.labels) == (so_far if name == "cumulative" else set(group))
        allowed = set(np.flatnonzero(task.outputs[0]))
        assert allowed == (set(group) if name == "own head" else so_far)


def test_classes_that_do_not_come_out_even_are_more_in_some_tasks() -> None:
    stream = Classes(np.repeat(np.arange(7), 5), classes=7, group=3, seed=0, every=10)
    assert sorted(len(stream.group(n)) for n in range(stream.groups)) == [3, 4]


def test_what_a_class_is_told_from() -> None:
    grown = STREAMS["classes"](seed=4, every=20)
    own = STREAMS["own head"](seed=4, every=20)
    assert isinstance(grown, Classes)
    assert isinstance(own, Classes)
    come = np.flatnonzero(grown.come(1))
    assert len(come) == 4
    for label in range(6):
        rivals = np.flatnonzero(grown.rivals(1)[label])
        assert rivals.tolist() == (come.tolist() if label in come else [])
        last = [n for n in range(5) if label in own.group(n)][-1]
        assert np.flatnonzero(own.rivals(4)[label]).tolist() == sorted(own.group(last))


@pytest.mark.parametrize("name", STREAMS)
def test_in_a_transition_examples_are_of_one_task_or_the_other(name: str) -> None:
    stream = STREAMS[name](seed=5, every=400, transition=300)
    assert not stream.task(0).late.any(), "nothing is before the first"
    before, task = stream.task(1), stream.task(2)
    old = task.late.astype(bool)
    assert 0.3 < old[:300].mean() < 0.7
    assert not old[300:].any()
    told = [stream._told(number) for number in (2, 1)]
    assert (task.labels == np.where(old, told[1][task.images], told[0][task.images])).all()
    assert set(task.images[old]) <= set(stream._pool(1))
    assert set(task.images[~old]) <= set(stream._pool(2))
    if task.places is not None and before.places is not None:
        assert (task.places[1] == before.places[0]).all()
    if task.outputs is not None and before.outputs is not None:
        assert (task.outputs[1] == before.outputs[0]).all()


def test_the_share_of_the_new_task_rises_evenly() -> None:
    """The k-th of T examples is new with probability k/(T + 1), within 5 standard errors."""
    found = np.mean([late(120, 99, "test", seed) for seed in range(2000)], axis=0)
    expected = np.where(np.arange(1, 121) <= 99, 1 - np.arange(1, 121) / 100, 0)
    assert np.abs(found - expected).max() < 5 * 0.5 / 2000**0.5
    assert not late(50, 0, "test").any()


def test_what_no_stream_can_be_is_refused() -> None:
    with pytest.raises(UsageError, match="`transition` must be an int"):
        STREAMS["permuted"](seed=0, every=10, transition=11)
    with pytest.raises(UsageError, match="`group`"):
        STREAMS["classes"](seed=0, group=7)
    with pytest.raises(UsageError, match="`head` must be grow"):
        STREAMS["cumulative"](seed=0, head="task")
