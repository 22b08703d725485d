"""Calling a network with values of its parameters that are not its own."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from metaact.errors import UsageError

Values = Mapping[str, Tensor]


class Stateless:
    """A network as a function of its parameters, buffers and input.

    A module may be registered at several paths (`act` used twice, a layer that is also part of a
    `Sequential`), and several modules may share one parameter. `named_parameters` names each
    parameter once. This class sets it wherever a forward pass looks for it, and nowhere twice:
    `functional_call` alone would swap a module at two paths two times and, when it swaps back,
    leave the stand-in in the network.

    Args:
        model: The network; it is not changed.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        slots: dict[int, list[str]] = {}
        for path, module in model.named_modules():
            own = [
                *module.named_parameters(recurse=False, remove_duplicate=False),
                *module.named_buffers(recurse=False, remove_duplicate=False),
            ]
            for name, tensor in own:
                slots.setdefault(id(tensor), []).append(f"{path}.{name}" if path else name)
        tensors = [*model.named_parameters(), *model.named_buffers()]
        self._places = {name: slots[id(tensor)] for name, tensor in tensors}

    def __call__(self, values: Values, images: Tensor) -> Tensor:
        """Logits of images.

        Args:
            values: Stand-ins by the names of `named_parameters` and `named_buffers`; what is left
                out is the network's own.
            images: The input.

        Raises:
            UsageError: If the network does not return a tensor.
        """
        everywhere = {place: v for name, v in values.items() for place in self._places[name]}
        output: object = functional_call(self.model, everywhere, (images,), tie_weights=False)
        return logits_of(output)


def head_of(model: nn.Module) -> str | None:
    """Path of a network's last layer: the child `head`, else the last `nn.Linear`; None if none is.

    Args:
        model: Any network that registers its layers in their order.

    Examples:
        >>> head_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)))
        '2'
    """
    if "head" in dict(model.named_children()):
        return "head"
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return linear[-1] if linear else None


def holding(model: nn.Module, values: Values, *, own: bool = False) -> nn.Module:
    """A copy of a network that holds other values in place of its parameters.

    Args:
        model: The network; it is not changed.
        values: One for each parameter, by the names of `named_parameters`.
        own: Whether the copy gets parameters of its own with these values; if not, it holds the
            very tensors, with the graph that made them.

    Raises:
        UsageError: If the network cannot be copied.
    """
    stand_ins: dict[int, Any] = {}
    for name, parameter in model.named_parameters():
        value = values[name]
        if own:
            value = nn.Parameter(value.detach().clone(), requires_grad=parameter.requires_grad)
        stand_ins[id(parameter)] = value
    # What is to be copied is looked up there first: wherever a parameter is registered.
    try:
        return copy.deepcopy(model, stand_ins)
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"`model` must be one that can be copied, to hold what it has adapted to ({reason}); "
            f"got a {type(model).__name__}."
        ) from error


def logits_of(output: object) -> Tensor:
    """What a network returned, if it is a tensor.

    Raises:
        UsageError: If it is a tuple, a dictionary or anything else.
    """
    if isinstance(output, Tensor):
        return output
    raise UsageError(
        "`model` must return one tensor of logits (wrap it in a module that picks them out); got "
        f"a {type(output).__name__}."
    )


@contextmanager
def differentiable_kernels() -> Iterator[None]:
    """Inside, attention is computed by the kernel that has derivatives of every order.

    The fused kernels of `scaled_dot_product_attention` have no second derivative, and `vmap` calls
    them once a task. What `vmap` says of ops that it calls so is for torch's developers: it is
    kept from the user, who can do nothing about it.
    """
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not")
        yield


def check_callable(model: nn.Module) -> None:
    """Refuse wrappers whose parameters cannot be replaced for a call.

    Raises:
        UsageError: If there is one; the message names it and says what to do.
    """
    for name, module in model.named_modules():
        shown = f"`{name or 'model'}` ({type(module).__name__})"
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise UsageError(
                f"{shown} must be a plain module (it copies its parameters to several devices, "
                "and tasks are adapted on one); pass its `.module`."
            )
        if isinstance(module, torch.jit.ScriptModule):
            raise UsageError(
                f"{shown} must be a plain module (compiled by torch.jit, its parameters cannot be "
                "replaced task by task); pass the module that it was made from."
            )
