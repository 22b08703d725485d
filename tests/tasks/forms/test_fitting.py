"""The one rule by which images are brought to a size and a number of channels."""

from __future__ import annotations

import pytest
import torch

from metaact.errors import DataError, UsageError
from metaact.tasks import Images, Provenance
from metaact.tasks.forms.fitting import fitted, fitting
from metaact.tasks.forms.steps import CentreCrop, Pad, Resize, Step, ToChannels


def images(shape: tuple[int, int, int], dataset: str = "own") -> Images:
    generator = torch.Generator().manual_seed(0)
    return Images(
        pixels=torch.randint(256, (4, *shape), generator=generator, dtype=torch.uint8),
        labels=torch.tensor([0, 0, 1, 1]),
        class_names=("a", "b"),
        provenance=Provenance(dataset=dataset, split="all", official=False),
    )


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        ((1, 28, 28), ()),
        ((3, 29, 32), (CentreCrop(28),)),
        ((3, 32, 33), (Resize(28),)),
        ((3, 27, 32), (Resize(28),)),
        ((1, 14, 14), (Resize(28),)),
        ((3, 400, 300), (Resize(28),)),
    ],
)
def test_the_steps_to_a_size(shape: tuple[int, int, int], steps: tuple[Step, ...]) -> None:
    found = fitting(images(shape), size=28)
    assert found.steps == steps
    assert found.shapes()[-1] == (shape[0], 28, 28)
    assert fitting(images(shape)).steps == ()


def test_usps_is_framed() -> None:
    assert fitting(images((1, 16, 16), "USPS"), size=28).steps == (Resize(20), Pad(28))


def test_what_was_done_is_in_the_provenance() -> None:
    once = fitted(images((3, 64, 48)), size=30, channels=1)
    assert once.pixels.shape == (4, 1, 30, 30)
    assert once.provenance.form == "resized from 64x48 to 30x30, made grey"
    twice = fitted(once, size=28, channels=3)
    assert twice.provenance.form.endswith("made grey, cropped from 30x30 to 28x28, made RGB")
    same = fitted(twice, size=28, channels=3)
    assert same is twice


def test_one_pixel_cannot_be_enlarged() -> None:
    with pytest.raises(DataError, match=r"own must be at least 2x2 pixels .*; got 1x1"):
        fitted(images((3, 1, 1)), size=28)
    assert fitted(images((3, 1, 1)), size=1, channels=1).size == (1, 1)


@pytest.mark.parametrize("size", [0, -1, 1025, 2.5, True])
def test_sizes_that_no_image_has(size: int) -> None:
    with pytest.raises(UsageError, match=r"`size` must be an int in \[1, 1024\]"):
        fitting(images((1, 8, 8)), size=size)


@pytest.mark.parametrize("channels", [0, 2, 4, True])
def test_channels_that_no_image_has(channels: int) -> None:
    with pytest.raises(UsageError, match=r"`channels` must be 1 \(grey\) or 3 \(RGB\)"):
        fitting(images((1, 8, 8)), channels=channels)
    assert fitting(images((1, 8, 8)), channels=3).steps == (ToChannels(3),)
