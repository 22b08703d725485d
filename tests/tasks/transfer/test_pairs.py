from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from metaact.errors import UsageError
from metaact.tasks import Images, Provenance
from metaact.tasks.builtin import digits
from metaact.tasks.forms.steps import (
    CentreCrop,
    Invert,
    Pad,
    RelabelDigitTen,
    Resize,
    Step,
    ToChannels,
)
from metaact.tasks.transfer.pairs import TransferPair, match, pair

DIGITS = tuple("0123456789")
CLOTHES = (
    "shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "blouse",
    "shoe",
    "bag",
    "cap",
)


def images(
    dataset: str,
    shape: tuple[int, int, int] = (1, 28, 28),
    names: tuple[str, ...] = DIGITS,
    *,
    seed: int = 0,
    official: bool = True,
) -> Images:
    generator = torch.Generator().manual_seed(seed)
    return Images(
        pixels=torch.randint(256, (2 * len(names), *shape), generator=generator, dtype=torch.uint8),
        labels=torch.arange(len(names)).repeat(2),
        class_names=names,
        provenance=Provenance(dataset=dataset, split="train", official=official, note="a note"),
    )


@dataclass(frozen=True)
class FakeSplit:
    train: Images
    validation: Images | None
    test: Images


def split(dataset: str, shape: tuple[int, int, int] = (1, 28, 28), **more: object) -> FakeSplit:
    train, validation, test = (
        images(dataset, shape, seed=seed, **more)  # type: ignore[arg-type]
        for seed in range(3)
    )
    return FakeSplit(train, validation, test)


MNIST = images("MNIST")
SVHN = images("SVHN", (3, 32, 32))
GREY_SVHN = images("SVHN", (1, 32, 32))
USPS = images("USPS", (1, 16, 16))


@pytest.mark.parametrize(
    ("source", "target", "source_steps", "target_steps"),
    [
        pytest.param(MNIST, SVHN, (ToChannels(3),), (CentreCrop(28),), id="mnist-svhn"),
        pytest.param(SVHN, MNIST, (CentreCrop(28),), (ToChannels(3),), id="svhn-mnist"),
        pytest.param(MNIST, GREY_SVHN, (), (CentreCrop(28),), id="mnist-grey svhn"),
        pytest.param(MNIST, USPS, (), (Resize(20), Pad(28)), id="mnist-usps"),
        pytest.param(MNIST, images("KMNIST"), (), (), id="mnist-kmnist"),
        pytest.param(
            MNIST,
            images("own", (3, 64, 48)),
            (ToChannels(3),),
            (Resize(28),),
            id="mnist-own",
        ),
        pytest.param(
            MNIST,
            images("SVHN", (3, 32, 32), tuple(str(n) for n in range(1, 11))),
            (ToChannels(3),),
            (RelabelDigitTen(), CentreCrop(28)),
            id="mnist-svhn as published",
        ),
    ],
)
def test_the_steps_are_found(
    source: Images, target: Images, source_steps: tuple[Step, ...], target_steps: tuple[Step, ...]
) -> None:
    first, second = match(source, target)
    assert (first.steps, second.steps) == (source_steps, target_steps)
    assert first.shapes()[-1] == second.shapes()[-1]
    assert first.apply(source).class_names == second.apply(target).class_names == DIGITS


def test_another_size_and_number_of_channels_can_be_asked_for() -> None:
    first, second = match(MNIST, SVHN, size=32, channels=1)
    assert first.steps == (Resize(32),)
    assert second.steps == (ToChannels(1),)


@pytest.mark.parametrize(
    ("source", "target", "size"),
    [
        pytest.param((3, 32, 32), (3, 32, 32), (32, 32), id="kept"),
        pytest.param((1, 64, 48), (3, 64, 48), (64, 48), id="kept though not square"),
        pytest.param((3, 84, 84), (3, 64, 64), (64, 64), id="the smaller"),
        pytest.param((1, 16, 16), (1, 32, 32), (28, 28), id="not less than MNIST"),
    ],
)
def test_the_common_size(
    source: tuple[int, int, int], target: tuple[int, int, int], size: tuple[int, int]
) -> None:
    found = match(images("a", source), images("b", target))
    assert [p.shapes()[-1][1:] for p in found] == [size, size]


def test_classes_from_one_to_twelve_are_no_digits() -> None:
    own = images("own", names=tuple(str(n) for n in range(1, 13)))
    assert match(MNIST, own)[1].steps == ()


def test_common_classes_in_another_order_are_refused() -> None:
    turned = images("own", names=(*DIGITS[1:], "0"))
    with pytest.raises(UsageError, match="label 0 is '0' in the source and '1' in the target"):
        match(MNIST, turned)


def test_a_pair_holds_all_parts_in_one_form() -> None:
    source, target = split("MNIST"), split("SVHN", (3, 32, 32))
    made = pair(source, target)
    assert made.keeps_head
    assert made.same_classes
    assert made.notes == ()
    parts = [
        (made.source.train, source.train),
        (made.source.validation, source.validation),
        (made.source.test, source.test),
    ]
    for after, before in parts:
        assert after is not None
        assert before is not None
        assert torch.equal(after.pixels[:, 2:], before.pixels)
    assert torch.equal(made.target.test.pixels, target.test.pixels[:, :, 2:30, 2:30])
    assert torch.equal(made.target.test.labels, target.test.labels)


def test_a_missing_validation_part_stays_missing() -> None:
    made = pair(replace(split("MNIST"), validation=None), split("USPS", (1, 16, 16)))
    assert made.source.validation is None
    assert made.target.validation is not None


def test_other_classes_of_the_same_number_keep_the_head_and_say_so() -> None:
    made = pair(split("MNIST"), split("Fashion-MNIST", names=CLOTHES))
    assert made.keeps_head
    assert not made.same_classes
    assert "the classes differ" in made.notes[0]
    assert "kept because both have 10" in made.notes[0]
    assert not pair(split("MNIST"), split("own", names=CLOTHES), keep_head=False).keeps_head


def test_another_number_of_classes_replaces_the_head() -> None:
    made = pair(split("MNIST"), split("own", (3, 64, 64), names=("cat", "dog")))
    assert not made.keeps_head
    assert "new one for the target's 2 classes" in str(made)
    with pytest.raises(UsageError, match="source has 10 classes, the target 2"):
        pair(split("MNIST"), split("own", names=("cat", "dog")), keep_head=True)


def test_own_pipelines_are_used() -> None:
    source, target = split("MNIST"), split("SVHN", (3, 32, 32))
    found = match(source.train, target.train)
    mine = found[1].replace(CentreCrop(28), Resize(28)).then(Invert())
    made = pair(source, target, target_pipeline=mine)
    assert made.target_pipeline is mine
    assert torch.equal(made.target.test.pixels, mine.apply(target.test).pixels)


def test_pipelines_that_end_apart_are_refused() -> None:
    source, target = split("MNIST"), split("SVHN", (3, 32, 32))
    wrong = match(source.train, target.train)[1].then(ToChannels(1))
    with pytest.raises(UsageError, match=r"MNIST and SVHN .* got 3x28x28 and 1x28x28"):
        pair(source, target, target_pipeline=wrong)


def test_a_split_that_holds_out_classes_is_refused() -> None:
    cats = split("own", names=("cat", "dog"))
    wrong = replace(cats, test=images("own", names=("owl", "rat")))
    with pytest.raises(UsageError, match=r"parts of own must have the same classes.*hold_out="):
        pair(split("MNIST"), wrong)


def test_data_that_are_not_official_are_named_once_a_part() -> None:
    made = pair(split("MNIST"), split("SVHN", (1, 32, 32), official=False))
    assert made.notes == ("SVHN (train) is not official: a note",)


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferPair:
    monkeypatch.setattr(digits, "COUNTS", {"train": 600, "test": 200})
    return pair("printed-digits", "street-digits", root=tmp_path, validation=100)


def test_the_built_in_pair_needs_no_download(built_in: TransferPair) -> None:
    assert built_in.keeps_head
    assert built_in.same_classes
    assert built_in.source.train.pixels.shape == (500, 3, 28, 28)
    assert built_in.target.test.pixels.shape == (200, 3, 28, 28)


@pytest.mark.data
def test_mnist_and_grey_svhn_match(data_root: Path) -> None:
    made = pair("mnist", "svhn", root=data_root)
    back = pair("svhn", "mnist", root=data_root)
    assert made.source.test.size == made.target.test.size == (28, 28)
    assert made.source.test.channels == made.target.test.channels
    assert made.same_classes
    assert made.keeps_head
    assert made.target.test.sha256() == back.source.test.sha256()
    # House numbers begin with 1 most often: the labels still say which digit it is.
    assert torch.bincount(made.target.test.labels).argmax() == 1
