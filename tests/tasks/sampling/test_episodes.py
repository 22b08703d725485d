from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from metaact import tasks
from metaact.errors import UsageError
from metaact.tasks import Episodes, Images, MetaBatch

MakeImages = Callable[..., Images]


def identity(pixels: torch.Tensor) -> torch.Tensor:
    """The number that `make_images` wrote into each image; pixels in [0, 1]."""
    whole = (pixels * 255).round().long()
    return whole[..., 0, 0, 0] * 256 + whole[..., 0, 0, 1]


def test_shapes_labels_and_layout(make_images: MakeImages) -> None:
    images = make_images([9, 7, 8, 30], channels=3)
    batch = Episodes(images, ways=3, shots=2, queries=4, seed=0).sample(5)
    assert len(batch) == 5
    assert batch.support.shape == (5, 6, 3, 4, 4)
    assert batch.query.shape == (5, 12, 3, 4, 4)
    assert batch.support.dtype == torch.float32
    assert batch.support_labels.dtype == torch.int64
    assert batch.support_labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 5
    assert batch.query_labels.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 5


def test_classes_differ_within_an_episode_and_images_within_a_class(
    make_images: MakeImages,
) -> None:
    images = make_images([6, 5, 9, 5, 12])
    batch = Episodes(images, ways=4, shots=2, queries=3, seed=3).sample(200)
    support = identity(batch.support).reshape(200, 4, 2)
    query = identity(batch.query).reshape(200, 4, 3)
    for task in torch.cat([support, query], dim=2):
        assert len(set(task.flatten().tolist())) == 4 * 5
        labels = images.labels[task]
        assert (labels == labels[:, :1]).all()
        assert len(set(labels[:, 0].tolist())) == 4


def test_every_image_of_every_class_is_drawn_alike(make_images: MakeImages) -> None:
    images = make_images([4, 8])
    batch = Episodes(images, ways=2, shots=1, queries=1, seed=0).sample(8000)
    for part in (batch.support, batch.query):
        counts = torch.bincount(identity(part).flatten(), minlength=12).double()
        expected = torch.tensor([2000.0] * 4 + [1000.0] * 8, dtype=torch.float64)
        assert float(((counts - expected) ** 2 / expected).sum()) < 32.9  # chi2, 12 df, p = 1e-3


def test_normalisation_is_per_channel(make_images: MakeImages) -> None:
    images = make_images([4, 4], channels=3)
    plain = Episodes(images, ways=2, shots=1, queries=1, seed=0).sample(3)
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    scaled = Episodes(images, ways=2, shots=1, queries=1, seed=0, mean=mean, std=std).sample(3)
    expected = (plain.support - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(
        3, 1, 1
    )
    torch.testing.assert_close(scaled.support, expected)


def test_a_draw_depends_on_seed_and_number_alone(make_images: MakeImages) -> None:
    images = make_images([20] * 8)

    def draw(seed: int, index: int | None, before: int = 0) -> torch.Tensor:
        episodes = Episodes(images, ways=5, shots=1, queries=2, seed=seed)
        for _ in range(before):
            episodes.sample(4)
        return identity(episodes.sample(4, index=index).query)

    assert torch.equal(draw(0, 7), draw(0, 7, before=3))
    assert torch.equal(draw(0, 3), draw(0, None, before=3))
    assert not torch.equal(draw(0, 3), draw(0, 4))
    assert not torch.equal(draw(0, 3), draw(1, 3))


def test_resuming_needs_only_the_position(make_images: MakeImages) -> None:
    images = make_images([20] * 8)
    whole = Episodes(images, ways=5, shots=1, queries=2, seed=0)
    expected = [identity(whole.sample(2).support) for _ in range(4)][3]
    resumed = Episodes(images, ways=5, shots=1, queries=2, seed=0)
    resumed.position = 3
    assert torch.equal(identity(resumed.sample(2).support), expected)
    assert resumed.position == whole.position


def test_long_runs_and_many_workers_repeat_no_meta_batch(make_images: MakeImages) -> None:
    episodes = Episodes(make_images([40] * 12), ways=5, shots=2, queries=3, seed=0)
    seen = {identity(episodes.sample(1, index=i).support).numpy().tobytes() for i in range(3000)}
    assert len(seen) == 3000


@pytest.mark.draws_globally  # it seeds NumPy, to watch its stream
def test_no_global_stream_is_touched(make_images: MakeImages) -> None:
    np.random.seed(5)  # noqa: NPY002  # the legacy global stream is what is watched here
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    images = make_images([8, 8, 8])
    Episodes(images, ways=2, shots=1, queries=1, seed=0).sample(4)
    tasks.frozen(images, ways=2, shots=1, queries=1, episodes=4, seed=0, replacement=False)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_meta_batches_slice_and_convert(make_images: MakeImages) -> None:
    batch = Episodes(make_images([8, 8]), ways=2, shots=1, queries=3, seed=0).sample(5)
    part = batch[1:3]
    assert isinstance(part, MetaBatch)
    assert len(part) == 2
    assert torch.equal(part.query, batch.query[1:3])
    double = batch.to(torch.float64)
    assert double.support.dtype == double.query.dtype == torch.float64
    assert double.support_labels.dtype == torch.int64
    assert batch.to("cpu").support.device.type == "cpu"
    with pytest.raises(UsageError, match=r"indexed by a slice.*got 0"):
        batch[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ways": 4}, r"`ways` must be an int in \[2, 3\] \(the split has 3 classes\); got 4"),
        ({"ways": 1}, r"`ways` must be an int in \[2, 3\]"),
        ({"shots": 0}, r"`shots` must be an int >= 1; got 0"),
        ({"queries": -1}, r"`queries` must be an int >= 1; got -1"),
        ({"shots": 3, "queries": 3}, r"at most 5 \(class 'class1', the smallest.*got 3 \+ 3"),
        ({"seed": -1}, r"`seed` must be an int in \[0, "),
        ({"ways": 2.0}, r"`ways` must be an int"),
        ({"std": 0.0}, r"`std` must be a finite number > 0; got 0.0"),
        ({"std": math.nan}, r"`std` must be a finite number"),
        ({"mean": math.nan}, r"`mean` must be a finite number"),
        ({"mean": (0.1, 0.2)}, r"`mean` must be a finite number or 1 of them"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    make_images: MakeImages, wrong: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {"ways": 2, "shots": 1, "queries": 1, "seed": 0} | wrong
    with pytest.raises(UsageError, match=message):
        Episodes(make_images([6, 5, 9]), **arguments)  # type: ignore[arg-type]


def test_sample_refuses_what_it_cannot_draw(make_images: MakeImages) -> None:
    episodes = Episodes(make_images([6, 6]), ways=2, shots=1, queries=1, seed=0)
    with pytest.raises(UsageError, match="`tasks` must be an int >= 1; got 0"):
        episodes.sample(0)
    with pytest.raises(UsageError, match="`index` must be an int"):
        episodes.sample(1, index=-1)


def test_one_class_is_no_episode(make_images: MakeImages) -> None:
    with pytest.raises(UsageError, match=r"at least 2, and the train part of .* has 1 class"):
        Episodes(make_images([6]), ways=2, shots=1, queries=1, seed=0)


def test_episodes_by_name_are_normalised_by_train(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(classes=10, images=6)
    train = tasks.split(folder).train
    mean, std = tasks.statistics(train)
    episodes = tasks.episodes(folder, ways=2, shots=1, queries=2, split="test")
    drawn = episodes.sample(50).query
    test = tasks.split(folder).test.pixels.float() / 255
    assert float(drawn.max()) == pytest.approx((float(test.max()) - mean[0]) / std[0], rel=1e-5)
    assert episodes.images.provenance.split == "test"


def test_statistics_agree_with_the_direct_computation(make_images: MakeImages) -> None:
    images = make_images([300, 300], channels=3)
    mean, std = tasks.statistics(images)
    direct = images.pixels.double() / 255
    assert mean == pytest.approx(direct.mean(dim=(0, 2, 3)).tolist(), rel=1e-12)
    expected = direct.permute(1, 0, 2, 3).flatten(1).std(dim=1, correction=0)
    assert std == pytest.approx(expected.tolist(), rel=1e-12)


@pytest.mark.data
def test_real_episodes_are_quick(data_root: Path) -> None:
    episodes = tasks.episodes("mnist", ways=5, shots=1, queries=1, root=data_root)
    episodes.sample(32)
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        episodes.sample(32)
        best = min(best, time.perf_counter() - start)
    assert best / 32 < 1e-4  # seconds per task; learn2learn takes 0.12 s


@pytest.mark.data
def test_mnist_statistics_are_the_published_ones(data_root: Path) -> None:
    # 0.1307 and 0.3081: the constants of PyTorch's own MNIST example, over all 60,000.
    train = tasks.split("mnist", root=data_root, validation=0).train
    mean, std = tasks.statistics(train)
    assert mean[0] == pytest.approx(0.1307, abs=5e-5)
    assert std[0] == pytest.approx(0.3081, abs=5e-5)
