from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaact import tasks
from metaact.errors import DataError, UsageError
from metaact.tasks import Images, Split, read_pack, shared_images, write_pack
from metaact.tasks.splits.by_name import is_path
from metaact.tasks.splits.omniglot import with_rotations

MakeImages = Callable[..., Images]
MakeFolder = Callable[..., Path]


@pytest.fixture
def omniglot_root(make_images: MakeImages, tmp_path: Path) -> Path:
    """Forty-eight characters of eight alphabets in place of 1,623 of fifty."""
    for part, alphabets, first in (("background", "abcde", 0), ("evaluation", "xyz", 5000)):
        groups = [f"{part}/{a}" for a in alphabets for _ in range(6)]
        names = [f"{group}/character{i % 6}" for i, group in enumerate(groups)]
        images = make_images(
            [5] * len(groups), names=names, groups=groups, first=first, split=part, side=5
        )
        write_pack(tmp_path / f"omniglot-{part}.npz", images)
    return tmp_path


@pytest.fixture
def digits_root(make_images: MakeImages, tmp_path: Path) -> Path:
    names = [str(d) for d in range(10)]
    write_pack(tmp_path / "mnist-train.npz", make_images([40] * 10, names=names))
    test = make_images([10] * 10, names=names, first=1000, split="test")
    write_pack(tmp_path / "mnist-test.npz", test)
    return tmp_path


def same(a: Split, b: Split) -> bool:
    return {n: i.sha256() for n, i in a.parts().items()} == {
        n: i.sha256() for n, i in b.parts().items()
    }


def test_own_folder_holds_out_classes(make_folder: MakeFolder) -> None:
    split = tasks.split(make_folder(classes=10, images=6))
    assert split.held_out == "classes"
    assert {n: i.classes for n, i in split.parts().items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    assert split.train.provenance.split == "train"
    assert split.test.provenance.dataset == "own"


def test_own_folder_can_hold_out_images(make_folder: MakeFolder) -> None:
    split = tasks.split(make_folder(classes=3, images=10), hold_out="images")
    assert split.held_out == "images"
    assert {n: len(i) for n, i in split.parts().items()} == {
        "train": 18,
        "validation": 6,
        "test": 6,
    }
    assert all(i.classes == 3 for i in split.parts().values())


def test_validation_can_be_left_out_or_chosen(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=10, images=6)
    none = tasks.split(folder, validation=0)
    assert none.validation is None
    assert none.train.classes == 8
    chosen = tasks.split(folder, validation=5).validation
    assert chosen is not None
    assert chosen.classes == 5
    with pytest.raises(UsageError, match=r"`validation` must be an int in \[1, 7\].*got 8"):
        tasks.split(folder, validation=8)
    with pytest.raises(UsageError, match="`validation` must be an int >= 0; got -1"):
        tasks.split(folder, validation=-1)


def test_a_pack_splits_like_the_folder_it_was_made_from(
    make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder(classes=10, images=6)
    pack = write_pack(tmp_path / "own.npz", tasks.read_folder(folder))
    assert same(tasks.split(folder), tasks.split(pack))
    assert tasks.split(str(pack)).train.provenance.dataset == "own"


@pytest.mark.parametrize("hold_out", ["classes", "images"])
def test_copies_in_train_and_test_refuse_to_run(make_folder: MakeFolder, hold_out: str) -> None:
    folder = make_folder(classes=10, images=6)
    for classes in folder.iterdir():
        Image.new("L", (9, 9), 99).save(classes / "copy.png")
    with pytest.raises(DataError, match=r"share \d+ images, byte for byte .*take the copies out"):
        tasks.split(folder, hold_out=hold_out)


def test_too_few_classes_to_hold_out(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=6)
    with pytest.raises(DataError, match=r"at least 3 classes.*got 2.*`hold_out` 'images'"):
        tasks.split(folder)
    assert tasks.split(folder, validation=0).train.classes == 1
    assert tasks.split(folder, hold_out="images").train.classes == 2


def test_a_class_too_small_to_hold_out_images_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=3, images=2)
    with pytest.raises(
        DataError, match=r"every class of .*own must have at least 3 .*'class00' has 2"
    ):
        tasks.split(folder, hold_out="images")
    assert tasks.split(folder, hold_out="images", validation=0).validation is None


def test_omniglot_holds_out_evaluation_and_whole_alphabets(omniglot_root: Path) -> None:
    split = tasks.split("omniglot", root=omniglot_root)
    assert split.held_out == "classes"
    assert split.validation is not None
    assert set(split.test.class_groups) == {f"evaluation/{a}" for a in "xyz"}
    assert not set(split.train.class_groups) & set(split.validation.class_groups)
    assert split.train.classes + split.validation.classes == 30
    assert split.validation.classes % 6 == 0
    whole = tasks.split("omniglot", root=omniglot_root, validation=0)
    assert whole.train.classes == 30
    with pytest.raises(UsageError, match="`hold_out` must be 'classes' for omniglot"):
        tasks.split("omniglot", root=omniglot_root, hold_out="images")


def test_rotated_omniglot_keeps_rotations_of_a_character_together(omniglot_root: Path) -> None:
    split = tasks.split("omniglot-rotated", root=omniglot_root)
    bases = {
        name: {c.rpartition("@")[0] for c in images.class_names}
        for name, images in split.parts().items()
    }
    assert sum(len(b) for b in bases.values()) == len(set.union(*bases.values())) == 48
    assert all(i.classes == 4 * len(bases[n]) for n, i in split.parts().items())
    assert len(bases["test"]) == 48 - round(48 * 1200 / 1623)
    # Both published parts are mixed, as in Vinyals et al.
    assert {c.partition("/")[0] for c in bases["test"]} == {"background", "evaluation"}


def test_every_class_is_turned_by_its_own_angle(make_images: MakeImages) -> None:
    images = make_images([3, 2], side=5, channels=3)
    turned = with_rotations(images)
    assert len(turned) == 4 * len(images)
    for label, name in enumerate(turned.class_names):
        base, _, angle = name.rpartition("@")
        expected = images.pixels[images.labels == images.class_names.index(base)]
        for _ in range(int(angle) // 90):
            # Counter-clockwise by hand: rows of the new image are columns of the old, last first.
            expected = expected.transpose(2, 3).flip(2)
        assert torch.equal(turned.pixels[turned.labels == label], expected)
    assert len(set(turned.class_names)) == 8


def test_official_digits_hold_out_images(digits_root: Path) -> None:
    split = tasks.split("mnist", root=digits_root)
    assert split.held_out == "images"
    assert split.validation is not None
    assert len(split.validation) == 40
    assert len(split.train) == 360
    assert split.train.class_names == split.test.class_names
    assert split.test.provenance.split == "test"
    assert "40 images taken out of train to validate" in split.validation.provenance.note
    whole = tasks.split("mnist", root=digits_root, validation=0)
    assert whole.validation is None
    assert len(whole.train) == 400
    assert torch.bincount(split.validation.labels).tolist() == [4] * 10


def test_official_digits_can_hold_out_classes(digits_root: Path) -> None:
    split = tasks.split("mnist", root=digits_root, hold_out="classes")
    assert {n: i.classes for n, i in split.parts().items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    official = read_pack(digits_root / "mnist-test.npz")
    assert len(shared_images(split.test, official)[0]) == len(split.test) == 20


def test_duplicates_in_published_parts_leave_train_and_are_noted(digits_root: Path) -> None:
    test = read_pack(digits_root / "mnist-test.npz")
    train = read_pack(digits_root / "mnist-train.npz")
    train.pixels[5] = test.pixels[7]
    write_pack(digits_root / "mnist-train.npz", replace(train))
    split = tasks.split("mnist", root=digits_root, validation=0)
    assert len(split.train) == 399
    assert split.train.provenance.note == "1 image left out that test holds too"
    assert len(split.test) == 100


def test_unknown_names_get_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"got 'omniglto'\. Did you mean 'omniglot'\?"):
        tasks.split("omniglto", root=tmp_path)
    with pytest.raises(UsageError, match="`hold_out` must be one of classes, images"):
        tasks.split("mnist", root=tmp_path, hold_out="class")
    with pytest.raises(UsageError, match=r"`size` must be an int in \[1, 1024\]; got 0"):
        tasks.split("mnist", root=tmp_path, size=0)
    with pytest.raises(UsageError, match=r"`channels` must be 1 \(grey\) or 3 \(RGB\); got 2"):
        tasks.split("mnist", root=tmp_path, channels=2)


def test_paths_that_are_nothing_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", f"{tmp_path}/none.npz", "./none"):
        with pytest.raises(DataError, match="does not exist"):
            tasks.split(path)
    text = tmp_path / "words.txt"
    text.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"must be a folder of class folders or an `\.npz` pack"):
        tasks.split(text)


def test_what_counts_as_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "birds").mkdir()
    assert is_path("./mnist")
    assert is_path(Path("mnist"))
    assert is_path("x.npz")
    assert is_path("birds")
    assert not is_path("mnist")
    assert not is_path("fish")


@pytest.mark.data
def test_the_splits_of_real_data_are_fixed(data_root: Path) -> None:
    sizes = {
        name: [i.classes for i in tasks.split(name, root=data_root).parts().values()]
        for name in ("omniglot", "omniglot-rotated")
    }
    assert sizes == {"omniglot": [803, 161, 659], "omniglot-rotated": [4400, 400, 1692]}
    mnist = tasks.split("mnist", root=data_root)
    assert [len(i) for i in mnist.parts().values()] == [55_000, 5_000, 10_000]
    assert mnist.validation is not None
    assert mnist.validation.sha256().startswith("da8d95d4b35d75ad")
    validation = tasks.split("omniglot", root=data_root).validation
    assert validation is not None
    assert sorted(set(validation.class_groups)) == [
        "images_background/Cyrillic",
        "images_background/Grantha",
        "images_background/Japanese_(hiragana)",
        "images_background/N_Ko",
    ]


@pytest.mark.data
@pytest.mark.parametrize("name", ["mnist", "omniglot", "svhn", "cifar10"])
def test_published_parts_share_no_image(data_root: Path, name: str) -> None:
    split = tasks.split(name, root=data_root)
    assert "left out" not in split.train.provenance.note


def test_what_is_wrong_with_a_file_names_it_once(tmp_path: Path) -> None:
    images, labels = np.zeros((8, 4, 4), dtype=np.uint8), np.arange(8) // 4
    images[:] = np.arange(8)[:, None, None]
    np.savez(tmp_path / "one.npz", images=images, labels=labels)
    with pytest.raises(DataError) as raised:
        tasks.split(tmp_path / "one.npz", hold_out="classes")
    assert str(raised.value).startswith(f"{tmp_path / 'one.npz'} must have at least 3 classes")
