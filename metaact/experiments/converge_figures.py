"""The pictures of `metaact converge`: learning curves, α and β, and the curves they draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metaact import analysis

from .converge import Study
from .converge_arms import Arm, collect
from .converge_config import ConvergeConfig
from .reuse import Library

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLAMP = (0.01, 0.99)


def draw(
    configs: Sequence[ConvergeConfig], shared: Study, library: Library, folder: Path
) -> list[Path]:
    """Learning curves per optimizer and rate; per attention arm α, β and the learned curves.

    Returns:
        The files written, PNG and SVG of each picture; none if no run converged.
    """
    arms = [arm for arm in collect(configs, shared, library) if arm.converged]
    written: list[Path] = []
    if not arms:
        return written
    stem = _stem(arms)
    for optimizer, lr in dict.fromkeys((a.config.optimizer, a.config.lr) for a in arms):
        group = [a for a in arms if (a.config.optimizer, a.config.lr) == (optimizer, lr)]
        written += _learning(group, shared, folder / f"{stem}-{optimizer}-lr{lr:g}")
    for arm in arms:
        layers = arm.attention()
        if layers:
            name = folder / f"{stem}-{arm.label.replace(':', '.').replace(' ', '-')}"
            written += _attention(arm, layers, name)
    return written


def _learning(arms: Sequence[Arm], shared: Study, stem: Path) -> list[Path]:
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
        title=f"{Path(config.dataset).name}, {config.optimizer}, lr {config.lr:g}",
        chance=1 / shared.train.classes,
    )
    return analysis.save_figure(figure, stem.with_name(f"{stem.name}-learning-curves"))


def _attention(
    arm: Arm, layers: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], stem: Path
) -> list[Path]:
    from matplotlib.figure import Figure

    picture = analysis.trajectories(layers, xlabel="epoch", title=f"{arm.label}: α and β per layer")
    written = analysis.save_figure(picture, stem.with_name(f"{stem.name}-attention"))
    figure = Figure(figsize=(3 * len(layers), 3), layout="constrained")
    axes = figure.subplots(1, len(layers), squeeze=False, sharey=True)[0]
    for axis, (layer, (_, alpha, beta)) in zip(axes, layers.items(), strict=True):
        learned_range(axis, alpha, beta)
        axis.set_title(layer)
    figure.suptitle(f"{arm.label}: learned AReLU, range over training and seeds")
    return written + analysis.save_figure(figure, stem.with_name(f"{stem.name}-learned"))


def learned_range(axis: Axes, alpha: np.ndarray, beta: np.ndarray) -> None:
    """Draw one layer's AReLU at the end of training, and the range of all curves on the way.

    Args:
        axis: Where.
        alpha: α [seeds, points].
        beta: β [seeds, points].
    """
    x = np.linspace(-2, 2, 81)
    slopes = np.clip(alpha, *CLAMP)[..., None]
    gains = 1 + 1 / (1 + np.exp(-beta))[..., None]
    curves = np.where(x < 0, slopes, gains) * x
    flat = curves.reshape(-1, len(x))
    axis.fill_between(x, flat.min(axis=0), flat.max(axis=0), alpha=0.25, linewidth=0)
    axis.plot(x, curves[:, -1].mean(axis=0))
    axis.plot(x, curves[:, 0].mean(axis=0), linestyle=":", color="0.4")
    axis.grid(alpha=0.3)


def _stem(arms: Sequence[Arm]) -> str:
    """A name that says what is compared and differs whenever a run does."""
    identities = [trace.run.identity for arm in arms for trace in arm.traces]
    identity = analysis.short_hash([*identities, str(arms[0].config.epochs)])
    return f"converge-{Path(arms[0].config.dataset).stem}-{identity}"
