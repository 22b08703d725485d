"""`metaact table`: the runs behind the paper's tables 1, 2, 4, 5 and 6, and ours beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaact import paper
from metaact.errors import UsageError
from metaact.runs import RunStore

from . import converge, converge_arms, transfer, transfer_report
from .comparison import Line, line
from .converge_config import ConvergeConfig
from .replication import Agreement, agreement_of_best, agreement_of_mean
from .reuse import Library
from .sweep import Job
from .transfer_config import TransferConfig

QUICK = ("arelu", "relu", "selu", "prelu")
"""Rows of a first look."""

QUICK_RATES = (1e-3, 1e-4)
"""Its columns: where the paper sees the largest differences; of 20 epochs the last alone."""

QUICK_PRETRAINING = 2
"""Epochs of pre-training of a first look at table 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a convergence table reports of each run, and of the runs together."""

    epochs: int
    compare: Callable[..., Agreement]
    note: str


_KINDS = {
    1: _Kind(epochs=1, compare=agreement_of_mean, note="Mean over runs after epoch 1."),
    4: _Kind(epochs=1, compare=agreement_of_best, note="Best run after epoch 1."),
    5: _Kind(
        epochs=20,
        compare=agreement_of_best,
        note="Best test accuracy of 20 epochs, best run: selected on the test set twice.",
    ),
    6: _Kind(
        epochs=20,
        compare=agreement_of_mean,
        note="Best test accuracy of 20 epochs, mean over runs: the epoch is selected on the test "
        "set.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A table that is ready to be run.

    Attributes:
        number: The table.
        jobs: Its runs.
        lines: Reads ours back beside the paper's, after the runs.
        notes: What a reader must know.
    """

    number: int
    jobs: list[Job]
    lines: Callable[[], list[Line]]
    notes: tuple[str, ...]


def prepare(
    number: int,
    store: RunStore,
    *,
    names: Sequence[str] = ("all",),
    lrs: Sequence[float] | None = None,
    optimizers: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    text: bool = False,
    quick: bool = False,
    root: Path | None = None,
    device: str = "cpu",
) -> Prepared:
    """Find the runs behind a table and load their data.

    Args:
        number: 1, 2, 4, 5 or 6.
        store: The run store; what is complete there is not run again.
        names: Rows; "all" is the paper's.
        lrs: Columns, by learning rate; None for the table's.
        optimizers: Columns, by optimizer; None for the table's.
        seeds: Training seeds; the paper took five.
        text: Whether table 2 takes the reading of the paper's text and not of its caption.
        quick: A first look: fewer rows and columns, and for table 2 fewer epochs.
        root: Data root; None for the default.
        device: Where to compute.

    Returns:
        The table, not yet run.

    Raises:
        UsageError: If an argument is not allowed.
        DataError: If the data cannot be had.
    """
    if number not in (2, *_KINDS):
        raise UsageError(f"`number` must be 1, 2, 4, 5 or 6 (the tables that run); got {number!r}.")
    if quick and tuple(names) == ("all",):
        names = QUICK if number in (1, 4) else QUICK[:2]
    if text and number != 2:
        raise UsageError("`reading` must be left out (only table 2 has two); got 'text'.")
    if number == 2:
        if optimizers is not None:
            raise UsageError("`optimizer` must be left out (table 2 is SGD throughout).")
        if lrs is not None and len(lrs) != 1:
            raise UsageError(f"`lr` must be one rate (table 2 has one); got {len(lrs)}.")
        rate = lrs[0] if lrs else paper.TRANSFER.lr
        arms = _transfer_configs(names, lr=rate, seeds=seeds, text=text, quick=quick)
        return _prepare_transfer(arms, store, root, device)
    if quick:
        rates = QUICK_RATES if _KINDS[number].epochs == 1 else QUICK_RATES[-1:]
        lrs, optimizers = lrs or rates, optimizers or ("sgd",)
    configs = _convergence_configs(number, names, lrs, optimizers, seeds)
    return _prepare_convergence(number, configs, store, root, device)


def _convergence_configs(
    number: int,
    names: Sequence[str],
    lrs: Sequence[float] | None,
    optimizers: Sequence[str] | None,
    seeds: Sequence[int],
) -> list[ConvergeConfig]:
    settings = paper.CONVERGENCE
    for lr in lrs or ():
        if lr not in settings.lrs:
            known = ", ".join(f"{rate:g}" for rate in settings.lrs)
            raise UsageError(f"`lr` must be of {known} (the table's columns); got {lr:g}.")
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


def _prepare_convergence(
    number: int, configs: list[ConvergeConfig], store: RunStore, root: Path | None, device: str
) -> Prepared:
    library = Library(store, converge.KIND)
    shared = converge.study(configs, root=root, device=device)
    return Prepared(
        number=number,
        jobs=converge.jobs_of(configs, shared, library),
        lines=lambda: convergence_lines(number, configs, shared, library),
        notes=(_KINDS[number].note, *_unofficial(shared), *not_read(library)),
    )


def not_read(library: Library) -> tuple[str, ...]:
    """A note on each run directory that is damaged."""
    return tuple(f"Not read: {reason}" for reason in library.damaged)


def _unofficial(shared: converge.Study) -> tuple[str, ...]:
    test = shared.test.provenance
    return () if test.official else (f"Not official data: {test.note}",)


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
        lines.append(
            line(
                arm.config.activation,
                paper.column(arm.config.optimizer, arm.config.lr),
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


def _transfer_configs(
    names: Sequence[str], *, lr: float, seeds: Sequence[int], text: bool, quick: bool
) -> list[TransferConfig]:
    settings = paper.TRANSFER
    rows = [r for n in names for r in (tuple(paper.table(2)) if n == "all" else (n,))]
    return transfer.expand(
        [
            TransferConfig(
                activation=name,
                seed=seed,
                source=settings.source,
                target=settings.target,
                model=settings.model,
                pretrain_lr=settings.pretrain_lr,
                pretrain_epochs=QUICK_PRETRAINING if quick else settings.pretrain_epochs,
                lr=lr,
                momentum=settings.momentum,
                batch_size=settings.batch_size,
                epochs=settings.epochs[:1] if quick else settings.epochs,
                text_epochs=settings.text_epochs,
                protocol="paper-text" if text else "paper",
            )
            for name in rows
            for seed in seeds
        ]
    )


def _prepare_transfer(
    configs: list[TransferConfig], store: RunStore, root: Path | None, device: str
) -> Prepared:
    library = Library(store, transfer.SOURCE, transfer.TARGET)
    shared = transfer.study(configs, root=root, device=device)
    pipelines = shared.pair.source_pipeline, shared.pair.target_pipeline
    return Prepared(
        number=2,
        jobs=transfer.jobs_of(configs, shared, library),
        lines=lambda: transfer_lines(configs, shared, library),
        notes=(
            f"Reading of the paper: {configs[0].reading}.",
            *(" ".join(str(p).split()) for p in pipelines),
            *shared.pair.notes,
            *not_read(library),
        ),
    )


def transfer_lines(
    configs: Sequence[TransferConfig], shared: transfer.Study, library: Library
) -> list[Line]:
    """Ours beside table 2, one line per cell."""
    published = paper.table(2)
    return [
        line(
            arm.config.activation,
            _transfer_column(cell.name),
            list(cell.test.values()),
            published,
            asked=arm.asked,
            diverged=len(cell.diverged) + len(cell.source_diverged),
            images=len(shared.pair.target.test),
            compare=agreement_of_mean,
            runs=paper.TRANSFER.runs,
        )
        for arm in transfer_report.collect(configs, shared, library)
        for cell in arm.cells
    ]


def _transfer_column(name: str) -> str:
    fixed = {"target only": "no_pretrain", "never fine-tuned": "no_finetune"}
    return fixed.get(name) or f"finetune_{name.replace(' ', '_')}"
