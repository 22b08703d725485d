"""From the runs of `metaact transfer` to one summary and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metaact import analysis

from . import tuning, tuning_report
from .pairing import Pair, add_differences, difference_cells
from .rates import TRANSFER_RATES, Rates, at_rates
from .replication import interval_document
from .reuse import Library, at_epoch, records_until
from .soundness import is_sound
from .sweep import SweepReport
from .transfer import SOURCE_DIVERGED, Stage, Study, source_run, stages, target_run
from .transfer_config import TransferConfig

_VARYING = ("activation", "seed", "lr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure of an arm: test accuracy on the target at one point of the study.

    Attributes:
        name: "target only", "never fine-tuned", or a number of epochs.
        test: Test accuracy by seed, of the seeds that have it.
        validation: The same on the validation part; empty where there is none.
        diverged: Seeds whose run diverged before this point.
        source_diverged: Seeds whose pre-training diverged: there was nothing to fine-tune.
    """

    name: str
    test: dict[int, float]
    validation: dict[int, float]
    diverged: tuple[int, ...]
    source_diverged: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One activation at one rate of fine-tuning and one of pre-training, over seeds.

    Attributes:
        config: Its settings; the seed is the first one's.
        cells: Its figures, in the order of the paper's table 2.
        source: Test accuracy on the source after pre-training, by seed.
        asked: How many seeds were asked for.
    """

    config: TransferConfig
    cells: tuple[Cell, ...]
    source: dict[int, float]
    asked: int

    @property
    def rates(self) -> Rates:
        """Its learning rates."""
        return at_rates(self.config.fields(), TRANSFER_RATES)

    def trial(self) -> tuning.Trial:
        """What tuning looks at: the last cell, which is fine-tuned the longest."""
        last = self.cells[-1]
        return tuning.Trial(
            arm=self.config.activation,
            rates=self.rates,
            validation=last.validation,
            test=last.test,
            asked=self.asked,
        )

    def cell(self, name: str) -> Cell:
        """The figure of that name."""
        return next(cell for cell in self.cells if cell.name == name)


def points(config: TransferConfig) -> list[tuple[str, Stage, int]]:
    """Name, fine-tuning and epoch of every reported figure."""
    *tuned, only = stages(config)
    found = [("target only", only, only.epochs), ("never fine-tuned", tuned[-1], 0)]
    if config.protocol == "paper-text":
        return found + [(f"{s.pretrained} epochs", s, s.epochs) for s in tuned]
    return found + [(f"{n} epochs", tuned[0], n) for n in config.epochs]


def collect(configs: Sequence[TransferConfig], shared: Study, library: Library) -> list[Arm]:
    """The arms of a comparison, in the order in which they were asked for."""
    groups: dict[TransferConfig, list[TransferConfig]] = {}
    for config in configs:
        groups.setdefault(replace(config, seed=0), []).append(config)
    return [_arm(group, shared, library) for group in groups.values()]


def _arm(group: Sequence[TransferConfig], shared: Study, library: Library) -> Arm:
    source: dict[int, float] = {}
    for config in group:
        run = source_run(config, shared, library)
        if is_sound(run):
            record = at_epoch(run.metrics(), config.pretrain_epochs)
            source |= {} if record is None else {config.seed: float(str(record["test_accuracy"]))}
    cells = [_cell(name, s, epoch, group, shared, library) for name, s, epoch in points(group[0])]
    return Arm(config=group[0], cells=tuple(cells), source=source, asked=len(group))


def _cell(
    name: str,
    stage: Stage,
    epoch: int,
    group: Sequence[TransferConfig],
    shared: Study,
    library: Library,
) -> Cell:
    test: dict[int, float] = {}
    validation: dict[int, float] = {}
    diverged: list[int] = []
    without_source: list[int] = []
    for config in group:
        run = target_run(config, stage, shared, library)
        if not is_sound(run):
            continue
        record = at_epoch(records_until(run, stage.epochs), epoch)
        if record is None:
            blocked = run.result()["outcome"] == SOURCE_DIVERGED
            (without_source if blocked else diverged).append(config.seed)
            continue
        for part, found in (("test", test), ("validation", validation)):
            value = record.get(f"{part}_accuracy")
            if isinstance(value, int | float):
                found[config.seed] = float(value)
    return Cell(
        name=name,
        test=test,
        validation=validation,
        diverged=tuple(diverged),
        source_diverged=tuple(without_source),
    )


def summarise(
    configs: Sequence[TransferConfig],
    shared: Study,
    library: Library,
    report: SweepReport,
    *,
    shared_rates: Sequence[Rates] | None = None,
) -> dict[str, Any]:
    """Everything the table shows as one JSON document.

    Args:
        configs: The runs asked for.
        shared: The data, from `study`.
        library: The run store, read after the sweep.
        report: How the sweep ended.
        shared_rates: The rates of the reading at one rate for all; None: every rate there is. All
            other rates only serve each arm's choice of its own.

    Returns:
        Strict JSON.
    """
    arms = collect(configs, shared, library)
    rows = [_row(arm, shared) for arm in arms]
    trials = [arm.trial() for arm in arms]
    validated = shared.pair.target.validation is not None
    choices = tuning.choose(trials) if validated else []
    tuned = _tuned(rows, arms, choices)
    first = [i for i, arm in enumerate(arms) if tuning.is_shared(arm.rates, shared_rates)]
    _compare(
        [rows[i] for i in first],
        [arms[i] for i in first],
        among=lambda config: (config.lr, config.pretrain_lr),
    )
    config = configs[0]
    return {
        "experiment": "transfer",
        "source": config.source,
        "target": config.target,
        "reading": config.reading,
        "protocol": config.protocol,
        "data": shared.data,
        "settings": _settings(configs),
        "chance": 1 / shared.pair.target.train.classes,
        "arms": rows,
        "tuned": tuned,
        "untuned": [choice.arm for choice in choices if choice.index is None],
        "tuning": tuning.document(trials, choices, rates=TRANSFER_RATES, shared=shared_rates),
        "reused_runs": report.reused,
        "missing": report.complaints(),
        "damaged": list(library.damaged),
    }


def _settings(configs: Sequence[TransferConfig]) -> dict[str, object]:
    """What all runs share; the rate of pre-training is no setting where it is tuned."""
    several = len({config.pretrain_lr for config in configs}) > 1
    varying = (*_VARYING, "pretrain_lr") if several else _VARYING
    return {k: v for k, v in configs[0].fields().items() if k not in varying}


def _row(arm: Arm, shared: Study) -> dict[str, Any]:
    images, source = len(shared.pair.target.test), len(shared.pair.source.test)
    return {
        "activation": arm.config.activation,
        **arm.rates,
        "seeds": arm.asked,
        "source_test": interval_document(arm.source, source),
        "figures": {
            cell.name: {
                "test": interval_document(cell.test, images),
                "by_seed": cell.test,
                "validation": _mean(cell.validation),
                "complete": len(cell.test) + len(cell.diverged) + len(cell.source_diverged),
                "diverged": len(cell.diverged),
                "source_diverged": len(cell.source_diverged),
            }
            for cell in arm.cells
        },
    }


def _mean(values: Mapping[int, float]) -> float | None:
    return float(np.mean(list(values.values()))) if values else None


def _compare(
    rows: Sequence[dict[str, Any]],
    arms: Sequence[Arm],
    *,
    among: Callable[[TransferConfig], object],
) -> None:
    """Add each arm's paired difference from the first that is alike in `among`, at the end."""
    pairs = []
    for row, arm in zip(rows, arms, strict=True):
        reference = next(a for a in arms if among(a.config) == among(arm.config))
        if reference is not arm:
            pairs.append(
                Pair(
                    row=row,
                    reference=reference.config.activation,
                    values=arm.cells[-1].test,
                    reference_values=reference.cells[-1].test,
                    about={"at": reference.cells[-1].name},
                )
            )
    add_differences(pairs)


def _tuned(
    rows: Sequence[dict[str, Any]], arms: Sequence[Arm], choices: Sequence[tuning.Choice]
) -> list[dict[str, Any]]:
    """Each arm at its own best rates, with its difference from the first one at its own."""
    chosen = [choice.index for choice in choices if choice.index is not None]
    tuned = [dict(rows[i]) for i in chosen]
    _compare(tuned, [arms[i] for i in chosen], among=lambda config: config.target)
    return tuned


def table(summary: Mapping[str, Any]) -> str:
    """The summary as a plain-text table with its footnotes."""
    figures = list(summary["arms"][0]["figures"])
    names = ["activation", "lr"]
    names += [] if "pretrain_lr" in summary["settings"] else ["pre-training lr"]
    names += ["seeds", "source test", *figures]
    if any("difference" in row for row in (*summary["arms"], *summary["tuned"])):
        names += ["difference", "p (Holm)"]
    title = (
        f"{summary['settings']['model']} from {Path(summary['source']).name} to "
        f"{Path(summary['target']).name}: accuracy on the target's test part in %. "
        f"Reading of the paper: {summary['reading']}."
    )
    shown = tuning_report.readings(
        summary,
        names,
        rates=TRANSFER_RATES,
        title=title,
        notes=_notes(summary),
        own_title=f"{tuning_report.OWN} (the target's, at {figures[-1]})",
        own_notes=lambda: _tuned_notes(summary),
        cells=_cells,
        interval=lambda row: row["figures"][figures[-1]]["test"],
        lost=lambda row: row["seeds"] - len(row["figures"][figures[-1]]["by_seed"]),
    )
    pipelines = [summary["data"][f"{side}_pipeline"] for side in ("source", "target")]
    return "\n".join([shown, "", "Images were brought into one form:", *pipelines])


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    cells = {
        "activation": row["activation"],
        "lr": f"{row['lr']:g}",
        "pre-training lr": f"{row['pretrain_lr']:g}",
        "seeds": str(row["seeds"]),
        "source test": _shown(row["source_test"]),
    }
    for name, figure in row["figures"].items():
        cells[name] = _shown(figure["test"])
        if figure["diverged"]:
            cells[name] += f" ({figure['diverged']} diverged)"
        if figure["source_diverged"]:
            cells[name] += f" ({figure['source_diverged']} source diverged)"
        if figure["complete"] < row["seeds"]:
            cells[name] += f" ({row['seeds'] - figure['complete']} missing)"
    return cells | difference_cells(row)


def _shown(interval: Mapping[str, Any] | None) -> str:
    return str(analysis.Interval(**interval)) if interval else "–"


def _tuned_notes(summary: Mapping[str, Any]) -> list[str]:
    notes = tuning.notes(summary["tuning"], TRANSFER_RATES)
    if any("difference" in row for row in summary["tuned"]):
        notes.append(
            f"Difference: paired with {summary['tuned'][0]['activation']} at its own rates."
        )
    return notes


def _notes(summary: Mapping[str, Any]) -> list[str]:
    intervals = [f["test"] for row in summary["arms"] for f in row["figures"].values()]
    varies = sorted({interval["varies"] for interval in intervals if interval})
    notes = [f"95 % intervals over {' / '.join(varies)}."] if varies else []
    notes.append(
        "Target only: trained from scratch with the fine-tuning settings, as many epochs. Never "
        "fine-tuned: the pre-trained network on the target as it is."
    )
    if any("difference" in row for row in summary["arms"]):
        reference = summary["arms"][0]
        last = list(reference["figures"])[-1]
        notes.append(
            f"Difference: at {last}, paired with {reference['activation']} at the same rate over "
            "seeds, which share weights and batches (not over images)."
        )
    notes += [f"Not read: {reason}" for reason in summary["damaged"]]
    return notes + [str(note) for note in summary["data"]["notes"]]
