"""Folders and packs that their owner has divided, and those where that is not clear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaact import tasks
from metaact.errors import DataError, UsageError

Tree = Mapping[str, int]
Grow = Callable[[Tree], Path]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """A folder with so many images, all different, in each place."""
    numbers: Iterator[int] = count()

    def make(tree: Tree) -> Path:
        for place, images in tree.items():
            folder = tmp_path / "own" / place
            folder.mkdir(parents=True)
            for _ in range(images):
                number = next(numbers)
                pixels = np.full((28, 28), number % 256, dtype=np.uint8)
                pixels[0, 0] = number // 256
                Image.fromarray(pixels).save(folder / f"{number:04d}.png")
        return tmp_path / "own"

    return make


def _tree(parts: Mapping[str, str], images: int = 4) -> Tree:
    return {f"{part}/{name}": images for part, names in parts.items() for name in names.split()}


@pytest.mark.parametrize("names", ["train val test", "Training VALID testing", "train dev Test"])
def test_parts_that_are_given_are_used_as_they_are(names: str, grow: Grow) -> None:
    train, chosen, test = names.split()
    folder = grow(_tree({train: "a b c", chosen: "a b c", test: "a b c"}))
    split = tasks.split(folder)
    assert split.held_out == "images"
    for part, name in (("train", train), ("validation", chosen), ("test", test)):
        images = split.part(part)
        assert images.class_names == ("a", "b", "c")
        assert images.class_groups == ()
        assert len(images) == 12
        assert {file.partition("/")[0] for file in images.files} == {name}
        assert images.provenance.split == part
        assert "parts as given" in images.provenance.note
    assert tasks.split(folder, validation=0).validation is None
    with pytest.raises(UsageError, match="`validation` must be left out, or 0"):
        tasks.split(folder, validation=3)
    with pytest.raises(DataError, match=r"must hold out classes .* new images of the same"):
        tasks.split(folder, hold_out="classes")


def test_a_missing_validation_part_is_taken_out_of_train(grow: Grow) -> None:
    folder = grow(_tree({"train": "a b c d e", "test": "v w"}))
    split = tasks.split(folder)
    assert split.held_out == "classes"
    assert split.test.class_names == ("v", "w")
    assert split.validation is not None
    assert {*split.train.class_names, *split.validation.class_names} == set("abcde")
    assert split.validation.classes == 1
    assert tasks.split(folder, validation=0).train.classes == 5
    with pytest.raises(DataError, match=r"must hold out images .* other classes than train"):
        tasks.split(folder, hold_out="images")


def test_groups_inside_of_parts_can_be_held_out(grow: Grow) -> None:
    folder = grow(_tree({"train": "greek/a greek/b latin/c latin/d", "test": "thai/e"}))
    split = tasks.split(folder, hold_out="groups")
    assert split.test.class_groups == ("thai",)
    assert split.validation is not None
    assert not set(split.train.class_groups) & set(split.validation.class_groups)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (_tree({"train": "a b", "val": "a b"}), "no test"),
        (_tree({"val": "a b", "test": "a b"}), "no train"),
        (_tree({"train": "a b", "test": "a b", "more": "a b"}), "'more' beside them"),
        (_tree({"train": "a b", "test": "a b", "Testing": "a b"}), "two of one kind"),
        (_tree({"train": "a b", "test": "a b c"}), "2 are in both, and 'c' is in test alone"),
        ({"train": 3, "test": 3}, "class folders in each of its parts"),
        (_tree({"fold1": "a b", "fold2": "b c", "fold3": "d e"}), "'b' in 'fold1' and in 'fold2'"),
        ({"a": 3, "b": 3, "train/a": 3}, "at one depth"),
    ],
)
def test_what_is_not_clear_is_refused(tree: Tree, words: str, grow: Grow) -> None:
    folder = grow(tree)
    for hold_out in (None, "classes", "images"):
        with pytest.raises(DataError, match=re.escape(words)) as caught:
            tasks.split(folder, hold_out=hold_out)
        assert "\n" not in str(caught.value)


def test_whole_groups_are_held_out_and_may_have_classes_of_one_name(grow: Grow) -> None:
    """As in Omniglot's own folders, where each alphabet has a character01."""
    groups = dict.fromkeys(("arab", "cyrl", "grek", "latn", "thai"), "one two three")
    split = tasks.split(grow(_tree(groups)), hold_out="groups")
    found = {part: set(images.class_groups) for part, images in split.parts().items()}
    assert sorted(len(groups) for groups in found.values()) == [1, 1, 3]
    assert len(set.union(*found.values())) == 5
    assert all(images.classes == 3 * len(found[part]) for part, images in split.parts().items())


def test_too_few_groups_and_named_sets(grow: Grow) -> None:
    with pytest.raises(DataError, match=r"at least 3 groups .* got 2"):
        tasks.split(grow(_tree({"x": "a b", "y": "c d"})), hold_out="groups")
    with pytest.raises(UsageError, match="`hold_out` must be one of classes, images"):
        tasks.split("glyphs", hold_out="groups")


def test_a_copy_is_named_by_its_files(grow: Grow) -> None:
    folder = grow(_tree({"train": "a b", "test": "a b"}))
    first = min((folder / "train" / "a").iterdir())
    (folder / "test" / "b" / "copy.png").write_bytes(first.read_bytes())
    words = rf"share 1 image, .*{re.escape(first.relative_to(folder).as_posix())} in (train|vali)"
    with pytest.raises(DataError, match=words + r".*test/b/copy\.png in test"):
        tasks.split(folder)


@pytest.mark.parametrize("names", [("train_images", "train_labels"), ("X_train", "Y_train")])
def test_packs_of_parts_are_read(names: tuple[str, str], tmp_path: Path) -> None:
    arrays = {}
    for number, part in enumerate(("train", "test")):
        images = np.arange(12, dtype=np.uint8)[:, None, None] + np.zeros((12, 4, 4), np.uint8)
        arrays[names[0].replace("train", part)] = images + np.uint8(100 * number)
        arrays[names[1].replace("train", part)] = np.arange(12)[:, None] % 3
    np.savez(tmp_path / "parts.npz", class_names=np.array(["x", "y", "z"]), **arrays)
    split = tasks.split(tmp_path / "parts.npz")
    assert split.held_out == "images"
    assert split.test.class_names == ("x", "y", "z")
    assert sorted(split.test.pixels[:, 0, 0, 0].tolist()) == list(range(100, 112))
    assert split.test.labels.tolist() == [0, 1, 2] * 4
    assert split.test.pixels[:, 0, 0, 0].tolist() == list(range(100, 112))


@pytest.mark.parametrize("names", [None, np.array(["x", "y", "z", "w"])])
def test_a_test_part_may_lack_classes_of_train(names: object, tmp_path: Path) -> None:
    """Labels agree by name or number; what is missing is told, and nothing else moves."""
    arrays = {
        "train_images": np.arange(40, dtype=np.uint8)[:, None, None] + np.zeros((40, 4, 4), "u1"),
        "train_labels": np.arange(40) % 4,
        "test_images": np.arange(100, 112, dtype=np.uint8)[:, None, None]
        + np.zeros((12, 4, 4), "u1"),
        "test_labels": np.repeat([3, 1], 6),
    }
    arrays |= {} if names is None else {"class_names": names}
    np.savez(tmp_path / "parts.npz", **arrays)
    split = tasks.split(tmp_path / "parts.npz")
    first, third = ("x", "z") if names is not None else ("0", "2")
    assert split.held_out == "images"
    assert split.test.class_names == split.train.class_names
    assert split.test.labels.tolist() == [3] * 6 + [1] * 6
    assert split.test.absent == (first, third)
    assert f"without images of 2 of 4 classes ({first}, {third})" in split.test.provenance.note
    assert split.train.absent == split.validation.absent == ()
    drawn = tasks.frozen(split.test, ways=2, shots=1, queries=1, episodes=20, seed=0)
    assert drawn.images.class_names == tuple(
        n for n in split.train.class_names if n not in (first, third)
    )
    with pytest.raises(UsageError, match="the split has 2 classes"):
        tasks.frozen(split.test, ways=3, shots=1, queries=1, episodes=1, seed=0)
    pair = tasks.pair(tmp_path / "parts.npz", tmp_path / "parts.npz")
    assert pair.target.test.labels.tolist() == split.test.labels.tolist()


def test_a_training_part_has_all_its_classes(grow: Grow) -> None:
    split = tasks.split(grow(_tree({"train": "a b", "test": "a b"})))
    gap = replace(split.train, class_names=("a", "b", "c"))
    with pytest.raises(DataError, match=r"train of own must have images of each .* none of 'c'"):
        replace(split, dataset="own", train=gap)


def test_another_pack_is_told_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", data=np.zeros(3), targets=np.zeros(3))
    with pytest.raises(DataError, match=r"no `images` and no `labels` .*it holds data, targets"):
        tasks.split(tmp_path / "odd.npz")


def test_a_head_kept_across_classes_without_names_is_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name in ("one", "other"):
        images = draw.integers(0, 256, (30, 28, 28), dtype=np.uint8)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=np.arange(30) % 3)
    pair = tasks.pair(tmp_path / "one.npz", tmp_path / "other.npz")
    assert pair.keeps_head
    assert any("one and other have no names but numbers" in note for note in pair.notes)
