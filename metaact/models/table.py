"""The networks by name: one literal table, and how one is built. No torch until then."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metaact.errors import check_choice

if TYPE_CHECKING:
    import torch
    from torch import nn

    from metaact import activations


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network as a reader chooses it.

    Attributes:
        place: What builds it: "module:function".
        batch_norm: How it can be normalised; first what it was published with.
        size: Height and width of its images; None for a network that takes any.
        channels: Colour channels of its images, 1 or 3; None for a network that takes any.
    """

    place: str
    batch_norm: tuple[str, ...]
    size: int | None = None
    channels: int | None = None


NETWORKS: dict[str, Network] = {
    "mnist-conv": Network(
        place="metaact.models._mnist_conv:mnist_conv", batch_norm=("off",), size=28
    ),
    "conv4": Network(place="metaact.models._conv4:conv4", batch_norm=("batch", "off")),
}
"""Each network's name, and what is known of it without building it."""


def create(
    name: str,
    activation: str | activations.Entry,
    *,
    classes: int,
    channels: int,
    size: int | tuple[int, int] = 28,
    batch_norm: str = "off",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build the network called `name`.

    Args:
        name: One of `NETWORKS`.
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images; one number for square ones.
        batch_norm: "batch" or "off"; mnist-conv has none.
        generator: Source of the weights; None draws from the global stream.

    Returns:
        A network with a linear layer `head`, logits [batch, classes].

    Raises:
        UsageError: If the name is unknown or an argument is not allowed.
    """
    network = NETWORKS[check_choice("model", name, NETWORKS)]
    allowed = network.batch_norm
    why = f"{name} has no BatchNorm" if allowed == ("off",) else ""
    check_choice("batch_norm", batch_norm, allowed, why=why)
    sides = (size, size) if isinstance(size, int) else size
    wrong = next((side for side in sides if side != network.size), network.size)
    more: dict[str, Any] = {"batch_norm": batch_norm} if len(allowed) > 1 else {}
    return _builder(network)(
        activation,
        classes=classes,
        channels=channels,
        size=min(sides) if network.size is None else wrong,
        generator=generator,
        **more,
    )


def _builder(network: Network) -> Callable[..., nn.Module]:
    module, _, attribute = network.place.partition(":")
    found: Callable[..., nn.Module] = getattr(importlib.import_module(module), attribute)
    return found
