"""The networks by name: one literal table, and how one is built. No torch until then."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaact.errors import UsageError, check_choice, check_int

if TYPE_CHECKING:
    import torch
    from torch import nn

    from metaact import activations

BATCH_NORM = ("running", "batch", "group", "off")
"""How a network that has BatchNorm is normalised.

| mode | training | evaluation |
| --- | --- | --- |
| running | by the statistics of the batch | by the running averages of those |
| batch | by the statistics of the batch | by the statistics of the batch; no running ones |
| group | by each image's own, in groups of channels (GroupNorm) | the same |
| off | not at all | not at all |

Running averages belong to one set of weights, so MAML, which makes a set for each task, refuses
them. "batch" is what MAML was published with: a query image is normalised together with the other
query images of its episode, which makes predictions *transductive*. In "group" and "off" no image
depends on others. Figures of different modes do not compare: the mode is a setting of every run.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network as a reader chooses it.

    Attributes:
        place: The class that it is: "module:class".
        normalised: Whether it has BatchNorm.
        size: Height and width of its images; None for a network that takes any from `least` on.
        halvings: How often it halves an image that it takes in any size.
        flat: Whether its first layer has a weight for each pixel, so that it is told the size.
    """

    place: str
    normalised: bool = True
    size: int | None = None
    halvings: int = 0
    flat: bool = False

    @property
    def least(self) -> int:
        """Least height and width of its images."""
        return self.size or 2**self.halvings


TORCHVISION, TIMM = "torchvision", "timm"
"""Libraries whose networks are named as "library:network"."""

NETWORKS: dict[str, Network] = {
    "mnist-conv": Network(place="metaact.models._mnist_conv:MNISTConv", normalised=False, size=28),
    "mlp": Network(place="metaact.models._mlp:MLP", normalised=False, flat=True),
    "conv4": Network(place="metaact.models._conv4:Conv4", halvings=4),
    "vgg11": Network(place="metaact.models._vgg:VGG11", halvings=5),
    "vgg13": Network(place="metaact.models._vgg:VGG13", halvings=5),
    "resnet18": Network(place="metaact.models._resnet18:ResNet18", halvings=3),
    "seresnet18": Network(place="metaact.models._seresnet18:SEResNet18", halvings=3),
    "shufflenetv2": Network(place="metaact.models._shufflenetv2:ShuffleNetV2", halvings=3),
    "squeezenet": Network(place="metaact.models._squeezenet:SqueezeNet", halvings=3),
    "mobilenet": Network(place="metaact.models._mobilenet:MobileNet", halvings=4),
}
"""Each network's name, and what is known of it without building it."""


OTHERS = "or torchvision:NAME, timm:NAME, module:factory"


def is_foreign(name: str) -> bool:
    """Whether a network is another's: "torchvision:NAME", "timm:NAME" or "module:factory"."""
    return ":" in name


def network_of(name: str) -> Network:
    """What is known of a network without building it; of another's, next to nothing.

    Raises:
        UsageError: If the name is unknown.
    """
    if not is_foreign(name):
        return NETWORKS[check_choice("model", name, NETWORKS, why=OTHERS)]
    source, _, own = name.partition(":")
    if not (source and own):
        raise UsageError(f"`model` must have a name on both sides of its colon; got {name!r}.")
    return Network(place=name)


def create(
    name: str,
    activation: str | activations.Entry | None,
    *,
    classes: int,
    channels: int,
    size: int | tuple[int, int] = 28,
    batch_norm: str | None = None,
    init: str | float = "default",
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build the network called `name`, with a fresh instance of the activation in each place.

    Args:
        name: One of `NETWORKS`. Or another's network, without trained weights, which is converted
            by `metaact.activations.convert`: "torchvision:NAME" and "timm:NAME" for their
            classifiers, "module:factory" for the user's own. The factory is called with the
            keywords classes, channels and size=(height, width), and returns a fresh `nn.Module`
            with the activations that it was designed with.
        activation: A name of `metaact.activations.names()`, `module:factory`, or an entry; None
            leaves another's network the activations that it was designed with.
        classes: Outputs of the head.
        channels: Input channels.
        size: Height and width of the images; one number for square ones.
        batch_norm: One of `BATCH_NORM`; None is "running" for a network with BatchNorm and "off"
            for one without.
        init: One of `INITS`, with which gain layers that feed an activation start, or the gain
            itself; another's network draws its own weights.
        generator: Source of the weights; None draws from the global stream. Another's network is
            built with the global streams seeded by its seed.

    Returns:
        A network to logits [batch, classes]; one of `NETWORKS` has a linear layer `head`.

    Raises:
        UsageError: If the name is unknown, an argument is not allowed, or another's network cannot
            be built, converted or run on such images.
        MissingDependencyError: If timm is asked for and not installed.

    Examples:
        >>> model = create("resnet18", "relu", classes=100, channels=3, size=32)
        >>> sum(p.numel() for p in model.parameters())
        11220132
    """
    network = network_of(name)
    if batch_norm is None:
        batch_norm = "running" if network.normalised else "off"
    check_fits(name, classes=classes, channels=channels, size=size, batch_norm=batch_norm)

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
            classes=classes,
            channels=channels,
            size=(size, size) if isinstance(size, int) else size,
            batch_norm=batch_norm,
            generator=generator_or_new(generator),
        )
    if entry is None:
        raise UsageError(f"`activation` must be given for {name} (it is built with any); got None.")
    sides = (size, size) if isinstance(size, int) else size
    more: dict[str, object] = {"batch_norm": batch_norm} if network.normalised else {}
    more |= {"size": sides} if network.flat else {}
    kind = class_of(network)
    return built(
        lambda: kind(entry, classes=classes, channels=channels, **more),
        generator=generator,
        gain=factor_of(entry, init),
        spread=spread_of(entry, init),
    )


def check_own_init(name: str, init: str | float) -> None:
    """Refuse to choose the gain of another's network.

    Raises:
        UsageError: If it is not the default.
    """
    if init != "default":
        raise UsageError(
            f"`init` must be default for {name} (it draws its weights itself); got {init!r}."
        )


def check_fits(
    name: str, *, classes: int, channels: int, size: int | tuple[int, int], batch_norm: str
) -> None:
    """Refuse what the network called `name` cannot be built for.

    Raises:
        UsageError: If it is refused.
    """
    network = network_of(name)
    sides = (size, size) if isinstance(size, int) else size
    if network.size is not None and any(side != network.size for side in sides):
        got = sides[0] if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"
        raise UsageError(
            f"`size` must be {network.size} ({name} ends in one position of "
            f"{network.size}x{network.size} images); got {got}. Use --model conv4 for other sizes."
        )
    why = f"{name} halves the image {network.halvings} times" * bool(network.halvings)
    check_int("size", min(sides), minimum=network.least, why=why)
    check_int("classes", classes, minimum=2)
    check_int("channels", channels, minimum=1)
    if network.normalised:
        check_choice("batch_norm", batch_norm, BATCH_NORM)
    else:
        check_choice("batch_norm", batch_norm, ("off",), why=f"{name} has no BatchNorm")


def class_of(network: Network) -> Callable[..., nn.Module]:
    """The class that a network of metaact's is."""
    module, _, attribute = network.place.partition(":")
    found: Callable[..., nn.Module] = getattr(importlib.import_module(module), attribute)
    return found
