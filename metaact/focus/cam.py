"""Grad-CAM: where in a layer's maps a network finds what speaks for a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaact.errors import MissingDependencyError, UsageError
from metaact.experiments.trained import normalises_together

from .layers import FIRST_STAGE, as_evaluated, find_layer

AT_A_TIME = 64
"""Images of one pass, where none of them depends on the others."""

DEAD = "every unit is dead: all features are 0"
NO_GRADIENT = "the gradient of the class is 0 in this layer"
ALL_AGAINST = "all contributions are against the class"
CANCELS = "the contributions of the channels cancel"
NOT_FINITE = "it is not finite"
ONE_POSITION = "the layer has one position"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CamMaps:
    """Grad-CAM of images at one layer of one network.

    Attributes:
        layer: Path of the layer.
        values: Float [images, height, width] of the layer: positive speaks for the class, negative
            against it.
        classes: The class explained, int64 [images].
        predictions: The class that the network answers, int64 [images].
        probabilities: What it gives the class explained, by softmax [images].
        signed: Whether features of the layer are negative in any image. Then a negative value may
            be a negative feature that speaks for the class by a negative weight elsewhere, and the
            map is read with its sign; else its positive part is the map, as it was published.
        blank: For each image why there is nothing to see; "" where there is.
    """

    layer: str
    values: Tensor
    classes: Tensor
    predictions: Tensor
    probabilities: Tensor
    signed: bool
    blank: tuple[str, ...]

    def over(self, size: tuple[int, int]) -> Tensor:
        """The maps enlarged to the images, bilinear: float [images, height, width], with signs."""
        values = self.values[:, None]
        return F.interpolate(values, size=size, mode="bilinear", align_corners=False)[:, 0]


def grad_cam(
    model: nn.Module,
    images: Tensor,
    classes: Tensor | None = None,
    *,
    layer: str = FIRST_STAGE,
) -> CamMaps:
    """Grad-CAM of images, each for one class.

    Formula: Σ_k w_k·A_k with A_k the k-th map of the layer and w_k the mean of the gradient of the
    class's logit over A_k. The published map is its positive part; here the sign is kept.

    Args:
        model: Any network of logits [images, classes]. It is used in eval mode.
        images: Float [images, channels, height, width], as it takes them (normalised).
        classes: The class to explain of each image, int64 [images]; None explains what the network
            answers.
        layer: Path of a layer that gives maps, or "first-stage" or "last-conv".

    Returns:
        The maps, on the device of the network.

    Raises:
        UsageError: If there is no such layer, or a class is none of the network's.
        MissingDependencyError: If captum is not installed.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))
        >>> found = grad_cam(network, torch.rand(4, 1, 5, 5), layer="1")  # doctest: +SKIP
        >>> found.values.shape                                            # doctest: +SKIP
        torch.Size([4, 3, 3])

    References:
        R. R. Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based
        localization", 2017, https://arxiv.org/abs/1610.02391, equations 1 and 2; computed by
        captum, https://captum.ai.
    """
    chosen = find_layer(model, images, layer)
    with as_evaluated(model):
        logits = logits_of(model, images)
        predictions = logits.argmax(dim=1)
        classes = predictions if classes is None else classes.to(logits.device)
        _check_classes(classes, logits)
        found = [
            _part(model, chosen.module, part, asked)
            for part, asked in _parts(model, images, classes)
        ]
    contributions, features = (torch.cat(side) for side in zip(*found, strict=True))
    values = contributions.sum(dim=1)
    signed = bool((features < 0).any())
    return CamMaps(
        layer=chosen.name,
        values=values,
        classes=classes,
        predictions=predictions,
        probabilities=logits.softmax(dim=1).gather(1, classes[:, None])[:, 0],
        signed=signed,
        blank=tuple(
            _why_blank(*row, signed=signed)
            for row in zip(values, contributions, features, strict=True)
        ),
    )


def logits_of(model: nn.Module, images: Tensor) -> Tensor:
    """Logits [images, classes]; all images in one pass where one depends on the others."""
    parts = (images,) if normalises_together(model) else torch.split(images, AT_A_TIME)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in parts])
    if logits.ndim != 2:
        raise UsageError(
            f"`model` must give logits [images, classes]; it gives {list(logits.shape)}."
        )
    return logits


def _check_classes(classes: Tensor, logits: Tensor) -> None:
    count, outputs = logits.shape
    fits = classes.shape == (count,) and classes.dtype == torch.int64
    if not fits or not bool(((classes >= 0) & (classes < outputs)).all()):
        raise UsageError(
            f"`classes` must be int64 [{count}] in 0..{outputs - 1} (the network has {outputs} "
            f"outputs); got {classes.dtype} {list(classes.shape)}, "
            f"{classes.flatten()[:5].tolist()}."
        )


def _parts(model: nn.Module, images: Tensor, classes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    if normalises_together(model):
        yield images, classes
        return
    yield from zip(torch.split(images, AT_A_TIME), torch.split(classes, AT_A_TIME), strict=True)


def _part(
    model: nn.Module, module: nn.Module, images: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Contributions w_k·A_k and features A_k [images, channels, height, width]."""
    features: list[Tensor] = []
    hook = module.register_forward_hook(lambda *call: features.append(call[2].detach().clone()))
    cam = imported_captum().LayerGradCam
    asked = images.detach().clone().requires_grad_()  # parameters may be frozen
    try:
        if not normalises_together(model):
            found = cam(model, module).attribute(asked, classes, attr_dim_summation=False)
        else:
            # An image moves the others' logits by the common statistics: only its own counts.
            rows = []
            for i, label in enumerate(classes.tolist()):
                one = cam(lambda x, i=i: model(x)[i : i + 1], module)
                rows.append(one.attribute(asked, label, attr_dim_summation=False)[i])
            found = torch.stack(rows)
    finally:
        hook.remove()
    return found.detach(), features[0]


def imported_captum() -> Any:
    """The attributions of captum.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        import captum.attr
    except ImportError as error:
        raise MissingDependencyError(
            f"Grad-CAM needs captum ({error}); install it by: pip install captum"
        ) from error
    return captum.attr


def _why_blank(values: Tensor, contributions: Tensor, features: Tensor, *, signed: bool) -> str:
    if not bool(values.isfinite().all()):
        return NOT_FINITE
    if values.numel() == 1:
        return ONE_POSITION
    if bool((features == 0).all()):
        return DEAD
    if bool((contributions == 0).all()):
        return NO_GRADIENT
    if bool((values == 0).all()):
        return CANCELS
    if not signed and bool((values <= 0).all()):
        return ALL_AGAINST
    return ""
