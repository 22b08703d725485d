"""Tuning as a reader sees it: the headings of the two readings, the table of every rate, pictures.

The pictures show test accuracy against a rate; what was chosen was chosen without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaact import analysis

from .rates import Rate, at_rates, in_words
from .tuning import Choice, Trial, choose

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN = "Each arm at its own best rate, chosen on validation"


def heading(tuning: Mapping[str, Any] | None, rates: Sequence[Rate]) -> str:
    """The line that says at which rates the first table is; "" without tuning.

    Examples:
        >>> from .rates import CONVERGE_RATES
        >>> heading({"shared": [{"lr": 0.1}]}, CONVERGE_RATES)
        'At the shared rate lr 0.1'
    """
    if tuning is None:
        return ""
    shared = [in_words(values, rates) for values in tuning["shared"]]
    if len(shared) == 1:
        return f"At the shared rate {shared[0]}"
    return f"At the shared rates {'; '.join(shared)}: every arm at each"


def shared_rows(summary: Mapping[str, Any], rates: Sequence[Rate]) -> list[dict[str, Any]]:
    """The arms of the first reading: those at the shared rates, or all where nothing is tuned."""
    tuning = summary["tuning"]
    if tuning is None:
        return list(summary["arms"])
    return [row for row in summary["arms"] if at_rates(row, rates) in tuning["shared"]]


def varied(rows: Sequence[Mapping[str, Any]], rates: Sequence[Rate]) -> list[Rate]:
    """The rates in which the rows differ."""
    return [rate for rate in rates if len({row[rate.field] for row in rows}) > 1]


def readings(
    summary: Mapping[str, Any],
    columns: Sequence[str],
    *,
    rates: Sequence[Rate],
    title: str,
    notes: Sequence[str],
    own_title: str = OWN,
    own_notes: Callable[[], Sequence[str]],
    cells: Callable[[Mapping[str, Any]], Mapping[str, str]],
    name: Callable[[Mapping[str, Any]], str] = lambda row: str(row["activation"]),
    interval: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    lost: Callable[[Mapping[str, Any]], int],
) -> str:
    """A verb's tables: at the shared rates, and where it tuned, each arm at its own and at all.

    Args:
        summary: The summary of a verb.
        columns: Headings.
        rates: The verb's rates.
        title: Line above the first table.
        notes: Sentences below it.
        own_title: Line above the second table.
        own_notes: Sentences below that.
        cells: A row's cells by heading.
        name: Of a row: the arm.
        interval: Of a row: its test accuracy.
        lost: Of a row: its seeds without a figure (diverged or missing).
    """
    headings = [analysis.Column(column) for column in columns]
    first = analysis.render_table(
        headings,
        [cells(row) for row in shared_rows(summary, rates)],
        title="\n".join(filter(None, (title, heading(summary["tuning"], rates)))),
        footnotes=notes,
    )
    if not summary["tuning"]:
        return first
    second = analysis.render_table(
        headings,
        [cells(row) for row in summary["tuned"]],
        title=own_title,
        footnotes=own_notes(),
    )
    third = every_rate(summary, rates, name=name, interval=interval, lost=lost)
    return "\n\n".join(filter(None, (first, second, third)))


def every_rate(
    summary: Mapping[str, Any],
    rates: Sequence[Rate],
    *,
    name: Callable[[Mapping[str, Any]], str],
    interval: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    lost: Callable[[Mapping[str, Any]], int],
) -> str:
    """A table of all arms at all rates; "" where the first table shows them all.

    Args:
        summary: The summary of a verb.
        rates: Its rates.
        name: Of a row: the arm.
        interval: Of a row: its test accuracy.
        lost: Of a row: its seeds without a figure (diverged or missing).
    """
    tuning, rows = summary["tuning"], summary["arms"]
    if tuning is None or len(shared_rows(summary, rates)) == len(rows):
        return ""
    chosen = [(c["arm"], c["rates"]) for c in tuning["chosen"]]
    across, *rest = sorted(varied(rows, rates), key=lambda r: -len(tuning["grid"][r.field]))
    lines: dict[tuple[object, ...], dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: [row[rate.field] for rate in rest]):
        key = (name(row), *(row[rate.field] for rate in rest))
        head = {"activation": name(row), **{r.title: f"{row[r.field]:g}" for r in rest}}
        found = interval(row)
        text = str(analysis.Interval(**found)) if found else "–"
        text += f" ({lost(row)} lost)" if lost(row) else ""
        text += " *" if (name(row), at_rates(row, rates)) in chosen else ""
        lines.setdefault(key, head)[f"{across.title} {row[across.field]:g}"] = text
    order = list(dict.fromkeys(name(row) for row in rows))
    shown = sorted(lines.values(), key=lambda line: order.index(line["activation"]))
    columns = ["activation", *(rate.title for rate in rest)]
    columns += [f"{across.title} {value:g}" for value in tuning["grid"][across.field]]
    return analysis.render_table(
        [analysis.Column(column) for column in columns],
        shown,
        title="Every arm at every rate: test accuracy",
        footnotes=["*: this arm's best on validation. Lost: seeds that diverged or are missing."],
    )


def draw(
    trials: Sequence[Trial],
    rates: Sequence[Rate],
    *,
    path: Path,
    title: str,
    chance: float,
) -> list[Path]:
    """Test accuracy against each rate that has several values, one line an arm, with its band.

    Where two rates are tuned, the picture of one shows each arm at its best value of the other.

    Args:
        trials: All arms at all rates.
        rates: The rates of the verb.
        path: Start of the files' names, without suffix.
        title: What was studied.
        chance: Accuracy of guessing.

    Returns:
        The files written; none where no rate has several values or no run has a figure.
    """
    several = [r for r in rates if len({t.rates[r.field] for t in trials}) > 1]
    choices, written = choose(trials), []
    for rate in several:
        others = [other for other in several if other is not rate]
        figure = _figure(trials, choices, rate, others, title=title, chance=chance)
        if figure is not None:
            stem = path.with_name(f"{path.name}-accuracy-against-{rate.option}")
            written += analysis.save_figure(figure, stem)
    return written


def _figure(
    trials: Sequence[Trial],
    choices: Sequence[Choice],
    rate: Rate,
    others: Sequence[Rate],
    *,
    title: str,
    chance: float,
) -> Figure | None:
    curves, without, gaps = {}, [], False
    for choice in choices:
        mine = [trial for trial in trials if trial.arm == choice.arm]
        if others:
            if choice.index is None:
                without.append(choice.arm)
                continue
            best = trials[choice.index].rates
            mine = [t for t in mine if all(t.rates[o.field] == best[o.field] for o in others)]
        mine.sort(key=lambda trial: trial.rates[rate.field])
        values = _values(mine)
        if np.isfinite(values).all(axis=0).any():
            x = np.array([trial.rates[rate.field] for trial in mine])
            curves[choice.arm] = (x, *analysis.curve_band(values, bounds=(0.0, 1.0)))
            gaps = gaps or not np.isfinite(values).all()
        else:
            without.append(choice.arm)
    if not curves:
        return None
    at = f", each arm at its best {' and '.join(o.title for o in others)}" if others else ""
    left = (
        f"; without {', '.join(without)}, no rate at which all seeds are there" if without else ""
    )
    missing = "; no point where a seed diverged or is missing" if gaps else ""
    figure = analysis.learning_curves(
        curves,
        xlabel=f"{rate.title} (log scale{missing})",
        ylabel="test accuracy",
        title=f"{title}: accuracy against {rate.title}{at}{left}",
        chance=chance,
        logx=True,
    )
    tried = sorted({trial.rates[rate.field] for trial in trials})
    figure.axes[0].set_xticks(tried, [f"{value:g}" for value in tried])
    figure.axes[0].set_xticks([], minor=True)
    return figure


def _values(trials: Sequence[Trial]) -> np.ndarray:
    """Test accuracies [seeds, rates]; NaN where a seed has none, so that no mean is shown there."""
    seeds = sorted({seed for trial in trials for seed in trial.test})
    rows = max([len(seeds), *(trial.asked for trial in trials)])
    values = np.full((rows, len(trials)), np.nan)
    for column, trial in enumerate(trials):
        for row, seed in enumerate(seeds):
            values[row, column] = trial.test.get(seed, np.nan)
    return values
