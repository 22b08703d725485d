"""Give any network another activation, with its own parameters at each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

from torch import Tensor, nn

from metaact.activations.entry import Entry
from metaact.activations.registry import resolve
from metaact.errors import check_choice

from .checks import (
    check_calls,
    check_functions,
    check_kept,
    check_model,
    check_places,
    check_swappable,
    nothing_found,
)
from .examine import Input
from .held import check_held
from .report import Conversion, Place
from .survey import Spot, prepared, rebuilt, survey, wanting, without_functions
from .warm import warm_start as warmed


@overload
def convert(
    model: nn.Module,
    activation: str | Entry,
    *,
    example: Input | None = None,
    gates: bool = False,
    keep: Sequence[str] = (),
    also: Sequence[type[nn.Module]] = (),
    functional: str = "replace",
    protocol: str = "held-out",
    warm_start: Input | None = None,
    report: Literal[False] = False,
) -> nn.Module: ...


@overload
def convert(
    model: nn.Module,
    activation: str | Entry,
    *,
    example: Input | None = None,
    gates: bool = False,
    keep: Sequence[str] = (),
    also: Sequence[type[nn.Module]] = (),
    functional: str = "replace",
    protocol: str = "held-out",
    warm_start: Input | None = None,
    report: Literal[True],
) -> tuple[nn.Module, Conversion]: ...


def convert(
    model: nn.Module,
    activation: str | Entry,
    *,
    example: Input | None = None,
    gates: bool = False,
    keep: Sequence[str] = (),
    also: Sequence[type[nn.Module]] = (),
    functional: str = "replace",
    protocol: str = "held-out",
    warm_start: Input | None = None,
    report: bool = False,
) -> nn.Module | tuple[nn.Module, Conversion]:
    """Return a copy of a network with all its activations swapped; the network is left as it is.

    A place is one module instance and one call in the source, and every place gets its own
    activation: a module that is registered at two paths becomes two, one that is called on two
    lines (`self.relu` in torchvision's ResNet) becomes `CallSites`, and `F.relu(x)` or `x.relu_()`
    in the code of a module becomes a child of that module (`FunctionSites`). A loop, or a block
    that is called again, calls the same place again. The calls are found by a symbolic trace, or
    in forward passes on the example, in training and in evaluation; one that was not seen and is
    met later raises. The new activations never overwrite their input.

    Left alone, and listed as kept in the report: softmax and GLU, which mix elements, and (unless
    `gates`) Sigmoid, Hardsigmoid and LogSigmoid, which mostly are gates, as in
    squeeze-and-excitation, or outputs. What recurrent layers compute inside stays.

    Args:
        model: Any network.
        activation: What `resolve` accepts, or an entry.
        example: One input of the network, or a tuple of its positional inputs; needed only where
            a network cannot be traced. It is run on a copy.
        gates: Also swap Sigmoid, Hardsigmoid and LogSigmoid.
        keep: Paths of activations that stay, as the report names them.
        also: Further types of module that are activations.
        functional: What becomes of an activation that is called as a function: "replace" it;
            "refuse" the network; or "keep" all such calls and swap only the modules.
        protocol: As for `resolve`.
        warm_start: Inputs of the network, such as 256 training images, at which it should go on to
            compute what it computes. Each place starts at the parameters that fit its old
            activation best on what reaches it, and a gain goes into the linear layers that read
            it, where nothing else does. Also serves as the example.
        report: Also return what was done.

    Returns:
        The converted copy, in the mode, on the device and in the precision of the network; with
        `report=True` that and the report.

    Raises:
        UsageError: If there is nothing to swap, an activation is reached otherwise than as a child
            (in a plain list, a closure, a bound method, a class or a global variable), the
            activation needs what a swap cannot give, a place would be missed (a type that nobody
            has named, an activation that is written out, a norm with an activation in its formula),
            the network cannot be traced and no example is given, or an activation only acts by
            overwriting its input.

    Warns:
        UserWarning: If the network reads a tensor after an in-place activation has overwritten it
            (it will now read the original).

    Examples:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> convert(network, "arelu")[1]
        AReLU(alpha=0.9, beta=2)
    """
    check_choice("functional", functional, ("replace", "refuse", "keep"))
    entry = activation if isinstance(activation, Entry) else resolve(activation, protocol)
    check_swappable(entry)
    check_model(model, keep)
    converted = prepared(model)
    check_held(converted, model, wanting(also), keep)
    if warm_start is not None and example is None:
        example = first_of(warm_start)
    found = survey(converted, example=example, gates=gates, keep=keep, also=also)
    check_calls(found.calls)
    check_kept(keep, found)
    if functional == "keep":
        found = without_functions(found)
    check_places(found, functional=functional)
    check_functions(converted, found)
    if not found.spots:
        raise nothing_found(model, found)

    def make(spot: Spot) -> nn.Module:
        return fresh(entry, like=model)

    converted = rebuilt(converted, found, make, guarded=functional != "keep")
    warm = None
    if warm_start is not None:
        warm = warmed(prepared(model), converted, found, warm_start, make=make)
    if not report:
        return converted
    places = (
        Place(path=spot.path, was=spot.was, now=entry.name, called=spot.called)
        for spot in found.spots
    )
    return converted, Conversion(places=tuple(places), kept=found.kept, warm=warm)


def first_of(images: Input) -> Input:
    """The first two of several inputs."""
    if isinstance(images, tuple):
        return tuple(x[:2] if isinstance(x, Tensor) else x for x in images)
    return images[:2]


def fresh(entry: Entry, *, like: nn.Module) -> nn.Module:
    """A new activation on the device and in the precision of a network."""
    for tensor in (*like.parameters(), *like.buffers()):
        if tensor.is_floating_point():
            return entry.factory().to(device=tensor.device, dtype=tensor.dtype)
    return entry.factory()
