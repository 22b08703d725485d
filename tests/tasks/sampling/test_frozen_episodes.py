from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import torch

from metaact.errors import UsageError
from metaact.tasks import Episodes, FrozenEpisodes, Images, frozen
from metaact.tasks.sampling.frozen_episodes import most_episodes

MakeImages = Callable[..., Images]


def draw(images: Images, **changes: object) -> FrozenEpisodes:
    arguments: dict[str, object] = {
        "ways": 3,
        "shots": 1,
        "queries": 2,
        "episodes": 10,
        "seed": 0,
    }
    return frozen(images, **(arguments | changes))  # type: ignore[arg-type]


def test_batches_are_the_images_of_the_index_table(make_images: MakeImages) -> None:
    images = make_images([7, 8, 9, 10])
    episodes = draw(images)
    assert len(episodes) == 10
    assert episodes.indices.shape == (10, 3, 3)
    batches = list(episodes.batches(4))
    assert [len(b) for b in batches] == [4, 4, 2]
    support = torch.cat([b.support for b in batches])
    query = torch.cat([b.query for b in batches])
    pixels = images.pixels[episodes.indices].float() / 255
    torch.testing.assert_close(support, pixels[:, :, :1].flatten(1, 2))
    torch.testing.assert_close(query, pixels[:, :, 1:].flatten(1, 2))


def test_the_batch_size_changes_nothing(make_images: MakeImages) -> None:
    episodes = draw(make_images([7, 8, 9, 10]))
    whole = next(iter(episodes.batches(10)))
    ones = torch.cat([b.query for b in episodes.batches(1)])
    assert torch.equal(whole.query, ones)


def test_the_hash_names_seed_images_and_shape(make_images: MakeImages) -> None:
    images = make_images([9, 9, 9, 9])
    same = draw(images).sha256
    assert draw(images).sha256 == same
    others = [
        draw(images, seed=1).sha256,
        draw(images, episodes=11).sha256,
        draw(images, shots=2, queries=1).sha256,
        draw(make_images([9, 9, 9, 9], first=1)).sha256,
    ]
    assert len({same, *others}) == 5


def test_they_are_apart_from_training_episodes_of_the_same_seed(make_images: MakeImages) -> None:
    images = make_images([50] * 6)
    training = Episodes(images, ways=3, shots=1, queries=2, seed=0).sample(10, index=0)
    test = next(iter(draw(images).batches(10)))
    assert not torch.equal(training.query, test.query)


def test_the_table_cannot_be_changed_from_outside(make_images: MakeImages) -> None:
    episodes = draw(make_images([9, 9, 9, 9]))
    episodes.indices.zero_()
    assert episodes.indices.max() > 0


@pytest.mark.parametrize("sizes", [[12, 12, 12, 12], [30, 9, 9, 9, 3], [100, 6, 6]])
def test_without_replacement_no_image_occurs_twice_up_to_the_most(
    make_images: MakeImages, sizes: list[int]
) -> None:
    images = make_images(sizes)
    most = most_episodes(np.array(sizes), ways=3, count=3)
    for number in {1, most}:
        for seed in range(5):
            indices = draw(images, episodes=number, seed=seed, replacement=False).indices
            assert len(set(indices.flatten().tolist())) == indices.numel()
            labels = images.labels[indices]
            assert (labels == labels[:, :, :1]).all()
            assert all(len(set(row)) == 3 for row in labels[:, :, 0].tolist())
    with pytest.raises(UsageError, match=rf"`episodes` must be an int in \[1, {most}\]"):
        draw(images, episodes=most + 1, replacement=False)


def test_the_most_agrees_with_exhaustive_search() -> None:
    def search(left: tuple[int, ...], ways: int) -> int:
        able = [c for c, n in enumerate(left) if n]
        return max(
            (
                1 + search(tuple(n - (c in chosen) for c, n in enumerate(left)), ways)
                for chosen in combinations(able, ways)
            ),
            default=0,
        )

    rng = np.random.default_rng(0)
    for _ in range(30):
        chunks = rng.integers(0, 4, size=4)
        ways = int(rng.integers(2, 4))
        assert most_episodes(chunks * 2, ways=ways, count=2) == search(tuple(chunks), ways)


def test_without_replacement_classes_are_used_alike(make_images: MakeImages) -> None:
    images = make_images([300] * 6)
    indices = draw(images, episodes=100, replacement=False).indices
    counts = torch.bincount(images.labels[indices][:, :, 0].flatten(), minlength=6)
    assert int(counts.min()) > 30  # 50 expected


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"seed": -1}, {"ways": 5}, {"queries": 0}])
def test_arguments_that_do_not_fit_are_refused(
    make_images: MakeImages, wrong: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(wrong))}` must be"):
        draw(make_images([9, 9, 9, 9]), **wrong)


def test_batches_refuse_size_zero(make_images: MakeImages) -> None:
    with pytest.raises(UsageError, match="`size` must be an int >= 1"):
        draw(make_images([9, 9, 9])).batches(0)
