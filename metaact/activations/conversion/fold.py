"""Which layers may take over a constant factor of an activation: found by trying it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

Linear = nn.Linear | _ConvNd

FEW = 4
"""Images for a trial."""

LARGEST_GAIN = 4.0
"""Factor of the trial, and therefore the largest gain that is folded.

A power of two: multiplying by it and dividing again is exact.
"""

MOST_READERS = 8
"""Layers that one activation may feed."""

TOLERANCE = 1e-4
"""Largest difference of the outputs, as a share of their size, for the trial to have succeeded."""


class Scaled(Protocol):
    """A place whose result can be multiplied."""

    scale: float


def readers(model: nn.Module, place: Scaled, run: Callable[[], Tensor]) -> tuple[str, ...]:
    """The linear layers that could take over a factor of one place, all together.

    The result of the place is multiplied by 4 and 1/4. A layer reads it through nothing but what
    is homogeneous (pooling, dropout, reshaping) if its whole input is multiplied as well; the
    weight of the first such layer is divided, then that of the next. If the network's output is
    then what it was, they may; whatever else reads the place (a shortcut, a norm) makes it differ.

    Args:
        model: The network, in evaluation; it is as before afterwards.
        place: The place.
        run: Gives the output of the network for a few images.

    Returns:
        Paths of the layers, or none.
    """
    layers: dict[str, nn.Module] = {
        path: layer
        for path, layer in model.named_modules()
        if isinstance(layer, Linear) and not parametrize.is_parametrized(layer)
    }
    tied = shared_weights(layers)
    inputs, before = watched(layers, run)
    size = before.abs().max()
    chosen: list[str] = []
    try:
        while len(chosen) <= MOST_READERS:
            place.scale = LARGEST_GAIN
            now, after = watched(layers, run)
            if close(after, before, size):
                place.scale = 1 / LARGEST_GAIN
                for path in chosen:
                    rescale(layers[path], LARGEST_GAIN**2)
                smaller = run()
                for path in chosen:
                    rescale(layers[path], LARGEST_GAIN**-2)
                return tuple(chosen) if chosen and close(smaller, before, size) else ()
            following = next(
                (
                    path
                    for path in now
                    if path not in chosen
                    and path not in tied
                    and path in inputs
                    and multiplied(now[path], inputs[path])
                ),
                None,
            )
            if following is None:
                return ()
            chosen.append(following)
            rescale(layers[following], 1 / LARGEST_GAIN)
        return ()
    finally:
        place.scale = 1.0
        for path in chosen:
            rescale(layers[path], LARGEST_GAIN)


def watched(
    layers: dict[str, nn.Module], run: Callable[[], Tensor]
) -> tuple[dict[str, Tensor], Tensor]:
    """The inputs of layers in a forward pass, in the order of the calls, and its output."""
    seen: dict[str, Tensor] = {}

    def see(path: str, args: tuple[Tensor, ...]) -> None:
        flat = args[0].detach().flatten()
        own = seen.get(path)
        seen[path] = flat if own is None else torch.cat([own, flat])

    def hook(path: str) -> Callable[..., None]:
        return lambda layer, args: see(path, args)

    hooks = [layer.register_forward_pre_hook(hook(path)) for path, layer in layers.items()]
    try:
        return seen, run()
    finally:
        for handle in hooks:
            handle.remove()


def multiplied(now: Tensor, before: Tensor) -> bool:
    """Whether an input is that of before times the factor of the trial, and not zero."""
    expected = LARGEST_GAIN * before
    size = expected.abs().max()
    return bool(size > 0) and bool((now - expected).abs().max() <= 1e-5 * size)


def close(one: Tensor, other: Tensor, size: Tensor) -> bool:
    """Whether two outputs are equal to rounding."""
    return bool((one - other).abs().max() <= TOLERANCE * size)


def rescale(layer: nn.Module, factor: float) -> None:
    """Multiply the weight of a layer."""
    assert isinstance(layer, Linear)
    with torch.no_grad():
        layer.weight.mul_(factor)


def shared_weights(layers: dict[str, nn.Module]) -> set[str]:
    """Layers whose weight is also that of another."""
    owners: dict[int, list[str]] = {}
    for path, layer in layers.items():
        assert isinstance(layer, Linear)
        owners.setdefault(id(layer.weight), []).append(path)
    return {path for paths in owners.values() if len(paths) > 1 for path in paths}
