"""Maps beside images: one row an image, one column an arm."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaact.display import brief
from metaact.errors import UsageError

from .canvas import COLOURS, heading, style, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.95
"""Inches of an image."""

_GAP, _WIDE_GAP, _CAPTION, _ROW_NAME = 0.06, 0.18, 0.2, 1.15
_HEAD, _LINE = 0.62, 0.13
_FADED = 0.55  # how dark black is below a map
_LEAST = 5.2  # inches that the bar and its note take
_SIGNED, _UNSIGNED = "RdBu_r", "viridis"
_EVEN = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapColumn:
    """One column of `map_sheet`.

    Attributes:
        title: Line above it: the arm.
        maps: Values [rows, height, width]; they need not have the size of the images.
        group: Line above all neighbours of one group: the layer.
        captions: Below each map: the class that the network answers.
        blank: In place of a map that shows nothing: why; "" where it does.
        scales: What the strongest colour stands for in each row; None takes the largest value of
            each map.
    """

    title: str
    maps: ArrayLike
    group: str = ""
    captions: Sequence[str] = ()
    blank: Sequence[str] = ()
    scales: Sequence[float] | None = None

    def __repr__(self) -> str:
        return brief(self, self.title, group=self.group)


def map_sheet(
    images: ArrayLike,
    columns: Sequence[MapColumn],
    *,
    names: Sequence[str],
    over: bool,
    signed: bool,
    outlines: ArrayLike | None = None,
    title: str = "",
    note: str = "",
) -> Figure:
    """Draw images with the maps of several arms beside them, a row for each image.

    Args:
        images: Bytes [rows, channels, height, width], 1 or 3 channels.
        columns: The maps.
        names: Name of each row.
        over: Whether maps are laid over the image in grey, the fainter the smaller they are.
        signed: Whether the colours are those around 0, blue below and red above; else negative
            values are not shown.
        outlines: Masks [rows, height, width] whose edge is drawn into each image.
        title: Line above.
        note: What the colours mean, below.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If the arrays do not fit together.
    """
    pictures = np.asarray(images)
    columns = [_checked(column, len(pictures)) for column in columns]
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or len(names) != len(pictures):
        raise UsageError(
            f"`images` must be uint8 [rows, channels, height, width] and `names` one a row; got "
            f"{pictures.dtype} {list(pictures.shape)} and {len(names)} names."
        )
    shown = np.broadcast_to(pictures.transpose(0, 2, 3, 1), (len(pictures), *pictures.shape[2:], 3))
    lefts = _lefts(columns)
    width = max(lefts[-1] + CELL + 0.1, _LEAST)
    step = CELL + _CAPTION + _GAP
    note = heading(note, int(19 * (width - 3.05)))
    foot = 0.3 + _LINE * max(note.count("\n") + 1, 2)
    height = _HEAD + len(pictures) * step + foot
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height))

        def cell(row: int, left: float) -> Axes:
            bottom = height - _HEAD - row * step - CELL
            axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
            axes.grid(False)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            return axes

        for row, picture in enumerate(shown):
            axes = cell(row, _ROW_NAME)
            axes.imshow(picture, interpolation="nearest")
            axes.set_ylabel(
                "\n".join(text(line, 18) for line in names[row].splitlines()),
                rotation=0,
                ha="right",
                va="center",
                fontsize=7,
                labelpad=5,
            )
            if outlines is not None:
                _outline(axes, np.asarray(outlines)[row])
            for left, column in zip(lefts, columns, strict=True):
                _draw(cell(row, left), column, row, picture if over else None, signed=signed)
        _heads(figure, columns, lefts, width, height)
        _scale(figure, width, height, foot - 0.22, signed=signed, note=note)
        figure.text(
            0.5,
            1 - 0.06 / height,
            heading(title, int(13 * width)),
            ha="center",
            va="top",
            fontsize=10,
        )
    return figure


def _checked(column: MapColumn, rows: int) -> MapColumn:
    """The column with a caption and a reason for every row."""
    maps = np.asarray(column.maps, dtype=np.float64)
    parts = (column.captions, column.blank, column.scales)
    if maps.ndim != 3 or len(maps) != rows or any(p and len(p) != rows for p in parts):
        raise UsageError(
            f"`columns` must hold {rows} maps each (one a row), with as many captions or none; got "
            f"shape {list(maps.shape)} in {column.title!r}."
        )
    nothing = [""] * rows
    return replace(
        column, maps=maps, captions=column.captions or nothing, blank=column.blank or nothing
    )


def _lefts(columns: Sequence[MapColumn]) -> list[float]:
    """Where each column begins, a wider gap between groups."""
    found, left = [], _ROW_NAME + CELL
    before: str | None = None
    for column in columns:
        left += _GAP if column.group == before else _WIDE_GAP
        found.append(left)
        left += CELL
        before = column.group
    return found


def _draw(
    axes: Axes, column: MapColumn, row: int, picture: NDArray[np.uint8] | None, *, signed: bool
) -> None:
    values = np.asarray(column.maps)[row]
    axes.set_xlabel(text(column.captions[row], 22), fontsize=6.5, labelpad=2)
    if picture is not None:
        pale = 1 - _FADED * (1 - picture.mean(axis=2) / 255)  # on black no colour would be seen
        axes.imshow(pale, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if column.blank[row]:
        axes.set_facecolor("0.9")
        axes.set_aspect("equal")
        axes.text(
            0.5,
            0.5,
            textwrap.fill(column.blank[row], 18),
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        )
        if picture is None:
            axes.imshow(np.full((1, 1), 0.9), cmap="gray", vmin=0, vmax=1)
        return
    values = np.nan_to_num(values if signed else np.maximum(values, 0))
    most = float(np.abs(values).max()) if column.scales is None else column.scales[row]
    share = np.clip(values / max(most, _EVEN), -1, 1)
    extent = (
        None if picture is None else (-0.5, picture.shape[1] - 0.5, picture.shape[0] - 0.5, -0.5)
    )
    axes.imshow(
        share,
        cmap=_SIGNED if signed else _UNSIGNED,
        vmin=-1 if signed else 0,
        vmax=1,
        alpha=None if picture is None else 0.15 + 0.7 * np.abs(share),
        extent=extent,
        interpolation="nearest",
    )


def _outline(axes: Axes, mask: NDArray[np.bool_]) -> None:
    """Draw the edge of a mask, also where it runs along the border of the image."""
    if not mask.any():
        return
    high, wide = mask.shape
    x, y = np.arange(-1, wide + 1), np.arange(-1, high + 1)
    axes.contour(x, y, np.pad(mask, 1), levels=[0.5], colors=COLOURS[4], linewidths=1)
    axes.set_xlim(-0.5, wide - 0.5)
    axes.set_ylim(high - 0.5, -0.5)


def _heads(
    figure: Figure,
    columns: Sequence[MapColumn],
    lefts: Sequence[float],
    width: float,
    height: float,
) -> None:
    level = 1 - (_HEAD - 0.05) / height
    for column, left in zip(columns, lefts, strict=True):
        figure.text(
            (left + CELL / 2) / width,
            level,
            text(column.title, 18),
            ha="center",
            va="bottom",
            fontsize=7.5,
        )
    figure.text(
        (_ROW_NAME + CELL / 2) / width, level, "image", ha="center", va="bottom", fontsize=7.5
    )
    groups = list(dict.fromkeys(column.group for column in columns if column.group))
    for group in groups:
        ends = [x for column, x in zip(columns, lefts, strict=True) if column.group == group]
        middle = (ends[0] + ends[-1] + CELL) / 2
        figure.text(
            middle / width,
            1 - (_HEAD - 0.2) / height,
            text(group, 18 * len(ends) if len(groups) > 1 else 40),
            ha="center",
            va="bottom",
            fontsize=8,
            fontweight="bold",
        )


def _scale(
    figure: Figure, width: float, height: float, top: float, *, signed: bool, note: str
) -> None:
    """A bar of the colours, and what they mean."""
    bar = figure.add_axes((_ROW_NAME / width, (top - 0.1) / height, 1.6 / width, 0.1 / height))
    ramp = np.linspace(-1 if signed else 0, 1, 128)[None]
    bar.imshow(ramp, cmap=_SIGNED if signed else _UNSIGNED, aspect="auto")
    bar.grid(False)
    bar.set_yticks([])
    ticks: dict[str, Any] = {"labelsize": 6.5, "length": 2, "pad": 1}
    bar.tick_params(axis="x", **ticks)
    places = [0, 63.5, 127] if signed else [0, 127]
    bar.set_xticks(places, ["−max", "0", "max"] if signed else ["0", "max"])
    figure.text((_ROW_NAME + 1.8) / width, top / height, note, ha="left", va="top", fontsize=6.5)
