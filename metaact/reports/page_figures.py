"""The pictures of a study: which there are, what each shows, and over what its band is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaact.analysis import figures
from metaact.analysis.figures.curves import Curve

from .page_svg import WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Study: TypeAlias = "Mapping[str, Any]"

MOST_ARMS = 20
"""More lines than this are a tangle: then the arms at their own best rates are drawn."""

MOST_POINTS = 100
"""Points of a drawn line: more would not be seen at this size."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """One picture before it is set.

    Attributes:
        kind: What it is, for its address on the page.
        figure: The picture.
        label: What it shows, for those who do not see it.
        caption: What it shows, and over what its bands are.
    """

    kind: str
    figure: Figure
    label: str
    caption: str


def shown_arms(study: Study) -> tuple[list[Mapping[str, Any]], str]:
    """The arms that are drawn together, and a sentence on those that are not."""
    arms = list(study["arms"])
    if len(arms) <= MOST_ARMS:
        return arms, ""
    best = set(study["tuned"]["arms"]) if study["tuned"] else set()
    chosen = [arm for arm in arms if arm["name"] in best] or sorted(arms, key=_height)
    drawn = chosen[:MOST_ARMS]
    which = "at their own best rates" if best else "with the highest accuracy"
    return drawn, (
        f" Of {len(arms)} arms the {len(drawn)} {which} are drawn; the option --activation of "
        "the command draws others."
    )


def _height(arm: Mapping[str, Any]) -> float:
    return -arm["accuracy"]["mean"] if arm["accuracy"] else 1.0


def learning(study: Study) -> Picture | None:
    """Learning curves of the first accuracy that an arm recorded along the way."""
    arms, rest = shown_arms(study)
    names = [name for arm in arms for name in arm["curves"] if name.endswith("accuracy")]
    if not names:
        return None
    name = names[0]
    curves = {arm["name"]: arm["curves"][name] for arm in arms if name in arm["curves"]}
    axis = next(iter(curves.values()))["x_name"]
    log = _spread_at_the_start(np.array(next(iter(curves.values()))["x"], dtype=np.float64))
    what = name.replace("_", " ")
    figure = figures.learning_curves(
        {arm: _thinned(curve, log) for arm, curve in curves.items()},
        xlabel=axis,
        ylabel=what,
        chance=study["chance"],
        logx=log,
    )
    if log:
        plain_ticks(figure.axes[0])
    reach(figure, 2.9)
    scale = f" The {axis}s are on a logarithmic scale, from the first above 0." if log else ""
    return Picture(
        kind="curves",
        figure=figure,
        label=f"Learning curves: {what} against {axis} of {', '.join(curves)}.",
        caption=f"{what.capitalize()} over training, mean over seeds. {_band(curves)} "
        f"The dotted line is guessing.{scale}{rest}",
    )


def _band(curves: Mapping[str, Mapping[str, Any]]) -> str:
    seeds = sorted({curve["seeds"] for curve in curves.values()})
    if all(curve["low"] is None for curve in curves.values()):
        return "No band: one seed an arm."
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return (
        f"Bands are 95 % intervals of the mean over {count} training seeds; a point at which a "
        "seed has no value is left out."
    )


def _spread_at_the_start(x: NDArray[np.float64]) -> bool:
    """Whether points crowd where training begins, over more than a factor of ten."""
    x = x[x > 0]
    if len(x) < 4 or x[-1] <= 10 * x[0]:
        return False
    return float(np.mean(x <= x[-1] / 10)) > 0.3


def _thinned(curve: Mapping[str, Any], log: bool) -> Curve:
    x = np.array(curve["x"], dtype=np.float64)
    kept = np.flatnonzero(x > 0) if log else np.arange(len(x))
    kept = kept[places(len(kept))]

    def part(name: str) -> Any:
        return None if curve[name] is None else np.array(curve[name], dtype=np.float64)[kept]

    return x[kept], part("mean"), part("low"), part("high")


def sensitivity(study: Study) -> Picture | None:
    """Accuracy against the rate, one line an activation."""
    found = study["sensitivity"]
    if not found:
        return None
    lines = {name: _against_rate(points) for name, points in found["lines"].items()}
    rate = found["rate"].replace("_", " ")
    figure = figures.learning_curves(
        lines, xlabel=rate, ylabel="test accuracy", chance=study["chance"], logx=True
    )
    _ticks_at(figure.axes[0], sorted({p["rate"] for ps in found["lines"].values() for p in ps}))
    reach(figure, 2.9)
    lost = [
        f"{name} at {p['rate']:g} ({p['diverged']})"
        for name, points in found["lines"].items()
        for p in points
        if p["diverged"]
    ]
    gone = f" Seeds that diverged: {', '.join(lost)}." if lost else ""
    return Picture(
        kind="sensitivity",
        figure=figure,
        label=f"Test accuracy against {rate}, one line for each of {', '.join(lines)}.",
        caption=f"Accuracy against {rate}. {_over(study)} A gap is a rate without a figure.{gone}",
    )


def _against_rate(points: Sequence[Mapping[str, Any]]) -> Curve:
    """Rates, means, lower and upper ends; NaN where no seed has a figure."""
    known = [(p["rate"], p["accuracy"]) for p in points]
    mean, low, high = (
        [np.nan if interval is None else interval[part] for _, interval in known]
        for part in ("mean", "low", "high")
    )
    return [rate for rate, _ in known], mean, low, high


def _over(study: Study) -> str:
    """What the intervals of a study's accuracies are over."""
    known = (arm["accuracy"] for arm in study["arms"] if arm["accuracy"])
    varies = " / ".join(dict.fromkeys(interval["varies"] for interval in known))
    return f"Bands are intervals over {varies}." if varies else ""


def plain_ticks(axes: Any) -> None:
    """Numbers as people write them on a logarithmic scale, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _ticks_at(axes: Any, values: Sequence[float]) -> None:
    """Label just these places of a logarithmic scale; every other one where they crowd."""
    from matplotlib.ticker import NullLocator

    plain_ticks(axes)
    axes.set_xticks(values[:: -(-len(values) // 7)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.04)


def reach(figure: Figure, height: float) -> None:
    """Make a figure as wide as all are on the page, and so many inches high."""
    figure.set_size_inches(WIDTH, height)


def places(points: int) -> NDArray[np.int_]:
    """Which points of a long course are drawn: the first, the last, and evenly between."""
    return np.linspace(0, points - 1, min(points, MOST_POINTS)).round().astype(int)
