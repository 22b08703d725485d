from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from metaact.errors import DataError, UsageError
from metaact.tasks import Episodes, Images, from_taskset, to_taskset

MakeImages = Callable[..., Images]


class Scripted:
    """A taskset with one fixed episode: 3 classes of 3 images, shuffled, odd labels."""

    def __init__(self, labels: list[int]) -> None:
        self.labels = labels

    def sample(self) -> tuple[Tensor, Tensor]:
        data = torch.arange(len(self.labels)).reshape(-1, 1, 1, 1).float()
        return data, torch.tensor(self.labels)


def test_their_episodes_become_class_major() -> None:
    taskset = Scripted([7, 2, 2, 7, 5, 2, 5, 7, 5])
    batch = from_taskset(taskset, ways=3, shots=1, queries=2).sample(2)
    assert batch.support.shape == (2, 3, 1, 1, 1)
    assert batch.support.flatten(1).tolist() == [[1, 4, 0]] * 2
    assert batch.query.flatten(1).tolist() == [[2, 5, 6, 8, 3, 7]] * 2
    assert batch.support_labels.tolist() == [[0, 1, 2]] * 2
    assert batch.query_labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 2


def test_episodes_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match="must give 3 classes of 1 \\+ 2 images; got 2 classes"):
        from_taskset(Scripted([0, 0, 0, 1, 1, 1]), ways=3, shots=1, queries=2).sample(1)
    with pytest.raises(DataError, match="takes k = shots \\+ queries"):
        from_taskset(Scripted([0, 0, 1, 1]), ways=2, shots=1, queries=2).sample(1)
    with pytest.raises(UsageError, match="`shots` must be"):
        from_taskset(Scripted([0, 1]), ways=2, shots=0, queries=2)


def test_ours_as_theirs_and_back(make_images: MakeImages) -> None:
    episodes = Episodes(make_images([12] * 6), ways=4, shots=2, queries=3, seed=0)
    expected = episodes.sample(1, index=0)
    bridged = from_taskset(to_taskset(episodes), ways=4, shots=2, queries=3).sample(1)
    assert torch.equal(bridged.support, expected.support)
    assert torch.equal(bridged.query, expected.query)
    assert torch.equal(bridged.query_labels, expected.query_labels)


def test_a_taskset_of_ours_has_their_manners(make_images: MakeImages) -> None:
    episodes = Episodes(make_images([12] * 6), ways=4, shots=2, queries=3, seed=0)
    endless = to_taskset(episodes)
    assert len(endless) == 1
    assert not torch.equal(endless.sample()[0], endless.sample()[0])
    finite = to_taskset(episodes, num_tasks=3)
    assert len(finite) == len(list(finite)) == 3
    assert torch.equal(finite[2][0], list(finite)[2][0])
    drawn = finite.sample()[0]
    assert any(torch.equal(drawn, data) for data, _ in finite)
    with pytest.raises(IndexError, match="task 3 is not in"):
        finite[3]
    with pytest.raises(UsageError, match="`num_tasks` must be"):
        to_taskset(episodes, num_tasks=0)


@pytest.mark.draws_globally  # learn2learn samples from the global streams
def test_a_real_taskset_becomes_ours(learn2learn: ModuleType, make_images: MakeImages) -> None:
    images = make_images([9] * 6, side=3)
    pairs = torch.utils.data.TensorDataset(images.pixels.float(), images.labels)
    dataset = learn2learn.data.MetaDataset(pairs)
    transforms = learn2learn.data.transforms
    taskset = learn2learn.data.Taskset(
        dataset,
        task_transforms=[
            transforms.NWays(dataset, n=4),
            transforms.KShots(dataset, k=3),
            transforms.LoadData(dataset),
            transforms.RemapLabels(dataset),
        ],
        num_tasks=20,
    )
    batch = from_taskset(taskset, ways=4, shots=1, queries=2).sample(8)
    assert batch.support.shape == (8, 4, 1, 3, 3)
    number = torch.cat(
        [b[..., 0, 0, 0] * 256 + b[..., 0, 0, 1] for b in (batch.support, batch.query)], 1
    )
    assert all(len(set(task.tolist())) == 12 for task in number)
    original = images.labels[number.long()]
    query = original[:, 4:].reshape(8, 4, 2)
    assert torch.equal(query, original[:, :4, None].expand(8, 4, 2))


def test_ours_works_in_their_code(learn2learn: ModuleType, make_images: MakeImages) -> None:
    episodes = Episodes(make_images([12] * 6), ways=4, shots=2, queries=3, seed=0)
    data, labels = to_taskset(episodes).sample()
    (support, support_labels), (query, query_labels) = learn2learn.data.partition_task(
        data, labels, shots=2
    )
    expected = episodes.sample(1, index=0)
    assert torch.equal(support, expected.support[0])
    assert torch.equal(query, expected.query[0])
    assert torch.equal(support_labels, expected.support_labels[0])
    assert torch.equal(query_labels, expected.query_labels[0])
