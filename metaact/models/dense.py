"""Networks that give a logit for every pixel, by name; how one is built. No torch until then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaact.errors import UsageError, check_choice, check_int

from .table import (
    BATCH_NORM,
    TIMM,
    TORCHVISION,
    Network,
    check_own_init,
    class_of,
    is_foreign,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

    from metaact import activations

DENSE: dict[str, Network] = {
    "unet": Network(place="metaact.models._unet:UNet", halvings=4),
}
"""Each network's name, and what is known of it without building it."""


def dense_network_of(name: str) -> Network:
    """What is known of a network that gives a logit for every pixel.

    Raises:
        UsageError: If the name is unknown.
    """
    if not is_foreign(name):
        return DENSE[check_choice("model", name, DENSE, why="or your own module:factory")]
    source, _, own = name.partition(":")
    if not own or source in ("", TORCHVISION, TIMM):
        raise UsageError(
            f"`model` must be {', '.join(DENSE)} or your own module:factory, which may wrap a "
            f"network of a library (images in, one logit a pixel out); got {name!r}."
        )
    return Network(place=name)


def create_dense(
    name: str,
    activation: str | activations.Entry,
    *,
    outputs: int = 1,
    channels: int,
    size: tuple[int, int],
    features: int = 32,
    batch_norm: str | None = None,
    init: str = "default",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a network that gives logits for every pixel, with the activation in each place.

    Args:
        name: One of `DENSE`; or "module:factory", the user's own, which is called with the keywords
            classes, channels and size=(height, width) and converted.
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry.
        outputs: Logits of a pixel.
        channels: Input channels.
        size: Height and width of the images.
        features: Channels of the first stage; of another's network its own affair.
        batch_norm: One of `BATCH_NORM`; None is "running".
        init: One of `INITS`, with which gain layers that feed an activation start; another's
            network draws its own weights.
        generator: Source of the weights; None draws from the global stream.

    Returns:
        A network to logits [batch, outputs, height, width].

    Raises:
        UsageError: If the name is unknown, an argument is not allowed, or the user's network cannot
            be built, converted or run on such images.

    Examples:
        >>> model = create_dense("unet", "relu", channels=3, size=(256, 256))
        >>> sum(p.numel() for p in model.parameters())
        7763041
    """
    network = dense_network_of(name)
    batch_norm = check_choice("batch_norm", batch_norm or "running", BATCH_NORM)
    check_int("features", features, minimum=1)
    check_int("channels", channels, minimum=1)
    grain = 2**network.halvings
    if any(side % grain for side in size):
        raise UsageError(
            f"`size` must be a multiple of {grain} ({name} halves the image {network.halvings} "
            f"times and doubles it again); got {size[0]}x{size[1]}."
        )

    from metaact import activations

    from .gains import factor_of, spread_of
    from .initialise import built, generator_or_new

    entry = activations.resolve(activation) if isinstance(activation, str) else activation
    if is_foreign(name):
        from .foreign import foreign

        check_own_init(name, init)
        return foreign(
            name,
            entry,
            classes=outputs,
            channels=channels,
            size=size,
            batch_norm=batch_norm,
            generator=generator_or_new(generator),
            dense=True,
        )
    kind = class_of(network)
    return built(
        lambda: kind(
            entry, classes=outputs, channels=channels, features=features, batch_norm=batch_norm
        ),
        generator=generator,
        gain=factor_of(entry, init),
        spread=spread_of(entry, init),
    )
