"""Models whose forward pass is known to be a function of what can be seen of them.

What a user's class does in its forward pass may reach anything: a layer by a closure, a generator
or a counter of its own. A copy would miss it, two threads would share it, and a record of its ops
would not see it change.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from types import BuiltinFunctionType, FunctionType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrizations import _SpectralNorm

_NAMES = ("torch.", "torchvision.models.", "metaact.")
_OF_ANY_MODULE = vars(nn.Module())


def is_known(module: nn.Module) -> bool:
    """Whether a module is what its class says, and that class is known to keep no state."""
    is_ours = type(module).__module__.startswith(("torch.nn.", *_NAMES[1:]))
    return is_ours and _is_as_its_class(module)


def _is_as_its_class(module: nn.Module) -> bool:
    """Whether nothing but its class says what a module computes from its attributes."""
    hooks = (value for name, value in vars(module).items() if name.endswith("_hooks"))
    return (
        not any(hooks)
        and "forward" not in vars(module)
        and not any(getattr(v, "__closure__", None) or _is_bound(v) for v in _own(module).values())
    )


def _own(module: nn.Module) -> dict[str, object]:
    """The attributes that not every module has."""
    return {name: v for name, v in vars(module).items() if name not in _OF_ANY_MODULE}


def _is_bound(value: object) -> bool:
    return isinstance(getattr(value, "__self__", None), nn.Module)


def signature(model: nn.Module) -> Hashable | None:
    """What the ops of a model's forward and backward pass depend on, besides layouts of tensors.

    That is its modules, their modes and plain attributes, which parameters are trained, and what
    is shared.

    Returns:
        Equal for two models, or one model at two times, only if their ops are the same; None if
        it is not known what they depend on.
    """
    modules = list(model.modules())
    tensors = [*model.parameters(), *model.buffers()]
    numbers = {id(thing): n for n, thing in enumerate([*modules, *tensors])}
    if not all(map(is_known, modules)) or not all(map(_is_ordinary, tensors)):
        return None
    parts: list[Hashable] = [tuple(tensor.requires_grad for tensor in tensors)]
    for module in modules:
        held = (module._modules, module._parameters, module._buffers)
        shape = [(n, numbers.get(id(v))) for group in held for n, v in group.items()]
        plain = [(n, _plain(value)) for n, value in _own(module).items()]
        if any(value is None for _, value in plain):
            return None
        parts.append((type(module), module.training, *shape, *plain))
    return tuple(parts)


def form_of(module: nn.Module) -> Hashable | None:
    """What a module's own part of a forward pass depends on, besides the numbers of its tensors.

    That is its class, mode and plain attributes, shapes of its own tensors, which of them are
    trained, and the names of its children: two modules of equal form that are given the same
    numbers compute the same, also those of a class of the user's own.

    Returns:
        None if it is not known: it has hooks, or attributes that cannot be compared.
    """
    tensors = (*module._parameters.items(), *module._buffers.items())
    ordinary = all(tensor is None or _is_ordinary(tensor) for _, tensor in tensors)
    if not ordinary or not _is_as_its_class(module):
        return None
    shapes = [(n, None if t is None else (t.shape, t.dtype, t.requires_grad)) for n, t in tensors]
    children = [(name, child is None) for name, child in module._modules.items()]
    plain = [(name, _plain(value)) for name, value in _own(module).items()]
    if any(value is None for _, value in plain):
        return None
    return type(module), module.training, tuple(shapes), tuple(children), tuple(plain)


def keeps_state(model: nn.Module) -> bool:
    """Whether a known model in training changes buffers of its own when it is called."""
    return any(
        isinstance(module, _SpectralNorm)
        or (isinstance(module, _NormBase) and module.track_running_stats)
        for module in model.modules()
    )


def _is_ordinary(tensor: Tensor) -> bool:
    """Whether nothing happens to a tensor but what ops do."""
    return type(tensor) in (Tensor, nn.Parameter) and not (
        tensor._backward_hooks or tensor._post_accumulate_grad_hooks
    )


def _plain(value: object) -> Hashable | None:
    """A value that can be compared, marked by its type; None for one that could not."""
    if isinstance(value, list | tuple):
        return _all_plain(value)
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        known = (value.__module__ or "").startswith(_NAMES)
        return ("named", value) if known else None
    return (type(value), value) if isinstance(value, _PLAIN) else None


def _all_plain(values: Iterable[object]) -> Hashable | None:
    found = tuple(map(_plain, values))
    return None if None in found else found


_PLAIN = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)
