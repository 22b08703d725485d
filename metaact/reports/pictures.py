"""The pictures of a study: which there are, what each shows, and over what its band is.

The verbs write them as files, the page shows them: both draw them here, from the document.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from metaact import analysis
from metaact.analysis import Comparison
from metaact.analysis.curves import stuck
from metaact.analysis.wording import p_text
from metaact.display import digits
from metaact.experiments.table import find

from .document import ArmReport, Curve, Document, Sensitivity, StudyReport
from .picture_values import Value, along
from .shapes import NAMES as SHAPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array: TypeAlias = NDArray[np.float64]

SETTLED = ("better", "worse", "equivalent")
"""Verdicts that are ones; the other is "no difference shown"."""

MOST_ARMS = 20
"""More lines than this cannot be told apart: then the arms at their own best rates are drawn."""

WIDTH = 7.2
"""Inches of a picture in a file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """One picture before it is written.

    Attributes:
        kind: What it is: the end of a file's name, and its address on a page.
        figure: The picture.
        label: What it shows, for those who do not see it.
        caption: What it shows, and over what its bands are.
        values: Its figures, from left to right or top to bottom.
    """

    kind: str
    figure: Figure
    label: str
    caption: str
    values: Sequence[Value] = ()


def pictures(
    study: StudyReport, *, width: float = WIDTH, margin: float | None = None
) -> list[Drawn]:
    """All pictures of a study that there are.

    Args:
        study: A study of the document.
        width: Inches.
        margin: Half-width of the range in which differences do not matter, or None.
    """
    makers: list[Callable[[], Drawn | None]] = [
        lambda: learning(study, width=width),
        lambda: losses(study, width=width),
        lambda: differences(study, margin, width=width),
        lambda: sensitivity(study, width=width),
        lambda: ranks(study, width=width),
        lambda: start_values(study, width=width),
        lambda: trajectories(study, width=width),
        lambda: shapes(study, width=width),
        lambda: layers(study, width=width),
        lambda: against_shape(study, width=width),
    ]
    return [drawn for make in makers if (drawn := make()) is not None]


def save(document: Document, folder: Path) -> list[Path]:
    """Write the pictures of all studies of a document as PNG and SVG.

    Their names say what was studied and differ whenever a run does.

    Args:
        document: What was found.
        folder: Where to write.

    Returns:
        The files written.

    Raises:
        RunError: If one cannot be written.
    """
    written = []
    for study in document.studies:
        stem = file_stem(study)
        for drawn in pictures(study, margin=document.margin):
            written += analysis.save_figure(drawn.figure, folder / f"{stem}-{drawn.kind}")
    return written


def file_stem(study: StudyReport) -> str:
    """How the files of a study's pictures begin: experiment, data, and a hash of its runs."""
    known = find(study.experiment).settings
    data = [str(study.settings[n]) for n, s in known.items() if s.path and n in study.settings]
    runs = sorted(Path(run).name for arm in study.arms for run in arm.runs)
    words = [study.experiment, *(analysis.file_name(Path(name).stem) for name in data)]
    return f"{analysis.file_name('-'.join(words))}-{analysis.short_hash(runs)}"


def shown_arms(study: StudyReport) -> tuple[list[ArmReport], str]:
    """The arms that are drawn together, and a sentence on those that are not."""
    arms = study.arms
    if len(arms) <= MOST_ARMS:
        return arms, ""
    best = set(study.tuned.chosen.values()) if study.tuned else set()
    chosen = [arm for arm in arms if arm.name in best] or sorted(
        arms, key=lambda arm: _depth(arm, study.measure.sign)
    )
    drawn = chosen[:MOST_ARMS]
    which = "at their own best rates" if best else "with the best score"
    return drawn, (
        f" Of {len(arms)} arms the {len(drawn)} {which} are drawn; the option --activation of "
        "the command draws others."
    )


def _depth(arm: ArmReport, sign: int) -> float:
    """How bad an arm is; one without a score is the worst."""
    return -sign * arm.score.mean if arm.score else math.inf


def learning(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """Learning curves of the first score that was recorded along the way, more than once."""
    arms, rest = shown_arms(study)
    found = {n: c for arm in arms for n, c in arm.curves.items() if n.endswith(study.measure.name)}
    if not found:
        return None
    name = next((name for name, curve in found.items() if len(curve.x) > 1), next(iter(found)))
    curves = {arm.name: arm.curves[name] for arm in arms if name in arm.curves}
    called = find(study.experiment).baseline_name
    base = {f"{a.name}, {called}": a.baseline[name] for a in arms if name in a.baseline}
    if len(curves) + len(base) <= MOST_ARMS:
        curves |= base
    axis = study.measure.axis.name
    log = _spread_at_the_start(np.array(next(iter(curves.values())).x, dtype=np.float64))
    what = name.replace("_", " ")
    lost = [f"{arm.name} {len(arm.failed)}" for arm in arms if arm.failed]
    gone = f" Seeds that diverged: {', '.join(lost)}." if lost else ""
    lines = {arm: _arrays(curve) for arm, curve in curves.items()}
    figure = analysis.learning_curves(
        lines,
        xlabel=axis,
        ylabel=what,
        title=study.title if width >= WIDTH else "",
        chance=study.measure.chance,
        logx=log,
        percent=study.measure.is_share,
        width=width,
    )
    guessing = "" if study.measure.chance is None else "The dotted line is guessing."
    scale = f" The {axis}s are on a logarithmic scale, from the first above 0." if log else ""
    return Drawn(
        kind="learning-curves",
        figure=figure,
        label=f"Learning curves: {what} against {axis} of {', '.join(curves)}.",
        caption=f"{what.capitalize()} over training, mean over seeds. {_band(curves, study.level)} "
        f"{guessing}{scale}{gone}{rest}",
        values=along(lines, figure, axis, log=log),
    )


def losses(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """The training loss beside that of others, where the experiment has its losses drawn."""
    arms, rest = shown_arms(study)
    others = [
        name for name in find(study.experiment).losses if any(name in arm.curves for arm in arms)
    ]
    if not others:
        return None
    names = ("train_loss", others[0])
    found = [{arm.name: arm.curves[name] for arm in arms if name in arm.curves} for name in names]
    panels = [
        analysis.CurvePanel(
            title=name.replace("_", " "),
            curves={arm: _arrays(curve) for arm, curve in curves.items()},
            marks={},
            percent=False,
        )
        for name, curves in zip(names, found, strict=True)
    ]
    axis = study.measure.axis.name
    figure = analysis.curve_panels(
        panels, xlabel=axis, title=study.title if width >= WIDTH else "", width=width
    )
    if figure is None:
        return None
    said = " and ".join(name.replace("_", " ") for name in names)
    return Drawn(
        kind="losses",
        figure=figure,
        label=f"Losses: {said} against {axis} of {', '.join(found[0])}.",
        caption=f"{said.capitalize()} over training, mean over seeds. "
        f"{_band(found[0], study.level)}{rest}",
    )


def _arrays(curve: Curve, *, band: bool = True) -> analysis.Curve:
    """A curve as it is drawn: NaN where a seed has no value."""
    low, high = (
        None if part is None or not band else np.array(part, dtype=np.float64)
        for part in (curve.low, curve.high)
    )
    return curve.x, np.array(curve.mean, dtype=np.float64), low, high


def _band(curves: Mapping[str, Curve], level: float) -> str:
    seeds = sorted({curve.seeds for curve in curves.values()})
    if all(curve.low is None for curve in curves.values()):
        return "No band: one seed an arm."
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    said = (
        f"Bands are {100 * level:g} % intervals of the mean over {count} training seeds; a point "
        "at which a seed has no value is left out."
    )
    if any(_agrees(curve) for curve in curves.values()):
        said += " Where all seeds agree a band has no width: it assumes that others do, too."
    return said


def _agrees(curve: Curve) -> bool:
    """Whether several seeds have just the same value at a point."""
    ends = zip(curve.low or (), curve.high or (), strict=True)
    return any(
        low is not None and high is not None and math.isclose(low, high, abs_tol=1e-12)
        for low, high in ends
    )


def _spread_at_the_start(x: Array) -> bool:
    """Whether points crowd where training begins, over more than a factor of ten."""
    x = x[x > 0]
    if len(x) < 4 or x[-1] <= 10 * x[0]:
        return False
    return float(np.mean(x <= x[-1] / 10)) > 0.3


def differences(study: StudyReport, margin: float | None, *, width: float = WIDTH) -> Drawn | None:
    """Every comparison with the reference as a point with its interval."""
    found = list(study.comparisons)
    if not found:
        return None
    rest = ""
    if len(found) > MOST_ARMS:
        rest = f" Of {len(found)} comparisons the {MOST_ARMS} that stand out most are drawn."
        found = sorted(found, key=standing_out, reverse=True)[:MOST_ARMS]
    varies = " / ".join(dict.fromkeys(c.interval.varies for c in found))
    together = "simultaneous " if found[0].compared > 1 else ""
    points = " in points" if study.measure.is_share else _BETTER[study.measure.direction]
    figure = analysis.interval_plot(
        {c.first: c.interval for c in found},
        xlabel=f"difference to {study.reference}{points}, {together}{100 * study.level:g} % "
        f"interval{'s' if len(found) > 1 else ''}",
        title=study.title if width >= WIDTH else "",
        differences=True,
        settled={c.first: c.verdict in SETTLED for c in found},
        margin=margin,
        width=width,
    )
    return Drawn(
        kind="differences",
        figure=figure,
        label=f"Differences in {study.measure.name} to {study.reference} with intervals: "
        + "; ".join(f"{c.first} {c.verdict}" for c in found)
        + ".",
        caption=f"Difference in test {study.measure.name} to {study.reference}{points}, with "
        f"{together}{100 * study.level:g} % intervals over {varies}. Filled: the verdict, which is "
        f"read off them, is better, worse or equivalent; open: no difference shown.{rest}",
        values=[Value(text=c.sentence, y=row) for row, c in enumerate(found)],
    )


_BETTER = {"higher": "", "lower": " (above 0: less)"}


def standing_out(found: Comparison) -> float:
    """How far a difference lies from 0, in widths of its interval."""
    return abs(found.mean) / (found.interval.high - found.interval.low)


def sensitivity(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """Score against the rate, one line an arm."""
    found = study.sensitivity
    if found is None:
        return None
    if not any(point.score for points in found.lines.values() for point in points):
        return None
    rate = found.rate.replace("_", " ")
    ticks = sorted({point.rate for points in found.lines.values() for point in points})
    lines = {name: _against_rate(found, name) for name in found.lines}
    figure = analysis.learning_curves(
        lines,
        xlabel=rate,
        ylabel=study.measure.test.replace("_", " "),
        title=f"{study.title}: against {rate}" if width >= WIDTH else "",
        chance=study.measure.chance,
        logx=True,
        xticks=ticks,
        percent=study.measure.is_share,
        width=width,
    )
    lost = [
        f"{name} at {point.rate:g} ({point.failed})"
        for name, points in found.lines.items()
        for point in points
        if point.failed
    ]
    gone = f" Seeds that diverged: {', '.join(lost)}." if lost else ""
    return Drawn(
        kind=f"against-{found.rate.replace('_', '-')}",
        figure=figure,
        label=f"Test {study.measure.name} against {rate}, one line for each of "
        f"{', '.join(found.lines)}.",
        caption=f"{study.measure.name.capitalize()} against {rate}. {_over(study)} A gap is a rate "
        f"without a figure.{gone}{f' {found.note}' if found.note else ''}",
        values=along(lines, figure, rate, log=True),
    )


def _against_rate(
    found: Sensitivity, name: str
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Rates, means, lower and upper ends; NaN where no seed has a figure."""
    points = found.lines[name]
    scores = [point.score for point in points]
    return (
        [point.rate for point in points],
        [np.nan if score is None else score.mean for score in scores],
        [np.nan if score is None else score.low for score in scores],
        [np.nan if score is None else score.high for score in scores],
    )


def _over(study: StudyReport) -> str:
    """What the intervals of a study's scores are over."""
    varies = " / ".join(dict.fromkeys(arm.score.varies for arm in study.arms if arm.score))
    return f"Bands are {100 * study.level:g} % intervals over {varies}." if varies else ""


def ranks(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """Every arm's mean rank with the critical difference."""
    if study.ranks is None:
        return None
    found, lost = study.ranks.found, study.ranks.left_out
    order = sorted(found.mean_ranks.items(), key=lambda pair: pair[1])
    together = "; ".join(", ".join(group) for group in found.groups)
    groups = f" Not told apart by ranks: {together}." if together else ""
    if lost:
        groups += f" Without {', '.join(lost)}, of which a seed diverged: it has no rank."
    return Drawn(
        kind="ranks",
        figure=analysis.rank_plot(found, title=study.title if width >= WIDTH else "", width=width),
        label="Mean ranks: " + ", ".join(f"{name} {rank:.2f}" for name, rank in order) + ".",
        caption=f"Mean rank over {found.blocks} {found.over}; 1 is best. Arms that are no further "
        f"apart than the critical difference ({found.critical_difference:.2f}; over all pairs "
        f"{100 * found.level:g} %) are not told apart by their ranks. Ranks ignore by how much an "
        "arm is better: this is another, weaker question than that of the verdicts, and no verdict "
        "rests on it. "
        f"Friedman's test over the same: {p_text(found.p_value, 1 - found.level)}.{groups}",
        values=[
            Value(text=f"{name}: mean rank {rank:.2f}", y=row)
            for row, (name, rank) in enumerate(found.mean_ranks.items())
        ],
    )


def learned_arm(study: StudyReport) -> ArmReport | None:
    """The arm whose α and β are drawn: the one asked about, or one at its best, or any."""
    moving = [arm for arm in study.arms if _moves(arm)]
    names = [study.learned.first] if study.learned else []
    names += study.tuned.chosen.values() if study.tuned else []
    wanted = [arm for name in names for arm in moving if arm.name == name]
    return next(iter([*wanted, *moving]), None)


def _moves(arm: ArmReport) -> bool:
    return any(
        len(seed) > 1 and None not in seed and len(set(seed)) > 1
        for layer in arm.attention.values()
        for seeds in (layer.alpha, layer.beta)
        for seed in seeds
    )


def trajectories(
    study: StudyReport, *, arm: ArmReport | None = None, width: float = WIDTH
) -> Drawn | None:
    """α and β of every layer over training: of an arm, or of the one that is asked about."""
    arm = arm or learned_arm(study)
    if arm is None:
        return None
    layers = {
        name: [np.array(part, dtype=np.float64) for part in (layer.x, layer.alpha, layer.beta)]
        for name, layer in arm.attention.items()
    }
    figure = analysis.trajectories(
        layers,
        xlabel=study.measure.axis.name,
        title=f"{arm.name}: α and β per layer" if width >= WIDTH else "",
        width=width,
    )
    count = int(sum(stuck(values[1][:, -1]).sum() for values in layers.values()))
    crosses = f" Crosses: seeds whose α has no gradient any more ({count} at the end)."
    return Drawn(
        kind="trajectories",
        figure=figure,
        label=f"α and β of {arm.name} in each layer over training.",
        caption=f"α and β of {arm.name} over training, a colour a layer: each seed thin, their "
        f"mean thick. Outside the dashed lines α has no gradient.{crosses if count else ''}",
        values=[
            Value(
                text="\n".join(
                    f"{name}: {symbol} {values[place].mean(axis=0)[0]:.3f} → "
                    f"{values[place].mean(axis=0)[-1]:.3f}"
                    for name, values in layers.items()
                ),
                panel=place - 1,
            )
            for place, symbol in ((1, "α"), (2, "β"))
        ],
    )


def layers(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """What was recorded of each layer along the way: small multiples, a line an arm."""
    arms, rest = shown_arms(study)
    names = {
        name: dict.fromkeys(
            layer for a in arms for layer in a.diagnostics if name in a.diagnostics[layer]
        )
        for name in dict.fromkeys(n for a in arms for own in a.diagnostics.values() for n in own)
        if "." not in name  # the numbers of a PAU are many
    }
    bands = len(arms) <= analysis.TOGETHER
    traces = find(study.experiment).traces
    several = len({layer for own in names.values() for layer in own if layer}) > 1
    panels = [
        analysis.CurvePanel(
            title=name.replace("_", " "),
            curves={a.name: _arrays(a.curves[name], band=bands) for a in arms if name in a.curves},
            marks={},
            percent=False,
        )
        for name in traces
        if any(name in a.curves for a in arms)
    ]
    panels += [
        analysis.CurvePanel(
            title=name.replace("_", " ") + (f", {layer}" if several else ""),
            curves={
                a.name: _arrays(a.diagnostics[layer][name], band=bands)
                for a in arms
                if name in a.diagnostics.get(layer, {})
            },
            marks={},
            percent=name.endswith("_units"),
        )
        for name, own in names.items()
        for layer in own
    ]
    figure = analysis.curve_panels(
        panels,
        xlabel=study.measure.axis.name,
        title=f"{study.title}: layers" if width >= WIDTH else "",
        small=True,
        width=width,
    )
    if figure is None:
        return None
    first = {a.name: c for a in arms for own in a.diagnostics.values() for c in own.values()}
    said = _band(first, study.level) if bands else "No bands: they would lie over one another."
    return Drawn(
        kind="layers",
        figure=figure,
        label=f"{', '.join(panel.title for panel in panels)} against {study.measure.axis.name} of "
        f"{', '.join(first)}.",
        caption="What was recorded of each layer, mean over seeds: units that do nothing, rank of "
        "the features, norms of weights and gradient, and the activation's own parameters. "
        f"{said}{rest}",
    )


def against_shape(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """What was measured against the shape of each arm's activation."""
    found = study.shapes
    if found is None:
        return None
    panels, values = [], []
    for one in found.measures:
        if one.correlation is None:  # all arms agree
            continue
        name, meaning = SHAPES[one.name]
        panels.append(
            analysis.ScatterPanel(
                title=name, note=f"ρ = {one.correlation}", xlabel=meaning, places=one.values
            )
        )
        ordered = sorted(one.values.items(), key=lambda pair: pair[1])
        lines = [f"{arm}: {digits(x, 3)}, {found.scores[arm]}" for arm, x in ordered]
        values.append(Value(text="\n".join([name, *lines]), panel=len(panels) - 1))
    if not panels:
        return None
    what = study.measure.test.replace("_", " ")
    varies = " / ".join(dict.fromkeys(score.varies for score in found.scores.values()))
    without = f" Without {', '.join(found.without)}." if found.without else ""
    return Drawn(
        kind="against-shape",
        figure=analysis.scatter_panels(
            panels,
            found.scores,
            ylabel=what,
            title=study.title if width >= WIDTH else "",
            percent=study.measure.is_share,
            width=width,
        ),
        label=f"{what.capitalize()} against the shape of the activation of "
        f"{', '.join(found.scores)}.",
        caption=f"{what.capitalize()} of {len(found.scores)} arms"
        f"{f', {found.at},' if found.at else ''} against the shape of their activations at the "
        f"start, with {100 * study.level:g} % intervals over {varies}. ρ: Spearman's rank "
        "correlation with its interval over arms, above 0 where more of it goes with a better "
        f"score; each by itself, and no cause.{without}",
        values=values,
    )


def shapes(
    study: StudyReport, *, arm: ArmReport | None = None, width: float = WIDTH
) -> Drawn | None:
    """The activation of every layer at the start and at the end."""
    arm = arm or learned_arm(study)
    if arm is None or study.by != "activation":
        return None
    form, called = _form(arm.value)
    x = np.linspace(-3, 3, 61)
    layers, start = {}, None
    for name, layer in arm.attention.items():
        alpha, beta = (np.array(part, dtype=np.float64) for part in (layer.alpha, layer.beta))
        begin = beta[:1, :1]
        layers[name] = (x, form(x, alpha[:, -1:], beta[:, -1:], begin))
        start = start or (x, form(x, alpha[:1, :1], begin, begin)[0])
    figure = analysis.activation_range(
        layers,
        start=start,
        title=f"{arm.name}: what was learned" if width >= WIDTH else "",
        arm=arm.name,
        width=width,
    )
    return Drawn(
        kind="shapes",
        figure=figure,
        label=f"{called} of {arm.name} in each layer, before and after training.",
        caption=f"{called} of {arm.name} per layer: as it starts (dashed), and as it was "
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
    return 0.5 * (1 + np.tanh(x / 2))  # exp(-x) overflows


def start_values(study: StudyReport, *, width: float = WIDTH) -> Drawn | None:
    """Test score over start values of α and β (figure 2a); None unless arms differ in both."""
    starts = {start_of(arm): arm for arm in study.arms if arm.score}
    known = [start for start in starts if start is not None]
    alphas, betas = (sorted({start[i] for start in known}) for i in (0, 1))
    if len(alphas) < 2 or len(betas) < 2:
        return None

    def mean(alpha: float, beta: float) -> float:
        arm = starts.get((alpha, beta))
        return np.nan if arm is None or arm.score is None else arm.score.mean

    figure = analysis.heat_grid(
        [[mean(alpha, beta) for beta in betas] for alpha in alphas],
        rows=alphas,
        columns=betas,
        value_name=study.measure.test.replace("_", " "),
        percent=study.measure.is_share,
        title=study.title if width >= WIDTH else "",
        marked=(0.9, 2.0),
        width=width,
    )
    return Drawn(
        kind="start-values",
        figure=figure,
        label=f"Test {study.measure.name} over start values of α and β.",
        caption=f"Test {study.measure.name} over start values of α and β, mean over seeds; the "
        "default is marked.",
    )


def start_of(arm: ArmReport) -> tuple[float, float] | None:
    """Start values of α and β in the first layer; None for an arm without them."""
    for layer in arm.attention.values():
        alpha, beta = layer.alpha[0][0], layer.beta[0][0]
        if alpha is not None and beta is not None:
            return round(alpha, 6), round(beta, 6)
    return None
