"""Any map-style Dataset as images: the same bytes, names and divisions, or one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from metaact import tasks
from metaact.errors import DataError, UsageError
from metaact.tasks import from_dataset

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 6, 5, 3)).astype(np.uint8)
OWN = np.random.default_rng(0)  # a generator that is no global stream
LABELS = [n % 4 for n in range(24)]
NAMES = ["ant", "bee", "cat", "dog"]


class Pictures(Dataset[Any]):
    """Colour pictures, each as `form` makes it of an array [6, 5, 3]."""

    def __init__(
        self,
        form: Callable[[np.ndarray], Any] = Image.fromarray,
        *,
        labels: list[Any] = LABELS,
        classes: Any = NAMES,
    ) -> None:
        self.form, self.labels, self.classes = form, labels, classes

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return self.form(PIXELS[index]), self.labels[index]


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).permute(2, 0, 1)


SAME: list[Any] = [
    pytest.param(Image.fromarray, id="PIL"),
    pytest.param(lambda a: Image.fromarray(a).convert("RGBA"), id="PIL RGBA"),
    pytest.param(lambda a: a, id="array of bytes"),
    pytest.param(lambda a: a / 255, id="array of float64"),
    pytest.param(lambda a: (a / 255).astype(np.float32), id="array of float32"),
    pytest.param(as_tensor, id="tensor of bytes"),
    pytest.param(lambda a: as_tensor(a) / 255, id="tensor of float32"),
    pytest.param(lambda a: as_tensor(a).half() / 255, id="tensor of float16"),
    pytest.param(lambda a: transforms.ToTensor()(Image.fromarray(a)), id="ToTensor"),
]


@pytest.mark.parametrize("form", SAME)
def test_all_forms_of_an_image_are_the_same_bytes(form: Callable[[np.ndarray], Any]) -> None:
    images = from_dataset(Pictures(form))
    assert images.pixels.dtype == torch.uint8
    assert np.array_equal(images.pixels.permute(0, 2, 3, 1).numpy(), PIXELS)
    assert images.labels.tolist() == LABELS
    assert images.class_names == tuple(NAMES)
    assert not images.numbered
    origin = images.provenance
    assert (origin.dataset, origin.official, origin.form) == ("Pictures", False, "")


@pytest.mark.parametrize(
    "form",
    [
        lambda a: a[:, :, 0],
        lambda a: a[:, :, :1],
        lambda a: torch.from_numpy(a[:, :, 0]),
        lambda a: as_tensor(a)[:1] / 255,
        lambda a: Image.fromarray(a[:, :, 0]),
        lambda a: Image.fromarray(a[:, :, 0]).convert("LA"),
    ],
)
def test_grey_stays_grey(form: Callable[[np.ndarray], Any]) -> None:
    images = from_dataset(Pictures(form))
    assert np.array_equal(images.pixels[:, 0].numpy(), PIXELS[..., 0])
    assert images.channels == 1


def test_a_folder_by_torchvision_is_the_folder(make_folder: Callable[..., Path]) -> None:
    folder = make_folder(classes=3, images=4)
    theirs = from_dataset(ImageFolder(folder), name="own", channels=1)
    ours = tasks.read_folder(folder)
    assert theirs.sha256() == ours.sha256()
    assert theirs.provenance.form == "made grey"
    for hold_out in ("classes", "images"):
        a = tasks.split(theirs, hold_out=hold_out, validation=None)
        b = tasks.split(folder, hold_out=hold_out, validation=None)
        assert [p.sha256() for p in a.parts().values()] == [p.sha256() for p in b.parts().values()]


def test_size_and_channels_are_those_of_any_other_data(tmp_path: Path) -> None:
    asked = from_dataset(Pictures(), size=4, channels=1)
    pack = tasks.write_pack(tmp_path / "own.npz", from_dataset(Pictures()))
    later = tasks.split(pack, size=4, channels=1, hold_out="images")
    assert asked.provenance.form == "resized from 6x5 to 4x4, made grey"
    divided = tasks.split(asked, hold_out="images")
    for mine, theirs in zip(divided.parts().values(), later.parts().values(), strict=True):
        assert torch.equal(mine.pixels, theirs.pixels)


def test_a_subset_keeps_names_and_drops_classes_without_images() -> None:
    subset = Subset(Pictures(), [n for n in range(24) if LABELS[n] in (1, 3)])
    images = from_dataset(subset)
    assert images.class_names == ("bee", "dog")
    assert images.labels.tolist() == [0, 1] * 6
    assert images.provenance.dataset == "Pictures"
    one, other = torch.utils.data.random_split(
        Pictures(), [12, 12], generator=torch.Generator().manual_seed(0)
    )
    both = from_dataset(ConcatDataset([one, other]))
    assert both.class_names == tuple(NAMES)
    assert len(both) == 24


def test_tensors_have_numbers_for_classes() -> None:
    tensors = TensorDataset(torch.from_numpy(PIXELS).permute(0, 3, 1, 2), torch.tensor(LABELS) + 2)
    images = from_dataset(tensors)
    assert images.class_names == ("2", "3", "4", "5")
    assert images.numbered
    named = from_dataset(tensors, class_names=["x", "y", *NAMES], name="mine")
    assert named.class_names == tuple(NAMES)
    assert named.provenance.dataset == "mine"
    assert not named.numbered


def test_parts_are_used_as_they_are() -> None:
    halves = {
        "train": Subset(Pictures(), list(range(16))),
        "test": Subset(Pictures(), list(range(16, 24))),
    }
    images = from_dataset(halves)
    assert images.class_names[0] == "train/ant"
    split = tasks.split(images, validation=0)
    assert split.held_out == "images"
    assert split.train.class_names == split.test.class_names == tuple(NAMES)
    assert np.array_equal(split.test.pixels.permute(0, 2, 3, 1).numpy()[0], PIXELS[16])
    with pytest.raises(UsageError, match="`dataset` must be one of train, validation, test"):
        from_dataset({"tests": halves["test"]})
    with pytest.raises(UsageError, match="must hold parts called train"):
        from_dataset({})


def test_episodes_transfer_and_training_take_it() -> None:
    images = from_dataset(Pictures())
    batch = tasks.episodes(images, ways=2, shots=1, queries=1, hold_out="images").sample(3)
    assert batch.support.shape == (3, 2, 3, 6, 5)
    pair = tasks.pair(images, images)
    assert pair.target.train.pixels.shape[1:] == (3, 6, 5)


BAD: list[Any] = [
    pytest.param(
        Pictures(labels=["cat"] * 24), "must have a whole number for its label; got 'cat'"
    ),
    pytest.param(Pictures(labels=[0.5] * 24), "must have a whole number for its label; got 0.5"),
    pytest.param(Pictures(labels=[True] * 24), "must have a whole number for its label; got True"),
    pytest.param(Pictures(labels=[torch.zeros(4)] * 24), "must have a whole number for its label"),
    pytest.param(Pictures(labels=[4] * 24), r"item 0 .* label in 0..3 \(4 classes\); got 4"),
    pytest.param(Pictures(labels=[-1] * 24, classes=None), "must have a label at least 0; got -1"),
    pytest.param(Pictures(labels=[]), "must hold at least one image; got none"),
    pytest.param(
        Pictures(lambda a: "a text"), "must hold a PIL image, a tensor or an array; got a str"
    ),
    pytest.param(Pictures(lambda a: a.astype(np.int64)), r"must be uint8 \(0..255\) .* got int64"),
    pytest.param(Pictures(lambda a: a / 100), r"must have pixels in \[0, 1\].*leave Normalize out"),
    pytest.param(Pictures(lambda a: a * np.nan), r"must have pixels in \[0, 1\].*got nan"),
    pytest.param(
        Pictures(lambda a: a[None]), r"must be \[height, width\] or .* got \[1, 6, 5, 3\]"
    ),
    pytest.param(Pictures(lambda a: a[:, :, :2]), r"\[height, width, 1 or 3\]; got \[6, 5, 2\]"),
    pytest.param(Pictures(lambda a: torch.from_numpy(a)), r"\[1 or 3, height, width\]; got \[6, 5"),
    pytest.param(Pictures(lambda a: a[:0]), r"got \[0, 5, 3\]"),
    pytest.param(
        Pictures(lambda a: Image.fromarray(a[..., 0].astype(np.uint16))), "8 bits .*; got mode I;16"
    ),
    pytest.param(Pictures(lambda a: a[: 5 + a[0, 0, 0] % 2]), r"must have one size.*item 0 is"),
    pytest.param(Pictures(lambda a: 1 / 0), r"item 0 .* cannot be read \(division by zero\)"),
    pytest.param(Pictures(classes=["a", "a", "b", "c"]), "must be unique; got 'a' twice"),
    pytest.param([PIXELS[0]], r"item 0 .* must be a pair \(image, label\); got a ndarray"),
    pytest.param([(PIXELS[0], 0, 1)], r"must be a pair \(image, label\); got a tuple of 3"),
    pytest.param([{"image": PIXELS[0], "label": 1}], "must be a pair .*; got a dict"),
    pytest.param(ConcatDataset([Pictures(), Pictures(classes=NAMES[::-1])]), "the same classes"),
    pytest.param(3, "must be map-style.*; got int"),
]


@pytest.mark.parametrize(("dataset", "message"), BAD)
def test_what_is_no_such_dataset_is_refused(dataset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        from_dataset(dataset)
    assert "\n" not in str(caught.value)


def test_a_stream_is_refused() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield PIXELS[0], 0

    with pytest.raises(DataError, match=r"must be map-style.*; got Stream"):
        from_dataset(Stream())  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize(
    "form",
    [
        transforms.Compose([Image.fromarray, transforms.RandomHorizontalFlip(0.5)]),
        lambda a: a + 0 * random.randrange(2),  # draws, and changes nothing
        lambda a: np.roll(a, np.random.randint(5), 1),  # noqa: NPY002  # the global stream
        lambda a: OWN.permuted(a, axis=1),
    ],
)
def test_random_transforms_are_refused_and_no_stream_is_touched(
    form: Callable[[np.ndarray], Any],
) -> None:
    with pytest.raises(DataError, match="it draws random numbers: take augmentation out"):
        from_dataset(Pictures(form))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (
            Pictures(),
            Pictures(classes=["x", *NAMES[1:]]),
            r"test of Pictures must have classes of train alone .* 'x' is in test alone",
        ),
        (
            Pictures(),
            Pictures(lambda a: a[:4]),
            "must have one size.*train item 0 is 6x5, test item",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(train: Any, test: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tasks.split(from_dataset({"train": train, "test": test}))


def test_a_grey_part_gets_the_colour_of_the_other() -> None:
    """Byte for byte they would share nothing."""
    parts = {
        "train": Subset(Pictures(lambda a: a[..., 0]), list(range(12))),
        "test": Subset(Pictures(), list(range(12, 24))),
    }
    images = from_dataset(parts)
    assert images.provenance.form == "made RGB where grey"
    assert tasks.split(images, validation=0).train.channels == 3
