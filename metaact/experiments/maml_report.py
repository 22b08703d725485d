"""From the runs of `metaact maml` to one summary and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaact import analysis, paper
from metaact.runs import Run, RunStore

from . import tuning, tuning_report
from .comparison import paper_row
from .config import MamlConfig
from .explosion import exploded_at
from .maml import Study, open_run
from .pairing import Pair, add_differences, difference_cells
from .published import maml_cell
from .rates import MAML_RATES, Rates, at_rates, in_words
from .soundness import is_sound
from .sweep import SweepReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The runs of one activation at one inner and one outer learning rate, over seeds.

    Attributes:
        config: Its settings; the seed is the first one's.
        runs: Complete runs, diverged ones included, in the order of their seeds.
        asked: How many seeds were asked for.
    """

    config: MamlConfig
    runs: tuple[Run, ...]
    asked: int

    @property
    def converged(self) -> tuple[Run, ...]:
        """The runs that ended with finite weights."""
        return tuple(run for run in self.runs if run.result()["outcome"] == "complete")

    @property
    def rates(self) -> Rates:
        """Its learning rates."""
        return at_rates(self.config.fields(), MAML_RATES)

    def by_seed(self) -> dict[int, list[float]]:
        """Test accuracies of the frozen episodes of each run that converged."""
        return {
            run.config["seed"]: [e["accuracy"] for e in run.episodes()] for run in self.converged
        }

    def accuracies(self) -> np.ndarray:
        """The same [seeds, episodes]."""
        return np.array(list(self.by_seed().values()))

    def exploded(self) -> list[int]:
        """Where the training loss of each run that went so far first rose beyond all reason."""
        first = [exploded_at(r.metrics(), chance=self.config.chance) for r in self.runs]
        return [record["iteration"] for record in first if record]

    def trial(self) -> tuning.Trial:
        """What tuning looks at."""
        last = {run.config["seed"]: run.metrics()[-1] for run in self.converged}
        found = {seed: record.get("validation_accuracy") for seed, record in last.items()}
        return tuning.Trial(
            arm=self.config.activation,
            rates=self.rates,
            validation={s: value for s, value in found.items() if isinstance(value, float)},
            test={seed: float(np.mean(values)) for seed, values in self.by_seed().items()},
            asked=self.asked,
        )


def collect(configs: Sequence[MamlConfig], shared: Study, store: RunStore) -> list[Arm]:
    """The arms of a comparison, in the order in which they were asked for."""
    groups: dict[tuple[str, float, float], list[MamlConfig]] = {}
    for config in configs:
        key = config.activation, config.inner_lr, config.meta_lr
        groups.setdefault(key, []).append(config)
    arms = []
    for group in groups.values():
        runs = [open_run(config, shared, store) for config in group]
        done = tuple(run for run in runs if is_sound(run))
        arms.append(Arm(config=group[0], runs=done, asked=len(group)))
    return arms


def summarise(
    configs: Sequence[MamlConfig],
    shared: Study,
    store: RunStore,
    report: SweepReport,
    *,
    shared_rates: Sequence[Rates] | None = None,
) -> dict[str, Any]:
    """Everything the table shows, and the per-arm figures behind it, as one JSON document.

    Args:
        configs: The runs asked for.
        shared: The data, from `study`.
        store: The run store, read after the sweep.
        report: How the sweep ended.
        shared_rates: The rates of the reading at one rate for all; None: every rate there is. All
            other rates only serve each arm's choice of its own.

    Returns:
        Strict JSON.
    """
    arms = collect(configs, shared, store)
    config = configs[0]
    trials = [arm.trial() for arm in arms]
    rows = [_row(arm, trial, shared) for arm, trial in zip(arms, trials, strict=True)]
    choices = tuning.choose(trials) if shared.validation is not None else []
    _compare(rows, arms, shared_rates)
    return {
        "experiment": "maml",
        "dataset": config.dataset,
        "data": shared.split.provenance(),
        "test_episodes_sha256": shared.test.sha256,
        "held_out": shared.split.held_out,
        "protocol": config.protocol,
        "settings": _settings(configs),
        "chance": config.chance,
        "arms": rows,
        "tuned": _tuned(rows, arms, choices),
        "tuning": tuning.document(trials, choices, rates=MAML_RATES, shared=shared_rates),
        "reused_runs": report.reused,
        "missing": report.complaints(),
    }


_VARYING = ("activation", "seed", "inner_lr", "dataset")


def _settings(configs: Sequence[MamlConfig]) -> dict[str, object]:
    """What all runs share; the outer learning rate is no setting where it is tuned."""
    several = len({config.meta_lr for config in configs}) > 1
    varying = (*_VARYING, "meta_lr") if several else _VARYING
    return {k: v for k, v in configs[0].fields().items() if k not in varying}


def _row(arm: Arm, trial: tuning.Trial, shared: Study) -> dict[str, Any]:
    config, results = arm.config, [run.result() for run in arm.runs]
    trials = config.ways * config.test_queries
    converged = [r for r in results if r["outcome"] == "complete"]
    row: dict[str, Any] = {
        "activation": config.activation,
        **arm.rates,
        "seeds": arm.asked,
        "complete": len(results),
        "diverged": [r["iteration"] for r in results if r["outcome"] == "diverged"],
        "exploded": arm.exploded(),
        "parameters": results[0]["parameters"] if results else None,
        "held_out": None,
        "validation_accuracy": trial.score,
        "stuck_alpha": [r["stuck_alpha"] for r in results],
        "attention_layers": results[0]["attention_layers"] if results else 0,
    }
    if converged:
        matrix = arm.accuracies()
        row["held_out"] = asdict(analysis.crossed_interval(matrix, trials_per_episode=trials))
    if config.protocol == "paper" and converged:
        best = float(np.mean([r["best_training_accuracy"] for r in converged]))
        row["paper_protocol"] = best
        row["paper_protocol_by_seed"] = [r["best_training_accuracy"] for r in converged]
        row["gap"] = best - row["held_out"]["mean"]
        row["published"] = _published(config)
    return row


def _published(config: MamlConfig) -> float | None:
    """The figure of the paper's table 3, in 0..1; None for other settings than the paper's."""
    settings = config.fields() | {"dataset": Path(config.dataset).name}
    cell = maml_cell(settings, at_rates(config.fields(), MAML_RATES))
    if cell is None:
        return None
    percent = paper.table(cell[0]).get(paper_row(config.activation), {}).get(cell[1])
    return None if percent is None else percent / 100


def _compare(
    rows: Sequence[dict[str, Any]], arms: Sequence[Arm], shared_rates: Sequence[Rates] | None
) -> None:
    """Add each arm's paired difference from the first arm at the same shared rates."""
    references: dict[tuple[float, ...], Arm] = {}
    for arm in arms:
        if arm.config.activation == arms[0].config.activation:
            references[tuple(arm.rates.values())] = arm
    pairs = []
    for row, arm in zip(rows, arms, strict=True):
        reference = references.get(tuple(arm.rates.values()), arm)
        if reference is not arm and tuning.is_shared(arm.rates, shared_rates):
            pairs.append(_pair(row, arm, reference))
    add_differences(pairs)


def _pair(row: dict[str, Any], arm: Arm, reference: Arm) -> Pair:
    return Pair(
        row=row,
        reference=reference.config.activation,
        values=arm.by_seed(),
        reference_values=reference.by_seed(),
    )


def _tuned(
    rows: Sequence[dict[str, Any]], arms: Sequence[Arm], choices: Sequence[tuning.Choice]
) -> list[dict[str, Any]]:
    """Each arm at its own best rates, with its difference from the first one at its own."""
    chosen = [choice.index for choice in choices if choice.index is not None]
    tuned = [{k: v for k, v in rows[i].items() if k != "difference"} for i in chosen]
    add_differences(
        [
            _pair(row, arms[i], arms[chosen[0]])
            for row, i in list(zip(tuned, chosen, strict=True))[1:]
        ]
    )
    return tuned


def table(summary: Mapping[str, Any]) -> str:
    """The summary as plain-text tables with their footnotes: at shared rates, at each arm's own."""
    settings = summary["settings"]
    names = ["activation", "inner lr", *(["lr"] if "meta_lr" not in settings else [])]
    names += ["seeds", "held-out accuracy"]
    if summary["protocol"] == "paper":
        names += ["paper protocol", "gap", "published"]
    if any("difference" in row for row in (*summary["arms"], *summary["tuned"])):
        names += ["difference", "p (Holm)"]
    if any(row["attention_layers"] for row in summary["arms"]):
        names.append("stuck α")
    title = (
        f"MAML on {Path(summary['dataset']).name}: {settings['ways']}-way "
        f"{settings['shots']}-shot, {settings['test_episodes']} frozen test episodes, "
        f"{settings['model']} (BatchNorm: {settings['batch_norm']}), "
        f"{settings['iterations']} iterations, {summary['protocol']} protocol"
    )
    return tuning_report.readings(
        summary,
        names,
        rates=MAML_RATES,
        title=title,
        notes=_notes(summary),
        own_notes=lambda: _tuned_notes(summary),
        cells=_cells,
        interval=lambda row: row["held_out"],
        lost=lambda row: row["seeds"] - row["complete"] + len(row["diverged"]),
    )


def _tuned_notes(summary: Mapping[str, Any]) -> list[str]:
    notes = tuning.notes(summary["tuning"], MAML_RATES) + _explosions(summary["tuned"])
    if any("difference" in row for row in summary["tuned"]):
        notes.append(
            f"Difference: paired with {summary['tuned'][0]['activation']} at its own rates."
        )
    return notes


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    def percent(value: float | None, sign: str = "") -> str:
        return "" if value is None else f"{100 * value:{sign}.1f}"

    held = row["held_out"]
    accuracy = str(analysis.Interval(**held)) if held else "–"
    if row["diverged"]:
        at = ", ".join(str(i) for i in row["diverged"])
        accuracy = f"{accuracy} ({len(row['diverged'])} diverged at iteration {at})"
    if row["complete"] < row["seeds"]:
        accuracy = f"{accuracy} ({row['seeds'] - row['complete']} missing)"
    return {
        "activation": row["activation"],
        "inner lr": f"{row['inner_lr']:g}",
        "lr": f"{row['meta_lr']:g}",
        "seeds": str(row["seeds"]),
        "held-out accuracy": accuracy,
        "paper protocol": percent(row.get("paper_protocol")),
        "gap": percent(row.get("gap"), "+"),
        "published": percent(row.get("published")),
        "stuck α": f"{sum(row['stuck_alpha'])}/{row['attention_layers'] * row['complete']}"
        if row["attention_layers"]
        else "",
        **difference_cells(row),
    }


def _explosions(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One sentence for each arm whose training loss rose beyond all reason."""
    notes = []
    for row in rows:
        if row["exploded"]:
            at = ", ".join(str(i) for i in row["exploded"])
            where = in_words(at_rates(row, MAML_RATES), MAML_RATES)
            notes.append(
                f"{row['activation']} at {where}: the training loss exploded in "
                f"{len(row['exploded'])} of {row['complete']} runs (iteration {at}) and stayed "
                "finite; Adam hardly moves after that. A smaller --inner-lr or --lr may help."
            )
    return notes


def _notes(summary: Mapping[str, Any]) -> list[str]:
    varies = {row["held_out"]["varies"] for row in summary["arms"] if row["held_out"]}
    shared = "classes" if summary["held_out"] == "classes" else "images (the classes are the same)"
    over = f" 95 % intervals over {' / '.join(sorted(varies))}." if varies else ""
    notes = [f"Held out: {shared}.{over}"]
    if summary["settings"]["replacement"]:
        notes.append("Test episodes are drawn with replacement from the test images.")
    else:
        notes.append("No image occurs in two test episodes (drawn without replacement).")
    if any("difference" in row for row in summary["arms"]):
        reference = summary["arms"][0]["activation"]
        notes.append(f"Difference: paired with {reference}, in points, same episodes and seeds.")
    notes += _explosions(tuning_report.shared_rows(summary, MAML_RATES))
    if summary["protocol"] == "paper":
        notes.append(
            "Paper protocol: mean over seeds of the best training iteration; it is selected, on "
            "training tasks, and has no interval. Gap: paper protocol minus held-out."
        )
    if not summary["data"]["official"]:
        origin = summary["data"]["test"]
        notes.append(f"Not official data: {origin['dataset']}. {origin['note']}".strip())
    return notes
