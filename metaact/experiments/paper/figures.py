"""The runs behind the paper's figures 2, 3, 4, 7 and 8. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from metaact import paper
from metaact.errors import UsageError
from metaact.experiments.converge import ConvergeConfig
from metaact.settings import shown

from .networks import FIGURE_4, NetworkTable, network_table
from .tables import QUICK, convergence_runs

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
class Panel:
    """One panel: which runs it shows.

    Attributes:
        title: What they have in common.
        setting: The setting in which they differ from those of other panels.
        value: Its value.
        lr: Their learning rate.
    """

    title: str
    setting: str
    value: str
    lr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFigure:
    """A figure of the paper with the runs behind it.

    Attributes:
        number: The figure.
        panels: In their order.
        epochs: How long the runs are.
        quick: Whether it is a first look.
        notes: What a reader must know.
        configs: The runs.
        beside: The table of networks that has the numbers of figure 4; None for others.
    """

    number: int
    panels: tuple[Panel, ...]
    epochs: int
    quick: bool
    notes: tuple[str, ...]
    configs: tuple[ConvergeConfig, ...] = field(repr=False)
    beside: NetworkTable | None = None

    @property
    def tables(self) -> tuple[int, ...]:
        """The paper's tables of MNIST-Conv whose figures belong to it."""
        return () if self.number in (2, 4) else (1,) if self.quick else (1, 6)

    @property
    def heading(self) -> str:
        """What is written above it."""
        if self.beside is None:
            return f"Figure {self.number}, ours; rings: the paper's tables 1 and 6"
        if self.beside.is_papers:
            return "Figure 4, ours; rings: the paper's table 7, best epoch"
        return f"As figure 4 on {self.beside.dataset}{', scaled down' if self.quick else ''}"


def paper_figure(
    number: int,
    *,
    names: Sequence[str] = ("all",),
    lrs: Sequence[float] | None = None,
    seeds: Sequence[int] = (0,),
    quick: bool = False,
    **networks: Any,
) -> PaperFigure:
    """A figure with the runs behind it.

    Args:
        number: 2, 3, 4, 7 or 8.
        names: Arms; "all" is the paper's. Figure 2 shows one that has α and β, AReLU unless named.
        lrs: Only panels at these rates; for figure 2 the one rate. None for the figure's.
        seeds: Training seeds.
        quick: A first look: few arms, 3 epochs; of figure 4 scaled down as table 7.
        networks: Of figure 4: further arguments of `network_table`.

    Raises:
        UsageError: If an argument is not allowed.
    """
    if number == 4:
        return _of_networks(names, lrs=lrs, seeds=seeds, quick=quick, **networks)
    for name, value in networks.items():
        if value is not None:
            raise UsageError(f"`{name}` must be left out (it is for figure 4); got {value!r}.")
    if number not in SETTINGS:
        raise UsageError(
            f"`number` must be 2, 3, 4, 7 or 8 (the figures that run); got {number!r}."
        )
    panels = _panels(number, lrs)
    if number == 2:
        names = _grid(names, quick)
    elif quick and tuple(names) == ("all",):
        names = QUICK
    epochs = QUICK_EPOCHS if quick else paper.CONVERGENCE.epochs
    return PaperFigure(
        number=number,
        panels=tuple(
            Panel(title=f"{optimizer}, lr {lr:g}", setting="optimizer", value=optimizer, lr=lr)
            for optimizer, lr in panels
        ),
        epochs=epochs,
        quick=quick,
        notes=_notes(number, panels),
        configs=tuple(convergence_runs(panels, names, seeds, epochs=epochs)),
    )


def _of_networks(
    names: Sequence[str],
    *,
    lrs: Sequence[float] | None,
    seeds: Sequence[int],
    quick: bool,
    **networks: Any,
) -> PaperFigure:
    if lrs is not None:
        raise UsageError(f"`lr` must be left out (figure 4 has one rate); got {shown(tuple(lrs))}.")
    arms = (QUICK if quick else FIGURE_4) if tuple(names) == ("all",) else names
    table = network_table(7, names=arms, seeds=seeds, quick=quick, **networks)
    first = table.configs[0]
    return PaperFigure(
        number=4,
        panels=tuple(
            Panel(title=model, setting="model", value=model, lr=first.lr)
            for model in dict.fromkeys(config.model for config in table.configs)
        ),
        epochs=first.epochs,
        quick=quick,
        notes=(
            "The paper's text says five networks and does not name them; table 7 has six, which "
            "are shown.",
        ),
        configs=table.configs,
        beside=table,
    )


def _panels(number: int, lrs: Sequence[float] | None) -> tuple[tuple[str, float], ...]:
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
    return tuple(panel for panel in SETTINGS[number] if panel[1] in lrs)


def _grid(names: Sequence[str], quick: bool) -> tuple[str, ...]:
    name, *more = ("arelu",) if tuple(names) == ("all",) else names
    if more:
        raise UsageError(f"`activation` must be one arm (figure 2 shows one); got {len(names)}.")
    alphas, betas = (ALPHAS[::3], BETAS[:3]) if quick else (ALPHAS, BETAS)
    return tuple(f"{name}(alpha={a:g},beta={b:g})" for a in alphas for b in betas)


def _notes(number: int, panels: Sequence[tuple[str, float]]) -> tuple[str, ...]:
    if number == 2:
        optimizer, lr = panels[0]
        return (
            f"The paper does not say at which rate figure 2 was made; here {optimizer} {lr:g}.",
        )
    if number == 3:
        return ()
    return (
        "The captions of figures 7 and 8 name no rates: the larger two are taken for figure 7.",
    )
