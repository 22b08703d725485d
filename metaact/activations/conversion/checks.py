"""What `convert` refuses or warns of, each with its reason and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import jit, nn

from metaact.activations.entry import Entry
from metaact.activations.functions.maxout import Maxout
from metaact.errors import UsageError

from .examine import Calls
from .places import is_fused
from .survey import GATE, Spot, Survey, iterates


def check_swappable(entry: Entry) -> None:
    """Refuse an activation that needs other layers around it."""
    if entry.width_factor != 1:
        raise UsageError(
            f"`activation` must keep the number of channels ({entry.name!r} gives "
            f"{entry.width_factor} for each that it gets, and a swap leaves the layers as they "
            f"are); got {entry.name!r}. 'maxout-paper' is the form with groups of one."
        )
    if entry.init_gain != 1.0:
        raise UsageError(
            f"`activation` must be a function alone ({entry.name!r} is an initialisation: it "
            "scales the layers before it, and a swap leaves the weights as they are); got "
            f"{entry.name!r}. Build the network with it, as `metaact.models` does."
        )


def check_model(model: nn.Module, keep: Sequence[str]) -> None:
    """Refuse modules that hold an activation which nothing can reach."""
    for path, module in model.named_modules():
        if path in keep:
            continue
        if is_fused(module):
            raise UsageError(
                "`model` must have its activations as modules or functions (a "
                f"{type(module).__name__} has one in the formula of its norm); got one at "
                f"{path!r}: name it in `keep`."
            )
        if isinstance(module, jit.ScriptModule):
            raise UsageError(
                "`model` must be Python (the code of a compiled module cannot be looked into); "
                f"got a {type(module).__name__} at {path!r}."
            )
        if isinstance(module, nn.TransformerDecoderLayer) and not isinstance(
            module._modules.get("activation"), nn.ReLU | nn.GELU | None
        ):
            raise UsageError(
                "`model` must have ReLU or GELU in torch's decoder layers (torch forgets another "
                f"module there when it copies the layer); got another at {path!r}."
            )


def check_kept(keep: Sequence[str], found: Survey) -> None:
    """Refuse a path to keep that is none of the places."""
    paths = [*(spot.path for spot in found.spots), *(kept.path for kept in found.kept)]
    paths += [*found.calls.modules, *(path for path, _ in found.unknown)]
    for path in keep:
        if path not in paths:
            there = listed(list(dict.fromkeys(paths))) or "none"
            raise UsageError(
                f"`keep` must hold paths of activations of the network ({there}); got {path!r}."
            )


def check_places(found: Survey, *, functional: str) -> None:
    """Refuse what a swap would miss or do wrong."""
    called = [spot for spot in found.spots if spot.function]
    if called and functional == "refuse":
        raise UsageError(
            "`model` must call its activations as modules (functional='refuse'); got "
            f"{shown(called)}."
        )
    if found.unknown:
        path, module = found.unknown[0]
        kind = type(module).__name__
        raise UsageError(
            f"`also` must name all activations of types that metaact does not know (a {kind} "
            "computes a nonlinear function of each element); got none for "
            f"{listed([f'{path} ({type(m).__name__})' for path, m in found.unknown])}. Pass "
            f"also=[{kind}] to swap them, or keep=[{path!r}]."
        )
    parts = [spot for spot in found.spots if is_part(spot, found.calls)]
    if parts:
        raise UsageError(
            "`model` must have every activation as one function or module (these are parts of one "
            f"that is written out, such as x·sigmoid(x), and its whole cannot be swapped); got "
            f"{shown(parts)}. Make it a module and name its type in `also`, or leave it with "
            f"keep={[spot.module if not spot.function else spot.path for spot in parts][:8]!r}."
        )
    for spot in found.spots:
        if isinstance(spot.old, Maxout) and spot.old.pool > 1:
            raise UsageError(
                "`model` must have activations that keep the number of channels (the layer after "
                f"a Maxout expects fewer); got one at {spot.path!r}: name it in `keep`."
            )


def check_functions(model: nn.Module, found: Survey) -> None:
    """Refuse functional calls that cannot be answered."""
    for spot in found.spots:
        if not spot.function:
            continue
        if iterates(model.get_submodule(spot.module)):
            raise UsageError(
                "`model` must call its activations as modules where a module goes through its "
                "children (the activation of a functional call becomes one of them); got "
                f"{shown([spot])}."
            )
    tensors = [
        spot
        for spot in found.spots
        if spot.function and spot.site and found.calls.functions[spot.module, spot.site].of_tensors
    ]
    if tensors:
        raise UsageError(
            "`model` must call activations with numbers alone (a parameter in the call, as of "
            f"`F.prelu`, would stay without use); got {shown(tensors)}. Make it a module, or "
            f"leave it with keep={[spot.path for spot in tensors][:8]!r}."
        )


def check_calls(calls: Calls) -> None:
    """Refuse, or warn of, what acts by overwriting its input, and what cannot be looked at."""
    if calls.untraceable:
        raise UsageError(
            f"`example` must be given for a network that cannot be traced ({calls.untraceable}); "
            "got None. Pass an input of the network: a forward pass on it is looked at instead."
        )
    if calls.discarded:
        raise UsageError(
            "`model` must use the results of its activations (the new ones do not overwrite "
            f"their input); got {listed(calls.discarded)} called for the overwriting alone."
        )
    if calls.overwritten:
        warnings.warn(
            f"The network reads the input of {listed(calls.overwritten)} after it was "
            "overwritten in place; with the new activation it reads the original instead.",
            UserWarning,
            stacklevel=3,
        )


def is_part(spot: Spot, calls: Calls) -> bool:
    """Whether a place is a part of an activation that is written out."""
    key = (spot.module, spot.site) if spot.function else spot.module
    return key in calls.flow.parts


def shown(spots: Sequence[Spot]) -> str:
    """Functional calls and modules, with where they are called."""
    return listed([f"{spot.function or spot.path} at {spot.called}" for spot in spots])


def listed(items: Sequence[str], *, at_most: int = 8) -> str:
    """The items in one line, a long list cut short with its length."""
    more = f" and {len(items) - at_most} more" if len(items) > at_most else ""
    return "; ".join(items[:at_most]) + more


def nothing_found(model: nn.Module, found: Survey) -> UsageError:
    """The error for a network without an activation to swap."""
    left = [kept.path for kept in found.kept if kept.why == GATE]
    hint = f" Left alone as gates or outputs: {listed(left)}; gates=True swaps them." * bool(left)
    return UsageError(
        "`model` must have an activation, such as nn.ReLU or F.relu (name further types in "
        f"`also`); got a {type(model).__name__} with none.{hint}"
    )
