"""The runs behind the paper's tables 1 to 6. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from metaact import paper
from metaact.errors import UsageError
from metaact.experiments.converge import CONVERGE, ConvergeConfig
from metaact.experiments.experiment import Experiment
from metaact.experiments.maml import MAML, MamlConfig
from metaact.experiments.transfer import (
    NEVER_TUNED,
    TARGET_ONLY,
    TRANSFER,
    TransferConfig,
)
from metaact.settings import shown

QUICK = ("arelu", "relu", "selu", "prelu")
"""Rows of a first look."""

QUICK_RATES = (1e-3, 1e-4)
"""Its columns: where the paper sees the largest differences; of 20 epochs the last alone."""

QUICK_SHOTS = (1,)
"""Its columns of table 3: the quicker one."""

QUICK_PRETRAINING = 2
"""Epochs of pre-training of a first look at table 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """What a table of the paper reports.

    Attributes:
        number: The table.
        experiment: What its runs are.
        epochs: How long they are, of table 3 in meta-iterations; read there.
        figure: What of a run is reported: its score at the end, or the best test epoch; of
            table 3 the best training iteration.
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

    def column(
        self, settings: Mapping[str, Any], rates: Mapping[str, float], heading: str = ""
    ) -> str | None:
        """The paper's column for a figure of ours; None where it has none.

        Args:
            settings: What the runs of a study share.
            rates: Their learning rates.
            heading: Of a further column of ours; "" is the score itself.
        """
        if self.experiment is CONVERGE:
            return None if heading else paper.column(str(settings["optimizer"]), rates["lr"])
        if self.experiment is MAML:
            return None if heading else _of_shots(settings["ways"], settings["shots"])
        known = {TARGET_ONLY: "no_pretrain", NEVER_TUNED: "no_finetune"}
        known |= {f"epoch {n}": f"finetune_{n}_epochs" for n in paper.TRANSFER.epochs}
        text = self.epochs == paper.TRANSFER.text_epochs
        known[""] = f"finetune_{settings['pretrained'] if text else self.epochs}_epochs"
        return known.get(heading)

    def columns(self, config: Any) -> tuple[str, ...]:
        """The columns of the paper that have a figure of a run with these settings."""
        if self.experiment is CONVERGE:
            return (paper.column(config.optimizer, config.lr),)
        if self.experiment is MAML:
            return (_of_shots(config.ways, config.shots),)
        return (
            *("no_pretrain", "no_finetune"),
            *(f"finetune_{n}_epochs" for n in config.epochs),
        )

    @property
    def on_test(self) -> bool:
        """Whether the figure is measured on the test part: table 3's is on training tasks."""
        return self.experiment is not MAML

    @property
    def runs(self) -> int:
        """Runs behind each published figure."""
        if self.experiment is MAML:
            return paper.MAML.runs
        return paper.TRANSFER.runs if self.number == 2 else paper.CONVERGENCE.runs


def _of_shots(ways: int, shots: int) -> str:
    return f"ways{ways}_shots{shots}"


_MAML_NOTE = (
    f"The paper's figure is that of one seed: the best of {paper.MAML.iterations} training "
    f"iterations, each the mean query accuracy of its own {paper.MAML.tasks} training tasks before "
    "the update. Ours is the mean over seeds of the same; held out: the same networks after the "
    "last iteration, on frozen test episodes; gap: by how much the former flatters."
)

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

NUMBERS = (1, 2, 3, 4, 5, 6)
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
    shots: Sequence[int] | None = None,
    text: bool = False,
    quick: bool = False,
) -> PaperTable:
    """A table with the runs behind it.

    Args:
        number: 1 to 6.
        names: Rows; "all" is the paper's.
        lrs: Columns, by learning rate; None for the table's.
        optimizers: Columns, by optimizer; None for the table's.
        seeds: Training seeds; the paper took five, for table 3 one.
        shots: Columns of table 3; None for both.
        text: Whether table 2 takes the reading of the paper's text and not of its caption.
        quick: A first look: fewer rows and columns, and for table 2 fewer epochs.

    Raises:
        UsageError: If an argument is not allowed.
    """
    if number not in NUMBERS:
        raise UsageError(f"`number` must be an int in [1, 6] (of one network); got {number!r}.")
    if quick and tuple(names) == ("all",):
        names = QUICK if number in (1, 3, 4) else QUICK[:2]
    if text and number != 2:
        raise UsageError("`reading` must be left out (only table 2 has two); got 'text'.")
    if shots is not None and number != 3:
        raise UsageError(f"`shots` must be left out (it is for table 3); got {shown(shots)}.")
    if number == 3:
        for option, value in (("lr", lrs), ("optimizer", optimizers)):
            if value is not None:
                raise UsageError(f"`{option}` must be left out (table 3 has one); got {value!r}.")
        return _maml(names, shots=shots or (QUICK_SHOTS if quick else None), seeds=seeds)
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
    """Runs of the convergence experiment by optimizer and rate, as the paper made them.

    Those of the first seed come first: a sweep that is not done yet has whole tables of few seeds.
    """
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
        for seed in seeds
        for optimizer, lr in settings
        for name in names
    ]


def _maml(names: Sequence[str], *, shots: Sequence[int] | None, seeds: Sequence[int]) -> PaperTable:
    of_paper = paper.MAML
    for number in shots or ():
        if number not in of_paper.shots:
            raise UsageError(
                f"`shots` must be of {shown(of_paper.shots)} (the table's columns); got {number}."
            )
    rows = [r for n in names for r in (tuple(paper.table(3)) if n == "all" else (n,))]
    configs = [
        MamlConfig(
            activation=name,
            seed=seed,
            dataset=of_paper.dataset,
            model=of_paper.model,
            ways=of_paper.ways,
            shots=number,
            inner_steps=of_paper.inner_steps,
            inner_lr=of_paper.inner_lr,
            meta_lr=of_paper.meta_lr,
            tasks=of_paper.tasks,
            task_pool=of_paper.task_pool,
            iterations=of_paper.iterations,
            protocol="paper",
        )
        for seed in seeds
        for number in shots or of_paper.shots
        for name in rows
    ]
    return PaperTable(
        number=3,
        experiment=MAML,
        epochs=of_paper.iterations,
        figure="selected",
        note=_MAML_NOTE,
        configs=tuple(configs),
    )


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
