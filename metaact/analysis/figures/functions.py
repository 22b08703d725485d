"""Activation functions themselves: a gallery, and what learning made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import WIDTH, grid_shape, heading, is_narrow, new_figure, style
from .looks import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_START = "0.35"
_SLOPE: dict[str, Any] = {"color": "0.35", "linestyle": "--", "linewidth": 1.1}

_REACH = 8.0
"""Values beyond are not shown: past the 6 at which ReLU6 stops."""


def activation_curves(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    *,
    title: str = "",
    width: float = WIDTH,
) -> Figure:
    """Draw each activation, in its colour, and its derivative in a small panel of its own.

    Args:
        curves: For each canonical name: inputs, values, derivatives [points].
        title: Line above.
        width: Inches at most.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no curve, or a curve's arrays differ in length.
    """
    if not curves:
        raise UsageError("`curves` must hold at least one activation; got none.")
    rows, columns = grid_shape(len(curves), 2 if is_narrow(width) else 4)
    with style():
        figure = new_figure(min(width, max(1.8 * columns, 3.6)), 1.55 * rows + 0.7)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        shown = looks(list(curves))
        for axes, (name, (x, value, slope)) in zip(panels, curves.items(), strict=False):
            x, value, slope = _same_length(name, x, value, slope)
            _cross(axes)
            axes.plot(x, slope, **_SLOPE)
            axes.plot(x, value, color=shown[name].color, linewidth=2.0)
            axes.set_title(heading(name, 20, 24), fontsize=8)
            _limit(axes, np.concatenate([value, slope]))
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        _show_inputs(panels, len(curves), columns)
        from matplotlib.lines import Line2D

        figure.legend(
            [Line2D([], [], color="0.2", linewidth=2.0), Line2D([], [], **_SLOPE)],
            ["activation, in its colour", "derivative"],
            loc="outside lower center",
            ncols=2,
        )
        if title:
            figure.suptitle(heading(title, int(12 * figure.get_figwidth())))
    return figure


def activation_range(
    layers: Mapping[str, tuple[ArrayLike, ArrayLike]],
    *,
    start: tuple[ArrayLike, ArrayLike] | None = None,
    title: str = "",
    arm: str = "arelu",
    width: float = WIDTH,
) -> Figure:
    """Draw, per layer, the learned activations of all seeds: their mean and their whole range.

    Args:
        layers: For each layer: inputs [points] and learned values [seeds, points].
        start: Inputs and values before learning [points], drawn dashed in each panel.
        title: Line above.
        arm: Whose activations they are: in its colour.
        width: Inches at most.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no layer or an array has the wrong shape.
    """
    if not layers:
        raise UsageError("`layers` must hold at least one layer; got none.")
    narrow = is_narrow(width)
    rows, columns = grid_shape(len(layers), 2 if narrow and len(layers) <= 6 else 3)
    with style():
        height = max(1.4 * rows + 0.25, 1.9) if narrow else 2.2 * rows + 0.7
        figure = new_figure(min(width, max(2.4 * columns, 4.0)), height)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        handles, color = {}, looks([arm])[arm].color
        for axes, (name, (x, values)) in zip(panels, layers.items(), strict=False):
            x, values = np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64)
            if values.ndim != 2 or values.shape[1:] != x.shape:
                raise UsageError(
                    f"`layers[{name!r}]` must be inputs [points] and values [seeds, points]; "
                    f"got shapes {list(x.shape)} and {list(values.shape)}."
                )
            _cross(axes)
            seeds = f"range over {len(values)} seed{'s' if len(values) > 1 else ''}"
            band = axes.fill_between(
                x, values.min(axis=0), values.max(axis=0), color=color, alpha=0.25, linewidth=0
            )
            (mean,) = axes.plot(x, values.mean(axis=0), color=color)
            handles.update({"learned (mean)": mean, seeds: band})
            if start is not None:
                x0, y0 = _same_length("start", *start)
                (line,) = axes.plot(x0, y0, color=_START, linestyle="--", linewidth=1.2)
                handles["start"] = line
            axes.set_title(heading(name, 20, 24), fontsize=8)
        for axes in panels[len(layers) :]:
            axes.set_visible(False)
        _show_inputs(panels, len(layers), columns)
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles)
        )
        if title:
            figure.suptitle(heading(title, int(12 * figure.get_figwidth())))
    return figure


def _cross(axes: Axes) -> None:
    axes.axhline(0, color="0.6", linewidth=0.7)
    axes.axvline(0, color="0.6", linewidth=0.7)


def _limit(axes: Axes, values: np.ndarray) -> None:
    """Keep one pole or fast power from flattening everything else in a panel."""
    finite = values[np.isfinite(values)]
    if len(finite):
        low, high = max(float(finite.min()), -_REACH), min(float(finite.max()), _REACH)
        room = 0.08 * max(high - low, 0.5)
        axes.set_ylim(low - room, high + room)


def _show_inputs(panels: np.ndarray, count: int, columns: int) -> None:
    """Label the inputs under the lowest panel of each column, also in an unfilled last row."""
    for index in range(max(0, count - columns), count):
        panels[index].tick_params(labelbottom=True)


def _same_length(name: str, *arrays: ArrayLike) -> list[np.ndarray]:
    found = [np.asarray(array, dtype=np.float64) for array in arrays]
    if any(a.ndim != 1 or a.shape != found[0].shape for a in found):
        raise UsageError(
            f"`curves[{name!r}]` must be arrays of one length [points]; "
            f"got shapes {[list(a.shape) for a in found]}."
        )
    return found
