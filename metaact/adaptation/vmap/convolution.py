"""Convolutions of many tasks at once, each with its own weights, as matrix products.

A grouped convolution (what `vmap` makes of per-task weights), and above all its double backward, is
slow on a CPU. Here a convolution, its adjoint and its weight gradient are one batched matrix
product each, with a matrix of patches. The three are closed under differentiation: the derivative
of each is made of the other two, to any order.

Patches are never kept. They are rebuilt for a few tasks at a time in one buffer that stays in the
processor's cache, which is faster than reading them back from memory and needs almost none of it.

Shapes: x [tasks, images, channels, height, width]; y and g [tasks, images, filters, out height,
out width]; w [tasks, filters, channels, kernel height, kernel width]; b [tasks, filters].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .geometry import Geometry


def _patch_tiles(x: Tensor, geometry: Geometry, *, ones: bool = False) -> Iterator[Tensor]:
    """Patches [tile, rows (+ 1), columns] of x, tile by tile, always in the same buffer.

    With `ones` there is a last row of ones, which makes a bias one more column of the weights.
    """
    step, rows = geometry.tile(len(x)), geometry.rows
    buffer = x.new_empty(step, rows + ones, geometry.columns)
    buffer[:, rows:] = 1
    patches = geometry.patches(buffer)
    for windows in torch.split(geometry.windows(geometry.laid_out(x)), step):
        size = len(windows)
        (patches if size == step else patches[:size]).copy_(windows)
        yield buffer if size == step else buffer[:size]


def _tiled(
    geometry: Geometry, patches: Iterator[Tensor], *others: Tensor
) -> Iterator[tuple[Tensor, ...]]:
    """Tiles of patches with those of other tensors; splitting at once is cheaper than slicing."""
    step = geometry.tile(len(others[0]))
    return zip(patches, *(torch.split(other, step) for other in others), strict=True)


def _down_folds(buffer: Tensor, strips: Tensor, geometry: Geometry) -> list[tuple[Tensor, Tensor]]:
    """For each row of the kernel, the rows of the strips it adds to and the patches it adds."""
    sources = geometry.patches(buffer).unbind(2)
    return [
        (strips[:, :, :, geometry.met_by(0, point)], source) for point, source in enumerate(sources)
    ]


def _matrix(w: Tensor, b: Tensor | None) -> Tensor:
    """Weights as [tasks, filters, rows], with the bias as one more column."""
    w = w.flatten(2)
    return w if b is None else torch.cat([w, b.unsqueeze(2)], dim=2)


def _keep(ctx: Any, a: Tensor, b: Tensor) -> None:
    """Save what a bilinear op's derivative needs: either factor serves the other's gradient."""
    to_a, to_b = ctx.needs_input_grad[:2]
    ctx.save_for_backward(a if to_b else None, b if to_a else None)


class Convolution(Function):
    """y = w * x + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, geometry: Geometry) -> Tensor:
        """One product w · patches(x) per tile."""
        _keep(ctx, x, w)
        ctx.geometry, ctx.biased = geometry, b is not None
        matrix = _matrix(w, b)
        y = x.new_empty(len(x), w.shape[1], geometry.columns)
        tiles = _patch_tiles(x, geometry, ones=ctx.biased)
        for patches, weights, out in _tiled(geometry, tiles, matrix, y):
            torch.bmm(weights, patches, out=out)
        return geometry.unflat(y)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        """The adjoint in x, the weight gradient in w and b."""
        x, w = ctx.saved_tensors
        to_x, to_w = ctx.needs_input_grad[:2]
        gx = Adjoint.apply(g, w, ctx.geometry) if to_x else None
        gw, gb = WeightGradient.apply(x, g, ctx.geometry, ctx.biased) if to_w else (None, None)
        return gx, gw, gb, None


class Adjoint(Function):
    """x = the sum of wᵀ · g over all patches that a pixel is part of."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
        """Fold down first: whole rows of the image are one run, and less is left to fold."""
        _keep(ctx, g, w)
        ctx.geometry = geometry
        (height, width), n = geometry.size, geometry.images
        step, flat = geometry.tile(len(g)), geometry.flat(g)
        buffer = g.new_empty(step, geometry.rows, geometry.columns)
        strips = g.new_empty(
            step, geometry.channels, geometry.kernel[1], height, geometry.out[1], n
        )
        x = g.new_zeros(len(g), geometry.channels, height, width, n)
        folds = _down_folds(buffer, strips, geometry)
        across = [geometry.met_by(1, point) for point in range(geometry.kernel[1])]
        transposed = _matrix(w, None).transpose(1, 2)
        tiles = zip(*(torch.split(t, step) for t in (flat, transposed, x)), strict=True)
        for slopes, weights, image in tiles:
            size = len(image)
            if size != step:
                buffer, strips = buffer[:size], strips[:size]
                folds = _down_folds(buffer, strips, geometry)
            torch.bmm(weights, slopes, out=buffer)
            strips.zero_()
            for target, source in folds:
                target.add_(source)
            for positions, source in zip(across, strips.unbind(2), strict=True):
                image[:, :, :, positions].add_(source)
        return geometry.given_back(x)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """A convolution in g, a weight gradient in w, both of v."""
        g, w = ctx.saved_tensors
        to_g, to_w = ctx.needs_input_grad[:2]
        if to_g and to_w and not torch.is_grad_enabled():
            return *_convolution_and_gradient(v, w, g, ctx.geometry), None
        gg = Convolution.apply(v, w, None, ctx.geometry) if to_g else None
        gw, _ = WeightGradient.apply(v, g, ctx.geometry, False) if to_w else (None, None)
        return gg, gw, None


class WeightGradient(Function):
    """(w, b) = (g · patches(x)ᵀ, the sums of g); b is None unless `biased`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, g: Tensor, geometry: Geometry, biased: bool
    ) -> tuple[Tensor, Tensor | None]:
        """One product g · patches(x)ᵀ per tile."""
        _keep(ctx, x, g)
        ctx.geometry, rows = geometry, geometry.rows
        flat = geometry.flat(g)
        wb = x.new_empty(len(x), flat.shape[1], rows + biased)
        tiles = _patch_tiles(x, geometry, ones=biased)
        for patches, slopes, out in _tiled(geometry, tiles, flat, wb):
            torch.bmm(slopes, patches.transpose(1, 2), out=out)
        w = wb[:, :, :rows].view(*wb.shape[:2], geometry.channels, *geometry.kernel)
        return w, wb[:, :, rows] if biased else None

    @staticmethod
    def backward(ctx: Any, vw: Tensor, vb: Tensor | None) -> tuple[Tensor | None, ...]:
        """The adjoint in x, a convolution in g, with vw and vb for weights and bias."""
        x, g = ctx.saved_tensors
        to_x, to_g = ctx.needs_input_grad[:2]
        return (
            Adjoint.apply(g, vw, ctx.geometry) if to_x else None,
            Convolution.apply(x, vw, vb, ctx.geometry) if to_g else None,
            None,
            None,
        )


def _convolution_and_gradient(
    v: Tensor, w: Tensor, g: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor]:
    """Both derivatives of the adjoint, from one set of patches."""
    matrix, flat = _matrix(w, None), geometry.flat(g)
    y, slope = torch.empty_like(flat), torch.empty_like(matrix)
    tiles = _patch_tiles(v, geometry)
    for patches, weights, slopes, out, out_w in _tiled(geometry, tiles, matrix, flat, y, slope):
        torch.bmm(weights, patches, out=out)
        torch.bmm(slopes, patches.transpose(1, 2), out=out_w)
    return geometry.unflat(y), slope.view_as(w)
