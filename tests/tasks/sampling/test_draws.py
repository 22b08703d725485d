from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats

from metaact.tasks.sampling.draws import ClassIndex, distinct, generator


@pytest.mark.parametrize(("size", "count"), [(4, 2), (4, 4), (3, 1), (5, 3)])
def test_every_ordered_choice_is_equally_likely(size: int, count: int) -> None:
    rows = 60_000
    drawn = distinct(generator(1, 0), np.full(rows, size), count)
    code = (drawn * size ** np.arange(count)).sum(axis=1)
    codes = [sum(v * size**i for i, v in enumerate(p)) for p in permutations(range(size), count)]
    observed = np.array([(code == c).sum() for c in codes])
    assert observed.sum() == rows
    assert stats.chisquare(observed).pvalue > 1e-3


def test_rows_of_different_sizes_stay_within_theirs() -> None:
    sizes = np.array([3, 7, 1000])
    drawn = distinct(generator(0, 0), sizes, 3)
    assert (drawn < sizes[:, None]).all()
    assert (drawn >= 0).all()
    assert all(len(set(row)) == 3 for row in drawn.tolist())
    assert sorted(drawn[0].tolist()) == [0, 1, 2]


def test_streams_of_seeds_draws_and_purposes_are_apart() -> None:
    settings = [(s, d, p) for s in range(5) for d in range(5) for p in range(2)]
    firsts = {float(generator(s, d, purpose=p).random()) for s, d, p in settings}
    assert len(firsts) == len(settings)


def test_neighbouring_draws_do_not_overlap() -> None:
    long = set(generator(3, 0).random(5000).tolist())
    assert not long & set(generator(3, 1).random(5000).tolist())


def test_golden_stream() -> None:
    # Recorded with NumPy 2; a change here would change every published episode.
    labels = np.repeat(np.arange(6), 10)
    drawn = ClassIndex(labels).draw(generator(7, 3), episodes=1, ways=2, count=3)
    assert drawn.tolist() == [[[38, 32, 33], [58, 54, 57]]]


def test_class_index_finds_images_of_unsorted_labels() -> None:
    labels = torch.tensor([2, 0, 1, 0, 2, 2])
    index = ClassIndex(labels.numpy())
    assert index.sizes.tolist() == [2, 1, 3]
    assert index.images(np.array(2), np.array([0, 1, 2])).tolist() == [0, 4, 5]
    assert index.images(np.array([0, 1]), np.array([[1], [0]])).tolist() == [[3], [2]]
