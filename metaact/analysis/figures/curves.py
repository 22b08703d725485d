"""Learning curves of several arms with their bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from metaact.errors import UsageError

from .canvas import arm_style, heading, new_figure, percent_axis, style, text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve: TypeAlias = "tuple[ArrayLike, ArrayLike, ArrayLike | None, ArrayLike | None]"

_FEW = 8  # from more arms on, bands are paler and lines thinner


def learning_curves(
    arms: Mapping[str, Curve],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    chance: float | None = None,
    logx: bool = False,
    percent: bool = True,
) -> Figure:
    """Draw one line per arm, with its band where there is one.

    The legend stands right of the picture, in the order in which the lines end.

    Args:
        arms: For each name: positions, mean, and low and high or None [points].
        xlabel: What the positions are.
        ylabel: What the values are.
        title: Line above.
        chance: Accuracy of guessing, drawn as a dotted line.
        logx: Whether positions are on a logarithmic scale.
        percent: Whether values in 0..1 are labelled in percent.

    Returns:
        The figure, for `save_figure`.

    Raises:
        UsageError: If there is no arm, or an arm's arrays differ in length.
    """
    if not arms:
        raise UsageError("`arms` must hold at least one curve; got none.")
    few = len(arms) <= _FEW
    with style():
        figure = new_figure(7.2, max(4.0, 0.19 * len(arms) + 0.8))
        axes = figure.subplots()
        last = {}
        for index, (name, curve) in enumerate(arms.items()):
            x, mean, low, high = _checked(name, curve)
            look = arm_style(index)
            every = max(1, len(x) // 8)
            (drawn,) = axes.plot(
                x,
                mean,
                label=text(name, 28),
                linewidth=1.7 if few else 1.3,
                markevery=(index * every // max(len(arms), 1), every),
                **look,  # type: ignore[arg-type]  # all values are str, as plot takes them
            )
            if low is not None and high is not None:
                alpha = 0.16 if few else 0.07
                axes.fill_between(x, low, high, color=look["color"], alpha=alpha, linewidth=0)
            finite = mean[np.isfinite(mean)]
            last[drawn] = finite[-1] if len(finite) else -np.inf
        if chance is not None:
            axes.axhline(chance, color="0.45", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
            axes.annotate(
                "chance",
                (0.995, chance),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="right",
                color="0.35",
                fontsize=7.5,
            )
        if logx:
            axes.set_xscale("log")
        else:
            axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        if percent:
            percent_axis(axes)
        axes.set(xlabel=xlabel, ylabel=ylabel)
        axes.set_title(heading(title, 80))
        axes.margins(x=0.01)
        handles = sorted(last, key=lambda line: -last[line])
        figure.legend(handles=handles, loc="outside right upper", handlelength=3.2)
    return figure


def _checked(
    name: str, curve: Curve
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
    x, mean, low, high = (
        None if part is None else np.asarray(part, dtype=np.float64) for part in curve
    )
    shapes = [part.shape for part in (x, mean, low, high) if part is not None]
    if x is None or mean is None or x.ndim != 1 or len(set(shapes)) != 1:
        raise UsageError(
            f"`arms[{name!r}]` must be positions, mean, low, high of one length [points]; "
            f"got shapes {[list(shape) for shape in shapes]}."
        )
    return x, mean, low, high
