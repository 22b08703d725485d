from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from metaact.errors import DataError, UsageError
from metaact.tasks import Images, Split, shared_images
from metaact.tasks.splits.split import without_shared

MakeImages = Callable[..., Images]


def make_split(
    train: Images, test: Images, held_out: str, validation: Images | None = None
) -> Split:
    return Split(
        dataset="toy",
        train=train,
        validation=validation,
        test=test,
        held_out=held_out,  # type: ignore[arg-type]
    )


def test_a_shared_class_refuses_to_run(make_images: MakeImages) -> None:
    train = make_images([3, 3], names=["a", "b"])
    test = make_images([3, 3], names=["b", "c"], first=100)
    with pytest.raises(DataError, match=r"train and test of toy share 1 class .*'b'"):
        make_split(train, test, "classes")


def test_classes_of_one_name_in_different_alphabets_are_different(make_images: MakeImages) -> None:
    train = make_images([3, 3], names=["1", "2"], groups=["latin", "latin"])
    test = make_images([3, 3], names=["1", "2"], groups=["greek", "greek"], first=100)
    assert make_split(train, test, "classes").held_out == "classes"


@pytest.mark.parametrize("held_out", ["classes", "images"])
def test_a_shared_image_refuses_to_run(make_images: MakeImages, held_out: str) -> None:
    names = ["a", "b"] if held_out == "images" else ["c", "d"]
    train = make_images([3, 3], names=["a", "b"])
    test = make_images([3, 3], names=names, first=100)
    test.pixels[4] = train.pixels[2]
    message = (
        rf"share 1 image,.*image 3 of class 'a' in train, image 2 of class '{names[1]}' in test"
    )
    with pytest.raises(DataError, match=message):
        make_split(train, test, held_out)


def test_validation_is_checked_too(make_images: MakeImages) -> None:
    train, test = make_images([3, 3]), make_images([3, 3], first=100)
    with pytest.raises(DataError, match="validation and test of toy share 6 images"):
        make_split(train, test, "images", validation=test)


def test_held_out_images_need_the_same_classes(make_images: MakeImages) -> None:
    train = make_images([3, 3], names=["a", "b"])
    test = make_images([3, 3], names=["a", "c"], first=100)
    with pytest.raises(DataError, match=r"must have the same classes.*differ in 'b'"):
        make_split(train, test, "images")


def test_parts_must_have_one_size(make_images: MakeImages) -> None:
    with pytest.raises(DataError, match="images of one size"):
        make_split(make_images([3, 3]), make_images([3, 3], side=5), "images")


def test_parts_by_name_and_provenance_as_json(make_images: MakeImages) -> None:
    train, test = make_images([3, 3]), make_images([4, 4], first=100, split="test")
    split = make_split(train, test, "images")
    assert split.part("test") is test
    with pytest.raises(UsageError, match="`split` must be one of train, test; got 'validation'"):
        split.part("validation")
    record = json.loads(json.dumps(split.provenance()))
    assert record["held_out"] == "images"
    assert record["official"] is True
    assert record["test"] == {
        "dataset": "toy",
        "split": "test",
        "official": True,
        "note": "",
        "form": "",
        "images": 8,
        "classes": 2,
        "sha256": test.sha256(),
    }
    altered = replace(test, provenance=replace(test.provenance, official=False))
    assert make_split(train, altered, "images").provenance()["official"] is False


@pytest.mark.parametrize(("side", "channels"), [(1, 1), (3, 1), (5, 3), (28, 1)])
def test_shared_images_agrees_with_comparing_all_pairs(side: int, channels: int) -> None:
    source = torch.Generator().manual_seed(side)
    shape = (60, channels, side, side)
    a = torch.randint(0, 3, shape, generator=source, dtype=torch.uint8)
    b = torch.randint(0, 3, shape, generator=source, dtype=torch.uint8)
    b[7], b[9], a[11] = a[3], a[3], a[3]
    b[20] = a[20]
    b[20, 0, -1, -1] += 1  # differs in the very last byte
    origin = _one_class(a), _one_class(b)
    in_a, in_b = shared_images(*origin)
    same = (a[:, None] == b[None]).flatten(2).all(dim=2)
    assert torch.equal(in_a, same.any(dim=1).nonzero().squeeze(1))
    assert torch.equal(in_b, same.any(dim=0).nonzero().squeeze(1))


def test_images_of_different_sizes_share_nothing(make_images: MakeImages) -> None:
    in_a, in_b = shared_images(make_images([2, 2]), make_images([2, 2], side=8))
    assert len(in_a) == len(in_b) == 0


def test_published_parts_lose_what_the_test_part_holds(make_images: MakeImages) -> None:
    train, test = make_images([5, 5]), make_images([3, 3], first=100, split="test")
    assert without_shared(train, test) is train
    train.pixels[1] = test.pixels[0]
    cleaned = without_shared(train, test)
    assert len(cleaned) == 9
    assert cleaned.provenance.note == "1 image left out that test holds too"
    make_split(cleaned, test, "images")


def _one_class(pixels: torch.Tensor) -> Images:
    from metaact.tasks import Provenance

    return Images(
        pixels=pixels,
        labels=torch.zeros(len(pixels), dtype=torch.int64),
        class_names=("only",),
        provenance=Provenance(dataset="noise", split="all", official=True),
    )
