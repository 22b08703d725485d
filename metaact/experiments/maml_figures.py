"""The pictures of `metaact maml`: learning curves, accuracy against rate, α and β."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metaact import analysis
from metaact.runs import RunStore

from . import tuning, tuning_report
from .config import MamlConfig
from .maml import Study
from .maml_report import Arm, collect
from .rates import MAML_RATES, Rates, in_words


def draw(
    configs: Sequence[MamlConfig],
    shared: Study,
    store: RunStore,
    folder: Path,
    *,
    shared_rates: Sequence[Rates] | None = None,
) -> list[Path]:
    """Learning curves of all arms, accuracy against rate, α and β of the arms that have them.

    An arm at rates that were neither shared nor chosen is in the second picture only.

    Returns:
        The files written, PNG and SVG of each picture; none if no run is complete.
    """
    asked = collect(configs, shared, store)
    trials = [arm.trial() for arm in asked]
    chosen = [choice.index for choice in tuning.choose(trials)]
    arms = [
        arm
        for i, arm in enumerate(asked)
        if arm.converged and (tuning.is_shared(arm.rates, shared_rates) or i in chosen)
    ]
    if not arms:
        return []
    config, stem = configs[0], _stem(arms)
    key = "train_accuracy" if shared.validation is None else "validation_accuracy"
    part = "training tasks" if shared.validation is None else "validation episodes"
    curves = {}
    for arm in arms:
        steps, values = _series(arm, key)
        mean, low, high = analysis.curve_band(values, bounds=(0.0, 1.0))
        curves[_label(arm, arms)] = (steps, mean, low, high)
    figure = analysis.learning_curves(
        curves,
        xlabel="meta-iteration",
        ylabel=f"accuracy on {part}",
        title=f"{Path(config.dataset).name}, {config.ways}-way {config.shots}-shot{_legend(arms)}",
        chance=config.chance,
    )
    written = analysis.save_figure(figure, folder / f"{stem}-learning-curves")
    written += tuning_report.draw(
        trials,
        MAML_RATES,
        path=folder / stem,
        title=f"{Path(config.dataset).name}, {config.ways}-way {config.shots}-shot",
        chance=config.chance,
    )
    for arm in arms:
        layers = _attention_series(arm)
        if layers:
            picture = analysis.trajectories(
                layers, xlabel="meta-iteration", title=f"{_label(arm, arms)}: α and β per layer"
            )
            name = re.sub(r"[^\w.=+-]+", "-", _label(arm, arms)).strip("-")
            written += analysis.save_figure(picture, folder / f"{stem}-{name}-attention")
    return written


def _stem(arms: Sequence[Arm]) -> str:
    """A name that says what is compared and differs whenever a run does."""
    config = arms[0].config
    identity = analysis.short_hash([run.identity for arm in arms for run in arm.runs])
    return f"maml-{Path(config.dataset).stem}-{config.ways}way-{config.shots}shot-{identity}"


def _label(arm: Arm, arms: Sequence[Arm]) -> str:
    """The arm, and the rates in which the arms differ: two as a pair that the title explains."""
    varied = tuning_report.varied([other.rates for other in arms], MAML_RATES)
    if len(varied) > 1:
        pair = ", ".join(f"{arm.rates[rate.field]:g}" for rate in varied)
        return f"{arm.config.activation} ({pair})"
    words = in_words({r.field: arm.rates[r.field] for r in varied}, MAML_RATES)
    return f"{arm.config.activation} {words}".strip()


def _legend(arms: Sequence[Arm]) -> str:
    """What the numbers in brackets in the labels are."""
    varied = tuning_report.varied([arm.rates for arm in arms], MAML_RATES)
    return f"; in brackets {', '.join(r.title for r in varied)}" if len(varied) > 1 else ""


def _series(arm: Arm, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Iterations [points] and values [seeds, points] of one metric."""
    per_seed = [[m for m in run.metrics() if key in m] for run in arm.converged]
    steps = np.array([m["iteration"] + 1 for m in per_seed[0]])
    return steps, np.array([[m[key] for m in metrics] for metrics in per_seed])


def _attention_series(arm: Arm) -> dict[str, Any]:
    """Per layer: iterations [points], α and β [seeds, points]."""
    metrics = [run.metrics() for run in arm.converged]
    steps = np.array([m["iteration"] + 1 for m in metrics[0]])
    return {
        layer: (
            steps,
            np.array([[m["attention"][layer]["alpha"] for m in ms] for ms in metrics]),
            np.array([[m["attention"][layer]["beta"] for m in ms] for ms in metrics]),
        )
        for layer in metrics[0][0]["attention"]
    }
