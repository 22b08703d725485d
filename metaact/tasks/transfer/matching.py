"""Which steps bring the images of two domains into one form."""

from __future__ import annotations

import torch

from metaact.errors import UsageError, check_int
from metaact.tasks._images import Images
from metaact.tasks.transfer.pipeline import Pipeline
from metaact.tasks.transfer.steps import CentreCrop, Pad, RelabelDigitTen, Resize, Step, ToChannels

# Up to this factor a picture is cropped and not shrunk: SVHN's 32 pixels become 28 by cropping
# in the authors' code.
_CROP_UP_TO = 32 / 28
# In MNIST a digit fills 20 of 28 pixels; in USPS it fills the picture.
_FILLS_PICTURE = ("usps",)
_DIGIT_SHARE = 20 / 28
_ONE_TO_TEN = {str(digit) for digit in range(1, 11)}


def match(
    source: Images, target: Images, *, size: int = 28, channels: int | None = None
) -> tuple[Pipeline, Pipeline]:
    """Find the steps that bring both domains into one form.

    - Channels: grey images are repeated to 3 channels if the other side has 3.
    - Size: images up to 32/28 of `size` are cropped at the centre (SVHN), USPS is shrunk to the
      share of the picture that a digit of MNIST fills and padded, others are padded to a square
      and resized.
    - Labels: where classes are called 1 to 10, as in SVHN's files, 10 becomes 0.

    Pixels stay bytes: scaling to [0, 1] is the device's work, and nothing is normalised.

    Args:
        source: Images of the source.
        target: Images of the target.
        size: Height and width that both get.
        channels: 1 or 3; None takes the larger of the two.

    Returns:
        The source's pipeline and the target's.

    Raises:
        UsageError: If both have the same classes in another order, or an argument is not allowed.

    Examples:
        >>> mnist_pipeline, svhn_pipeline = match(mnist, svhn)      # doctest: +SKIP
        >>> print(svhn_pipeline)                                    # doctest: +SKIP
        SVHN: 3x32x32 -> 3x28x28
          CentreCrop(size=28)      3x32x32 -> 3x28x28
    """
    check_int("size", size, minimum=1)
    wanted = max(source.channels, target.channels) if channels is None else channels
    pipelines = _pipeline(source, size, wanted), _pipeline(target, size, wanted)
    same_classes(_matched_classes(pipelines[0], source), _matched_classes(pipelines[1], target))
    return pipelines


def _pipeline(images: Images, size: int, channels: int) -> Pipeline:
    steps: list[Step] = []
    if set(images.class_names) == _ONE_TO_TEN:
        steps.append(RelabelDigitTen())
    steps += _size_steps(images, size)
    if images.channels != channels:
        steps.append(ToChannels(channels))
    height, width = images.size
    return Pipeline(
        domain=images.provenance.dataset,
        shape=(images.channels, height, width),
        steps=tuple(steps),
    )


def _size_steps(images: Images, size: int) -> tuple[Step, ...]:
    height, width = images.size
    if height == width == size:
        return ()
    if images.provenance.dataset.casefold() in _FILLS_PICTURE:
        return Resize(max(1, round(size * _DIGIT_SHARE))), Pad(size)
    if min(height, width) >= size and max(height, width) <= size * _CROP_UP_TO:
        return (CentreCrop(size),)
    if height != width:
        return Pad(max(height, width)), Resize(size)
    return (Resize(size),)


def _matched_classes(pipeline: Pipeline, images: Images) -> tuple[str, ...]:
    """Class names after the pipeline, tried on one image per class."""
    firsts = [int((images.labels == c).nonzero()[0]) for c in range(images.classes)]
    return pipeline.apply(images.take(torch.tensor(firsts))).class_names


def same_classes(source: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """Whether the class names agree in order; the same names in another order are refused."""
    if source == target:
        return True
    if set(source) == set(target):
        k = next(k for k, names in enumerate(zip(source, target, strict=True)) if len({*names}) > 1)
        raise UsageError(
            "source and target must have their common classes in the same order (label k of the "
            f"kept head would change its meaning); label {k} is {source[k]!r} in the source and "
            f"{target[k]!r} in the target."
        )
    return False
