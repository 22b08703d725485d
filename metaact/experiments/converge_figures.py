"""The pictures of `metaact converge`: learning curves, α and β, and the curves they draw."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.func import functional_call

from metaact import activations, analysis

from . import tuning_report
from .converge import Study
from .converge_arms import Arm, absent, collect
from .converge_config import ConvergeConfig
from .rates import CONVERGE_RATES, Rates
from .reuse import Library
from .tuning import Trial, is_shared

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(
    configs: Sequence[ConvergeConfig],
    shared: Study,
    library: Library,
    folder: Path,
    *,
    shared_rates: Sequence[Rates] | None = None,
) -> list[Path]:
    """Learning curves per optimizer and rate; per attention arm α, β and the learned curves.

    Rates that are not among `shared_rates` are in the picture of accuracy against rate only.

    Returns:
        The files written, PNG and SVG of each picture; none if no run converged.
    """
    tried = collect(configs, shared, library)
    asked = [arm for arm in tried if is_shared(arm.rates, shared_rates)]
    arms = [arm for arm in asked if arm.converged]
    if not any(arm.converged for arm in tried):
        return []
    stem = _stem(tried)
    written = tuning_report.draw(
        _trials(tried),
        CONVERGE_RATES,
        path=folder / stem,
        title=f"{Path(tried[0].config.dataset).name}, after epoch {tried[0].config.epochs}",
        chance=1 / shared.train.classes,
    )
    for optimizer, lr in dict.fromkeys((a.config.optimizer, a.config.lr) for a in arms):
        group = [a for a in arms if (a.config.optimizer, a.config.lr) == (optimizer, lr)]
        name = f"{stem}-{optimizer}-lr{lr:g}"
        alike = [a for a in asked if (a.config.optimizer, a.config.lr) == (optimizer, lr)]
        written += _learning(group, shared, folder / name, without=absent(alike))
        grid = start_grid(group, title=f"{optimizer}, lr {lr:g}")
        if grid is not None:
            written += analysis.save_figure(grid, folder / f"{name}-start-values")
    for arm in arms:
        layers = arm.attention()
        if layers:
            name = re.sub(r"[^\w.=,+-]+", "-", arm.label)
            written += _attention(arm, layers, folder / f"{stem}-{name}")
    return written


def _trials(arms: Sequence[Arm]) -> list[Trial]:
    """What was tried, named by the activation alone where there is one optimizer."""
    several = len({arm.config.optimizer for arm in arms}) > 1
    trials = [arm.trial() for arm in arms]
    if several:
        return trials
    return [replace(t, arm=a.config.activation) for t, a in zip(trials, arms, strict=True)]


def _learning(arms: Sequence[Arm], shared: Study, stem: Path, *, without: str) -> list[Path]:
    """Test accuracy over epochs, those within the first one included."""
    curves = {}
    for arm in arms:
        curve = arm.curve("test_accuracy")
        if curve is not None:
            epochs, values = curve
            curves[arm.config.activation] = (
                epochs,
                *analysis.curve_band(values, bounds=(0.0, 1.0)),
            )
    if not curves:
        return []
    config = arms[0].config
    figure = analysis.learning_curves(
        curves,
        xlabel="epoch",
        ylabel="accuracy on the test part",
        title=f"{Path(config.dataset).name}, {config.optimizer}, lr {config.lr:g}{without}",
        chance=1 / shared.train.classes,
    )
    return analysis.save_figure(figure, stem.with_name(f"{stem.name}-learning-curves"))


def _attention(
    arm: Arm, layers: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], stem: Path
) -> list[Path]:
    """α and β per layer over epochs, and the curves they draw in the end."""
    picture = analysis.trajectories(layers, xlabel="epoch", title=f"{arm.label}: α and β per layer")
    written = analysis.save_figure(picture, stem.with_name(f"{stem.name}-attention"))
    learned = learned_curves(arm, title=f"{arm.label}: what was learned")
    if learned is not None:
        written += analysis.save_figure(learned, stem.with_name(f"{stem.name}-learned"))
    return written


def learned_curves(arm: Arm, *, title: str) -> Figure | None:
    """Each layer's function at the end of training, over all seeds, beside that of the start.

    Returns:
        The figure; None for an arm that learns anything beside one α and one β a layer: the metrics
        do not hold the rest.
    """
    entry = activations.resolve(arm.config.activation, arm.config.protocol)
    function = entry.factory().double().eval()
    names = {name.rpartition(".")[2]: name for name, _ in function.named_parameters()}
    if names.keys() != {"alpha", "beta"} or len(list(function.parameters())) != 2:
        return None
    x = torch.linspace(-2, 2, 81, dtype=torch.float64)

    def curve(alpha: float, beta: float) -> np.ndarray:
        values = {names["alpha"]: torch.tensor(alpha), names["beta"]: torch.tensor(beta)}
        with torch.no_grad():
            drawn: np.ndarray = functional_call(function, values, (x,)).numpy()
        return drawn

    layers = arm.attention()
    ends = {
        layer: (
            x.numpy(),
            np.stack([curve(*pair) for pair in zip(a[:, -1], b[:, -1], strict=True)]),
        )
        for layer, (_, a, b) in layers.items()
    }
    _, alpha, beta = next(iter(layers.values()))
    start = x.numpy(), curve(alpha[0, 0], beta[0, 0])
    return analysis.activation_range(ends, start=start, title=title)


def start_grid(arms: Sequence[Arm], *, title: str) -> Figure | None:
    """Test accuracy after the last epoch over start values of α and β (figure 2a).

    Returns:
        The figure; None unless the arms differ in both start values.
    """
    starts = {start_of(arm): arm for arm in arms if arm.converged}
    starts.pop(None, None)
    alphas, betas = (sorted({s[i] for s in starts if s is not None}) for i in (0, 1))
    if len(alphas) < 2 or len(betas) < 2:
        return None
    last = arms[0].config.epochs

    def mean(arm: Arm | None) -> float:
        values = [] if arm is None else list(arm.values(last, "test_accuracy").values())
        return float(np.mean(values)) if values else float("nan")

    return analysis.heat_grid(
        [[mean(starts.get((a, b))) for b in betas] for a in alphas],
        rows=alphas,
        columns=betas,
        value_name=f"test accuracy after epoch {last}",
        title=title,
        marked=(0.9, 2.0),
    )


def start_of(arm: Arm) -> tuple[float, float] | None:
    """Start values of α and β in the first layer; None for an arm without them."""
    layers = arm.attention()
    if not layers:
        return None
    _, alpha, beta = next(iter(layers.values()))
    return round(float(alpha[0, 0]), 6), round(float(beta[0, 0]), 6)


def _stem(arms: Sequence[Arm]) -> str:
    """A name that says what is compared and differs whenever a run does."""
    identities = [trace.run.identity for arm in arms for trace in arm.traces]
    identity = analysis.short_hash([*identities, str(arms[0].config.epochs)])
    return f"converge-{Path(arms[0].config.dataset).stem}-{identity}"
