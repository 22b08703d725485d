"""How often a network calls each of its activations, and which it calls as functions."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from .places import FUNCTIONS

# These read only the shape of a tensor, which an in-place activation does not change.
SHAPE_READERS = frozenset(("size", "dim", "numel", "getattr"))
NOT_THE_USERS = (str(Path(torch.__file__).parent), __file__)


class Probe(nn.Module):
    """Stands at one place while a network is examined, and counts its calls."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self.original = original
        self.calls = 0
        self.running = False

    def forward(self, x: Tensor) -> Tensor:
        """What the original computes."""
        self.calls += 1
        self.running = True
        result: Tensor = self.original(x)
        self.running = False
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What an examination saw beside the counts of the probes.

    Attributes:
        functions: Activations called as functions, each with where.
        discarded: Paths whose result nobody uses: they act by overwriting their input.
        overwritten: Paths whose overwritten input is read later.
        untraceable: Why the network could not be traced, or "".
    """

    functions: list[str] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    untraceable: str = ""


class Tracer(fx.Tracer):
    """A symbolic tracer that counts the calls of the probes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Probes are opaque, as torch's own layers are."""
        return isinstance(m, Probe) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Count a probe, then record the call as usual."""
        if isinstance(m, Probe):
            m.calls += 1
        return super().call_module(m, forward, args, kwargs)


def by_trace(model: nn.Module) -> Calls:
    """Examine a network whose places are probes by tracing it symbolically.

    What stops a trace (a branch on data, a call of a module that is not registered) is reported in
    `untraceable`; the counts are then worthless.
    """
    try:
        graph = Tracer().trace(model)
    except Exception as error:  # noqa: BLE001  # tracing runs any code; the caller names the reason
        reason = " ".join(str(error).split())[:200]
        return Calls(untraceable=f"{type(error).__name__}: {reason}")
    nodes = list(graph.nodes)
    calls = Calls()
    for number, node in enumerate(nodes):
        name = function_name(node)
        if name in FUNCTIONS:
            calls.functions.append(f"{name} in {module_of(node)}")
        if overwrites(model, node):
            path = str(node.target)
            if not node.users:
                calls.discarded.append(path)
            if any(reads(later, node.args[0]) for later in nodes[number + 1 :]):
                calls.overwritten.append(path)
    return calls


def by_forward(
    model: nn.Module, example: Tensor | tuple[Any, ...], probes: Sequence[Probe]
) -> Calls:
    """Examine a network whose places are probes by running it once on an example.

    The random streams are put back afterwards; the network itself is the caller's copy.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    watcher = FunctionWatcher(probes)
    with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad(), watcher:
        model(*inputs)
    return Calls(functions=watcher.seen)


class FunctionWatcher(TorchFunctionMode):
    """Notes every activation that is called as a function outside the probes."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        super().__init__()
        self.probes = probes
        self.seen: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Note the function, then call it."""
        name = func.__name__.rstrip("_")
        if name in FUNCTIONS and not any(probe.running for probe in self.probes):
            self.seen.append(f"{name} at {users_line()}")
        return func(*args, **(kwargs or {}))


def users_line() -> str:
    """File and line of the innermost call that is neither torch's nor ours."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(NOT_THE_USERS):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return "an unknown line"


def function_name(node: fx.Node) -> str:
    """Name of the function or tensor method that a node calls, without a trailing "_"."""
    if node.op == "call_method":
        return str(node.target).rstrip("_")
    if node.op == "call_function" and callable(node.target):
        return node.target.__name__.rstrip("_")
    return ""


def module_of(node: fx.Node) -> str:
    """Path of the module whose forward made a node."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return f"`{stack[-1][0]}`" if stack and stack[-1][0] else "the network's own forward"


def overwrites(model: nn.Module, node: fx.Node) -> bool:
    """Whether a node is a probe in place of an activation with `inplace=True`."""
    if node.op != "call_module":
        return False
    module = model.get_submodule(str(node.target))
    return isinstance(module, Probe) and bool(vars(module.original).get("inplace", False))


def reads(node: fx.Node, value: object) -> bool:
    """Whether a node reads the elements of a value."""
    return value in node.all_input_nodes and function_name(node) not in SHAPE_READERS
