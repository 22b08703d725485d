"""Maps before and after an activation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .cam import logits_of
from .layers import FIRST_STAGE, as_evaluated, find_layer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureMaps:
    """What an activation of one network takes and gives.

    Attributes:
        layer: Path of the activation.
        before: Its input, float [images, channels, height, width].
        after: Its output; Maxout has fewer channels there.
        predictions: The class that the network answers, int64 [images].
    """

    layer: str
    before: Tensor
    after: Tensor
    predictions: Tensor

    @property
    def dead(self) -> Tensor:
        """Whether a channel's output is 0 in an image, bool [images, channels]."""
        return (self.after == 0).all(dim=3).all(dim=2)


def feature_maps(model: nn.Module, images: Tensor, *, layer: str = FIRST_STAGE) -> FeatureMaps:
    """The maps before and after an activation.

    Args:
        model: Any network of logits [images, classes]. It is used in eval mode.
        images: Float [images, channels, height, width], as it takes them (normalised).
        layer: Path of an activation, or "first-stage".

    Raises:
        UsageError: If there is no such activation.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
        >>> found = feature_maps(network, torch.rand(4, 1, 5, 5))
        >>> bool((found.after == found.before.relu()).all())
        True
    """
    chosen = find_layer(model, images, layer, activation=True)
    seen: list[tuple[Tensor, Tensor]] = []
    before: list[Tensor] = []
    # An activation may work in place: what it takes is kept before it is called.
    hooks = [
        chosen.module.register_forward_pre_hook(lambda *call: before.append(call[1][0].clone())),
        chosen.module.register_forward_hook(
            lambda *call: seen.append((before.pop(), call[2].clone()))
        ),
    ]
    try:
        with as_evaluated(model):
            logits = logits_of(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    taken, given = (torch.cat(side) for side in zip(*seen, strict=True))
    return FeatureMaps(
        layer=chosen.name, before=taken, after=given, predictions=logits.argmax(dim=1)
    )
