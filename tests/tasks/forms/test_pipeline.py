from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from metaact.errors import UsageError
from metaact.tasks import Images, Provenance
from metaact.tasks.forms.pipeline import Pipeline
from metaact.tasks.forms.steps import (
    CentreCrop,
    Invert,
    Pad,
    RelabelDigitTen,
    Resize,
    Step,
    ToChannels,
)

NONE = torch.zeros(3, dtype=torch.int64)


def noise(channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (3, channels, height, width)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def images(names: tuple[str, ...], *, channels: int = 1, size: int = 28) -> Images:
    return Images(
        pixels=torch.zeros(2 * len(names), channels, size, size, dtype=torch.uint8),
        labels=torch.arange(len(names)).repeat(2),
        class_names=names,
        provenance=Provenance(dataset="made", split="all", official=False),
    )


def test_grey_is_repeated() -> None:
    pixels, _ = ToChannels(3)(noise(1, 5, 4), NONE)
    assert pixels.shape == (3, 3, 5, 4)
    assert all(torch.equal(pixels[:, c : c + 1], noise(1, 5, 4)) for c in range(3))


def test_colour_becomes_the_grey_that_pillow_makes() -> None:
    colour = noise(3, 16, 16)
    grey, _ = ToChannels(1)(colour, NONE)
    theirs = [np.asarray(Image.fromarray(c.permute(1, 2, 0).numpy()).convert("L")) for c in colour]
    assert np.array_equal(grey[:, 0].numpy(), np.stack(theirs))


def test_the_crop_is_the_middle() -> None:
    pixels = noise(1, 32, 32)
    assert torch.equal(CentreCrop(28)(pixels, NONE)[0], pixels[:, :, 2:30, 2:30])


def test_a_crop_undoes_a_pad() -> None:
    pixels = noise(3, 16, 16)
    padded, _ = Pad(29, 7)(pixels, NONE)
    assert padded.shape == (3, 3, 29, 29)
    assert torch.equal(CentreCrop(16)(padded, NONE)[0], pixels)
    assert torch.equal(padded.int().sum(), pixels.int().sum() + 7 * 3 * 3 * (29**2 - 16**2))


@pytest.mark.parametrize(("before", "after"), [(64, 28), (16, 28), (32, 28)])
def test_resizing_is_what_pillow_does(before: int, after: int) -> None:
    pixels = noise(1, before, before)
    ours, _ = Resize(after)(pixels, NONE)
    for mine, theirs in zip(ours[:, 0], pixels[:, 0], strict=True):
        small = Image.fromarray(theirs.numpy()).resize((after, after), Image.Resampling.BILINEAR)
        assert np.abs(mine.numpy().astype(int) - np.asarray(small).astype(int)).max() <= 1


def test_inverting_twice_is_nothing() -> None:
    pixels = noise(1, 4, 4)
    assert torch.equal(Invert()(Invert()(pixels, NONE)[0], NONE)[0], pixels)
    assert int(Invert()(torch.zeros_like(pixels), NONE)[0].min()) == 255


def test_label_ten_is_the_digit_nought() -> None:
    _, labels = RelabelDigitTen()(noise(1, 4, 4), torch.tensor([10, 1, 9]))
    assert labels.tolist() == [0, 1, 9]


def test_classes_one_to_ten_become_the_digits_in_order() -> None:
    pipeline = Pipeline(domain="svhn", shape=(1, 28, 28), steps=(RelabelDigitTen(),))
    raw = images(tuple(str(n) for n in range(1, 11)))
    made = pipeline.apply(raw)
    assert made.class_names == tuple("0123456789")
    assert made.labels[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def test_classes_without_images_keep_their_digits() -> None:
    pipeline = Pipeline(domain="svhn", shape=(1, 28, 28), steps=(RelabelDigitTen(),))
    raw = images(tuple(str(n) for n in range(1, 11)))
    some = replace(raw, pixels=raw.pixels[[9, 0]], labels=raw.labels[[9, 0]])
    made = pipeline.apply(some)
    assert made.class_names == tuple("0123456789")
    assert made.labels.tolist() == [0, 1]


def test_other_class_names_and_groups_stay() -> None:
    pipeline = Pipeline(domain="made", shape=(1, 28, 28), steps=(Invert(),))
    assert pipeline.apply(images(("cat", "dog"))).class_names == ("cat", "dog")
    assert pipeline.apply(images(("7", "1"))).class_names == ("7", "1")


def test_it_prints_one_line_a_step() -> None:
    pipeline = Pipeline(domain="own", shape=(3, 64, 64), steps=(Resize(28), ToChannels(1)))
    assert str(pipeline).splitlines() == [
        "own: 3x64x64 -> 1x28x28",
        "  Resize(size=28)          3x64x64 -> 3x28x28",
        "  ToChannels(channels=1)   3x28x28 -> 1x28x28",
    ]
    assert "no step" in str(Pipeline(domain="own", shape=(1, 28, 28)))


def test_a_change_gives_another_pipeline() -> None:
    first = Pipeline(domain="own", shape=(1, 32, 32), steps=(CentreCrop(28), Invert()))
    changed = first.replace(CentreCrop(28), Resize(20), Pad(28)).replace(Invert())
    assert first.steps == (CentreCrop(28), Invert())
    assert changed.then(ToChannels(3)).steps == (Resize(20), Pad(28), ToChannels(3))


def test_a_step_that_is_not_there_cannot_be_replaced() -> None:
    pipeline = Pipeline(domain="own", shape=(1, 32, 32), steps=(CentreCrop(28),))
    with pytest.raises(UsageError, match=r"CentreCrop\(size=28\)\); got Resize\(size=28\)"):
        pipeline.replace(Resize(28))


@pytest.mark.parametrize(
    ("step", "shape", "message"),
    [
        (CentreCrop(28), (1, 16, 16), r"at least 28x28 pixels; got 16x16"),
        (Pad(28), (1, 32, 32), r"at most 28x28 pixels; got 32x32"),
        (ToChannels(1), (2, 28, 28), r"1 or 3 channels; got 2"),
    ],
)
def test_a_step_that_does_not_fit_says_so(
    step: Step, shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        step(noise(*shape), NONE)


def test_images_of_another_shape_are_refused() -> None:
    pipeline = Pipeline(domain="svhn", shape=(3, 32, 32))
    with pytest.raises(UsageError, match="for svhn takes images of 3x32x32; got 1x28x28"):
        pipeline.apply(images(("a", "b")))


def test_an_own_step_that_leaves_the_bytes_is_named() -> None:
    class Halve:
        def __repr__(self) -> str:
            return "Halve()"

        def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            return pixels / 2, labels

    pipeline = Pipeline(domain="own", shape=(1, 28, 28), steps=(Halve(),))
    with pytest.raises(UsageError, match=r"step Halve\(\) must return uint8 .* torch.float32"):
        pipeline.apply(images(("a", "b")))


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_only_one_or_three_channels_can_be_asked_for(channels: int) -> None:
    with pytest.raises(UsageError, match="`channels` must be 1"):
        ToChannels(channels)
