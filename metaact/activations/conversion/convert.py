"""Give any network another activation, with its own parameters at each place."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from metaact.activations.entry import Entry
from metaact.activations.registry import resolve
from metaact.errors import check_choice
from metaact.randomness import preserved_rng

from .call_sites import CallSites, restart_at_forward, restarts
from .calls import Calls, Probe, by_forward, by_trace
from .checks import check_calls, check_kept, check_places, check_swappable, nothing_found
from .places import ACTIVATIONS, GATES, find


def convert(
    model: nn.Module,
    activation: str | Entry,
    *,
    example: Tensor | tuple[Any, ...] | None = None,
    gates: bool = False,
    keep: Sequence[str] = (),
    also: Sequence[type[nn.Module]] = (),
    functional: str = "refuse",
    protocol: str = "held-out",
) -> nn.Module:
    """Return a copy of a network with all its activations swapped; the network is left as it is.

    A place is one call in the forward pass, and every place gets its own instance: a module that
    is registered at two paths becomes two, a module that is called several times (`self.relu` in
    torchvision's ResNet) becomes `CallSites` with one instance per call. The calls are counted by
    a symbolic trace, or in one forward if there is an example. The new activations never
    overwrite their input.

    Left alone: softmax, GLU, what recurrent layers and attention compute inside, and (unless
    `gates`) Sigmoid, Hardsigmoid and LogSigmoid, which mostly are gates, as in
    squeeze-and-excitation, or outputs.

    Args:
        model: Any network.
        activation: What `resolve` accepts, or an entry.
        example: One input of the network, or a tuple of its positional inputs; needed only where
            a network cannot be traced. It is run in the network's own mode, on a copy.
        gates: Also swap Sigmoid, Hardsigmoid and LogSigmoid.
        keep: Paths of activations that stay.
        also: Further types of module that are activations.
        functional: "refuse" a network that calls an activation as a function (`F.relu`), which
            cannot be swapped; or "keep" such calls and swap only the modules.
        protocol: As for `resolve`.

    Returns:
        The converted copy, in the mode, on the device and in the precision of the network.

    Raises:
        UsageError: If there is nothing to swap, the activation needs what a swap cannot give, a
            functional call would stay, or an activation only acts by overwriting its input.

    Warns:
        UserWarning: If the network cannot be traced and no example is given (every activation
            then counts as called once, and a second call raises), or if it reads a tensor
            after an in-place activation has overwritten it (it will now read the original).

    Examples:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> convert(network, "arelu")[1]
        AReLU(alpha=0.9, beta=2)
    """
    check_choice("functional", functional, ("refuse", "keep"))
    entry = activation if isinstance(activation, Entry) else resolve(activation, protocol)
    check_swappable(entry)
    converted = copy.deepcopy(model)
    types = (*ACTIVATIONS, *also, *(GATES if gates else ()))
    found = dict(find(converted, types))
    check_kept(keep, found)
    places = {path: module for path, module in found.items() if path not in keep}
    check_places(converted, places)
    if "" in places:
        return fresh(entry, like=model)
    counts, calls = examine(model, list(found), example)
    check_calls(calls, functional=functional)
    if not places:
        raise nothing_found(model, gates=gates)
    guard = bool(calls.untraceable)
    for path, module in replacements(entry, places, counts, guard=guard, like=converted).items():
        converted.set_submodule(path, module)
    has_sites = any(isinstance(module, CallSites) for module in converted.modules())
    if has_sites and not restarts(converted):
        restart_at_forward(converted)
    return converted


def examine(
    model: nn.Module, paths: Sequence[str], example: Tensor | tuple[Any, ...] | None
) -> tuple[dict[str, int], Calls]:
    """Calls of each path in one forward, and what else was seen."""
    # The weights are only read: sharing them saves the time and memory of a second copy.
    examined = copy.deepcopy(model, {id(weight): weight for weight in model.parameters()})
    probes = {path: Probe(examined.get_submodule(path)) for path in paths}
    for path, probe in probes.items():
        examined.set_submodule(path, probe)
    if example is not None:
        calls = by_forward(examined, example, list(probes.values()))
    else:
        with preserved_rng():
            calls = by_trace(examined)
    if calls.untraceable:
        return dict.fromkeys(paths, 1), calls
    return {path: probe.calls for path, probe in probes.items()}, calls


def replacements(
    entry: Entry,
    places: dict[str, nn.Module],
    counts: dict[str, int],
    *,
    guard: bool,
    like: nn.Module,
) -> dict[str, nn.Module]:
    """The new module of every path.

    A path that is never called is only another name if the same instance is called at another
    path; it then stays one, so that no parameter is there without use.
    """
    new: dict[str, nn.Module] = {}
    called: dict[int, nn.Module] = {}
    for path in sorted(places, key=lambda path: counts[path] == 0):
        old = places[path]
        if counts[path] == 0 and id(old) in called:
            new[path] = called[id(old)]
            continue
        instances = [fresh(entry, like=like) for _ in range(max(1, counts[path]))]
        single = len(instances) == 1 and not guard
        new[path] = (instances[0] if single else CallSites(instances)).train(old.training)
        if counts[path]:
            called[id(old)] = new[path]
    return new


def fresh(entry: Entry, *, like: nn.Module) -> nn.Module:
    """A new activation on the device and in the precision of a network."""
    for tensor in (*like.parameters(), *like.buffers()):
        if tensor.is_floating_point():
            return entry.factory().to(device=tensor.device, dtype=tensor.dtype)
    return entry.factory()
