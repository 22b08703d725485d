"""`metaact figure`: the paper's figures 2, 3, 7 and 8 from our runs, with the paper's figures in.

The paper's curves are pictures; what it states in numbers are the points after the first epoch
(table 1) and the best of 20 epochs (table 6). They are drawn as rings beside our curves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaact import analysis, paper
from metaact.errors import UsageError
from metaact.runs import RunStore

from . import converge, converge_arms
from .comparison import Line, paper_row
from .converge_config import ConvergeConfig
from .converge_figures import learned_curves, start_grid, start_of
from .panels import Panel, draw_panels
from .reuse import Library
from .sweep import Job
from .tables import QUICK, convergence_lines, not_read

ALPHAS, BETAS = (0.25, 0.5, 0.75, 0.9), (0.0, 1.0, 2.0, 4.0)
"""Start values of figure 2a, the default's (0.9, 2) among them."""

FIGURE_2_START = (0.25, 1.0)
"""Start values of figures 2b and 2c, from their caption."""

FIGURE_2_RATE = ("sgd", 1e-3)
"""The paper does not say at which rate figure 2 was made; at this one the start values matter."""

SETTINGS: dict[int, tuple[tuple[str, float], ...]] = {
    2: (FIGURE_2_RATE,),
    3: (("sgd", 1e-4), ("sgd", 1e-5)),
    7: (("adam", 1e-2), ("sgd", 1e-2), ("adam", 1e-3), ("sgd", 1e-3)),
    8: (("adam", 1e-4), ("sgd", 1e-4), ("adam", 1e-5), ("sgd", 1e-5)),
}
"""Optimizer and rate of each panel. The captions of figures 7 and 8 name no rates: the larger two
are taken for figure 7, the smaller two for figure 8."""

QUICK_EPOCHS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A figure that is ready to be run.

    Attributes:
        number: The figure.
        jobs: Its runs.
        draw: Draws it into a folder, after the runs; the files written.
        tables: The paper's tables that belong to it: number, and ours beside, after the runs.
        notes: What a reader must know.
    """

    number: int
    jobs: list[Job]
    draw: Callable[[Path], list[Path]]
    tables: Callable[[], list[tuple[int, list[Line]]]]
    notes: tuple[str, ...]


def prepare(
    number: int,
    store: RunStore,
    *,
    names: Sequence[str] = ("all",),
    lrs: Sequence[float] | None = None,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
    root: Path | None = None,
    device: str = "cpu",
) -> Prepared:
    """Find the runs behind a figure and load their data.

    Args:
        number: 2, 3, 7 or 8.
        store: The run store; what is complete there is not run again.
        names: Arms; "all" is the paper's. Figure 2 shows one that has α and β, AReLU unless named.
        lrs: Only panels at these rates; for figure 2 the one rate. None for the figure's.
        seeds: Training seeds.
        quick: A first look: few arms, 3 epochs.
        root: Data root; None for the default.
        device: Where to compute.

    Raises:
        UsageError: If an argument is not allowed.
        DataError: If the data cannot be had.
    """
    if number not in SETTINGS:
        raise UsageError(f"`number` must be 2, 3, 7 or 8 (the figures that run); got {number!r}.")
    settings = _settings(number, lrs)
    if number == 2:
        names = _grid(names, quick)
    elif quick and tuple(names) == ("all",):
        names = QUICK
    configs = converge.expand(
        [
            ConvergeConfig(
                activation=name,
                seed=seed,
                dataset=paper.CONVERGENCE.dataset,
                model=paper.CONVERGENCE.model,
                optimizer=optimizer,
                lr=lr,
                epochs=QUICK_EPOCHS if quick else paper.CONVERGENCE.epochs,
                first_epoch_points=0,
                protocol="paper",
            )
            for optimizer, lr in settings
            for name in names
            for seed in seeds
        ]
    )
    library = Library(store, converge.KIND)
    shared = converge.study(configs, root=root, device=device)

    def tables() -> list[tuple[int, list[Line]]]:
        numbers = () if number == 2 else (1,) if quick else (1, 6)
        return [(n, convergence_lines(n, configs, shared, library)) for n in numbers]

    def draw(folder: Path) -> list[Path]:
        arms = converge_arms.collect(configs, shared, library)
        stem = folder / f"{'quick-' if quick else ''}figure-{number}"
        return _draw_grid(arms, stem) if number == 2 else _draw_curves(number, arms, stem)

    return Prepared(
        number=number,
        jobs=converge.jobs_of(configs, shared, library),
        draw=draw,
        tables=tables,
        notes=(*_notes(number, settings), *not_read(library)),
    )


def _settings(number: int, lrs: Sequence[float] | None) -> tuple[tuple[str, float], ...]:
    if lrs is None:
        return SETTINGS[number]
    if number == 2:
        if len(lrs) != 1:
            raise UsageError(f"`lr` must be one rate (figure 2 has one); got {len(lrs)}.")
        return (("sgd", lrs[0]),)
    known = [lr for _, lr in SETTINGS[number]]
    for lr in lrs:
        if lr not in known:
            shown = ", ".join(f"{k:g}" for k in dict.fromkeys(known))
            raise UsageError(
                f"`lr` must be of {shown} (the panels of figure {number}); got {lr:g}."
            )
    return tuple(setting for setting in SETTINGS[number] if setting[1] in lrs)


def _grid(names: Sequence[str], quick: bool) -> tuple[str, ...]:
    name, *more = ("arelu",) if tuple(names) == ("all",) else names
    if more:
        raise UsageError(f"`activation` must be one arm (figure 2 shows one); got {len(names)}.")
    alphas, betas = (ALPHAS[::3], BETAS[:3]) if quick else (ALPHAS, BETAS)
    return tuple(f"{name}(alpha={a:g},beta={b:g})" for a in alphas for b in betas)


def _notes(number: int, settings: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    if number == 2:
        optimizer, lr = settings[0]
        return (
            f"The paper does not say at which rate figure 2 was made; here {optimizer} {lr:g}.",
        )
    if number == 3:
        return ()
    return (
        "The captions of figures 7 and 8 name no rates: the larger two are taken for figure 7.",
    )


def _draw_curves(number: int, arms: Sequence[converge_arms.Arm], stem: Path) -> list[Path]:
    """Test accuracy, and in figures 7 and 8 training loss, one panel per optimizer and rate."""
    groups: dict[tuple[str, float], list[converge_arms.Arm]] = {}
    for arm in arms:
        groups.setdefault((arm.config.optimizer, arm.config.lr), []).append(arm)
    panels = []
    for (optimizer, lr), group in groups.items():
        title = f"{optimizer}, lr {lr:g}"
        if number in (7, 8):
            panels.append(_panel(group, "train_loss", f"training loss, {title}"))
        panels.append(_panel(group, "test_accuracy", f"test accuracy, {title}"))
    figure = draw_panels(
        panels, xlabel="epoch", title=f"Figure {number}, ours; rings: the paper's tables 1 and 6"
    )
    return [] if figure is None else analysis.save_figure(figure, stem)


def _panel(group: Sequence[converge_arms.Arm], key: str, title: str) -> Panel:
    percent, curves, marks = key == "test_accuracy", {}, {}
    for arm in group:
        curve = arm.curve(key)
        if curve is None:
            continue
        epochs, values = curve
        whole = epochs >= 1
        bounds = (0.0, 1.0) if percent else None
        band = analysis.curve_band(values[:, whole], bounds=bounds)
        curves[arm.config.activation] = (epochs[whole], *band)
        marks[arm.config.activation] = _published(arm) if percent else []
    title += converge_arms.absent(group)
    return Panel(title=title, curves=curves, marks=marks, percent=percent)


def _published(arm: converge_arms.Arm) -> list[tuple[float, float]]:
    """The paper's points of an arm: epoch and accuracy."""
    title = paper_row(arm.config.activation)
    column = paper.column(arm.config.optimizer, arm.config.lr)
    points = []
    for number, epoch in ((1, 1), (6, paper.CONVERGENCE.epochs)):
        percent = paper.table(number).get(title, {}).get(column)
        if percent is not None and epoch <= arm.config.epochs:
            points.append((float(epoch), percent / 100))
    return points


def _draw_grid(arms: Sequence[converge_arms.Arm], stem: Path) -> list[Path]:
    """Figure 2: (a) curves and a grid over start values, (b) α and β, (c) the learned curves."""
    panel = _panel(arms, "test_accuracy", "(a) test accuracy")
    figure = draw_panels([panel], xlabel="epoch", title="Figure 2a, ours: start values of α and β")
    if figure is None:
        return []
    written = analysis.save_figure(figure, stem.with_name(f"{stem.name}a-curves"))
    grid = start_grid(arms, title="Figure 2a, ours")
    if grid is not None:
        written += analysis.save_figure(grid, stem.with_name(f"{stem.name}a-grid"))
    starts = {start_of(arm): arm for arm in arms if arm.converged}
    chosen = starts.get(FIGURE_2_START)
    if chosen is not None:
        layers = chosen.attention()
        trajectory = analysis.trajectories(layers, xlabel="epoch", title="Figure 2b, ours")
        written += analysis.save_figure(trajectory, stem.with_name(f"{stem.name}b"))
        learned = learned_curves(chosen, title="Figure 2c, ours")
        if learned is not None:
            written += analysis.save_figure(learned, stem.with_name(f"{stem.name}c"))
    return written
