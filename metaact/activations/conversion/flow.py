"""Which calls are parts of an activation that is written out, such as x·sigmoid(x)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

# By name without "_", as an operator or method, and with the operands in either order.
PRODUCTS = frozenset(("mul", "rmul", "imul", "multiply"))
ARITHMETIC = PRODUCTS | frozenset(
    (
        *("add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "neg", "negative"),
        *("div", "truediv", "rdiv", "rtruediv", "itruediv", "divide"),
        *("pow", "rpow", "ipow", "square", "exp", "sqrt", "float", "to", "type"),
    )
)
SUMS = frozenset(("add", "radd", "iadd"))
SIX = frozenset(("clamp6", "hardtanh", "relu6"))
"""ReLU6(x + 3)/6 is a hard sigmoid."""


class Flow:
    """Follows elementwise arithmetic from each activation to where its result is multiplied.

    An activation whose result meets its own input again in a product is a part of one that is
    written out: Swish x·sigmoid(x), Mish x·tanh(softplus(x)), GELU x·(1 + tanh(p(x)))/2. A gate
    multiplies another tensor.

    Attributes:
        parts: Activations that are such parts.
        gates: ReLU6 of x + 3: hard sigmoids.
    """

    def __init__(self) -> None:
        self.parts: set[Hashable] = set()
        self.gates: set[Hashable] = set()
        self._root: dict[int, int] = {}
        self._through: dict[int, frozenset[Hashable]] = {}
        self._shifted: set[int] = set()
        self._alive: list[Any] = []  # an id is that of a tensor as long as the tensor is there

    def activation(self, key: Hashable, function: str, x: Any, result: Any) -> None:
        """Note the call of an activation."""
        self._alive += [x, result]
        if function in SIX and id(x) in self._shifted:
            self.gates.add(key)
        through = self._through.get(id(x), frozenset()) | {key}
        self._root[id(result)] = self._root.get(id(x), id(x))
        self._through[id(result)] = through

    def arithmetic(self, name: str, args: Iterable[Any], operands: list[Any], result: Any) -> None:
        """Note an operation.

        Args:
            name: One of `ARITHMETIC`.
            args: All arguments.
            operands: Those that are tensors.
            result: The result.
        """
        self._alive += [*operands, result]
        roots = {self._root.get(id(x), id(x)) for x in operands}
        through = frozenset().union(*(self._through.get(id(x), frozenset()) for x in operands))
        if len(roots) != 1:
            self._root.pop(id(result), None)
            self._through.pop(id(result), None)
            return
        if name in PRODUCTS and len({id(x) for x in operands}) == 2:
            self.parts |= through
        if name in SUMS and any(isinstance(a, int | float) and a == 3 for a in args):
            self._shifted.add(id(result))
        self._root[id(result)] = roots.pop()
        self._through[id(result)] = through
