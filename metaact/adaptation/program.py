"""A recorded computation as a program of TorchScript, which runs without Python.

Its interpreter calls one op after the other, frees each tensor after its last use, and leaves
Python to other threads meanwhile. Autograd sees nothing of it: derivatives are among the ops.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from metaact.randomness import preserved_rng

from .recording import Argument, Call, Recording, Results, Value, record
from .shares import is_plain, one_thread_inside

ASKED_FOR = 10
"""A computation is recorded when it is asked for the tenth time: that takes several times as long
as the computation, and a program saves about half of it."""

MOST_PROGRAMS = 8
"""So many computations are remembered, those asked for last."""

_to_function: Callable[[str, Any], Any] | None = getattr(
    torch._C, "_create_function_from_graph", None
)
"""None in a version of PyTorch without TorchScript, where nothing is recorded."""


class Program:
    """The ops of a recording, for any values of its inputs.

    Args:
        recording: One without a refusal.

    Attributes:
        fits: Whether TorchScript has every op; if not, it must not be called.
    """

    def __init__(self, recording: Recording) -> None:
        assert _to_function is not None
        graph = _Graph(recording.inputs, recording.constants)
        calls, results = _pruned(recording)
        added = [graph.adds(call) for call in calls]
        self.fits = all(added)
        self._there = [value is not None for value in results]
        self._function = _to_function("recorded", graph.returning(results))

    def __call__(self, inputs: Sequence[Tensor]) -> Results:
        """Run it on one core.

        Args:
            inputs: In the order, and of the shapes, strides and types, of the recording's.

        Returns:
            The same bits as the computation would.
        """
        # As written down: nothing is optimised, and no account is kept of views and versions.
        as_it_is = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]  # public, but not typed
        with torch.inference_mode(), as_it_is:
            found = iter(self._function(*inputs))
        with torch.no_grad():  # tensors that autograd takes, as those in there are not
            return [next(found).clone() if there else None for there in self._there]


class Programs:
    """The programs of one model's computations, each made when it is wanted often enough."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, int | Program | None] = OrderedDict()

    def __reduce__(self) -> tuple[type[Programs], tuple[()]]:
        """A copy begins without any: those of TorchScript cannot be copied."""
        return Programs, ()

    def __len__(self) -> int:
        """How many there are by now."""
        return sum(isinstance(known, Program) for known in self._known.values())

    def find(
        self, key: Hashable, function: Callable[[], Results], inputs: Sequence[Tensor]
    ) -> Program | None:
        """The program of a computation, if it has one by now.

        Args:
            key: Whatever the computation's ops depend on, but for the layout of its inputs.
            function: The computation. It is done when it is recorded.
            inputs: All tensors that it reads.
        """
        if _to_function is None or not is_plain():
            return None
        layouts = tuple((t.shape, t.stride(), t.dtype) for t in inputs)
        key = (key, torch.get_default_dtype(), layouts)
        known = self._known.pop(key, 0)
        if isinstance(known, int):
            known = known + 1 if known + 1 < ASKED_FOR else recorded(function, inputs)
        self._known[key] = known
        if len(self._known) > MOST_PROGRAMS:
            self._known.popitem(last=False)
        return None if isinstance(known, int) else known


def recorded(function: Callable[[], Results], inputs: Sequence[Tensor]) -> Program | None:
    """The program of a computation on a CPU, which is done for it; None if it has none.

    Args:
        function: Reads no tensor but `inputs` and what it makes of them or of numbers.
        inputs: All tensors that it reads.
    """
    if _to_function is None or not is_plain():
        return None
    if len({id(tensor) for tensor in inputs}) < len(inputs):
        return None
    with one_thread_inside(), preserved_rng():
        recording = record(function, inputs)
    program = None if recording.refusal else Program(recording)
    return program if program is not None and program.fits else None


def _pruned(recording: Recording) -> tuple[list[Call], list[Value | None]]:
    """Calls and results without calls whose results are not used, or are there already."""
    same: dict[Value, Value] = {}
    views: dict[object, tuple[Value | None, ...]] = {}
    kept = []
    for call in recording.calls:
        arguments = _renamed(call.arguments, same)
        twins: Sequence[Argument] | None = None
        if call.op in _ALIASES:
            twins = arguments[:1]
        elif _is_view(call):
            twins = views.setdefault((call.op, arguments), call.results)
        if twins is None or twins is call.results:
            kept.append(Call(call.op, arguments, call.results, call.in_list))
        else:
            pairs = zip(call.results, twins, strict=True)
            same |= {mine: twin for mine, twin in pairs if mine is not None}
    results = [v if v is None else same.get(v, v) for v in recording.results]
    return _used(kept, results), results


def _used(calls: Sequence[Call], results: Iterable[Value | None]) -> list[Call]:
    used, kept = set(results), []
    for call in reversed(calls):
        if call.op._schema.is_mutable or not used.isdisjoint(r for r in call.results if r):
            kept.append(call)
            used.update(_values(call.arguments))
    return kept[::-1]


_ALIASES = (
    torch.ops.aten.alias.default,
    torch.ops.aten.detach.default,
    torch.ops.aten.lift_fresh.default,
)


def _is_view(call: Call) -> bool:
    """Whether an op returns another look at a tensor, and nothing else."""
    returned = [r.alias_info for r in call.op._schema.returns]
    return all(info is not None and not info.is_write for info in returned)


def _renamed(argument: Argument, same: dict[Value, Value]) -> Any:
    if isinstance(argument, Value):
        return same.get(argument, argument)
    if isinstance(argument, tuple):
        return tuple(_renamed(each, same) for each in argument)
    return argument


def _values(argument: Argument) -> Iterator[Value]:
    if isinstance(argument, Value):
        yield argument
    elif isinstance(argument, tuple):
        for each in argument:
            yield from _values(each)


class _Graph:
    """A graph of TorchScript in the making."""

    def __init__(self, inputs: Sequence[Value], constants: dict[Value, Tensor]) -> None:
        self._graph = torch._C.Graph()
        self._of: dict[Value, torch._C.Value] = {v: self._graph.addInput() for v in inputs}
        for value, tensor in constants.items():
            self._of[value] = self._constant(tensor.detach())
        self._plain: dict[object, torch._C.Value] = {}
        self._checked: dict[object, bool] = {}

    def adds(self, call: Call) -> bool:
        """Add a call; whether TorchScript has the op for these arguments."""
        schema = call.op._schema
        formal = zip(call.arguments, schema.arguments, strict=True)
        inputs = [self._argument(value, of.type) for value, of in formal]
        node = self._node(schema.name, inputs, [r.type for r in schema.returns])
        found = list(node.outputs())
        if call.in_list:
            kinds = [torch._C.TensorType.get()] * len(call.results)
            found = list(self._node("prim::ListUnpack", found, kinds).outputs())
        pairs = zip(call.results, found, strict=True)
        self._of |= {value: output for value, output in pairs if value is not None}
        like = (call.op, *map(type, call.arguments))
        if like not in self._checked:
            self._checked[like] = _is_op(node.schema(), call.op)
        return self._checked[like]

    def returning(self, results: Iterable[Value | None]) -> torch._C.Graph:
        """The finished graph."""
        found = [self._of[value] for value in results if value is not None]
        kind = torch._C.ListType(torch._C.TensorType.get())
        self._graph.registerOutput(self._node("prim::ListConstruct", found, [kind]).output())
        return self._graph

    def _node(
        self, name: str, inputs: Sequence[torch._C.Value], kinds: Sequence[torch._C.JitType]
    ) -> torch._C.Node:
        node = self._graph.create(name, inputs, len(kinds))
        self._graph.insertNode(node)
        for output, kind in zip(node.outputs(), kinds, strict=True):
            output.setType(kind)
        return node

    def _argument(self, argument: Argument, kind: torch._C.JitType) -> torch._C.Value:
        if isinstance(argument, Value):
            return self._of[argument]
        if argument == () or (isinstance(argument, tuple) and any(_values(argument))):
            inside = _inside(kind)
            inputs = [self._argument(each, inside) for each in argument]
            return self._node("prim::ListConstruct", inputs, [torch._C.ListType(inside)]).output()
        key = (type(argument), argument, str(argument))
        if key not in self._plain:
            self._plain[key] = self._constant(argument)
        return self._plain[key]

    def _constant(self, value: Any) -> torch._C.Value:
        if isinstance(value, torch.memory_format):
            value = _MEMORY_FORMATS[value]
        given = list(value) if isinstance(value, tuple) else value
        made: torch._C.Value = self._graph.insertConstant(given)  # type: ignore[attr-defined]  # not in its stub
        return made


_MEMORY_FORMATS = {
    torch.contiguous_format: 0,
    torch.preserve_format: 1,
    torch.channels_last: 2,
    torch.channels_last_3d: 3,
}
"""TorchScript's numbers for them."""


def _inside(kind: torch._C.JitType) -> torch._C.JitType:
    """The type of what is in a list, which may be optional."""
    if isinstance(kind, torch._C.OptionalType):
        kind = kind.getElementType()
    assert isinstance(kind, torch._C.ListType)
    return kind.getElementType()


def _is_op(schema: str, op: Any) -> bool:
    """Whether a schema is an op's; or that of its form for a number, where it was given one."""
    packet = op.overloadpacket
    allowed = [op, *(getattr(packet, name) for name in packet.overloads() if name == "Scalar")]
    return schema in [str(each._schema) for each in allowed]
