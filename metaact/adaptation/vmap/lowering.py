"""Ops of a vectorised forward pass that are run another way than `vmap` would run them.

Inside `Lowering()` any model's `conv2d` with per-task weights and `max_pool2d` become the batched
forms of `convolution` and `pooling`; `rrelu`, which `vmap` does not know, becomes its formula.
Everything else, and every variant not claimed here (groups, padding "same", mixed types, weights
that all tasks share), goes to PyTorch as it is. Values and derivatives of any order are the same up
to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from metaact.activations.sloped import two_slopes

from .convolution import Convolution, Picks, PooledConvolution
from .geometry import Geometry, Pair
from .pooling import MaxPool, Pooling
from .task_dim import over_tasks, tasks_first


def _pair(value: int | Sequence[int]) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    operands = [input, weight] if bias is None else [input, weight, bias]
    claimed = (
        groups == 1
        and (padding == "valid" or not isinstance(padding, str))
        and input.ndim == 4
        and input.shape[1] == weight.shape[1]
        and input.is_floating_point()
        and len({(t.dtype, t.device) for t in operands}) == 1
    )
    if claimed:
        geometry = Geometry(
            channels=input.shape[1],
            input=(input.shape[2], input.shape[3]),
            images=input.shape[0],
            kernel=(weight.shape[2], weight.shape[3]),
            stride=_pair(stride),
            padding=(0, 0) if isinstance(padding, str) else _pair(padding),
            dilation=_pair(dilation),
        )

        def all_tasks(tasks: int, found: list[tuple[Tensor, int | None]]) -> Tensor | None:
            if found[1][1] is None:
                return None
            x, w, *b = (tasks_first(operand, tasks) for operand in found)
            y: Tensor = Convolution.apply(x, w, b[0] if b else None, geometry)
            return y

        fits = min(geometry.out) > 0 and geometry.images > 0
        y = over_tasks(all_tasks, *operands) if fits else None
        if y is not None:
            return y
    return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)


def _max_pool2d(
    input: Tensor,
    kernel_size: int | list[int],
    stride: int | list[int] | None = None,
    padding: int | list[int] = 0,
    dilation: int | list[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if not return_indices and input.ndim == 4:
        pooling = Pooling(
            kernel=_pair(kernel_size),
            stride=_pair(stride or kernel_size),
            padding=_pair(padding),
            dilation=_pair(dilation),
            ceil_mode=ceil_mode,
        )

        def all_tasks(tasks: int, found: list[tuple[Tensor, int | None]]) -> Tensor:
            return _pooled(tasks_first(found[0], tasks), pooling)

        y = over_tasks(all_tasks, input)
        if y is not None:
            return y
    pool: Callable[..., Tensor] = functional.max_pool2d
    return pool(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _pooled(x: Tensor, pooling: Pooling) -> Tensor:
    """Pool; right after a convolution, differentiate both as one op."""
    if not (x.requires_grad and torch.is_grad_enabled()):
        return pooling.values(x)
    made_by: Any = x.grad_fn
    is_convolved = isinstance(x.grad_fn, Convolution._backward_cls)
    if is_convolved and made_by.picks is None:
        values, columns = pooling.maxima(x.detach())
        out = (values.shape[3], values.shape[4])
        picks = Picks(columns=columns, out=out, overlaps=pooling.overlaps)
        y: Tensor = PooledConvolution.apply(*made_by.operands, values, made_by.geometry, picks)
    else:
        y = MaxPool.apply(x, pooling)
    return y


def _two_slopes(x: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
    def all_tasks(tasks: int, found: list[tuple[Tensor, int | None]]) -> Tensor:
        images, *slopes = (tasks_first(f, tasks) if f[1] is not None else f[0] for f in found)
        own = [
            s if f[1] is None else _aligned(s, images)
            for s, f in zip(slopes, found[1:], strict=True)
        ]
        return two_slopes(images, *own)

    y = over_tasks(all_tasks, x, negative, positive) if x.ndim >= negative.ndim else None
    return two_slopes(x, negative, positive) if y is None else y


def _aligned(slope: Tensor, x: Tensor) -> Tensor:
    """A slope of each task [tasks, ...], so that it broadcasts to x [tasks, ..., ...]."""
    return slope.view(len(slope), *[1] * (x.ndim - slope.ndim), *slope.shape[1:])


def _rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    if inplace:
        return functional.rrelu(input, lower, upper, training, inplace)
    if training:
        slope = lower + (upper - lower) * torch.rand_like(input)
    else:
        slope = torch.full_like(input, (lower + upper) / 2)
    return torch.where(input > 0, input, slope * input)


_NEEDED: dict[Any, Callable[..., Tensor]] = {functional.rrelu: _rrelu, torch.rrelu: _rrelu}
_FASTER: dict[Any, Callable[..., Tensor]] = {
    two_slopes: _two_slopes,
    torch.conv2d: _conv2d,
    functional.max_pool2d: _max_pool2d,
    torch.max_pool2d: _max_pool2d,
}


class Lowering(TorchFunctionMode):
    """Reroute the ops above while active.

    Args:
        layout: Whether to reroute convolution and pooling too. This pays on a CPU; a GPU's own
            grouped convolutions are left to it.
    """

    def __init__(self, *, layout: bool) -> None:
        super().__init__()
        self._rules = {**_NEEDED, **_FASTER} if layout else _NEEDED

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the rule for `func`, or `func`."""
        return self._rules.get(func, func)(*args, **(kwargs or {}))
