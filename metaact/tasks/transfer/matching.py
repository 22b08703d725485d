"""Which steps bring the images of two domains into one form."""

from __future__ import annotations

from dataclasses import replace

import torch

from metaact.errors import UsageError
from metaact.tasks._images import Images
from metaact.tasks.forms.fitting import fitting
from metaact.tasks.forms.pipeline import Pipeline
from metaact.tasks.forms.steps import RelabelDigitTen

_ONE_TO_TEN = {str(digit) for digit in range(1, 11)}

SMALLEST = 28
"""Height and width to which images of two sizes are brought at least: those of MNIST."""


def match(
    source: Images, target: Images, *, size: int | None = None, channels: int | None = None
) -> tuple[Pipeline, Pipeline]:
    """Find the steps that bring both domains into one form.

    - Size: one that both have stays. Else both get the smaller of the two, or 28x28 where that is
      less: images up to 32/28 of it are cropped at the centre (SVHN), USPS is shrunk to the share
      of the picture that a digit of MNIST fills and padded, others are resized whole.
    - Channels: grey images are repeated to 3 channels if the other side has 3.
    - Labels: where classes are called 1 to 10, as in SVHN's files, 10 becomes 0.

    Pixels stay bytes: scaling to [0, 1] is the device's work, and nothing is normalised.

    Args:
        source: Images of the source.
        target: Images of the target.
        size: Height and width that both get; None follows the rule above.
        channels: 1 or 3; None takes the larger of the two.

    Returns:
        The source's pipeline and the target's.

    Raises:
        UsageError: If both have the same classes in another order, or an argument is not allowed.
        DataError: If images of one pixel would have to be enlarged.

    Examples:
        >>> mnist_pipeline, svhn_pipeline = match(mnist, svhn)      # doctest: +SKIP
        >>> print(svhn_pipeline)                                    # doctest: +SKIP
        SVHN: 3x32x32 -> 3x28x28
          CentreCrop(size=28)      3x32x32 -> 3x28x28
    """
    if size is None and source.size != target.size:
        size = max(SMALLEST, min(*source.size, *target.size))
    wanted = max(source.channels, target.channels) if channels is None else channels
    first, second = (_pipeline(images, size, wanted) for images in (source, target))
    same_classes(_matched_classes(first, source), _matched_classes(second, target))
    return first, second


def _pipeline(images: Images, size: int | None, channels: int) -> Pipeline:
    pipeline = fitting(images, size=size, channels=channels)
    if set(images.class_names) != _ONE_TO_TEN:
        return pipeline
    return replace(pipeline, steps=(RelabelDigitTen(), *pipeline.steps))


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
