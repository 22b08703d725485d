"""Deletion and insertion: what a network still knows as the most important pixels go or come."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metaact.errors import UsageError
from metaact.randomness import derived_seed

from .cam import logits_of
from .layers import as_evaluated

STEPS = 16
"""Steps from the whole image to none: each changes a sixteenth of its pixels."""

BLUR = 1 / 8
"""Standard deviation of the blur that insertion starts from, as a share of the height."""


def deletion_curve(
    model: nn.Module, images: Tensor, maps: Tensor, classes: Tensor, *, steps: int = STEPS
) -> Tensor:
    """Probability of a class as the pixels that a map ranks first are taken out.

    A pixel that is taken out becomes 0: in normalised images, the mean of the data. The sooner the
    probability falls, the better the map knows what the network looks at: a small area is good.
    Pixels of one value are ranked at random, the same for all maps.

    Args:
        model: Any network of logits [images, classes]. It is used in eval mode. Where BatchNorm
            normalises images together, those at one step are.
        images: Float [images, channels, height, width], as it takes them (normalised).
        maps: Importance of each pixel [images, height, width].
        classes: The class of each image, int64 [images].
        steps: Steps from the whole image to none.

    Returns:
        Probabilities [images, steps + 1], from the whole image on.

    Raises:
        UsageError: If the maps do not fit the images.

    References:
        V. Petsiuk, A. Das and K. Saenko, "RISE: Randomized input sampling for explanation of
        black-box models", 2018, https://arxiv.org/abs/1806.07421, section 3.2.
    """
    return _curve(model, images, torch.zeros_like(images), maps, classes, steps)


def insertion_curve(
    model: nn.Module, images: Tensor, maps: Tensor, classes: Tensor, *, steps: int = STEPS
) -> Tensor:
    """Probability of a class as the pixels that a map ranks first come into a blurred image.

    A large area is good. See `deletion_curve`, also for the arguments.

    Returns:
        Probabilities [images, steps + 1], from the blurred image on.

    Raises:
        UsageError: If the maps do not fit the images.

    Deviation:
        The authors blur by 5 of 224 pixels, which leaves a small image as clear as it was: here the
        blur is an eighth of the height.
    """
    return _curve(model, blurred(images), images, maps, classes, steps)


def blurred(images: Tensor) -> Tensor:
    """The images under a Gaussian blur that leaves no detail."""
    from torchvision.transforms.v2.functional import gaussian_blur

    spread = BLUR * images.shape[2]
    reach = [min(round(2 * spread), side - 1) for side in images.shape[:1:-1]]  # width first
    blurry: Tensor = gaussian_blur(images, [2 * one + 1 for one in reach], [spread, spread])
    return blurry


def _curve(
    model: nn.Module, start: Tensor, end: Tensor, maps: Tensor, classes: Tensor, steps: int
) -> Tensor:
    if maps.shape != (len(start), *start.shape[2:]) or classes.shape != (len(start),):
        raise UsageError(
            f"`maps` must be [{', '.join(map(str, (len(start), *start.shape[2:])))}] and `classes` "
            f"[{len(start)}] (as the images are); got {list(maps.shape)} and {list(classes.shape)}."
        )
    rank = ranks(maps)
    pixels = rank.shape[1] * rank.shape[2]
    found = []
    with as_evaluated(model):
        for step in range(steps + 1):
            changed = (rank < round(step * pixels / steps))[:, None]
            probabilities = logits_of(model, torch.where(changed, end, start)).softmax(dim=1)
            found.append(probabilities.gather(1, classes[:, None])[:, 0])
    return torch.stack(found, dim=1)


def ranks(maps: Tensor) -> Tensor:
    """The place of each pixel by falling value, int64 [images, height, width] from 0.

    Examples:
        >>> ranks(torch.tensor([[[1.0, 3.0], [0.0, 2.0]]]))
        tensor([[[2, 0],
                 [3, 1]]])
    """
    flat = maps.flatten(1)
    generator = torch.Generator().manual_seed(derived_seed("ranks"))
    shuffled = torch.randperm(flat.shape[1], generator=generator).to(flat.device)
    order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(maps.shape)
