"""The piecewise-linear core of AReLU and ELSA: one saved tensor, derivatives of any order.

With s(x) = n where x < 0 and p where x ≥ 0, two ops are closed under differentiation:

    sloped(z; x)  = z · s(x)
    sums(a, b; x) = (Σ a·b over x < 0, Σ a·b over x ≥ 0)

The activation is sloped(x; x). Nothing but x and the slopes is kept for its derivative.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.autograd import Function
from torch.overrides import handle_torch_function, has_torch_function


def two_slopes(x: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
    """Multiply x by one slope where x < 0 and by another where x ≥ 0.

    The derivative at 0 is the right-hand one. A `TorchFunctionMode` sees this as one function.

    Args:
        x: Any shape, floating point.
        negative: Slope left of 0, of a shape that broadcasts to that of `x`.
        positive: Slope from 0 on, of the shape of `negative`.

    Returns:
        The shape of `x`.
    """
    operands = (x, negative, positive)
    if has_torch_function(operands):
        seen: Tensor = handle_torch_function(two_slopes, operands, *operands)
        return seen
    y: Tensor = _apply(Sloped, x, x, negative, positive)
    return y


def _apply(op: Any, *operands: Any) -> Any:
    """`op.apply`, in a tenth of its time where no transform of `torch.func` is around.

    For the sake of those, `Function.apply` inspects the signature of `forward` at every call.
    """
    if _are_functorch_transforms_active():
        return op.apply(*operands)
    return super(Function, op).apply(*operands)


def _from_zero_on(z: Tensor, x: Tensor) -> Tensor:
    """Z where x ≥ 0, and 0 elsewhere, in one pass: x ≥ 0 is x > the greatest negative number."""
    kind = torch.finfo(x.dtype)
    kept: Tensor = torch.ops.aten.threshold_backward(z, x, -kind.tiny * kind.eps)
    return kept


def _sloped(z: Tensor, kept: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
    y: Tensor = torch.addcmul(z * negative, kept, positive - negative)
    return y


def _total(a: Tensor, b: Tensor, shape: torch.Size) -> Tensor:
    """The sum of a · b over all dimensions that `shape` lacks."""
    own = len(shape) > 0 and shape.numel() == shape[0] == b.shape[0] and len(shape) == b.ndim
    if a.dtype.itemsize < 4 or not (own or len(shape) == 0):
        return (a * b).sum_to_size(shape)
    order = sorted(range(own, b.ndim), key=b.stride, reverse=True)  # as it lies in memory: no copy
    if not own:
        return torch.dot(a.permute(order).reshape(-1), b.permute(order).reshape(-1))
    rows = (t.permute(0, *order).reshape(len(b), -1) for t in (a, b))
    sums: Tensor = torch.linalg.vecdot(*rows)
    return sums.view(shape)


class Sloped(Function):
    """y = z·n where x < 0 and z·p where x ≥ 0; y has the shape of z, which is that of x."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, x: Tensor, negative: Tensor, positive: Tensor) -> Tensor:
        """Compute y."""
        return _sloped(z, _from_zero_on(z, x), negative, positive)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Keep the inputs: two tensors at most, and where z is x only one."""
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """Slope and sums again; fused where no second derivative is asked for."""
        z, x, negative, positive = ctx.saved_tensors
        to_z, _, *to_slopes = ctx.needs_input_grad
        if torch.is_grad_enabled():
            slope = _apply(Sloped, v, x, negative, positive) if to_z else None
            sums = _apply(Sums, v, z, x, negative.shape) if any(to_slopes) else (None, None)
            return slope, None, *sums
        kept = _from_zero_on(v, x)
        slope = _sloped(v, kept, negative, positive) if to_z else None
        sums = _sums(v, kept, z, negative.shape) if any(to_slopes) else (None, None)
        return slope, None, *sums

    @staticmethod
    def jvp(
        ctx: Any, z_t: Tensor | None, _: Tensor | None, n_t: Tensor | None, p_t: Tensor | None
    ) -> Tensor:
        """The same op in z, plus z by the tangents of the slopes."""
        z, x, negative, positive = ctx.saved_tensors
        n_t = torch.zeros_like(negative) if n_t is None else n_t
        p_t = torch.zeros_like(positive) if p_t is None else p_t
        y_t: Tensor = _apply(Sloped, z, x, n_t, p_t)
        return y_t if z_t is None else y_t + _apply(Sloped, z_t, x, negative, positive)


def _sums(a: Tensor, kept: Tensor, b: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    from_zero_on = _total(kept, b, shape)
    return _total(a, b, shape) - from_zero_on, from_zero_on


class Sums(Function):
    """The sums of a·b over x < 0 and over x ≥ 0, in the shape of the slopes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, x: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Compute both."""
        return _sums(a, _from_zero_on(a, x), b, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Keep the three tensors."""
        *tensors, ctx.shape = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, vn: Tensor, vp: Tensor) -> tuple[Tensor | None, ...]:
        """Each factor, sloped by the incoming gradients, is the other's gradient."""
        a, b, x = ctx.saved_tensors
        to_a, to_b = ctx.needs_input_grad[:2]
        return (
            _apply(Sloped, b, x, vn, vp) if to_a else None,
            _apply(Sloped, a, x, vn, vp) if to_b else None,
            None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, a_t: Tensor | None, b_t: Tensor | None, *_: None) -> tuple[Tensor, Tensor]:
        """The product rule."""
        a, b, x = ctx.saved_tensors
        a_t = torch.zeros_like(a) if a_t is None else a_t
        b_t = torch.zeros_like(b) if b_t is None else b_t
        (n1, p1), (n2, p2) = _apply(Sums, a_t, b, x, ctx.shape), _apply(Sums, a, b_t, x, ctx.shape)
        return n1 + n2, p1 + p2
