"""From the runs of `metaact maml` to one summary, its table and its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaact import analysis, paper
from metaact.runs import Run, RunStore

from .comparison import paper_row
from .config import MamlConfig
from .maml import Study, open_run
from .sweep import SweepReport

EXPLODED = 100.0
"""Training loss, in multiples of that of guessing, from which on a run is said to have exploded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The runs of one activation at one inner learning rate, over seeds.

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

    def accuracies(self) -> np.ndarray:
        """Test accuracies [seeds, episodes] of the runs that converged."""
        return np.array([[e["accuracy"] for e in run.episodes()] for run in self.converged])

    def exploded(self) -> list[int]:
        """Where the training loss of each run that went so far first rose beyond all reason.

        One such update fills Adam's second moments, and those after it hardly move the weights: the
        run ends with finite numbers and has all but stopped learning.
        """
        limit = EXPLODED * math.log(self.config.ways)
        first = [
            [m["iteration"] for m in r.metrics() if m["train_loss"] > limit] for r in self.runs
        ]
        return [found[0] for found in first if found]

    def validation(self) -> float | None:
        """Mean final validation accuracy; None without validation or with a diverged run."""
        if len(self.converged) < self.asked:
            return None
        last = [run.metrics()[-1].get("validation_accuracy") for run in self.converged]
        values = [value for value in last if isinstance(value, float)]
        return float(np.mean(values)) if len(values) == len(last) else None


def collect(configs: Sequence[MamlConfig], shared: Study, store: RunStore) -> list[Arm]:
    """The arms of a comparison, in the order in which they were asked for."""
    groups: dict[tuple[str, float], list[MamlConfig]] = {}
    for config in configs:
        groups.setdefault((config.activation, config.inner_lr), []).append(config)
    arms = []
    for group in groups.values():
        runs = [open_run(config, shared, store) for config in group]
        done = tuple(run for run in runs if run.is_complete)
        arms.append(Arm(config=group[0], runs=done, asked=len(group)))
    return arms


def summarise(
    configs: Sequence[MamlConfig], shared: Study, store: RunStore, report: SweepReport
) -> dict[str, Any]:
    """Everything the table shows, and the per-arm figures behind it, as one JSON document."""
    arms = collect(configs, shared, store)
    config = configs[0]
    rows = [_row(arm, shared) for arm in arms]
    _compare(rows, arms)
    tuned = _tuned(rows, arms)
    return {
        "experiment": "maml",
        "dataset": config.dataset,
        "data": shared.split.provenance(),
        "test_episodes_sha256": shared.test.sha256,
        "held_out": shared.split.held_out,
        "protocol": config.protocol,
        "settings": {k: v for k, v in config.fields().items() if k not in _VARYING},
        "chance": config.chance,
        "arms": rows,
        "tuned": tuned,
        "reused_runs": report.reused,
        "missing": report.complaints(),
    }


_VARYING = ("activation", "seed", "inner_lr", "dataset")


def _row(arm: Arm, shared: Study) -> dict[str, Any]:
    config, results = arm.config, [run.result() for run in arm.runs]
    trials = config.ways * config.test_queries
    converged = [r for r in results if r["outcome"] == "complete"]
    row: dict[str, Any] = {
        "activation": config.activation,
        "inner_lr": config.inner_lr,
        "seeds": arm.asked,
        "complete": len(results),
        "diverged": [r["iteration"] for r in results if r["outcome"] == "diverged"],
        "exploded": arm.exploded(),
        "parameters": results[0]["parameters"] if results else None,
        "held_out": None,
        "validation_accuracy": arm.validation(),
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
        row["published"] = _published(config, shared)
    return row


def _published(config: MamlConfig, shared: Study) -> float | None:
    """The figure of the paper's table 3 for these settings, in 0..1."""
    if Path(config.dataset).name != "mnist" or config.ways != 5 or config.shots not in (1, 5):
        return None
    cells = paper.table(3).get(paper_row(config.activation), {})
    percent = cells.get(f"ways5_shots{config.shots}")
    return None if percent is None else percent / 100


def _compare(rows: list[dict[str, Any]], arms: Sequence[Arm]) -> None:
    """Add each arm's paired difference from the first arm at the same inner learning rate."""
    references = {}
    for arm in arms:
        if arm.config.activation == arms[0].config.activation:
            references[arm.config.inner_lr] = arm
    pairs = [
        (row, arm, references[arm.config.inner_lr])
        for row, arm in zip(rows, arms, strict=True)
        if references.get(arm.config.inner_lr, arm) is not arm
    ]
    _add_differences(pairs)


def _add_differences(pairs: Sequence[tuple[dict[str, Any], Arm, Arm]]) -> None:
    """Paired over episodes and over the seeds that both arms have; Holm over all of them."""
    found = []
    for row, arm, reference in pairs:
        mine = {run.config["seed"]: i for i, run in enumerate(arm.converged)}
        theirs = {run.config["seed"]: i for i, run in enumerate(reference.converged)}
        seeds = sorted(mine.keys() & theirs.keys())
        if seeds:
            difference = analysis.paired_difference(
                arm.accuracies()[[mine[s] for s in seeds]],
                reference.accuracies()[[theirs[s] for s in seeds]],
            )
            found.append((row, reference, difference))
    adjusted = analysis.holm([difference.p_value for _, _, difference in found])
    for (row, reference, difference), p in zip(found, adjusted, strict=True):
        row["difference"] = {
            "reference": reference.config.activation,
            **asdict(difference),
            "p_holm": float(p),
        }


def _tuned(rows: list[dict[str, Any]], arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Each arm at the inner learning rate that was best on the validation part.

    Every arm had the same rates to choose from, and no test episode played a part. Empty where
    one rate was given or there is no validation part.
    """
    names = list(dict.fromkeys(arm.config.activation for arm in arms))
    chosen = []
    for name in names:
        mine = [i for i, arm in enumerate(arms) if arm.config.activation == name]
        scored = [(rows[i]["validation_accuracy"], i) for i in mine]
        usable = [(score, i) for score, i in scored if score is not None]
        if len(mine) > 1 and usable:
            chosen.append(max(usable)[1])
    tuned = [{k: v for k, v in rows[i].items() if k != "difference"} for i in chosen]
    if tuned:
        _add_differences(
            [
                (row, arms[i], arms[chosen[0]])
                for row, i in list(zip(tuned, chosen, strict=True))[1:]
            ]
        )
    return tuned


def table(summary: Mapping[str, Any]) -> str:
    """The summary as a plain-text table with its footnotes."""
    settings = summary["settings"]
    names = ["activation", "inner lr", "seeds", "held-out accuracy"]
    if summary["protocol"] == "paper":
        names += ["paper protocol", "gap", "published"]
    if any("difference" in row for row in (*summary["arms"], *summary["tuned"])):
        names += ["difference", "p (Holm)"]
    if any(row["attention_layers"] for row in summary["arms"]):
        names.append("stuck α")
    columns = [analysis.Column(name) for name in names]
    title = (
        f"MAML on {Path(summary['dataset']).name}: {settings['ways']}-way "
        f"{settings['shots']}-shot, {settings['test_episodes']} frozen test episodes, "
        f"{settings['model']} (BatchNorm: {settings['batch_norm']}), "
        f"{settings['iterations']} iterations, {summary['protocol']} protocol"
    )
    shown = analysis.render_table(
        columns, [_cells(row) for row in summary["arms"]], title=title, footnotes=_notes(summary)
    )
    if summary["tuned"]:
        shown += "\n\n" + analysis.render_table(
            columns,
            [_cells(row) for row in summary["tuned"]],
            title="Each arm at its best inner lr, chosen on the validation part",
        )
    return shown


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
    difference = row.get("difference")
    cells = {
        "activation": row["activation"],
        "inner lr": f"{row['inner_lr']:g}",
        "seeds": str(row["seeds"]),
        "held-out accuracy": accuracy,
        "paper protocol": percent(row.get("paper_protocol")),
        "gap": percent(row.get("gap"), "+"),
        "published": percent(row.get("published")),
        "stuck α": f"{sum(row['stuck_alpha'])}/{row['attention_layers'] * row['complete']}"
        if row["attention_layers"]
        else "",
    }
    if difference:
        interval = analysis.Interval(**difference["interval"])
        cells["difference"] = (
            f"{100 * interval.mean:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"
        )
        cells["p (Holm)"] = f"{difference['p_holm']:.2g}"
    return cells


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
    for row in summary["arms"]:
        if row["exploded"]:
            at = ", ".join(str(i) for i in row["exploded"])
            notes.append(
                f"{row['activation']} at inner lr {row['inner_lr']:g}: the training loss exploded "
                f"in {len(row['exploded'])} of {row['complete']} runs (iteration {at}) and stayed "
                "finite; Adam hardly moves after that. A smaller --inner-lr or --lr may help."
            )
    if summary["protocol"] == "paper":
        notes.append(
            "Paper protocol: mean over seeds of the best training iteration; it is selected, on "
            "training tasks, and has no interval. Gap: paper protocol minus held-out."
        )
    if not summary["data"]["official"]:
        origin = summary["data"]["test"]
        notes.append(f"Not official data: {origin['dataset']}. {origin['note']}".strip())
    return notes


def draw(configs: Sequence[MamlConfig], shared: Study, store: RunStore, folder: Path) -> list[Path]:
    """Learning curves of all arms, and α and β per layer of those that have them.

    Returns:
        The files written, PNG and SVG of each picture; none if no run is complete.
    """
    arms = [arm for arm in collect(configs, shared, store) if arm.converged]
    if not arms:
        return []
    config, stem = configs[0], _stem(arms)
    key = "train_accuracy" if shared.validation is None else "validation_accuracy"
    part = "training tasks" if shared.validation is None else "validation episodes"
    curves = {}
    for arm in arms:
        steps, values = _series(arm, key)
        mean, low, high = analysis.curve_band(values, bounds=(0.0, 1.0))
        curves[_label(arm, arms)] = (steps, mean, low, high)
    figure = analysis.learning_curves(
        curves,
        xlabel="meta-iteration",
        ylabel=f"accuracy on {part}",
        title=f"{Path(config.dataset).name}, {config.ways}-way {config.shots}-shot",
        chance=config.chance,
    )
    written = analysis.save_figure(figure, folder / f"{stem}-learning-curves")
    for arm in arms:
        layers = _attention_series(arm)
        if layers:
            picture = analysis.trajectories(
                layers, xlabel="meta-iteration", title=f"{_label(arm, arms)}: α and β per layer"
            )
            name = _label(arm, arms).replace(":", ".").replace(" ", "-")
            written += analysis.save_figure(picture, folder / f"{stem}-{name}-attention")
    return written


def _stem(arms: Sequence[Arm]) -> str:
    """A name that says what is compared and differs whenever a run does."""
    config = arms[0].config
    identity = analysis.short_hash([run.identity for arm in arms for run in arm.runs])
    return f"maml-{Path(config.dataset).stem}-{config.ways}way-{config.shots}shot-{identity}"


def _label(arm: Arm, arms: Sequence[Arm]) -> str:
    several = len({other.config.inner_lr for other in arms}) > 1
    name = arm.config.activation
    return f"{name} lr {arm.config.inner_lr:g}" if several else name


def _series(arm: Arm, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Iterations [points] and values [seeds, points] of one metric."""
    per_seed = [[m for m in run.metrics() if key in m] for run in arm.converged]
    steps = np.array([m["iteration"] + 1 for m in per_seed[0]])
    return steps, np.array([[m[key] for m in metrics] for metrics in per_seed])


def _attention_series(arm: Arm) -> dict[str, Any]:
    """Per layer: iterations [points], α and β [seeds, points]."""
    metrics = [run.metrics() for run in arm.converged]
    steps = np.array([m["iteration"] + 1 for m in metrics[0]])
    return {
        layer: (
            steps,
            np.array([[m["attention"][layer]["alpha"] for m in ms] for ms in metrics]),
            np.array([[m["attention"][layer]["beta"] for m in ms] for ms in metrics]),
        )
        for layer in metrics[0][0]["attention"]
    }
