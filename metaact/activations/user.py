"""The user's own code, named as `module:factory`: found, called, hashed; and activations of it."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from metaact.errors import UsageError, named_reason
from metaact.randomness import preserved_rng

from .entry import Entry, marked
from .specs import parse

T = TypeVar("T")

Refused = Callable[[str, str], UsageError]
"""Makes the error for what a user named, of its name and the reason."""


def user_entry(spec: str) -> Entry:
    """Import and check a user's activation.

    The factory is called without arguments. It must make a fresh module at every call (one shared
    instance would tie the parameters of all layers together) that keeps the shape of its input and
    passes gradients on to it.

    Args:
        spec: "module:factory", where the factory is a class or a function.

    Returns:
        An entry of kind "user".

    Raises:
        UsageError: If it cannot be imported, called or used.
    """
    # Only to look at it: whatever the user's code draws is undone.
    with preserved_rng():
        factory = named(spec, refused)
        first, second = build(spec, factory), build(spec, factory)
        tied = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
        if first is second or tied:
            raise refused(spec, "it returns the same instance or parameters at every call")
        check_not_lazy(spec, first, refused)
        check_shape(spec, first)
    return Entry(
        name=spec,
        title=spec.partition(":")[2],
        factory=partial(marked, factory),
        learnable=sum(p.numel() for p in first.parameters() if p.requires_grad),
        kind="user",
        citation="user",
        formula=(inspect.getdoc(type(first)) or "").partition("\n")[0],
    )


def source_identity(spec: str) -> dict[str, str]:
    """A hash of the file behind `module:factory`, for the identity of a run.

    An activation that was edited must not be answered with the runs of its earlier self. What the
    file imports is not hashed.

    Args:
        spec: As for `resolve`.

    Returns:
        {"activation_sha256": 64 hex digits}; {} for an activation of metaact's own.

    Raises:
        UsageError: If the module cannot be imported.

    Examples:
        >>> source_identity("arelu(alpha=0.25)")
        {}
    """
    name = parse(spec).base.name
    if ":" not in name:
        return {}
    named(name, refused)
    found = file_sha256(name)
    return {} if found is None else {"activation_sha256": found}


def named(spec: str, refuse: Refused) -> Callable[..., nn.Module]:
    """The callable that `module:factory` names.

    Args:
        spec: "module:factory"; the factory may be an attribute of one.
        refuse: Makes the error where there is none.

    Raises:
        UsageError: If it cannot be imported, or called.
    """
    module_name, _, path = spec.partition(":")

    def imported() -> object:
        found: object = importlib.import_module(module_name)
        for name in path.split("."):
            found = getattr(found, name)
        return found

    found = tried(imported, spec, refuse)
    if not callable(found):
        raise refuse(spec, f"{path} is a {type(found).__name__} and cannot be called")
    return found


def file_sha256(spec: str) -> str | None:
    """A hash of the file that holds the imported module of `module:factory`; None if none does."""
    file = sys.modules[spec.partition(":")[0]].__file__
    return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()


def build(spec: str, factory: Callable[[], nn.Module]) -> nn.Module:
    """One instance."""
    made: object = tried(factory, spec, refused)
    if not isinstance(made, nn.Module):
        raise refused(spec, f"it returned a {type(made).__name__}")
    return made


def tried(call: Callable[[], T], spec: str, refuse: Refused, *, where: str = "") -> T:
    """Call the user's code, which may raise anything; only the user's own Ctrl-C goes through.

    Args:
        call: The code.
        spec: What the user named.
        refuse: Makes the error of what it raises.
        where: Where it was called, before the reason.
    """
    try:
        return call()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what is caught is told
        raise refuse(spec, f"{where}{named_reason(error)}") from error


def check_not_lazy(spec: str, module: nn.Module, refuse: Refused) -> None:
    """Refuse a module whose parameters are made at its first call: no optimizer could hold them."""
    for part in module.modules():
        if isinstance(part, LazyModuleMixin) and part.has_uninitialized_params():
            raise refuse(
                spec, f"{type(part).__name__} has no parameters before its first call; give sizes"
            )


def check_shape(spec: str, module: nn.Module) -> None:
    """Refuse a module that changes the form of a batch of feature maps, or stops its gradient."""
    probe = torch.linspace(-1, 1, 36).reshape(1, 4, 3, 3).requires_grad_()
    result: object = tried(
        lambda: module(probe.clone()), spec, refused, where="on a [1, 4, 3, 3] input, "
    )
    if not isinstance(result, Tensor):
        raise refused(
            spec, f"called, it must return a tensor; it returned a {type(result).__name__}"
        )
    if (result.shape, result.dtype) != (probe.shape, probe.dtype):
        seen = f"of a float32 [1, 4, 3, 3] it made {result.dtype} {list(result.shape)}"
        raise refused(spec, f"it must keep the shape and the dtype of its input; {seen}")
    if not result.requires_grad or not _reaches(result, probe):
        raise refused(
            spec,
            "its output must have a gradient in its input; it detaches it, so that the layers "
            "before it would learn nothing",
        )


def _reaches(result: Tensor, probe: Tensor) -> bool:
    (gradient,) = torch.autograd.grad(result.sum(), [probe], allow_unused=True)
    return gradient is not None


def refused(spec: str, why: str) -> UsageError:
    """The error for a user's activation that cannot be used."""
    reason = " ".join(why.split())
    return UsageError(
        "`activation` module:factory must name a callable without arguments that returns a fresh "
        f"torch.nn.Module ({reason}); got {spec!r}."
    )
