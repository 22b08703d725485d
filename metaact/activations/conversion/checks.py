"""What `convert` refuses or warns of, each with its reason and what to do."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import nn

from metaact.activations.entry import Entry
from metaact.activations.functions.maxout import Maxout
from metaact.errors import UsageError

from .calls import Calls
from .places import FUSED, GATES, find


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


def check_kept(keep: Sequence[str], places: dict[str, nn.Module]) -> None:
    """Refuse a path to keep that is none of the places."""
    for path in keep:
        if path not in places:
            found = listed(list(places)) or "none"
            raise UsageError(
                f"`keep` must hold paths of activations of the network ({found}); got {path!r}."
            )


def check_places(model: nn.Module, places: dict[str, nn.Module]) -> None:
    """Refuse places that another activation cannot take."""
    for path, module in model.named_modules():
        if isinstance(module, FUSED):
            raise UsageError(
                "`model` must have its activations as modules of their own (a "
                f"{type(module).__name__} computes its activation in fused code, which would not "
                f"see the swap); got one at {path!r}."
            )
    for path, module in places.items():
        if isinstance(module, Maxout) and module.pool > 1:
            raise UsageError(
                "`model` must have activations that keep the number of channels (the layer after "
                f"a Maxout expects fewer); got one at {path!r}: name it in `keep`."
            )


def check_calls(calls: Calls, *, functional: str) -> None:
    """Refuse, or warn of, what a swap of modules would miss."""
    if calls.functions and functional == "refuse":
        raise UsageError(
            "`model` must call its activations as modules (a function cannot be swapped); got "
            f"{listed(calls.functions)}. Make each an `nn` module of the network, or pass "
            "functional='keep' to leave these as they are and swap only the modules."
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
    if calls.untraceable:
        warnings.warn(
            f"The network cannot be traced ({calls.untraceable}), so activations called as "
            "functions stay unseen, and each activation module counts as called once in a forward "
            "(a second call raises). Pass `example`, an input, to look at one forward instead.",
            UserWarning,
            stacklevel=3,
        )


def listed(items: Sequence[str], *, at_most: int = 8) -> str:
    """The items in one line, a long list cut short with its length."""
    more = f" and {len(items) - at_most} more" if len(items) > at_most else ""
    return "; ".join(items[:at_most]) + more


def nothing_found(model: nn.Module, *, gates: bool) -> UsageError:
    """The error for a network without an activation to swap."""
    left = [] if gates else [path for path, _ in find(model, GATES)]
    hint = f" Left alone as gates or outputs: {listed(left)}; gates=True swaps them." * bool(left)
    return UsageError(
        "`model` must have an activation that is a module, such as nn.ReLU (name further types in "
        f"`also`); got a {type(model).__name__} with none.{hint}"
    )
