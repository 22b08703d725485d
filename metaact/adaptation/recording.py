"""A computation, written down op by op while it is done.

What autograd, `vmap` and Python make of a computation in the end is a list of tensor ops. Where the
list depends on nothing but shapes and settings, the ops alone give the same result for other
values, to the bit, without any of the work that led to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

Results = Sequence[Tensor | None]
"""Of a computation; None where there is none, such as the gradient of what had no influence."""

MOST_CALLS = 50_000
"""A computation of more ops is not written down: a program takes about 1 KB for each."""


class Value:
    """A tensor of a recording. Tensors that share all their memory and shape may be one value."""

    __slots__ = ()


Argument = Any  # a Value, a number, a string, a dtype, ..., None, or a tuple of them


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One op.

    Attributes:
        op: Which.
        arguments: All that its schema names, in this order, defaults included.
        results: One for each tensor it returned; None for one that it was given, or no tensor.
        in_list: Whether it returned them in a list.
    """

    op: OpOverload[..., Any]
    arguments: tuple[Argument, ...]
    results: tuple[Value | None, ...]
    in_list: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Recording:
    """What a computation did.

    Attributes:
        inputs: The tensors that it may be given anew.
        constants: Tensors that it made of Python's numbers.
        calls: Its ops, in order.
        results: What it returned.
        refusal: Why it cannot be done again from its ops, half a sentence; empty if it can.
    """

    inputs: list[Value] = field(default_factory=list)
    constants: dict[Value, Tensor] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    results: list[Value | None] = field(default_factory=list)
    refusal: str = ""


def record(function: Callable[[], Results], inputs: Sequence[Tensor]) -> Recording:
    """Do a computation and write it down.

    Args:
        function: Reads no tensor but `inputs` and what it makes of them or of numbers.
        inputs: All different, and not written to.

    Returns:
        The recording, which says if it is of no use.
    """
    recorder = _Recorder(inputs)
    with recorder:
        results = function()
    recording = recorder.recording
    recording.results = [None if t is None else recorder.value(t) for t in results]
    return recording


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # not annotated there
    """Sees every op below autograd and `vmap`."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording = Recording()
        self._values: dict[int, tuple[ref[Tensor], Value]] = {}
        self._fixed = set()  # memory that belongs to inputs and constants
        for tensor in inputs:
            self._fixed.add(_memory(tensor))
            self.recording.inputs.append(self._new(tensor))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: that would load the whole compiler, which nothing here uses, to have it look away."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func`, and write that down."""
        given = kwargs or {}
        if func is _LIFT and not self._knows(args[0]):
            self._add_constant(args[0])  # Python has just made it of numbers
        arguments = self._arguments(func, types, args, given)
        returned = func(*args, **given)
        if func is _TO_COPY and not isinstance(args[0], Tensor):
            self._add_constant(returned)
        elif not self.recording.refusal:
            each = returned if isinstance(returned, list | tuple) else (returned,)
            results = tuple(None if t is None or self._knows(t) else self._new(t) for t in each)
            is_list = isinstance(returned, list)
            self.recording.calls.append(Call(func, arguments, results, is_list))
        return returned

    def _arguments(
        self, func: Any, types: Any, args: Sequence[Any], given: dict[str, Any]
    ) -> tuple[Argument, ...]:
        """All arguments of a call; refuses the recording if it cannot be one of it."""
        if self.recording.refusal:
            return ()
        schema = _schema(func)
        self._refuse_if("a tensor of another class", not _ORDINARY.issuperset(types))
        self._refuse_if(schema.refusal, bool(schema.refusal))
        self._refuse_if("too many ops", len(self.recording.calls) >= MOST_CALLS)
        for position in schema.written:
            self._refuse_if("a change of its inputs", self._is_fixed(schema, position, args, given))
        return tuple(self._argument(kind, v) for kind, v in schema.filled(args, given))

    def _is_fixed(self, schema: _Schema, position: int, args: Any, given: dict[str, Any]) -> bool:
        name = schema.names[position]
        written = args[position] if position < len(args) else given.get(name)
        return isinstance(written, Tensor) and _memory(written) in self._fixed

    def value(self, tensor: Tensor) -> Value | None:
        """The value that a tensor is."""
        found = self._values.get(id(tensor))
        if found is not None and found[0]() is tensor:
            return found[1]
        self._refuse_if("a tensor from elsewhere", True)
        return None

    def _knows(self, tensor: object) -> bool:
        found = self._values.get(id(tensor))
        return found is not None and found[0]() is tensor

    def _new(self, tensor: Tensor) -> Value:
        value = Value()
        self._values[id(tensor)] = (ref(tensor), value)
        return value

    def _add_constant(self, made: Tensor) -> None:
        self._fixed.add(_memory(made))
        self.recording.constants[self._new(made)] = made

    def _argument(self, kind: str, value: Any) -> Argument:
        if isinstance(value, Tensor):
            return self.value(value)
        if isinstance(value, list | tuple):
            return tuple(self._argument(kind, each) for each in value)
        if kind == "float" and isinstance(value, int):
            return float(value)
        self._refuse_if(f"a {type(value).__name__}", not isinstance(value, _PLAIN))
        return value

    def _refuse_if(self, reason: str, condition: bool) -> None:
        if condition and not self.recording.refusal:
            self.recording.refusal = f"it has {reason}"


_ORDINARY = {Tensor, nn.Parameter}
_LIFT, _TO_COPY = torch.ops.aten.lift_fresh.default, torch.ops.aten._to_copy.default
_PLAIN = (
    type(None),
    int,
    float,
    str,
    torch.dtype,
    torch.device,
    torch.layout,
    torch.memory_format,
)


def _memory(tensor: Tensor) -> int:
    """What two tensors share if a change of one may change the other."""
    return int(tensor.untyped_storage()._cdata)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """What an op takes.

    Attributes:
        names: Of its arguments.
        kinds: Their types.
        defaults: Their defaults.
        written: Those that it changes, by number.
        refusal: Why it cannot be written down.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    defaults: tuple[Any, ...]
    written: tuple[int, ...]
    refusal: str

    def filled(self, args: Sequence[Any], given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Type and value of every argument."""
        count = len(args)
        for number, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            yield kind, args[number] if number < count else given.get(name, self.defaults[number])


@cache
def _schema(op: OpOverload[..., Any]) -> _Schema:
    schema = op._schema
    arguments = schema.arguments
    return _Schema(
        names=tuple(a.name for a in arguments),
        kinds=tuple(str(a.type) for a in arguments),
        defaults=tuple(a.default_value for a in arguments),
        written=tuple(n for n, a in enumerate(arguments) if a.is_write),
        refusal=_refusal(op),
    )


def _refusal(op: OpOverload[..., Any]) -> str:
    """Why an op cannot be done again from its arguments alone; empty if it can."""
    for tag, reason in _TAGS.items():
        if tag in op.tags:
            return reason
    returned = [str(r.type) for r in op._schema.returns]
    if any(kind not in ("Tensor", "List[Tensor]") for kind in returned):
        return "a value that Python may have looked at"
    if not returned or (len(returned) > 1 and "List[Tensor]" in returned):
        return "an op that returns nothing, or lists and tensors"
    return "" if op.namespace == "aten" else f"an op of {op.namespace}"


_TAGS = {
    torch.Tag.nondeterministic_seeded: "random numbers",
    torch.Tag.data_dependent_output: "a value that Python may have looked at",
    torch.Tag.dynamic_output_shape: "a shape that depends on values",
    torch.Tag.inplace_view: "a change of a tensor's shape in place",
}
