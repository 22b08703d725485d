"""Convolutions of many tasks at once, each with its own weights, as matrix products.

A grouped convolution (what `vmap` makes of per-task weights), and above all its double backward, is
slow on a CPU. Here a convolution, its adjoint and its weight gradient are one batched matrix
product each, with a matrix of patches. The three are closed under differentiation: the derivative
of each is made of the other two, to any order.

Patches are never kept. They are rebuilt for a few tasks at a time in one buffer that stays in the
processor's cache, which is faster than reading them back from memory and needs almost none of it.

Where max-pooling follows, its derivative is taken together with the convolution's: once the maxima
are known, "convolve, then pick" is bilinear too. The full-size gradient, three quarters of it zeros
for 2x2 windows, then exists for a few tasks at a time in a buffer, and is never kept either.

Forward mode takes no view of a buffer for the result of an op, so results are detached from theirs.

Shapes: x [tasks, images, channels, height, width]; y and g [tasks, images, filters, out height,
out width]; w [tasks, filters, channels, kernel height, kernel width]; b [tasks, filters].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from .geometry import Geometry, Pair


def _apply(op: Any, *operands: Any) -> Any:
    """`op.apply` without its care for transforms of `torch.func`: none is around here."""
    return super(Function, op).apply(*operands)


class Picks(NamedTuple):
    """Which outputs of a convolution max-pooling picked.

    Attributes:
        columns: int64 [tasks, filters, picked], each a column of the convolution's output.
        out: Height and width after pooling.
        overlaps: Whether an output may have been picked twice.
    """

    columns: Tensor
    out: Pair
    overlaps: bool


def _flat(y: Tensor) -> Tensor:
    """Outputs [tasks, images, filters, height, width] as matrices [tasks, filters, columns]."""
    return y.permute(0, 2, 3, 4, 1).reshape(y.shape[0], y.shape[2], -1)


def _unflat(y: Tensor, out: Pair, images: int) -> Tensor:
    """Undo `_flat`, as a view."""
    return y.view(y.shape[0], y.shape[1], *out, images).permute(0, 4, 1, 2, 3)


def _split(t: Tensor, step: int) -> Sequence[Tensor]:
    """Tiles of so many tasks; without the checks of `torch.split`, which take longer than it."""
    return (t,) if t.shape[0] <= step else t.unsafe_split(step)


def _patch_tiles(x: Tensor, geometry: Geometry, *, ones: bool = False) -> Iterator[Tensor]:
    """Patches [tile, rows (+ 1), columns] of x, tile by tile, always in the same buffer.

    With `ones` there is a last row of ones, which makes a bias one more column of the weights.
    """
    step, rows = geometry.tile(x.shape[0]), geometry.rows
    buffer = x.new_empty(step, rows + ones, geometry.columns)
    if ones:
        buffer[:, rows] = 1
    patches = geometry.patches(buffer)
    for windows in _split(geometry.windows(geometry.laid_out(x)), step):
        size = windows.shape[0]
        if size != step:
            buffer, patches = buffer[:size], patches[:size]
        patches.copy_(windows)
        yield buffer


def _slope_tiles(g: Tensor, geometry: Geometry, picks: Picks | None) -> Iterator[Tensor]:
    """The gradient in the convolution's output [tile, filters, columns], tile by tile."""
    flat, step = _flat(g), geometry.tile(g.shape[0])
    if picks is None:
        yield from _split(flat, step)
        return
    buffer = g.new_empty(step, flat.shape[1], geometry.columns)
    for part, index in zip(_split(flat, step), _split(picks.columns, step), strict=True):
        if part.shape[0] != step:
            buffer = buffer[: part.shape[0]]
        buffer.zero_()
        if picks.overlaps:
            buffer.scatter_add_(2, index, part)
        else:
            buffer.scatter_(2, index, part)
        yield buffer


class _Outputs:
    """Where products w · patches go: to the output, or through a buffer that is picked from."""

    def __init__(self, w: Tensor, geometry: Geometry, picks: Picks | None) -> None:
        self._images, self._picks = geometry.images, picks
        tasks, filters = w.shape[:2]
        self._out = geometry.out if picks is None else picks.out
        step = geometry.tile(tasks)
        columns = geometry.columns if picks is None else picks.columns.shape[2]
        self._y = w.new_empty(tasks, filters, columns)
        self._tiles = iter(_split(self._y, step))
        if picks is not None:
            self._buffer = w.new_empty(step, filters, geometry.columns)
            self._index = iter(_split(picks.columns, step))

    def take(
        self, weights: Tensor, patches: Tensor, *, also: tuple[Tensor, Tensor] | None = None
    ) -> None:
        """Compute the next tile, which may be the sum of two products."""
        out = next(self._tiles)
        if self._picks is not None and out.shape[0] != self._buffer.shape[0]:
            self._buffer = self._buffer[: out.shape[0]]
        y = out if self._picks is None else self._buffer
        torch.bmm(weights, patches, out=y)
        if also is not None:
            y.baddbmm_(*also)
        if self._picks is not None:
            torch.gather(y, 2, next(self._index), out=out)

    def all(self) -> Tensor:
        """Every tile."""
        return _unflat(self._y, self._out, self._images).detach()


class _Fold:
    """The sums over all patches that a pixel is part of.

    It folds down first: whole rows of the image are one run, and less is left to fold across.

    Attributes:
        all: What was added so far: [tasks, channels, height, width, images], with padding.
    """

    def __init__(self, g: Tensor, geometry: Geometry) -> None:
        (height, width), n = geometry.size, geometry.images
        self._geometry, step = geometry, geometry.tile(g.shape[0])
        self.all = g.new_zeros(g.shape[0], geometry.channels, height, width, n)
        self._tiles = iter(_split(self.all, step))
        self._strips = g.new_empty(
            step, geometry.channels, geometry.kernel[1], height, geometry.out[1], n
        )
        self._across = [geometry.met_by(1, point) for point in range(geometry.kernel[1])]
        self._known: list[tuple[Tensor, Tensor]] = []
        self._buffer: Tensor | None = None

    def take(self, buffer: Tensor) -> None:
        """Add the patches in the next tile's buffer, which is always the same but for its size."""
        if buffer is not self._buffer:
            self._buffer, self._strips = buffer, self._strips[: buffer.shape[0]]
            sources = self._geometry.patches(buffer).unbind(2)
            self._known = [
                (self._strips[:, :, :, self._geometry.met_by(0, point)], source)
                for point, source in enumerate(sources)
            ]
        self._strips.zero_()
        for target, source in self._known:
            target.add_(source)
        image = next(self._tiles)
        for positions, source in zip(self._across, self._strips.unbind(2), strict=True):
            image[:, :, :, positions].add_(source)


def _matrix(w: Tensor, b: Tensor | None) -> Tensor:
    """Weights as [tasks, filters, rows], with the bias as one more column."""
    w = w.flatten(2)
    return w if b is None else torch.cat([w, b.unsqueeze(2)], dim=2)


def _keep(ctx: Any, a: Tensor, b: Tensor, geometry: Geometry, picks: Picks | None) -> None:
    """Save what a bilinear op's derivative needs: either factor serves the other's gradient."""
    to_a, to_b = ctx.needs_input_grad[:2]
    ctx.save_for_backward(a if to_b else None, b if to_a else None)
    ctx.save_for_forward(a, b)
    ctx.geometry, ctx.picks = geometry, picks


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


class Convolution(Function):
    """y = w * x + b, and where `picks` says so only what pooling picked of it."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        geometry: Geometry,
        picks: Picks | None = None,
    ) -> Tensor:
        """One product w · patches(x) per tile."""
        _keep(ctx, x, w, geometry, picks)
        ctx.bias, ctx.operands = b is not None, (x, w, b)
        outputs = _Outputs(w, geometry, picks)
        weights = _split(_matrix(w, b), geometry.tile(x.shape[0]))
        for matrix, patches in zip(
            weights, _patch_tiles(x, geometry, ones=b is not None), strict=True
        ):
            outputs.take(matrix, patches)
        return outputs.all()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """The adjoint in x, the weight gradient in w and b."""
        x, w = ctx.saved_tensors
        to_x, to_w, to_b = ctx.needs_input_grad[:3]
        if to_x and to_w:
            both: tuple[Tensor | None, ...] = _apply(
                Gradients, x, w, g, ctx.geometry, ctx.bias, ctx.picks
            )
            return *both, None, None
        gx = _apply(Adjoint, g, w, ctx.geometry, ctx.picks) if to_x else None
        gw, gb = None, None
        if to_w:
            gw, gb = _apply(WeightGradient, x, g, ctx.geometry, ctx.bias, ctx.picks)
        elif to_b:
            gb = _flat(g).sum(dim=2)
        return gx, gw, gb, None, None

    @staticmethod
    def jvp(
        ctx: Any, x_t: Tensor | None, w_t: Tensor | None, b_t: Tensor | None, *_: None
    ) -> Tensor:
        """The product rule: a convolution of each tangent with the other operand."""
        x, w = ctx.saved_tensors
        geometry, picks = ctx.geometry, ctx.picks
        parts = []
        if x_t is not None:
            parts.append(_apply(Convolution, x_t, w, None, geometry, picks))
        if w_t is not None or b_t is not None:
            w_t = torch.zeros_like(w) if w_t is None else w_t
            parts.append(_apply(Convolution, x, w_t, b_t, geometry, picks))
        return _sum(parts)


class PooledConvolution(Function):
    """The maxima of w * x + b, known already, with the derivatives of what they were picked from.

    Only the derivatives are computed here: `values` are the pooled outputs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        values: Tensor,
        geometry: Geometry,
        picks: Picks,
    ) -> Tensor:
        """Attach the values to the operands."""
        _keep(ctx, x, w, geometry, picks)
        ctx.bias = b is not None
        return values.detach()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """Those of the convolution."""
        gx, gw, gb, *_ = Convolution.backward(ctx, g)
        return gx, gw, gb, None, None, None

    @staticmethod
    def jvp(
        ctx: Any, x_t: Tensor | None, w_t: Tensor | None, b_t: Tensor | None, *_: Tensor | None
    ) -> Tensor:
        """That of the convolution."""
        return Convolution.jvp(ctx, x_t, w_t, b_t)


class Adjoint(Function):
    """x = the sum of wᵀ · g over all patches that a pixel is part of."""

    @staticmethod
    def forward(
        ctx: Any, g: Tensor, w: Tensor, geometry: Geometry, picks: Picks | None = None
    ) -> Tensor:
        """One product wᵀ · g per tile, folded."""
        _keep(ctx, g, w, geometry, picks)
        step, fold = geometry.tile(g.shape[0]), _Fold(g, geometry)
        buffer = g.new_empty(step, geometry.rows, geometry.columns)
        transposed = _split(_matrix(w, None).transpose(1, 2), step)
        for slopes, weights in zip(_slope_tiles(g, geometry, picks), transposed, strict=True):
            if slopes.shape[0] != buffer.shape[0]:
                buffer = buffer[: slopes.shape[0]]
            torch.bmm(weights, slopes, out=buffer)
            fold.take(buffer)
        return geometry.given_back(fold.all).detach()

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, ...]:
        """A convolution in g, a weight gradient in w, both of v."""
        g, w = ctx.saved_tensors
        to_g, to_w = ctx.needs_input_grad[:2]
        if to_g and to_w and not torch.is_grad_enabled():
            return *_convolution_and_gradient(v, w, g, ctx.geometry, ctx.picks), None, None
        gg = _apply(Convolution, v, w, None, ctx.geometry, ctx.picks) if to_g else None
        gw, _ = (
            _apply(WeightGradient, v, g, ctx.geometry, False, ctx.picks) if to_w else (None, None)
        )
        return gg, gw, None, None

    @staticmethod
    def jvp(ctx: Any, g_t: Tensor | None, w_t: Tensor | None, *_: None) -> Tensor:
        """The product rule."""
        g, w = ctx.saved_tensors
        parts = [
            _apply(Adjoint, *pair, ctx.geometry, ctx.picks)
            for pair in ((g_t, w), (g, w_t))
            if all(operand is not None for operand in pair)
        ]
        return _sum(parts)


class WeightGradient(Function):
    """(w, b) = (g · patches(x)ᵀ, the sums of g); b is None unless `biased`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        g: Tensor,
        geometry: Geometry,
        biased: bool,
        picks: Picks | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """One product g · patches(x)ᵀ per tile."""
        _keep(ctx, x, g, geometry, picks)
        ctx.biased, rows = biased, geometry.rows
        wb = x.new_empty(x.shape[0], g.shape[2], rows + biased)
        tiles = zip(
            _patch_tiles(x, geometry, ones=biased),
            _slope_tiles(g, geometry, picks),
            _split(wb, geometry.tile(x.shape[0])),
            strict=True,
        )
        for patches, slopes, out in tiles:
            torch.bmm(slopes, patches.transpose(1, 2), out=out)
        shape = torch.Size((*wb.shape[:2], geometry.channels, *geometry.kernel))
        return _parted(wb, shape, rows, biased)

    @staticmethod
    def backward(ctx: Any, vw: Tensor, vb: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoint in x, a convolution in g, with vw and vb for weights and bias."""
        x, g = ctx.saved_tensors
        to_x, to_g = ctx.needs_input_grad[:2]
        return (
            _apply(Adjoint, g, vw, ctx.geometry, ctx.picks) if to_x else None,
            _apply(Convolution, x, vw, vb, ctx.geometry, ctx.picks) if to_g else None,
            None,
            None,
            None,
        )

    @staticmethod
    def jvp(
        ctx: Any, x_t: Tensor | None, g_t: Tensor | None, *_: Any
    ) -> tuple[Tensor, Tensor | None]:
        """The product rule; the sums of g are linear in g alone."""
        x, g = ctx.saved_tensors
        return _weight_tangents(x, g, x_t, g_t, ctx.geometry, ctx.biased, ctx.picks)


def _weight_tangents(
    x: Tensor,
    g: Tensor,
    x_t: Tensor | None,
    g_t: Tensor | None,
    geometry: Geometry,
    biased: bool,
    picks: Picks | None,
) -> tuple[Tensor, Tensor | None]:
    parts, b_t = [], None
    if x_t is not None:
        parts.append(_apply(WeightGradient, x_t, g, geometry, False, picks)[0])
    if g_t is not None:
        w_t, b_t = _apply(WeightGradient, x, g_t, geometry, biased, picks)
        parts.append(w_t)
    if biased and b_t is None:
        b_t = g.new_zeros(g.shape[0], g.shape[2])
    return _sum(parts), b_t


def _convolution_and_gradient(
    v: Tensor, w: Tensor, g: Tensor, geometry: Geometry, picks: Picks | None
) -> tuple[Tensor, Tensor]:
    """Both derivatives of the adjoint, from one set of patches."""
    step, matrix = geometry.tile(v.shape[0]), _matrix(w, None)
    outputs, slope = _Outputs(w, geometry, picks), torch.empty_like(matrix)
    tiles = zip(
        _patch_tiles(v, geometry),
        _split(matrix, step),
        _slope_tiles(g, geometry, picks),
        _split(slope, step),
        strict=True,
    )
    for patches, weights, slopes, out_w in tiles:
        outputs.take(weights, patches)
        torch.bmm(slopes, patches.transpose(1, 2), out=out_w)
    return outputs.all(), slope.view_as(w)


class Gradients(Function):
    """Adjoint and weight gradient at once: one buffer and one set of slopes serve both.

    So do they in the derivative, where it is the last: of six products over two sets of patches.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        g: Tensor,
        geometry: Geometry,
        biased: bool,
        picks: Picks | None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Per tile g · patches(x)ᵀ, then wᵀ · g in the place of the patches."""
        ctx.save_for_backward(x, w, g)
        ctx.save_for_forward(x, w, g)
        ctx.geometry, ctx.biased, ctx.picks = geometry, biased, picks
        step, rows, fold = geometry.tile(x.shape[0]), geometry.rows, _Fold(g, geometry)
        wb = x.new_empty(x.shape[0], w.shape[1], rows + biased)
        tiles = zip(
            _patch_tiles(x, geometry, ones=biased),
            _slope_tiles(g, geometry, picks),
            _split(_matrix(w, None).transpose(1, 2), step),
            _split(wb, step),
            strict=True,
        )
        place = _Place(rows)
        for patches, slopes, weights, out in tiles:
            torch.bmm(slopes, patches.transpose(1, 2), out=out)
            torch.bmm(weights, slopes, out=place.of(patches))
            fold.take(place.of(patches))
        return geometry.given_back(fold.all).detach(), *_parted(wb, w.shape, rows, biased)

    @staticmethod
    def backward(ctx: Any, vx: Tensor, vw: Tensor, vb: Tensor | None) -> tuple[Tensor | None, ...]:
        """The derivatives of both, added."""
        x, w, g = ctx.saved_tensors
        geometry, picks = ctx.geometry, ctx.picks
        none = (None, None, None)
        if not torch.is_grad_enabled() and all(ctx.needs_input_grad[:3]):
            return *_second_gradients(x, w, g, vx, vw, vb, geometry, picks), *none
        to_x, to_w, to_g = ctx.needs_input_grad[:3]
        gx = _apply(Adjoint, g, vw, geometry, picks) if to_x else None
        gw = _apply(WeightGradient, vx, g, geometry, False, picks)[0] if to_w else None
        gg = None
        if to_g:
            gg = _apply(Convolution, vx, w, None, geometry, picks)
            gg = gg + _apply(Convolution, x, vw, vb, geometry, picks)
        return gx, gw, gg, *none

    @staticmethod
    def jvp(
        ctx: Any, x_t: Tensor | None, w_t: Tensor | None, g_t: Tensor | None, *_: Any
    ) -> tuple[Tensor | None, ...]:
        """Those of both."""
        x, w, g = ctx.saved_tensors
        geometry, picks = ctx.geometry, ctx.picks
        terms = ((g_t, w), (g, w_t))
        parts = [
            _apply(Adjoint, *pair, geometry, picks)
            for pair in terms
            if all(operand is not None for operand in pair)
        ]
        gx_t = _sum(parts) if parts else torch.zeros_like(x)
        if x_t is None and g_t is None:
            b_t = g.new_zeros(g.shape[0], g.shape[2]) if ctx.biased else None
            return gx_t, torch.zeros_like(w), b_t
        return gx_t, *_weight_tangents(x, g, x_t, g_t, geometry, ctx.biased, picks)


class _Place:
    """The rows of patches in their buffer, without the row of ones; made once for each buffer."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._of: tuple[Tensor, Tensor] | None = None

    def of(self, buffer: Tensor) -> Tensor:
        """The rows."""
        if self._of is None or self._of[0] is not buffer:
            self._of = buffer, buffer[:, : self._rows]
        return self._of[1]


def _parted(wb: Tensor, shape: torch.Size, rows: int, biased: bool) -> tuple[Tensor, Tensor | None]:
    return wb[:, :, :rows].view(shape).detach(), wb[:, :, rows].detach() if biased else None


def _second_gradients(
    x: Tensor,
    w: Tensor,
    g: Tensor,
    vx: Tensor,
    vw: Tensor,
    vb: Tensor | None,
    geometry: Geometry,
    picks: Picks | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Those of `Gradients` in x, w and g, for incoming gradients of x, w and b."""
    step, matrix, fold = geometry.tile(x.shape[0]), _matrix(w, None), _Fold(g, geometry)
    outputs, gw = _Outputs(w, geometry, picks), torch.empty_like(matrix)
    incoming, place = _matrix(vw, vb), _Place(geometry.rows)
    tiles = zip(
        _patch_tiles(vx, geometry),
        _patch_tiles(x, geometry, ones=vb is not None),
        _slope_tiles(g, geometry, picks),
        _split(matrix, step),
        _split(incoming, step),
        _split(gw, step),
        strict=True,
    )
    for of_v, of_x, slopes, weights, moved, out in tiles:
        torch.bmm(slopes, of_v.transpose(1, 2), out=out)
        outputs.take(weights, of_v, also=(moved, of_x))
        torch.bmm(moved[:, :, : geometry.rows].transpose(1, 2), slopes, out=place.of(of_v))
        fold.take(place.of(of_v))
    return geometry.given_back(fold.all), gw.view_as(w), outputs.all()
