from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from metaact.errors import DataError, UsageError
from metaact.tasks import Images
from metaact.tasks.splits.carving import carve_classes, carve_groups, carve_images, hashed_order

MakeImages = Callable[..., Images]


def test_the_order_is_fixed_for_all_time() -> None:
    # Sorted by sha256 of "20200623:<name>", computed with coreutils' sha256sum.
    assert hashed_order(["a", "b", "c", "d", "e"]) == [0, 4, 3, 1, 2]


def test_the_order_of_a_name_does_not_depend_on_the_others() -> None:
    names = [f"class{i}" for i in range(50)]
    order = [names[i] for i in hashed_order(names)]
    fewer = [name for name in names if name != "class7"]
    assert [fewer[i] for i in hashed_order(fewer)] == [n for n in order if n != "class7"]


def test_carving_classes_loses_and_repeats_none(make_images: MakeImages) -> None:
    images = make_images([2] * 10)
    rest, carved = carve_classes(images, 3)
    assert carved.classes == 3
    assert sorted(rest.class_names + carved.class_names) == sorted(images.class_names)


@pytest.mark.parametrize("count", [2, 3, 7, 20, 58])
def test_carving_images_takes_exactly_so_many_in_proportion(
    make_images: MakeImages, count: int
) -> None:
    images = make_images([40, 20])
    rest, carved = carve_images(images, count)
    assert len(carved) == count
    assert len(rest) == 60 - count
    assert rest.class_names == carved.class_names == images.class_names
    shares = torch.bincount(carved.labels)
    assert abs(int(shares[0]) - count * 2 / 3) <= 1
    numbers = [
        part.pixels[:, 0, 0, 0].int() * 256 + part.pixels[:, 0, 0, 1] for part in (rest, carved)
    ]
    assert sorted(torch.cat(numbers).tolist()) == list(range(60))


def test_carving_images_of_very_unequal_classes_leaves_each_one(make_images: MakeImages) -> None:
    images = make_images([2, 2, 2, 100])
    for count in (4, 50, 102):
        rest, carved = carve_images(images, count)
        assert len(carved) == count
        assert rest.classes == carved.classes == 4


def test_carved_images_do_not_come_from_one_end(make_images: MakeImages) -> None:
    _, carved = carve_images(make_images([200, 200]), 100)
    numbers = carved.pixels[:, 0, 0, 0].int() * 256 + carved.pixels[:, 0, 0, 1]
    assert 150 < float(numbers.double().mean()) < 250


@pytest.mark.parametrize("count", [1, 59, 60])
def test_carving_images_refuses_to_empty_a_class(make_images: MakeImages, count: int) -> None:
    with pytest.raises(UsageError, match=r"`validation` must be an int in \[2, 58\]"):
        carve_images(make_images([40, 20]), count)


def test_a_class_of_one_image_is_named(make_images: MakeImages) -> None:
    with pytest.raises(DataError, match="class 'class1' of toy must have at least 2 images"):
        carve_images(make_images([5, 1]), 2)


def test_groups_stay_whole(make_images: MakeImages) -> None:
    groups = [
        name for name, size in zip("abcdef", [3, 4, 5, 2, 6, 4], strict=True) for _ in range(size)
    ]
    images = make_images([1] * 24, groups=groups)
    rest, carved = carve_groups(images, 6)
    assert 6 <= carved.classes <= 9
    assert not set(rest.class_groups) & set(carved.class_groups)
    assert rest.classes + carved.classes == 24


def test_groups_that_cannot_be_held_out_are_refused(make_images: MakeImages) -> None:
    with pytest.raises(DataError, match="cannot hold out 2 classes and leave one group"):
        carve_groups(make_images([1] * 3, groups=["a"] * 3), 2)
