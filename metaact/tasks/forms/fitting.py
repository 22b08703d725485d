"""One rule for the form of images: which steps bring them to a size and a number of channels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from metaact.errors import DataError, UsageError, check_int
from metaact.tasks._images import Images
from metaact.tasks.forms.pipeline import Pipeline
from metaact.tasks.forms.steps import CentreCrop, Pad, Resize, Step, ToChannels

LARGEST = 1024
"""Height and width of images at most."""

# Up to this factor a picture is cropped and not shrunk: SVHN's 32 pixels become 28 by cropping
# in the authors' code.
_CROP_UP_TO = 32 / 28
# In MNIST a digit fills 20 of 28 pixels; in USPS it fills the picture.
_FILLS_PICTURE = ("usps",)
_DIGIT_SHARE = 20 / 28


def check_form(size: int | None, channels: int | None) -> None:
    """Refuse a size or a number of channels that no images have.

    Raises:
        UsageError: If `size` is neither None nor in 1..1024, or `channels` not None, 1 or 3.
    """
    if size is not None:
        check_int("size", size, minimum=1, maximum=LARGEST)
    if channels is not None and (isinstance(channels, bool) or channels not in (1, 3)):
        raise UsageError(f"`channels` must be 1 (grey) or 3 (RGB); got {channels!r}.")


def size_steps(dataset: str, shape: tuple[int, int], size: int) -> tuple[Step, ...]:
    """The steps that bring images to `size` x `size` pixels.

    - Images that are larger by 32/28 at most lose their border (as SVHN's in the paper's code).
    - USPS, whose digits fill the picture, is shrunk to the share of it that a digit of MNIST fills,
      and padded.
    - All others are resized whole, so that one that is not square is squeezed.

    Args:
        dataset: Name of the data set in its provenance.
        shape: Height and width of the images.
        size: Height and width afterwards.

    Raises:
        DataError: If the images are one pixel high or wide and would be enlarged.
    """
    height, width = shape
    if height == width == size:
        return ()
    if dataset.casefold() in _FILLS_PICTURE:
        return Resize(max(1, round(size * _DIGIT_SHARE))), Pad(size)
    if min(shape) >= size and max(shape) <= size * _CROP_UP_TO:
        return (CentreCrop(size),)
    if min(shape) == 1:
        raise DataError(
            f"images of {dataset} must be at least 2x2 pixels to be brought to {size}x{size} (one "
            f"pixel shows nothing); got {height}x{width}."
        )
    return (Resize(size),)


def fitting(images: Images, *, size: int | None = None, channels: int | None = None) -> Pipeline:
    """The steps that bring images to a size and a number of channels; none that is not needed.

    Args:
        images: The images.
        size: Height and width afterwards, by the rule of `size_steps`; None for theirs.
        channels: 1 (grey, by brightness) or 3 (grey repeated); None for theirs.

    Raises:
        UsageError: If an argument is not allowed.
        DataError: If the images have only one pixel to enlarge.
    """
    check_form(size, channels)
    dataset = images.provenance.dataset
    steps = () if size is None else size_steps(dataset, images.size, size)
    if channels not in (None, images.channels):
        assert channels is not None
        steps += (ToChannels(channels),)
    return Pipeline(domain=dataset, shape=(images.channels, *images.size), steps=steps)


def fitted(images: Images, *, size: int | None = None, channels: int | None = None) -> Images:
    """The images after the steps of `fitting`."""
    return fitting(images, size=size, channels=channels).apply(images)


def stepped(pixels: Tensor, steps: Iterable[Step]) -> Tensor:
    """uint8 [images, channels, height, width] after steps that leave the labels alone."""
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    for step in steps:
        pixels, _ = step(pixels, labels)
    return pixels
