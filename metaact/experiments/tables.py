"""`metaact table`: our figures beside the paper's tables 1, 2, 4, 5 and 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metaact import activations, analysis, paper
from metaact.errors import UsageError

from . import converge, converge_arms, transfer, transfer_report
from .converge_config import ConvergeConfig
from .replication import Agreement, agreement_of_best, agreement_of_mean, over_seeds
from .reuse import Library
from .transfer_config import TransferConfig

NUMBERS = (1, 2, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a convergence table reports of each run, and of the runs together."""

    epochs: int
    compare: Callable[..., Agreement]
    figure: str


_KINDS = {
    1: _Kind(epochs=1, compare=agreement_of_mean, figure="mean after epoch 1"),
    4: _Kind(epochs=1, compare=agreement_of_best, figure="best run after epoch 1"),
    5: _Kind(epochs=20, compare=agreement_of_best, figure="best run's best test accuracy"),
    6: _Kind(epochs=20, compare=agreement_of_mean, figure="mean of best test accuracies"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One cell of a table of the paper: ours beside it.

    Attributes:
        activation: The arm.
        column: The paper's column ("sgd_1e-3").
        accuracies: Ours, one per seed that has the figure.
        asked: Seeds asked for.
        diverged: Seeds whose run diverged before.
        interval: Ours with its interval; None if no seed has the figure.
        agreement: The comparison; None where the paper has no such cell or we have no figure.
    """

    activation: str
    column: str
    accuracies: tuple[float, ...]
    asked: int
    diverged: int
    interval: analysis.Interval | None
    agreement: Agreement | None


def convergence_configs(
    number: int,
    *,
    names: Sequence[str],
    lrs: Sequence[float] | None = None,
    optimizers: Sequence[str] | None = None,
    seeds: Sequence[int],
) -> list[ConvergeConfig]:
    """The runs behind table 1, 4, 5 or 6, under the paper's protocol.

    Args:
        number: The table.
        names: Arms; "all" is the paper's nineteen.
        lrs: Learning rates; None for all of the table's.
        optimizers: Optimizers, likewise.
        seeds: Training seeds.

    Raises:
        UsageError: If a name is unknown or a rate or optimizer is not in the table.
    """
    settings = paper.CONVERGENCE
    for option, given, known in (
        ("lr", lrs or (), settings.lrs),
        ("optimizer", optimizers or (), settings.optimizers),
    ):
        for value in given:
            if value not in known:
                shown = ", ".join(f"{k:g}" if isinstance(k, float) else k for k in known)
                raise UsageError(
                    f"`{option}` must be of {shown} (the table's columns); got {value}."
                )
    return converge.expand(
        [
            ConvergeConfig(
                activation=name,
                seed=seed,
                dataset=settings.dataset,
                model=settings.model,
                optimizer=optimizer,
                lr=lr,
                momentum=settings.momentum,
                batch_size=settings.batch_size,
                epochs=_KINDS[number].epochs,
                first_epoch_points=0,
                protocol="paper",
            )
            for optimizer in optimizers or settings.optimizers
            for lr in lrs or settings.lrs
            for name in names
            for seed in seeds
        ]
    )


def convergence_lines(
    number: int, configs: Sequence[ConvergeConfig], shared: converge.Study, library: Library
) -> list[Line]:
    """Ours beside table 1, 4, 5 or 6, one line per cell, in the order of the configs."""
    kind, published = _KINDS[number], paper.table(number)
    lines = []
    for arm in converge_arms.collect(configs, shared, library):
        if kind.epochs == 1:
            values = list(arm.values(1, "test_accuracy").values())
        else:
            values = [b[1] for t in arm.converged if (b := t.best("test_accuracy"))]
        column = paper.column(arm.config.optimizer, arm.config.lr)
        lines.append(
            _line(
                arm.config.activation,
                column,
                values,
                published,
                asked=arm.asked,
                diverged=len(arm.traces) - len(values),
                images=len(shared.test),
                compare=kind.compare,
                runs=paper.CONVERGENCE.runs,
            )
        )
    return lines


def transfer_configs(
    *, names: Sequence[str], lr: float, seeds: Sequence[int], text: bool, quick: bool
) -> list[TransferConfig]:
    """The runs behind table 2, under either reading of the paper."""
    settings = paper.TRANSFER
    return transfer.expand(
        [
            TransferConfig(
                activation=name,
                seed=seed,
                source=settings.source,
                target=settings.target,
                model=settings.model,
                pretrain_lr=settings.pretrain_lr,
                pretrain_epochs=2 if quick else settings.pretrain_epochs,
                lr=lr,
                momentum=settings.momentum,
                batch_size=settings.batch_size,
                epochs=settings.epochs[:1] if quick else settings.epochs,
                text_epochs=settings.text_epochs,
                protocol="paper-text" if text else "paper",
            )
            for name in names
            for seed in seeds
        ]
    )


def transfer_lines(
    configs: Sequence[TransferConfig], shared: transfer.Study, library: Library
) -> list[Line]:
    """Ours beside table 2, one line per cell."""
    published, lines = paper.table(2), []
    for arm in transfer_report.collect(configs, shared, library):
        for cell in arm.cells:
            lines.append(
                _line(
                    arm.config.activation,
                    _transfer_column(cell.name),
                    list(cell.test.values()),
                    published,
                    asked=arm.asked,
                    diverged=len(cell.diverged),
                    images=len(shared.pair.target.test),
                    compare=agreement_of_mean,
                    runs=paper.TRANSFER.runs,
                )
            )
    return lines


def _transfer_column(name: str) -> str:
    fixed = {"target only": "no_pretrain", "never fine-tuned": "no_finetune"}
    return fixed.get(name) or f"finetune_{name.replace(' ', '_')}"


def _line(
    activation: str,
    column: str,
    values: Sequence[float],
    published: Mapping[str, Mapping[str, float]],
    *,
    asked: int,
    diverged: int,
    images: int,
    compare: Callable[..., Agreement],
    runs: int,
) -> Line:
    percent = published.get(activations.resolve(activation).title, {}).get(column)
    agreement = None
    if values and percent is not None:
        agreement = compare(values, percent / 100, images=images, runs=runs)
    interval = over_seeds(values, images) if values else None
    return Line(
        activation=activation,
        column=column,
        accuracies=tuple(values),
        asked=asked,
        diverged=diverged,
        interval=interval if agreement is None else agreement.interval,
        agreement=agreement,
    )


def document(
    number: int, lines: Sequence[Line], *, notes: Sequence[str], missing: Sequence[str]
) -> dict[str, Any]:
    """The comparison as strict JSON; all accuracies in 0..1."""
    compared = [line.agreement for line in lines if line.agreement is not None]
    judged = [a.plausible for a in compared if a.plausible is not None]
    return {
        "experiment": "table",
        "table": number,
        "caption": paper.TABLES[number].caption,
        "cells": [asdict(line) for line in lines],
        "compared": len(compared),
        "inside": sum(a.inside for a in compared),
        "judged_for_new_runs": len(judged),
        "plausible": sum(judged),
        "notes": list(notes),
        "missing": list(missing),
    }


def render(found: Mapping[str, Any]) -> str:
    """The comparison as a plain-text table."""
    names = ["column", "activation", "seeds", "ours", "paper", "difference", "inside"]
    judged = bool(found["judged_for_new_runs"])
    names += ["5 new runs of ours"] if judged else []
    notes = [
        f"Inside: whether the paper's figure lies in our interval: {found['inside']} of "
        f"{found['compared']} cells."
    ]
    if judged:
        notes.append(
            "5 new runs of ours: where 95 % of such figures of five new runs would lie, which is "
            "the fairer question, as the paper's figure has run-to-run noise of its own: "
            f"{found['plausible']} of {found['judged_for_new_runs']} cells lie there."
        )
    intervals = (cell["interval"] for cell in found["cells"])
    varies = sorted({interval["varies"] for interval in intervals if interval})
    notes += [f"95 % intervals over {' / '.join(varies)}."] if varies else []
    return analysis.render_table(
        [analysis.Column(name) for name in names],
        [_cells(cell) for cell in found["cells"]],
        title=f"Table {found['table']}: {found['caption']} (paper), in %",
        footnotes=[*notes, *found["notes"]],
    )


def _cells(cell: Mapping[str, Any]) -> dict[str, str]:
    interval, agreement = cell["interval"], cell["agreement"]
    ours = str(analysis.Interval(**interval)) if interval else "–"
    if cell["diverged"]:
        ours += f" ({cell['diverged']} diverged)"
    lacking = cell["asked"] - len(cell["accuracies"]) - cell["diverged"]
    if lacking:
        ours += f" ({lacking} missing)"
    shown = {
        "column": cell["column"],
        "activation": cell["activation"],
        "seeds": str(cell["asked"]),
        "ours": ours,
    }
    if agreement:
        difference = agreement["ours"] - agreement["published"]
        shown |= {
            "paper": f"{100 * agreement['published']:.2f}",
            "difference": f"{100 * difference:+.1f}",
            "inside": "yes" if agreement["inside"] else "no",
        }
        if expected := agreement["expected"]:
            low, high = expected
            verdict = "yes" if agreement["plausible"] else "no"
            shown["5 new runs of ours"] = f"{verdict} [{100 * low:.1f}, {100 * high:.1f}]"
    return shown
