"""From the runs of `metaact converge` to one summary and its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metaact import analysis

from . import tuning, tuning_report
from .converge import Study
from .converge_arms import Arm, Trace, collect, number
from .converge_config import ConvergeConfig
from .pairing import Pair, add_differences, difference_cells
from .rates import CONVERGE_RATES, Rates
from .replication import interval_document
from .reuse import Library
from .sweep import SweepReport

_VARYING = ("activation", "seed", "lr", "optimizer", "dataset", "first_epoch_points")


def summarise(
    configs: Sequence[ConvergeConfig],
    shared: Study,
    library: Library,
    report: SweepReport,
    *,
    thresholds: Sequence[float] = (0.5, 0.9),
    shared_rates: Sequence[Rates] | None = None,
) -> dict[str, Any]:
    """Everything the table shows as one JSON document.

    Args:
        configs: The runs asked for.
        shared: The data, from `study`.
        library: The run store, read after the sweep.
        report: How the sweep ended.
        thresholds: Accuracies, in 0..1, whose first reaching is reported.
        shared_rates: The rates of the reading at one rate for all; None: every rate there is. All
            other rates only serve each arm's choice of its own.

    Returns:
        Strict JSON.
    """
    arms = collect(configs, shared, library)
    trials = [arm.trial() for arm in arms]
    rows = [_row(arm, t, shared, thresholds) for arm, t in zip(arms, trials, strict=True)]
    choices = tuning.choose(trials) if shared.validation is not None else []
    tuned = _tuned(rows, arms, choices)
    first = [i for i, arm in enumerate(arms) if tuning.is_shared(arm.rates, shared_rates)]
    _compare(
        [rows[i] for i in first],
        [arms[i] for i in first],
        among=lambda config: (config.optimizer, config.lr),
    )
    config = configs[0]
    return {
        "experiment": "converge",
        "dataset": config.dataset,
        "data": shared.data,
        "pipeline": shared.pipeline,
        "protocol": config.protocol,
        "settings": {k: v for k, v in config.fields().items() if k not in _VARYING},
        "chance": 1 / shared.train.classes,
        "thresholds": list(thresholds),
        "watched_part": watched(shared),
        "arms": rows,
        "tuned": tuned,
        "untuned": [choice.arm for choice in choices if choice.index is None],
        "tuning": tuning.document(trials, choices, rates=CONVERGE_RATES, shared=shared_rates),
        "reused_runs": report.reused,
        "missing": report.complaints(),
        "damaged": list(library.damaged),
    }


def watched(shared: Study) -> str:
    """The part on which choices are made and times to accuracy are read."""
    return "test" if shared.validation is None else "validation"


def _row(
    arm: Arm, trial: tuning.Trial, shared: Study, thresholds: Sequence[float]
) -> dict[str, Any]:
    config, part, images = arm.config, watched(shared), len(shared.test)
    first, last = arm.values(1, "test_accuracy"), arm.values(config.epochs, "test_accuracy")
    results = [t.run.result() for t in arm.traces]
    row: dict[str, Any] = {
        "activation": config.activation,
        "optimizer": config.optimizer,
        **arm.rates,
        "seeds": arm.asked,
        "complete": len(arm.traces),
        "diverged": [t.diverged_in for t in arm.traces if t.diverged_in is not None],
        "parameters": results[0]["parameters"] if results else None,
        "after_first_epoch": interval_document(first, images),
        "after_last_epoch": interval_document(last, images),
        "last_by_seed": last,
        "time_to": [_time_to(arm, f"{part}_accuracy", t) for t in thresholds],
        "stuck_alpha": [_stuck(t) for t in arm.traces],
        "attention_layers": results[0]["attention_layers"] if results else 0,
    }
    if part == "validation":
        row |= {**_selected(arm, images), "validation_accuracy": trial.score}
    else:
        best = {t.seed: b[1] for t in arm.converged if (b := t.best("test_accuracy"))}
        row |= {"best_test": interval_document(best, images), "best_test_by_seed": best}
    return row


def _selected(arm: Arm, images: int) -> dict[str, Any]:
    """Test accuracy at the epoch that was best on the validation part."""
    chosen = {t.seed: b for t in arm.converged if (b := t.best("validation_accuracy"))}
    by_seed = {t.seed: t for t in arm.converged}
    tests = {s: by_seed[s].at(epoch, "test_accuracy") for s, (epoch, _) in chosen.items()}
    known = {s: v for s, v in tests.items() if v is not None}
    return {
        "selected": interval_document(known, images),
        "selected_epochs": [epoch for epoch, _ in chosen.values()],
        "selected_by_seed": known,
    }


def _time_to(arm: Arm, key: str, threshold: float) -> dict[str, Any]:
    """Epochs until an accuracy: by seed, and their median where all seeds reached it."""
    times = [t.first_reaching(key, threshold) for t in arm.traces]
    reached = [t for t in times if t is not None]
    complete = bool(times) and len(reached) == arm.asked
    return {
        "threshold": threshold,
        "epochs_by_seed": times,
        "reached": len(reached),
        "median": float(np.median(reached)) if complete else None,
    }


def _stuck(trace: Trace) -> int:
    stuck = number(trace.run.result()["stuck_alpha"])
    return int(stuck or 0)


def _compare(
    rows: Sequence[dict[str, Any]],
    arms: Sequence[Arm],
    *,
    among: Callable[[ConvergeConfig], object],
) -> None:
    """Add each arm's paired difference from the first arm that is alike in `among`."""
    pairs = []
    for row, arm in zip(rows, arms, strict=True):
        reference = next(a for a in arms if among(a.config) == among(arm.config))
        if reference is not arm:
            pairs.append(
                Pair(
                    row=row,
                    reference=reference.config.activation,
                    values=arm.values(arm.config.epochs, "test_accuracy"),
                    reference_values=reference.values(arm.config.epochs, "test_accuracy"),
                )
            )
    add_differences(pairs)


def _tuned(
    rows: Sequence[dict[str, Any]], arms: Sequence[Arm], choices: Sequence[tuning.Choice]
) -> list[dict[str, Any]]:
    """Each arm, per optimizer, at its own best rate, with its difference from the first one."""
    chosen = [choice.index for choice in choices if choice.index is not None]
    tuned = [dict(rows[i]) for i in chosen]
    _compare(tuned, [arms[i] for i in chosen], among=lambda config: config.optimizer)
    return tuned


def table(summary: Mapping[str, Any]) -> str:
    """The summary as a plain-text table with its footnotes."""
    settings, held_out = summary["settings"], summary["watched_part"] == "validation"
    chosen = "test at best val. epoch" if held_out else "best test accuracy"
    names = ["activation", "optimizer", "lr", "seeds", "epoch 1", f"epoch {settings['epochs']}"]
    names += [chosen, *(f"to {100 * t:g} %" for t in summary["thresholds"])]
    if any("difference" in row for row in summary["arms"]):
        names += ["difference", "p (Holm)"]
    if any(row["attention_layers"] for row in summary["arms"]):
        names.append("stuck α")
    title = (
        f"{settings['model']} on {Path(summary['dataset']).name}: test accuracy in %, "
        f"{settings['epochs']} epochs, {summary['protocol']} protocol"
    )
    return tuning_report.readings(
        summary,
        names,
        rates=CONVERGE_RATES,
        title=title,
        notes=_notes(summary),
        own_notes=lambda: _tuned_notes(summary),
        cells=lambda row: _cells(row, chosen, settings["epochs"]),
        name=lambda row: f"{row['activation']} {row['optimizer']}",
        interval=lambda row: row["after_last_epoch"],
        lost=lambda row: row["seeds"] - row["complete"] + len(row["diverged"]),
    )


def _cells(row: Mapping[str, Any], chosen: str, epochs: int) -> dict[str, str]:
    def shown(interval: Mapping[str, Any] | None) -> str:
        return str(analysis.Interval(**interval)) if interval else "–"

    last = shown(row["after_last_epoch"])
    if row["diverged"]:
        last += f" ({len(row['diverged'])} diverged in epoch {_list(row['diverged'])})"
    if row["complete"] < row["seeds"]:
        last += f" ({row['seeds'] - row['complete']} missing)"
    stuck = f"{sum(row['stuck_alpha'])}/{row['attention_layers'] * row['complete']}"
    cells = {
        "activation": row["activation"],
        "optimizer": row["optimizer"],
        "lr": f"{row['lr']:g}",
        "seeds": str(row["seeds"]),
        "epoch 1": shown(row["after_first_epoch"]),
        f"epoch {epochs}": last,
        chosen: shown(row.get("selected") or row.get("best_test")),
        "stuck α": stuck if row["attention_layers"] else "",
        **difference_cells(row),
    }
    for time in row["time_to"]:
        cells[f"to {100 * time['threshold']:g} %"] = _duration(time, row["complete"])
    return cells


def _duration(time: Mapping[str, Any], runs: int) -> str:
    if time["median"] is not None:
        return f"{time['median']:.3g}"
    if not runs:
        return "–"
    return f"{time['reached']} of {runs}" if time["reached"] else "never"


def _list(values: Sequence[object]) -> str:
    return ", ".join(str(value) for value in values)


def _tuned_notes(summary: Mapping[str, Any]) -> list[str]:
    notes = tuning.notes(summary["tuning"], CONVERGE_RATES)
    if any("difference" in row for row in summary["tuned"]):
        reference = summary["tuned"][0]["activation"]
        notes.append(f"Difference: paired with {reference} by the same optimizer at its own rate.")
    return notes


def _notes(summary: Mapping[str, Any]) -> list[str]:
    varies = {
        row["after_last_epoch"]["varies"] for row in summary["arms"] if row["after_last_epoch"]
    }
    notes = []
    if varies:
        notes.append(f"95 % intervals over {' / '.join(sorted(varies))}.")
    part = summary["watched_part"]
    notes.append(f"To x %: epochs until accuracy on the {part} part first reached it, median.")
    if part == "validation":
        notes.append("The best epoch is chosen on the validation part, which trained nothing.")
    else:
        notes.append(
            "Best test accuracy: the paper's protocol. The epoch is selected on the test set: the "
            "figure is optimistic."
        )
    if any("difference" in row for row in summary["arms"]):
        reference = summary["arms"][0]["activation"]
        notes.append(
            f"Difference: last epoch, paired with {reference} at the same optimizer and rate over "
            "seeds, which share weights and batches (not over images)."
        )
    if summary["settings"]["batch_norm"] == "batch":
        notes.append("BatchNorm uses the statistics of the batch at hand, also in evaluation.")
    if summary["pipeline"]:
        notes.append(f"Images were brought to the network's size: {summary['pipeline']}")
    if not summary["data"]["official"]:
        test = summary["data"]["test"]
        notes.append(f"Not official data: {test['note']}")
    return notes + [f"Not read: {reason}" for reason in summary["damaged"]]
