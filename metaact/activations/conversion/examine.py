"""Where a network calls its activations: by a symbolic trace, or in forward passes."""

from __future__ import annotations

import copy
import opcode
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from metaact.randomness import preserved_rng

from .flow import ARITHMETIC, Flow
from .functions import (
    Called,
    activation_call,
    depends_on_tensors,
    function_name,
    overwrites_input,
    tensor_of,
)
from .sites import SITES, FunctionSites, Site, caller, line_of, module_of, site_of

# These read only the shape of a tensor, which an in-place activation does not change.
SHAPE_READERS = frozenset(("size", "dim", "numel", "getattr"))
TRANSFORMER_LAYERS = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
"""torch's own modules that call an activation as a function."""

Input = Tensor | tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """A call of an activation as a function.

    Attributes:
        owner: Path of the module whose code calls.
        site: Where in it.
        name: The function, as `activation_call` names it.
        called: The call as a module.
        where: File and line.
        of_tensors: Whether it has further tensors as arguments.
    """

    owner: str
    site: Site
    name: str
    called: Called
    where: str
    of_tensors: bool


@dataclass(slots=True, kw_only=True)
class Calls:
    """What an examination has seen.

    Attributes:
        modules: Per path of an activation module, where it is called: place and line, in order.
        functions: Activations called as functions, in order.
        order: Both, in the order of their first calls.
        discarded: Activations whose result nobody uses: they act by overwriting their input.
        overwritten: Activations whose overwritten input is read later.
        flow: Which are parts of others.
        untraceable: Why the network could not be traced, or "".
    """

    modules: dict[str, dict[Site, str]]
    functions: dict[tuple[str, Site], FunctionCall] = field(default_factory=dict)
    order: dict[tuple[str, Site], None] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    flow: Flow = field(default_factory=Flow)
    untraceable: str = ""

    def module(self, path: str, frame: FrameType) -> Hashable:
        """Note the call of an activation module."""
        self.order[path, site_of(frame)] = None
        self.modules[path].setdefault(site_of(frame), line_of(frame))
        return path

    def function(
        self, owner: str, frame: FrameType, name: str, call: Called, *, of_tensors: bool
    ) -> Hashable:
        """Note the call of a function."""
        key = owner, site_of(frame)
        self.order[key] = None
        if key not in self.functions:
            self.functions[key] = FunctionCall(
                owner=owner,
                site=key[1],
                name=name,
                called=call,
                where=line_of(frame),
                of_tensors=of_tensors,
            )
        return key


class Probe(nn.Module):
    """Stands at one place while a network is examined.

    Attributes:
        watcher: Who is told of each call, in a forward pass.
    """

    def __init__(self, path: str, original: nn.Module) -> None:
        super().__init__()
        self.path = path
        self.original = original
        self.watcher: Watcher | None = None

    @property
    def overwrites(self) -> bool:
        """Whether the original overwrites its input."""
        return bool(vars(self.original).get("inplace", False))

    def forward(self, x: Tensor) -> Tensor:
        """What the original computes."""
        if self.watcher is None:
            result: Tensor = self.original(x)
            return result
        return self.watcher.module(self, x, caller())


def examine(model: nn.Module, paths: Sequence[str], example: Input | None) -> Calls:
    """Where a network calls its activations, in training and evaluation.

    A call that is made in one mode only (an auxiliary head) counts as well. What goes wrong in the
    mode that the network is not in does not count.

    Args:
        model: Any network; it is only read.
        paths: Its activation modules.
        example: An input, or None to trace it.
    """
    # The weights are only read: sharing them saves the time and memory of a second copy.
    examined = copy.deepcopy(model, {id(weight): weight for weight in model.parameters()})
    probes = {path: Probe(path, examined.get_submodule(path)) for path in paths}
    for path, probe in probes.items():
        examined.set_submodule(path, probe)
    calls = Calls(modules={path: {} for path in paths})
    look = by_trace if example is None else by_forward
    with preserved_rng():
        look(examined, calls, example)
        if not calls.untraceable:
            with in_other_mode(examined), suppress(Exception):
                look(examined, calls, example)
    calls.discarded = list(dict.fromkeys(calls.discarded))
    calls.overwritten = list(dict.fromkeys(calls.overwritten))
    return calls


@contextmanager
def in_other_mode(model: nn.Module) -> Iterator[None]:
    """Training mode for a network in evaluation, and the other way round."""
    modes = [(module, module.training) for module in model.modules()]
    model.train(not model.training)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Tracer(fx.Tracer):
    """A symbolic tracer that notes the activations."""

    def __init__(self, model: nn.Module, calls: Calls) -> None:
        super().__init__()
        self.calls = calls
        self.paths = paths_of(model)

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
        """Note a probe, then record the call as usual."""
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(m, Probe):
            key = self.calls.module(m.path, caller())
            name = type(m.original).__name__.lower()
            self.calls.flow.activation(key, name, tensor_of(args, kwargs), result)
        return result

    def create_proxy(
        self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **more: Any
    ) -> Any:
        """Record an operation as usual, then note it if it is an activation or arithmetic."""
        result = super().create_proxy(kind, target, args, kwargs, *rest, **more)
        if kind not in ("call_function", "call_method"):
            return result
        name = activation_call(target, args, kwargs)
        plain = function_name(target)
        if name or plain == "erf":
            frame = caller()
            owner = module_of(frame)
            of_tensors = depends_on_tensors(args, kwargs)
            key = noted(
                self.calls,
                self.paths,
                owner,
                frame,
                name,
                Called(target, args[1:], kwargs),
                of_tensors=of_tensors,
            )
            self.calls.flow.activation(key, name, tensor_of(args, kwargs), result)
        elif plain in ARITHMETIC:
            operands = [value for value in args if isinstance(value, fx.Proxy)]
            self.calls.flow.arithmetic(plain, args, operands, result)
        return result


def paths_of(model: nn.Module) -> dict[int, str]:
    """The path of each module, by id."""
    return {id(module): path for path, module in model.named_modules()}


def noted(
    calls: Calls,
    paths: dict[int, str],
    owner: nn.Module | None,
    frame: FrameType,
    name: str,
    call: Called,
    *,
    of_tensors: bool,
) -> Hashable:
    """Note a functional call; at a place of an earlier conversion it is a call of that module."""
    if not name:
        return "erf", site_of(frame)
    path = paths.get(id(owner), "")
    sites = owner._modules.get(SITES) if owner is not None else None
    if isinstance(sites, FunctionSites) and site_of(frame) in sites.names:
        inner = f"{path}.{SITES}.{sites.names[site_of(frame)]}".lstrip(".")
        return calls.module(inner, frame) if inner in calls.modules else inner
    return calls.function(path, frame, name, call, of_tensors=of_tensors)


def opaque(model: nn.Module, calls: Calls) -> None:
    """Examine torch's own layers that call an activation as a function: a trace does not enter."""
    for layer in model.modules():
        if isinstance(layer, TRANSFORMER_LAYERS):
            linear = layer.get_submodule("linear1")
            assert isinstance(linear, nn.Linear)
            x = linear.weight.new_zeros(1, 1, linear.in_features)
            inputs = (x, x) if isinstance(layer, nn.TransformerDecoderLayer) else (x,)
            with torch.no_grad(), Watcher(calls, paths_of(model)) as watcher:
                watch(layer, watcher)
                layer(*inputs)
            watch(layer, None)


def watch(model: nn.Module, watcher: Watcher | None) -> None:
    """Make the probes in a network tell a watcher of their calls, or nobody."""
    for module in model.modules():
        if isinstance(module, Probe):
            module.watcher = watcher


def by_trace(model: nn.Module, calls: Calls, example: object = None) -> None:
    """Examine a network whose places are probes by tracing it symbolically.

    What stops a trace (a branch on data, a call of a module that is not registered) is reported in
    `untraceable`; what was seen is then worthless.
    """
    opaque(model, calls)
    try:
        graph = Tracer(model, calls).trace(model)
    except Exception as error:  # noqa: BLE001  # tracing runs any code; the caller names the reason
        reason = " ".join(str(error).split())[:200]
        calls.untraceable = f"{type(error).__name__}: {reason}"
        return
    nodes = list(graph.nodes)
    for number, node in enumerate(nodes):
        name = overwriting(model, node)
        if name:
            if not node.users:
                calls.discarded.append(name)
            if any(reads(later, node.args[0]) for later in nodes[number + 1 :]):
                calls.overwritten.append(name)


def overwriting(model: nn.Module, node: fx.Node) -> str:
    """The name of an activation that overwrites its input, or ""."""
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        return module.path if isinstance(module, Probe) and module.overwrites else ""
    if node.op in ("call_function", "call_method"):
        name = activation_call(node.target, node.args, node.kwargs)
        return name if overwrites_input(node.target, node.args, node.kwargs) else ""
    return ""


def reads(node: fx.Node, value: object) -> bool:
    """Whether a node reads the elements of a value."""
    return value in node.all_input_nodes and function_name(node.target) not in SHAPE_READERS


def by_forward(model: nn.Module, calls: Calls, example: Any) -> None:
    """Examine a network whose places are probes by running it on an example.

    Where activations overwrite their input it runs once more on copies: if that changes the
    output, something reads what was overwritten.
    """
    inputs = example if isinstance(example, tuple) else (example,)
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}

    def run(watcher: Watcher) -> list[Any]:
        watch(model, watcher)
        own = tuple(x.clone() if isinstance(x, Tensor) else x for x in inputs)
        with torch.random.fork_rng(devices=sorted(devices)), torch.no_grad(), watcher:
            return pytree.tree_leaves(model(*own))

    paths = paths_of(model)
    watcher = Watcher(calls, paths)
    outputs = run(watcher)
    if watcher.overwriting:
        again = run(Watcher(Calls(modules={p: {} for p in calls.modules}), paths, copies=True))
        if not all(map(same, outputs, again)):
            calls.overwritten += [n for n in watcher.overwriting if n not in calls.discarded]


def same(one: object, other: object) -> bool:
    """Whether two outputs are equal to rounding."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.is_meta:
        return True
    if not one.is_floating_point():
        return bool(torch.equal(one, other))
    return torch.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True)


class Watcher(TorchFunctionMode):
    """Notes every activation in a forward pass.

    Args:
        calls: Where it is noted.
        paths: The path of each module.
        copies: Whether in-place activations get copies of their inputs.

    Attributes:
        overwriting: Names of the activations that overwrote their input.
    """

    def __init__(self, calls: Calls, paths: dict[int, str], *, copies: bool = False) -> None:
        super().__init__()
        self.calls = calls
        self.paths = paths
        self.copies = copies
        self.inside = False
        self.overwriting: dict[str, None] = {}

    def module(self, probe: Probe, x: Tensor, frame: FrameType) -> Tensor:
        """Call the activation at a probe."""
        if self.inside:
            inner: Tensor = probe.original(x)
            return inner
        key = self.calls.module(probe.path, frame)
        if probe.overwrites:
            self.overwrites(probe.path, frame)
        self.inside = True
        result: Tensor = probe.original(x.clone() if self.copies else x)
        self.inside = False
        self.calls.flow.activation(key, type(probe.original).__name__.lower(), x, result)
        return result

    def overwrites(self, name: str, frame: FrameType) -> None:
        """Note an activation that overwrites its input."""
        self.overwriting[name] = None
        if unused(frame) and name not in self.calls.discarded:
            self.calls.discarded.append(name)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Note the function, then call it."""
        kwargs = kwargs or {}
        if self.inside:
            return func(*args, **kwargs)
        name = activation_call(func, args, kwargs)
        plain = function_name(func)
        if name or plain == "erf":
            return self.function(func, name, args, kwargs)
        result = func(*args, **kwargs)
        if plain in ARITHMETIC:
            operands = [value for value in args if isinstance(value, Tensor)]
            self.calls.flow.arithmetic(plain, args, operands, result)
        return result

    def function(
        self, func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Note an activation that is called as a function, and call it."""
        frame = caller()
        call = Called(func, args[1:] if args else (), kwargs)
        overwrites = overwrites_input(func, args, kwargs)
        if overwrites:
            self.overwrites(f"{name} at {line_of(frame)}", frame)
        x = tensor_of(args, kwargs)
        result = call(x) if overwrites and self.copies else func(*args, **kwargs)
        of_tensors = depends_on_tensors(args, kwargs)
        owner = module_of(frame)
        key = noted(self.calls, self.paths, owner, frame, name, call, of_tensors=of_tensors)
        self.calls.flow.activation(key, name, x, result)
        return result


def unused(frame: FrameType) -> bool:
    """Whether the result of the call that a frame is making is thrown away."""
    code, at = frame.f_code.co_code, frame.f_lasti + 2
    while at < len(code) and opcode.opname[code[at]] == "CACHE":
        at += 2
    return at < len(code) and opcode.opname[code[at]] == "POP_TOP"
