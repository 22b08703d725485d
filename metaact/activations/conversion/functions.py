"""Activations that are called as functions or tensor methods: which, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# By name without a trailing "_" (in-place form).
FUNCTIONS = frozenset(
    (
        *("celu", "elu", "gelu", "hardshrink", "hardswish", "hardtanh", "leaky_relu", "mish"),
        *("prelu", "relu", "relu6", "rrelu", "selu", "silu", "softplus", "softshrink"),
        *("softsign", "tanh", "tanhshrink", "threshold"),
    )
)

GATE_FUNCTIONS = frozenset(("hardsigmoid", "logsigmoid", "sigmoid"))
"""Mostly gates or outputs: swapped with `gates=True` alone."""

KEPT_FUNCTIONS = frozenset(("glu", "log_softmax", "softmax", "softmin"))
"""They mix elements: no activation can stand for them."""

CLAMPS = frozenset(("clamp", "clamp_max", "clamp_min", "clip"))

FIRST = ("input", "self")


def function_name(function: object) -> str:
    """Name of a function or method without "_" around it."""
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    return str(name).strip("_")


def activation_call(function: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """The name of the activation or gate that a call computes, or "" if it is none.

    `clamp(min=0)` is a ReLU and `clamp(0, 6)` a ReLU6; other bounds are none.
    """
    name = function_name(function)
    if name in FUNCTIONS or name in GATE_FUNCTIONS or name in KEPT_FUNCTIONS:
        return name
    if name in CLAMPS and name != "clamp_max":
        given = dict(zip(("input", "min", "max"), args, strict=False)) | dict(kwargs)
        low, high = given.get("min"), given.get("max")
        if not isinstance(low, Tensor) and low == 0 and low is not None:
            if high is None:
                return "clamp"
            if not isinstance(high, Tensor) and high == 6:
                return "clamp6"
    return ""


def tensor_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The tensor that a call acts on."""
    return args[0] if args else next(kwargs[name] for name in FIRST if name in kwargs)


def overwrites_input(function: object, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call overwrites the tensor that it acts on."""
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    in_place = str(name).endswith("_") and not str(name).startswith("_")
    return in_place or any(value is True for value in (kwargs.get("inplace"),))


class Called(nn.Module):
    """A functional call as a module; it does not overwrite its input.

    Args:
        function: The function, or the name of a tensor method.
        args: Its arguments after the tensor.
        kwargs: Its keyword arguments.
    """

    def __init__(
        self, function: Callable[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.function = function
        self.args = tuple(args)
        self.kwargs = {name: value for name, value in kwargs.items() if name not in FIRST}

    def forward(self, x: Tensor) -> Tensor:
        """What the call computes."""
        copied = x.clone()
        if isinstance(self.function, str):
            result: Tensor = getattr(copied, self.function)(*self.args, **self.kwargs)
        else:
            result = self.function(copied, *self.args, **self.kwargs)
        return result

    def extra_repr(self) -> str:
        """The arguments."""
        shown = [repr(value) for value in self.args]
        shown += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return ", ".join(shown)


def depends_on_tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call has a tensor (or what stands for one in a trace) beside that it acts on."""
    rest = [*args[1:], *(value for name, value in kwargs.items() if name not in FIRST)]
    return any(isinstance(value, Tensor | torch.fx.Node | torch.fx.Proxy) for value in rest)
