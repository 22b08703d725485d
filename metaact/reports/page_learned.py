"""What learning made of an activation: the function of every layer, and α and β over training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaact.analysis import figures
from metaact.analysis.curves import stuck

from .page_figures import Picture, Study, places, reach
from .page_svg import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array: TypeAlias = NDArray[np.float64]


def learned_arm(study: Study) -> Mapping[str, Any] | None:
    """The arm whose α and β are drawn: the one asked about, or one at its best, or any."""
    moving = [arm for arm in study["arms"] if _moves(arm)]
    names = [study["learned"]["first"]] if study["learned"] else []
    names += study["tuned"]["arms"] if study["tuned"] else []
    wanted = [arm for name in names for arm in moving if arm["name"] == name]
    return next(iter([*wanted, *moving]), None)


def _moves(arm: Mapping[str, Any]) -> bool:
    return any(
        len(seed) > 1 and max(seed) > min(seed)
        for layer in arm["attention"].values()
        for name in ("alpha", "beta")
        for seed in layer[name]
        if None not in seed
    )


def shapes(study: Study) -> Picture | None:
    """The activation of every layer at the start and at the end."""
    arm = learned_arm(study)
    if arm is None:
        return None
    form, called = _form(str(arm["activation"]))
    x = np.linspace(-3, 3, 61)
    layers, start = {}, None
    for layer, found in arm["attention"].items():
        alpha, beta = (np.array(found[name], dtype=np.float64) for name in ("alpha", "beta"))
        begin = beta[:1, :1]
        layers[layer] = (x, form(x, alpha[:, -1:], beta[:, -1:], begin))
        start = start or (x, form(x, alpha[:1, :1], begin, begin)[0])
    figure = figures.activation_range(layers, start=start)
    _two_columns(figure, len(layers))
    return Picture(
        kind="shapes",
        figure=figure,
        label=f"{called} of {arm['name']} in each layer, before and after training.",
        caption=f"{called} of {arm['name']} per layer: as it starts (dashed), and as it was "
        "learned: the mean over the seeds, and as a band the whole range of the seeds (not an "
        "interval).",
    )


_Form: TypeAlias = Callable[[Array, Array, Array, Array], Array]


def _form(activation: str) -> tuple[_Form, str]:
    """The function of x, α, β and the β of the start, and what it is."""
    if "+elsa" in activation.lower():
        return _elsa, "The attention that ELSA adds to the activation"
    if activation.lower().startswith("arelu-unit"):
        return _unit, "The function"
    return _arelu, "The function"


def _arelu(x: Array, alpha: Array, beta: Array, start: Array) -> Array:
    """f(x) = C(α)·x for x < 0 and (1 + σ(β))·x else, with C(α) = min(max(α, 0.01), 0.99)."""
    return np.maximum(x, 0) + _elsa(x, alpha, beta, start)


def _elsa(x: Array, alpha: Array, beta: Array, start: Array) -> Array:
    return np.where(x < 0, np.clip(alpha, 0.01, 0.99) * x, _sigmoid(beta) * x)


def _unit(x: Array, alpha: Array, beta: Array, start: Array) -> Array:
    return _arelu(x, alpha, beta, start) / (1 + _sigmoid(start))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _two_columns(figure: Figure, layers: int) -> None:
    """Put the panels two in a row: four in a row cannot be read on a phone."""
    columns = min(2, layers)
    rows = -(-layers // columns)
    grid = figure.add_gridspec(rows, columns)
    for index, axes in enumerate(figure.axes[:layers]):
        axes.set_subplotspec(grid[index // columns, index % columns])
        axes.tick_params(labelleft=index % columns == 0, labelbottom=index + columns >= layers)
    figure.set_size_inches(WIDTH, 1.4 * rows + 0.25)


def trajectories(study: Study) -> Picture | None:
    """α and β of every layer over training."""
    arm = learned_arm(study)
    if arm is None:
        return None
    layers = {}
    for layer, found in arm["attention"].items():
        kept = places(len(found["x"]))
        values = (np.array(found[n], dtype=np.float64)[:, kept] for n in ("alpha", "beta"))
        layers[layer] = [np.array(found["x"], dtype=np.float64)[kept], *values]
    axis = next((c["x_name"] for c in arm["curves"].values()), "step")
    figure = figures.trajectories(layers, xlabel=axis)
    for axes in figure.axes:
        axes.locator_params(axis="x", nbins=4)
    reach(figure, 2.4)
    ends = [values[1][:, -1] for values in layers.values()]
    count = int(sum(stuck(end).sum() for end in ends))
    crosses = f" Crosses: seeds whose α has no gradient any more ({count} at the end)."
    return Picture(
        kind="trajectories",
        figure=figure,
        label=f"α and β of {arm['name']} in each layer over training.",
        caption=f"α and β of {arm['name']} over training, a colour a layer: each seed thin, their "
        f"mean thick. Outside the dashed lines α has no gradient.{crosses if count else ''}",
    )
