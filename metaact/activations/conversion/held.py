"""Modules that a network holds otherwise than as children: neither a copy nor a swap is sure there.

A swap puts the new activation in the place of a child. A plain list, a bound method, a closure or a
global variable goes on holding the old one, and a copy of a function holds what the function held.
"""

from __future__ import annotations

import dis
import gc
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any
from weakref import ref

from torch import Tensor, nn

from metaact.errors import UsageError

from .examine import TRANSFORMER_LAYERS
from .unknown import KNOWN_PACKAGES

TREE = ("_modules", "_parameters", "_buffers")
CLOSED = (
    *(type, ModuleType, BuiltinFunctionType, CodeType, FrameType, ref),
    *(Tensor, str, bytes, int, float, complex),
)
"""What holds no module of a network."""


def check_held(
    model: nn.Module, original: nn.Module, wanted: Callable[[nn.Module], bool], keep: Sequence[str]
) -> None:
    """Refuse a network that reaches an activation past its children.

    Args:
        model: A copy of the network.
        original: The network.
        wanted: Whether a module is an activation that may be swapped.
        keep: Paths of activations that stay.

    Raises:
        UsageError: If it does; the message names the attribute.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    behind = {id(module) for module in original.modules()}
    for place, found in held_otherwise(model):
        if id(found) in paths:
            missed = wanted(found) and paths[id(found)] not in keep
        else:
            missed = id(found) in behind or any(_may_act(m, wanted) for m in found.modules())
        if missed:
            raise UsageError(
                "`model` must reach its activations as children alone (a swap does not reach what "
                "a list, a closure, a bound method, a class or a global variable holds); got a "
                f"{type(found).__name__} held by {place}. Hold it in nn.ModuleList or as an "
                "attribute of its own, and call that in `forward`."
            )


def _may_act(module: nn.Module, wanted: Callable[[nn.Module], bool]) -> bool:
    """Whether a module is an activation, or has code of which that is not known."""
    own = not type(module).__module__.startswith(KNOWN_PACKAGES)
    return own or wanted(module) or isinstance(module, TRANSFORMER_LAYERS)


def held_otherwise(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What holds a module otherwise than as a child, in words, and that module."""
    classes: set[type] = set()
    for path, owner in model.named_modules():
        where = f"{path}." if path else ""
        for name, value in vars(owner).items():
            if name not in TREE:
                yield from ((f"`{where}{name}`", found) for found in _reached(value))
        for kind in set(type(owner).__mro__) - classes:
            classes.add(kind)
            if kind.__module__.startswith(("torch.", "builtins", "typing", *KNOWN_PACKAGES)):
                continue
            for name, value in vars(kind).items():
                inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
                held = f"`{kind.__name__}.{name}`"
                yield from ((held, found) for found in _reached(inner) if name != "__init__")


def _reached(value: object) -> Iterator[nn.Module]:
    """The modules that a value leads to."""
    waiting, seen = [value], {id(value)}
    alive = [value]  # what is made on the way must not leave its id to another
    while waiting:
        item = waiting.pop()
        if isinstance(item, nn.Module):
            yield item
            continue
        for inner in _of_function(item) if isinstance(item, FunctionType) else _inside(item):
            if id(inner) not in seen:
                seen.add(id(inner))
                alive.append(inner)
                waiting.append(inner)


def _inside(item: object) -> list[Any]:
    return [] if isinstance(item, CLOSED) else gc.get_referents(item)


def _of_function(function: FunctionType) -> Iterator[object]:
    """What a function was made with, and the modules and functions of its file that it names."""
    if function.__module__ is not None and function.__module__.startswith(("torch.", "metaact.")):
        return
    yield from function.__closure__ or ()
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    for name in _globals_of(function.__code__):
        found = function.__globals__.get(name)
        own = isinstance(found, FunctionType) and found.__globals__ is function.__globals__
        if own or isinstance(found, nn.Module):
            yield found


def _globals_of(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            yield str(instruction.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _globals_of(part)
