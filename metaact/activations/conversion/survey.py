"""What in a network is to be swapped, what is kept, and the network with something else there."""

from __future__ import annotations

import copy
import dis
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import CodeType, FunctionType

from torch import nn

from .examine import TRANSFORMER_LAYERS, Calls, FunctionCall, Input, examine
from .functions import CLAMPS, FUNCTIONS, GATE_FUNCTIONS, KEPT_FUNCTIONS, function_name
from .places import MIXING, find, is_activation, is_gate
from .report import Kept
from .sites import SITES, CallSites, FunctionSites, Site, intercept
from .unknown import unknown_activations

GATE = "gate or output"
MIXES = "mixes elements"
ASKED = "asked for"
CHILDREN = frozenset(("_modules", "children", "named_children"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One place that is to be swapped.

    Attributes:
        path: Path that the new activation will have.
        module: Path of the activation module, or of the module whose code calls a function.
        site: Where it is called; None for a module that no call was seen of.
        function: The function, or "" for a module.
        old: What stands there, as a module.
        called: File and line.
    """

    path: str
    module: str
    site: Site | None
    function: str
    old: nn.Module
    called: str

    @property
    def was(self) -> str:
        """What stands there, for the report."""
        return f"{self.function}({self.old.extra_repr()})" if self.function else str(self.old)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is to be done to a network.

    Attributes:
        spots: The places, in the order of the forward pass.
        kept: What stays, for the report.
        kept_sites: Functional calls that stay: path of the module whose code calls, and where.
        aliases: Paths that are further names of an activation at another path.
        unknown: Modules that compute an activation, of types that nobody has named.
        calls: What the examination saw.
    """

    spots: tuple[Spot, ...]
    kept: tuple[Kept, ...]
    kept_sites: tuple[tuple[str, Site], ...]
    aliases: dict[str, str]
    unknown: tuple[tuple[str, nn.Module], ...]
    calls: Calls


def survey(
    model: nn.Module,
    *,
    example: Input | None,
    gates: bool,
    keep: Sequence[str],
    also: Sequence[type[nn.Module]],
) -> Survey:
    """Look for all activations of a network and decide about each."""
    named = tuple(also)
    found = dict(find(model, wanting(also)))
    alone = Calls(modules={"": {}})
    calls = alone if "" in found else examine(model, list(found), example)
    unknown = []
    kept = []
    closed: dict[str, str] = {}
    functions = [(call.owner, call.called) for call in calls.functions.values()]
    for path, module, squashes in unknown_activations(model, list(found), functions):
        if path in keep or squashes:
            closed[path] = ASKED if path in keep else GATE
            kept.append(Kept(path=path, what=type(module).__name__, why=closed[path]))
        else:
            unknown.append((path, module))
    places: dict[str, nn.Module] = {}
    for path, module in found.items():
        squashes = is_gate(module) and not gates and not isinstance(module, named)
        if within(path, closed):
            continue
        if path in keep:
            kept.append(Kept(path=path, what=type(module).__name__, why=ASKED))
        elif squashes or path in calls.flow.gates:
            kept.append(Kept(path=path, what=type(module).__name__, why=GATE))
        else:
            places[path] = module
    aliases = other_names(places, calls)
    spots = [
        spot for path, module in places.items() for spot in of_module(path, module, calls, aliases)
    ]
    kept += [
        Kept(path=path, what=type(module).__name__, why=MIXES)
        for path, module in model.named_modules()
        if isinstance(module, MIXING)
    ]
    called, left, sites = of_functions(model, calls, gates=gates, keep=keep, closed=closed)
    order: dict[tuple[str, Site | None], int] = {
        key: number for number, key in enumerate(calls.order)
    }
    return Survey(
        spots=tuple(
            sorted((*spots, *called), key=lambda s: order.get((s.module, s.site), len(order)))
        ),
        kept=(*kept, *left),
        kept_sites=sites,
        aliases=aliases,
        unknown=tuple(unknown),
        calls=calls,
    )


def wanting(also: Sequence[type[nn.Module]]) -> Callable[[nn.Module], bool]:
    """Whether a module is looked at as an activation: a known one, a gate, or of a type named."""
    named = tuple(also)
    return lambda m: is_activation(m) or isinstance(m, named) or is_gate(m)


def within(path: str, closed: Collection[str]) -> bool:
    """Whether a path is one of those, or inside one."""
    return any(path == outer or path.startswith(f"{outer}.") for outer in closed)


def without_functions(found: Survey) -> Survey:
    """The same with all functional calls kept."""
    called = [spot for spot in found.spots if spot.function]
    kept = tuple(Kept(path=spot.path, what=spot.function, why=ASKED) for spot in called)
    spots = tuple(spot for spot in found.spots if not spot.function)
    return replace(found, spots=spots, kept=(*found.kept, *kept))


def other_names(places: dict[str, nn.Module], calls: Calls) -> dict[str, str]:
    """Paths that are never called, and the called path of the same instance.

    Such a path is another name, and stays one, so that no parameter is there without use.
    """
    called = {id(module): path for path, module in places.items() if calls.modules[path]}
    return {
        path: called[id(module)]
        for path, module in places.items()
        if not calls.modules[path] and id(module) in called
    }


def of_module(
    path: str, module: nn.Module, calls: Calls, aliases: dict[str, str]
) -> Iterator[Spot]:
    """The places of one activation module: each call in the source, at least one."""
    if path in aliases:
        return
    sites: list[tuple[Site | None, str]] = list(calls.modules[path].items()) or [(None, "")]
    for number, (site, where) in enumerate(sites):
        own = path if len(sites) == 1 else f"{path}.{number}"
        yield Spot(path=own, module=path, site=site, function="", old=module, called=where)


def of_functions(
    model: nn.Module,
    calls: Calls,
    *,
    gates: bool,
    keep: Sequence[str],
    closed: Collection[str],
) -> tuple[list[Spot], list[Kept], tuple[tuple[str, Site], ...]]:
    """The places of functional calls, those that are kept, and where they are."""
    spots, kept, sites = [], [], []
    for path, call in named_calls(model, list(calls.functions.values())):
        squashes = call.name in GATE_FUNCTIONS or (call.owner, call.site) in calls.flow.gates
        part = (call.owner, call.site) in calls.flow.parts
        if within(call.owner, closed):
            sites.append((call.owner, call.site))
            continue
        if path in keep:
            why = ASKED
        elif call.name in KEPT_FUNCTIONS:
            why = MIXES
        elif squashes and not gates and not part:
            why = GATE
        else:
            spots.append(
                Spot(
                    path=path,
                    module=call.owner,
                    site=call.site,
                    function=call.name,
                    old=call.called,
                    called=call.where,
                )
            )
            continue
        kept.append(Kept(path=path, what=call.name, why=why))
        sites.append((call.owner, call.site))
    return spots, kept, tuple(sites)


def named_calls(model: nn.Module, calls: Sequence[FunctionCall]) -> list[tuple[str, FunctionCall]]:
    """Each functional call with the path of its place: its function and a number.

    They are numbered in the order of the source, after those of an earlier conversion.
    """
    used: dict[tuple[str, str], int] = {}
    names: dict[tuple[str, Site], str] = {}
    for call in sorted(calls, key=lambda call: call.site[1:]):
        taken = taken_names(model.get_submodule(call.owner))
        number = used.get((call.owner, call.name), 0)
        while f"{call.name}_{number}" in taken:
            number += 1
        used[call.owner, call.name] = number + 1
        names[call.owner, call.site] = f"{call.name}_{number}"
    return [
        (f"{call.owner}.{SITES}.{names[call.owner, call.site]}".lstrip("."), call) for call in calls
    ]


def taken_names(owner: nn.Module) -> set[str]:
    """Names of the places that a module has from an earlier conversion."""
    sites = owner._modules.get(SITES)
    return set(sites._modules) if isinstance(sites, FunctionSites) else set()


def rebuilt(
    model: nn.Module, survey: Survey, make: Callable[[Spot], nn.Module], *, guarded: bool = True
) -> nn.Module:
    """A network with something else at every place.

    Args:
        model: The network, which is changed.
        survey: What is to be done.
        make: Makes the module for a place.
        guarded: Whether calls that were not seen raise.

    Returns:
        The network; a new one if it was an activation alone.
    """
    modules: dict[str, list[Spot]] = {}
    callers: dict[str, list[Spot]] = {}
    for spot in survey.spots:
        (callers if spot.function else modules).setdefault(spot.module, []).append(spot)
    known = survey.calls.modules  # what is inside an activation is its own affair
    owners = {
        path: owner
        for path, owner in model.named_modules()
        if path in callers or (guarded and not within(path, known) and may_call(owner))
    }
    for path, spots in modules.items():
        made = [make(spot).train(spot.old.training) for spot in spots]
        if not path:
            return made[0]
        sites = {spot.site: new for spot, new in zip(spots, made, strict=True) if spot.site}
        several = CallSites(sites).train(spots[0].old.training)
        model.set_submodule(path, made[0] if len(spots) == 1 else several)
    for path, target in survey.aliases.items():
        model.set_submodule(path, model.get_submodule(target))
    for path, owner in owners.items():
        kept = [site for at, site in survey.kept_sites if at == path]
        answer(owner, callers.get(path, []), kept, make)
    return model


def answer(
    owner: nn.Module, spots: Sequence[Spot], kept: Sequence[Site], make: Callable[[Spot], nn.Module]
) -> None:
    """Make a module answer functional calls in its code with activations of its own."""
    sites = owner._modules.get(SITES)
    if not isinstance(sites, FunctionSites):
        sites = FunctionSites({}, {}).train(owner.training)
        owner.add_module(SITES, sites)
        intercept(owner)
    sites.kept |= frozenset(kept)
    for spot in sorted(spots, key=lambda spot: spot.path):
        name = spot.path.rpartition(".")[2]
        sites.add_module(name, make(spot).train(owner.training))
        assert spot.site is not None
        sites.names[spot.site] = name


def may_call(module: nn.Module) -> bool:
    """Whether a module's code has a call of an activation as a function that may not be seen."""
    kind = type(module)
    if kind.__module__.startswith(("torch.", "metaact.")) or iterates(module):
        return False
    return any(
        mentions(value.__code__)
        for base in kind.__mro__
        if not base.__module__.startswith(("torch.", "builtins"))
        for name, value in vars(base).items()
        if isinstance(value, FunctionType) and name != "__init__"
    )


def iterates(module: nn.Module) -> bool:
    """Whether a module may go through its children in a forward: one more would be in the way."""
    if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        return True
    return any(
        CHILDREN & set(value.__code__.co_names)
        for base in type(module).__mro__
        if not base.__module__.startswith(("torch.", "builtins"))
        for name, value in vars(base).items()
        if isinstance(value, FunctionType) and name != "__init__"
    )


def mentions(code: CodeType) -> bool:
    """Whether code names such a function otherwise than as an attribute of `self`."""
    before: object = None
    for instruction in dis.get_instructions(code):
        name = instruction.argval
        if isinstance(name, str) and function_name(name) in FUNCTIONS | CLAMPS:
            of_self = before == "self" or (isinstance(before, tuple) and before[-1:] == ("self",))
            if instruction.opname.startswith("LOAD") and not of_self:
                return True
        before = name
    return any(mentions(part) for part in code.co_consts if isinstance(part, CodeType))


def prepared(model: nn.Module) -> nn.Module:
    """A copy of a network whose transformer layers call what `convert` can answer.

    torch forgets a module that a decoder layer holds as its activation when the layer is copied
    (it puts `relu` in its place), so that it is held as a function.
    """
    copied = copy.deepcopy(model)
    for path, layer in model.named_modules():
        if not isinstance(layer, TRANSFORMER_LAYERS):
            continue
        other = copied.get_submodule(path)
        if isinstance(layer, nn.TransformerEncoderLayer):
            vars(other)["activation_relu_or_gelu"] = 0  # as the fused code would not see the swap
            continue
        other._modules.pop("activation", None)
        activation = layer.activation
        if isinstance(activation, nn.ReLU):
            other.__dict__["activation"] = nn.functional.relu
        elif isinstance(activation, nn.GELU):
            function = partial(nn.functional.gelu, approximate=activation.approximate)
            other.__dict__["activation"] = function
    return copied
