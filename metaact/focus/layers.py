"""The layers of a network that give maps, and how they are named."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaact.activations.conversion.places import find, is_activation, is_gate
from metaact.errors import UsageError
from metaact.randomness import isolated_rng

FIRST_STAGE, LAST_CONV = "first-stage", "last-conv"
"""Names that mean a layer of any network.

The first stage is the last activation before the maps of activations change their size for the
first time: in a ResNet-18 the end of its first two blocks, in a plain network its first activation.
The last convolution is the last one whose map has more than one position.
"""

NEAREST = 3
"""Names at most that a message suggests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer whose output is a map of several channels.

    Attributes:
        name: Its path in the network: "blocks.0.branch.2".
        module: The layer.
        shape: Channels, height and width of its output.
        calls: How often one forward pass calls it.
    """

    name: str
    module: nn.Module
    shape: tuple[int, int, int]
    calls: int = 1

    @property
    def positions(self) -> int:
        """Positions of a map."""
        return self.shape[1] * self.shape[2]


def layers_of(model: nn.Module, images: Tensor) -> list[Layer]:
    """The layers that give a map [images, channels, height, width], in the order of their calls.

    Args:
        model: Any network.
        images: What it takes; the first is enough.

    Examples:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten())
        >>> [(layer.name, layer.shape) for layer in layers_of(network, torch.zeros(1, 1, 5, 5))]
        [('0', (2, 3, 3)), ('1', (2, 3, 3))]
    """
    found: dict[nn.Module, Layer] = {}
    names = {module: name for name, module in model.named_modules() if name}

    def see(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            channels, height, width = output.shape[1:]
            before = found[module].calls if module in found else 0
            found[module] = Layer(
                name=names[module],
                module=module,
                shape=(channels, height, width),
                calls=before + 1,
            )

    hooks = [module.register_forward_hook(see) for module in names]
    try:
        with as_evaluated(model), torch.no_grad():
            model(images[:2])
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def find_layer(model: nn.Module, images: Tensor, name: str, *, activation: bool = False) -> Layer:
    """The layer of that name, or of what `first-stage` or `last-conv` mean in this network.

    Args:
        model: Any network.
        images: What it takes.
        name: A path in it, or one of the two.
        activation: Whether it must be an activation.

    Raises:
        UsageError: If there is no such layer (the nearest names are told), it gives no map, or one
            forward pass calls it several times.
    """
    there = layers_of(model, images)
    maps = {layer.name: layer for layer in there}
    if activation:
        found = {name for name, _ in find(model, is_activation)}
        maps = {name: layer for name, layer in maps.items() if name in found}
    if name in (FIRST_STAGE, LAST_CONV):
        layer = _meant(model, list(maps.values()), name)
        if layer is None:
            raise UsageError(
                f"`layer` must name a layer of this network ({name} means none in it); there are "
                f"{', '.join(list(maps)[:8]) or 'none that give maps'}."
            )
    elif name in maps:
        layer = maps[name]
    else:
        raise UsageError(_unknown(model, name, list(maps), activation))
    if layer.calls > 1:
        raise UsageError(
            f"`layer` must be called once in a forward pass (else it has several maps); "
            f"{layer.name} is called {layer.calls} times."
        )
    return layer


def _unknown(model: nn.Module, name: str, maps: list[str], activation: bool) -> str:
    what = "an activation" if activation else "a layer"
    with_map = f"{what} of the network that gives a map"
    there = name in dict(model.named_modules())
    why = ", which gives none" if there else ""
    known = maps if activation else [FIRST_STAGE, LAST_CONV, *maps]
    near = difflib.get_close_matches(name, known, n=NEAREST, cutoff=0.3) or known[:NEAREST]
    nearest = ", ".join(repr(one) for one in near)
    return f"`layer` must be {with_map}; got {name!r}{why}; the nearest names are {nearest}."


def _meant(model: nn.Module, there: list[Layer], name: str) -> Layer | None:
    maps = [layer for layer in there if layer.positions > 1]
    kinds = {module for _, module in find(model, lambda m: is_activation(m) or is_gate(m))}
    convolutions = [layer for layer in maps if isinstance(layer.module, nn.Conv2d)]
    if name == LAST_CONV:
        return convolutions[-1] if convolutions else None
    found = [layer for layer in maps if layer.module in kinds] or convolutions
    stage = None
    for layer in found:
        if stage is not None and layer.shape[1:] != stage.shape[1:]:
            break
        stage = layer
    return stage


@contextmanager
def as_evaluated(model: nn.Module) -> Iterator[None]:
    """The network in eval mode inside, each module in its own mode again after.

    What draws in eval mode, too, draws the same each time.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with isolated_rng("focus"):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
