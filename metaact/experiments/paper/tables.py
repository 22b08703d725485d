"""The runs behind the paper's tables 1, 2, 4, 5 and 6. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from metaact import paper
from metaact.errors import UsageError
from metaact.experiments.converge import CONVERGE, ConvergeConfig
from metaact.experiments.experiment import Experiment
from metaact.experiments.transfer import (
    NEVER_TUNED,
    TARGET_ONLY,
    TRANSFER,
    TransferConfig,
)

QUICK = ("arelu", "relu", "selu", "prelu")
"""Rows of a first look."""

QUICK_RATES = (1e-3, 1e-4)
"""Its columns: where the paper sees the largest differences; of 20 epochs the last alone."""

QUICK_PRETRAINING = 2
"""Epochs of pre-training of a first look at table 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """What a table of the paper reports.

    Attributes:
        number: The table.
        experiment: What its runs are.
        epochs: How long they are; read there.
        figure: What of a run is reported: its score at the end, or the best test epoch.
        over_runs: What of the runs together: their mean, or the best one.
        note: What a reader must know.
        configs: The runs.
    """

    number: int
    experiment: Experiment
    epochs: int
    figure: Literal["score", "selected"] = "score"
    over_runs: Literal["mean", "best"] = "mean"
    note: str = ""
    configs: tuple[Any, ...] = field(default=(), repr=False)

    def column(self, settings: Mapping[str, Any], lr: float, heading: str = "") -> str | None:
        """The paper's column for a figure of ours; None where it has none.

        Args:
            settings: What the runs of a study share.
            lr: Their learning rate.
            heading: Of a further column of ours; "" is the score itself.
        """
        if self.experiment is CONVERGE:
            return None if heading else paper.column(str(settings.get("optimizer")), lr)
        known = {TARGET_ONLY: "no_pretrain", NEVER_TUNED: "no_finetune"}
        known |= {f"epoch {n}": f"finetune_{n}_epochs" for n in paper.TRANSFER.epochs}
        text = self.epochs == paper.TRANSFER.text_epochs
        known[""] = f"finetune_{settings['pretrained'] if text else self.epochs}_epochs"
        return known.get(heading)

    @property
    def runs(self) -> int:
        """Runs behind each published figure."""
        return paper.TRANSFER.runs if self.number == 2 else paper.CONVERGENCE.runs


_CONVERGENCE = {
    1: PaperTable(number=1, experiment=CONVERGE, epochs=1, note="Mean over runs after epoch 1."),
    4: PaperTable(
        number=4,
        experiment=CONVERGE,
        epochs=1,
        over_runs="best",
        note="Best run after epoch 1.",
    ),
    5: PaperTable(
        number=5,
        experiment=CONVERGE,
        epochs=20,
        figure="selected",
        over_runs="best",
        note="Best test accuracy of 20 epochs, best run: selected on the test set twice.",
    ),
    6: PaperTable(
        number=6,
        experiment=CONVERGE,
        epochs=20,
        figure="selected",
        note="Best test accuracy of 20 epochs, mean over runs: the epoch is selected on the test "
        "set.",
    ),
}

NUMBERS = (1, 2, 4, 5, 6)
"""Tables that run."""


def convergence_table(number: int) -> PaperTable:
    """What table 1, 4, 5 or 6 reports, without its runs."""
    return _CONVERGENCE[number]


def paper_table(
    number: int,
    *,
    names: Sequence[str] = ("all",),
    lrs: Sequence[float] | None = None,
    optimizers: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    text: bool = False,
    quick: bool = False,
) -> PaperTable:
    """A table with the runs behind it.

    Args:
        number: 1, 2, 4, 5 or 6.
        names: Rows; "all" is the paper's.
        lrs: Columns, by learning rate; None for the table's.
        optimizers: Columns, by optimizer; None for the table's.
        seeds: Training seeds; the paper took five.
        text: Whether table 2 takes the reading of the paper's text and not of its caption.
        quick: A first look: fewer rows and columns, and for table 2 fewer epochs.

    Raises:
        UsageError: If an argument is not allowed.
    """
    if number not in NUMBERS:
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
        return _transfer(names, lr=rate, seeds=seeds, text=text, quick=quick)
    table = _CONVERGENCE[number]
    if quick:
        rates = QUICK_RATES if table.epochs == 1 else QUICK_RATES[-1:]
        lrs, optimizers = lrs or rates, optimizers or ("sgd",)
    for lr in lrs or ():
        if lr not in paper.CONVERGENCE.lrs:
            known = ", ".join(f"{rate:g}" for rate in paper.CONVERGENCE.lrs)
            raise UsageError(f"`lr` must be of {known} (the table's columns); got {lr:g}.")
    pairs = [
        (optimizer, lr)
        for optimizer in optimizers or paper.CONVERGENCE.optimizers
        for lr in lrs or paper.CONVERGENCE.lrs
    ]
    configs = convergence_runs(pairs, names, seeds, epochs=table.epochs)
    return PaperTable(
        number=number,
        experiment=table.experiment,
        epochs=table.epochs,
        figure=table.figure,
        over_runs=table.over_runs,
        note=table.note,
        configs=tuple(configs),
    )


def convergence_runs(
    settings: Sequence[tuple[str, float]],
    names: Sequence[str],
    seeds: Sequence[int],
    *,
    epochs: int,
) -> list[ConvergeConfig]:
    """Runs of the convergence experiment by optimizer and rate, as the paper made them."""
    of_paper = paper.CONVERGENCE
    return [
        ConvergeConfig(
            activation="paper" if name == "all" else name,
            seed=seed,
            dataset=of_paper.dataset,
            model=of_paper.model,
            optimizer=optimizer,
            lr=lr,
            momentum=of_paper.momentum,
            batch_size=of_paper.batch_size,
            epochs=epochs,
            first_epoch_points=0,
            protocol="paper",
        )
        for optimizer, lr in settings
        for name in names
        for seed in seeds
    ]


def _transfer(
    names: Sequence[str], *, lr: float, seeds: Sequence[int], text: bool, quick: bool
) -> PaperTable:
    of_paper = paper.TRANSFER
    rows = [r for n in names for r in (tuple(paper.table(2)) if n == "all" else (n,))]
    epochs = of_paper.epochs[:1] if quick else of_paper.epochs
    configs = [
        TransferConfig(
            activation=name,
            seed=seed,
            source=of_paper.source,
            target=of_paper.target,
            model=of_paper.model,
            pretrain_lr=of_paper.pretrain_lr,
            pretrain_epochs=QUICK_PRETRAINING if quick else of_paper.pretrain_epochs,
            lr=lr,
            momentum=of_paper.momentum,
            batch_size=of_paper.batch_size,
            epochs=epochs,
            text_epochs=of_paper.text_epochs,
            protocol="paper-text" if text else "paper",
        )
        for name in rows
        for seed in seeds
    ]
    length = of_paper.text_epochs if text else max(epochs)
    return PaperTable(number=2, experiment=TRANSFER, epochs=length, configs=tuple(configs))
