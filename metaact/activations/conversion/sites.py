"""A call in the source of a network: how it is recognised, and one activation for each.

A call is recognised by the code of the function that makes it and its position there, so nothing
is counted, and copies, pickles, threads and `torch.func` make no difference.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from metaact.errors import UsageError

from .functions import activation_call, tensor_of

Site = tuple[str, int, int, int, int]
"""Name of a function and the place of a call in it: first line, column, last line, column.

Lines are counted from that of the function, so that it may move in its file.
"""

SITES = "functional"
"""Name of the child that holds the activations which replace a module's functional calls."""

TORCH = Path(torch.__file__).parent
PLUMBING = (
    *(str(TORCH / name) for name in ("overrides.py", "_tensor.py", "_jit_internal.py", "fx")),
    *(str(TORCH / "nn" / name) for name in ("functional.py", "modules/module.py")),
    str(Path(__file__).parent),
)
"""Files that stand between a call in a network's source and what it calls."""


def caller() -> FrameType:
    """The frame whose source makes the call that is being answered."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(PLUMBING) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def site_of(frame: FrameType) -> Site:
    """Where in its function a frame is calling."""
    return _site(frame.f_code, frame.f_lasti)


@lru_cache(maxsize=4096)
def _site(code: CodeType, instruction: int) -> Site:
    line, last, column, end = next(islice(code.co_positions(), instruction // 2, None))
    start = code.co_firstlineno
    if line is None or last is None or column is None or end is None:  # python -X no_debug_ranges
        return code.co_qualname, 0, instruction, 0, instruction
    return code.co_qualname, line - start, column, last - start, end


def line_of(frame: FrameType) -> str:
    """File and line of a frame."""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def module_of(frame: FrameType) -> nn.Module | None:
    """The module whose code a frame belongs to: `self` of the innermost method of one."""
    outer: FrameType | None = frame
    while outer is not None:
        found = outer.f_locals.get("self")
        if isinstance(found, nn.Module):
            return found
        outer = outer.f_back
    return None


class CallSites(nn.Module):
    """Stands where one activation module is called at several places, each with its own.

    The parameters are named `<path>.0.alpha`, `<path>.1.alpha`, …, in the order of the first calls.
    A loop, or a block that is called again, calls the same place again.

    Args:
        activations: The activation of each place.
    """

    def __init__(self, activations: Mapping[Site, nn.Module]) -> None:
        super().__init__()
        self.numbers = {site: str(number) for number, site in enumerate(activations)}
        for number, activation in enumerate(activations.values()):
            self.add_module(str(number), activation)

    def __len__(self) -> int:
        return len(self._modules)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation of the place that calls.

        Raises:
            UsageError: If `convert` has not seen that place called.
        """
        frame = caller()
        number = self.numbers.get(site_of(frame))
        if number is None:
            raise unseen("the activation", frame)
        result: Tensor = self.get_submodule(number)(x)
        return result


class FunctionSites(nn.Module):
    """The activations that stand for the functional calls in one module's own code.

    It is the child `functional` of that module, and its parameters are named
    `<path>.functional.relu_0.alpha`, …: the function and a number, in the order of the source.

    Args:
        activations: The activation of each place, by name.
        names: The name of each place.
        kept: Calls that stay what they are.
    """

    def __init__(
        self,
        activations: Mapping[str, nn.Module],
        names: Mapping[Site, str],
        kept: Iterable[Site] = (),
    ) -> None:
        super().__init__()
        self.names = dict(names)
        self.kept = frozenset(kept)
        for name, activation in activations.items():
            self.add_module(name, activation)

    def answer(self, frame: FrameType, function: str) -> nn.Module | None:
        """The activation for a call, or None for one that stays.

        Raises:
            UsageError: If `convert` has not seen it.
        """
        site = site_of(frame)
        if site in self.kept:
            return None
        if site not in self.names:
            raise unseen(function, frame)
        return self.get_submodule(self.names[site])


class Interception(TorchFunctionMode):
    """Answers the functional calls of one module's own code with its activations."""

    def __init__(self, owner: nn.Module) -> None:
        super().__init__()
        self.owner = owner

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the activation in place of the function, or the function."""
        kwargs = kwargs or {}
        function = activation_call(func, args, kwargs)
        if function:
            frame = caller()
            if module_of(frame) is self.owner:
                sites = self.owner.get_submodule(SITES)
                assert isinstance(sites, FunctionSites)
                activation = sites.answer(frame, function)
                if activation is not None:
                    return activation(tensor_of(args, kwargs))
        return func(*args, **kwargs)


class Running(threading.local):
    """The interceptions of the forward passes that this thread is in."""

    def __init__(self) -> None:
        self.modes: list[Interception] = []


RUNNING = Running()


def intercept(owner: nn.Module) -> None:
    """Make a module's forward answer its functional calls with the activations of its child.

    The hooks are functions of this file, so the network can be copied and pickled.
    """
    if begin not in owner._forward_pre_hooks.values():
        owner.register_forward_pre_hook(begin)
        owner.register_forward_hook(end, always_call=True)


def begin(owner: nn.Module, inputs: object) -> None:
    """Start answering."""
    mode = Interception(owner)
    RUNNING.modes.append(mode)
    mode.__enter__()  # type: ignore[no-untyped-call]  # as torch has it


def end(owner: nn.Module, inputs: object, output: object) -> None:
    """Stop answering."""
    RUNNING.modes.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]  # as torch


def unseen(function: str, frame: FrameType) -> UsageError:
    """The error for a call that was not seen at conversion."""
    return UsageError(
        "A converted network must call its activations where `convert` saw it call them (each "
        f"such place has its own); got a call of {function} at {line_of(frame)}. Pass `convert` an "
        "`example` input that takes this path."
    )
