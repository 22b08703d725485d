"""Small sets of images in which every image says who it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image

from metaact.tasks import Images, Provenance

MakeImages = Callable[..., Images]


@pytest.fixture
def make_images() -> MakeImages:
    """Images whose first two pixels hold their own number, so that no two are alike."""

    def make(
        sizes: Sequence[int],
        *,
        first: int = 0,
        names: Sequence[str] | None = None,
        groups: Sequence[str] = (),
        split: str = "train",
        side: int = 4,
        channels: int = 1,
    ) -> Images:
        labels = torch.tensor([c for c, size in enumerate(sizes) for _ in range(size)])
        numbers = torch.arange(first, first + len(labels))
        pixels = torch.zeros(len(labels), channels, side, side, dtype=torch.uint8)
        pixels[:, :, 0, 0] = (numbers // 256)[:, None].to(torch.uint8)
        pixels[:, :, 0, 1] = (numbers % 256)[:, None].to(torch.uint8)
        return Images(
            pixels=pixels,
            labels=labels,
            class_names=tuple(names or [f"class{c}" for c in range(len(sizes))]),
            class_groups=tuple(groups),
            provenance=Provenance(dataset="toy", split=split, official=True),
        )

    return make


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """A folder of class folders of PNGs, all of different grey."""

    def make(classes: int = 10, images: int = 6, *, side: int = 9, name: str = "own") -> Path:
        for c in range(classes):
            folder = tmp_path / name / f"class{c:02d}"
            folder.mkdir(parents=True)
            for i in range(images):
                grey = Image.new("L", (side, side), c * images + i)
                grey.save(folder / f"{i}.png")
        return tmp_path / name

    return make
