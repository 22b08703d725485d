"""Tables 7 and 8 from our runs: the best test epoch beside one that was chosen elsewhere."""

from __future__ import annotations

from metaact import paper
from metaact.experiments.converge.selection import LAST, ON_VALIDATION, chosen
from metaact.experiments.evidence import Arm, Study
from metaact.experiments.paper.networks import Figure, NetworkTable
from metaact.experiments.study import Outcome

from ._gather import gather
from .agreement import agreement_of_best, agreement_of_mean, over_seeds
from .describe import data_notes
from .document import Cell, TableReport
from .paper import row

NAMES: dict[Figure, str] = {"best": "best run", "mean": "mean", "top1": "top-1", "top5": "top-5"}

TOP_5 = "test_top5_accuracy"


def network_report(table: NetworkTable, outcome: Outcome, *, seeds: int) -> TableReport:
    """A table of networks, ours beside the paper's where it has such runs.

    Args:
        table: The table with its runs.
        outcome: How they ended.
        seeds: Seeds asked for.
    """
    order = list(dict.fromkeys(c.model for c in outcome.configs))
    studies = sorted(
        gather(outcome.directories).studies,
        key=lambda study: order.index(study.settings["model"]),
    )
    names = list(dict.fromkeys(c.activation for c in outcome.configs))
    cells = [
        _cell(table, study, arm, figure, seeds)
        for study in studies
        for arm in sorted(study.arms, key=lambda arm: names.index(arm.value))
        for figure in table.figures
        if figure != "top5" or _has_top_5(arm)
    ]
    notes = [
        "Ours: the best epoch on the test images, as the paper reports; held out: "
        f"{ON_VALIDATION if table.protocol == 'held-out' else LAST}.",
        "Weight decay is of all parameters, α and β too, as the paper's text has it.",
    ]
    if table.number == 7:
        notes.append(
            f"The paper gives no schedule: this is the reading {table.reading} (--reading)."
        )
    notes += dict.fromkeys(note for study in studies for note in data_notes(study))
    return TableReport(
        number=table.number,
        caption=paper.TABLES[table.number].caption,
        cells=cells,
        notes=notes,
        heading=table.heading,
    )


def _has_top_5(arm: Arm) -> bool:
    return all(TOP_5 in record.seen[-1] for record in arm.scored)


def _cell(table: NetworkTable, study: Study, arm: Arm, figure: Figure, seeds: int) -> Cell:
    picked = {record.seed: chosen(record) for record in arm.scored}
    entry = TOP_5 if figure == "top5" else study.measure.test
    best = {seed: float(one.best[entry]) for seed, one in picked.items()}
    held = {seed: float(one.held_out[entry]) for seed, one in picked.items()}
    images = study.measure.units
    model = str(study.settings["model"])
    percent = table.published(model, row(arm.value), figure)
    agreement, interval = None, None
    if best:
        interval = over_seeds(list(best.values()), images)
        if percent is not None:
            compare = agreement_of_best if figure == "best" else agreement_of_mean
            agreement = compare(list(best.values()), percent / 100, images=images, runs=table.runs)
            interval = agreement.interval
    return Cell(
        activation=arm.value,
        column=f"{model} {NAMES[figure]}",
        by_seed=best,
        asked=seeds,
        diverged=len(arm.failed),
        interval=interval,
        agreement=agreement,
        held_out=None if figure == "best" or not held else over_seeds(list(held.values()), images),
    )
