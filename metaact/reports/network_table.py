"""Tables 7 and 8 from our runs: the best test epoch beside one that was chosen elsewhere."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

from metaact import paper
from metaact.experiments.converge.selection import LAST, ON_VALIDATION, chosen
from metaact.experiments.evidence import Arm, Study
from metaact.experiments.paper.networks import Figure, NetworkTable
from metaact.experiments.study import Outcome

from ._gather import gather
from .agreement import agreement_of_best, agreement_of_mean, over_seeds, unfinished, unmade
from .describe import data_notes
from .document import Cell, TableReport
from .paper import row

NAMES: dict[Figure, str] = {"best": "best run", "mean": "mean", "top1": "top-1", "top5": "top-5"}

TOP_5 = "test_top5_accuracy"


def network_report(table: NetworkTable, outcome: Outcome) -> TableReport:
    """A table of networks, ours beside the paper's where it has such runs.

    Args:
        table: The table with its runs.
        outcome: How they ended.
    """
    asked = Counter((c.model, c.activation) for c in outcome.configs)
    studies = gather(outcome.directories).studies
    there = {(str(s.settings["model"]), arm.value): (s, arm) for s in studies for arm in s.arms}
    few = any(arm.scored and not _has_top_5(arm) for _, arm in there.values())
    figures = [figure for figure in table.figures if figure != "top5" or not few]
    cells = [
        _cell(table, *there[of], figure, asked[of])
        if of in there
        else unmade(of[1], _column(of[0], figure), asked[of])
        for of in asked
        for figure in figures
    ]
    notes = [
        *unfinished(cells),
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
        runs=table.runs,
    )


def _column(model: str, figure: Figure) -> str:
    return f"{model} {NAMES[figure]}"


def _has_top_5(arm: Arm) -> bool:
    return all(TOP_5 in record.seen[-1] for record in arm.scored)


def _cell(table: NetworkTable, study: Study, arm: Arm, figure: Figure, asked: int) -> Cell:
    picked = {record.seed: chosen(record) for record in arm.scored}
    entry = TOP_5 if figure == "top5" else study.measure.test
    best = {seed: float(one.best[entry]) for seed, one in picked.items()}
    held = {seed: float(one.held_out[entry]) for seed, one in picked.items()}
    images = study.measure.units
    model = str(study.settings["model"])
    percent = table.published(model, row(arm.value), figure)
    agreement, interval, held_out, gap = None, None, None, None
    if best:
        interval = over_seeds(list(best.values()), images)
        if percent is not None:
            compare = agreement_of_best if figure == "best" else agreement_of_mean
            agreement = compare(list(best.values()), percent / 100, images=images, runs=table.runs)
            interval = agreement.interval
        if figure != "best":
            held_out = over_seeds(list(held.values()), images)
            gap = fmean(best.values()) - fmean(held.values())
    return Cell(
        activation=arm.value,
        column=_column(model, figure),
        by_seed=best,
        asked=asked,
        diverged=len(arm.failed),
        interval=interval,
        agreement=agreement,
        held_out=held_out,
        gap=gap,
    )
