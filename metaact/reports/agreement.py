"""Whether a published figure of few runs agrees with ours: a table of the paper, ours beside it.

A published mean of five runs has run-to-run noise of its own. Whether it lies in *our* confidence
interval is one question; whether five new runs of ours could have given it is the fairer one, which
a prediction interval answers. Both are shown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from metaact import paper
from metaact.analysis import Column, Interval, image_interval, render_table, seed_interval
from metaact.errors import number_of
from metaact.experiments.paper.tables import PaperTable

from .document import Agreement, ArmReport, Cell, Document, StudyReport, TableReport
from .paper import row

LEVEL = 0.95

NO_SPREAD = 1e-12
"""Seeds that agree to this (one constant answer) show no run-to-run noise to predict from."""

DRAWS = 40_000
"""Draws of the best-of-n simulation: its quantiles are good to about 1 % of the spread."""


def table_report(table: PaperTable, document: Document, configs: Sequence[Any]) -> TableReport:
    """A table of the paper, ours beside it, from the document of its runs.

    Args:
        table: The table.
        document: What came of its runs.
        configs: The runs that were asked for: a cell of which none is there yet is in the table.
    """
    asked = Counter((c.activation, column) for c in configs for column in table.columns(c))
    found = {}
    for study in document.studies:
        for arm in study.arms:
            for column, by_seed, score in _figures(table, study, arm):
                of = arm.value, column
                found[of] = _cell(table, study, arm, column, by_seed, score, asked[of])
    cells = [found.get(of) or unmade(*of, asked[of]) for of in asked]
    notes = [*unfinished(cells), *([table.note] if table.note else [])]
    notes += dict.fromkeys(note for study in document.studies for note in study.data_notes)
    return TableReport(
        number=table.number,
        caption=paper.TABLES[table.number].caption,
        cells=cells,
        notes=notes,
        runs=table.runs,
    )


def unmade(activation: str, column: str, asked: int) -> Cell:
    """A cell of which no run is there."""
    return Cell(
        activation=activation,
        column=column,
        by_seed={},
        asked=asked,
        diverged=0,
        interval=None,
        agreement=None,
    )


def unfinished(cells: Sequence[Cell]) -> list[str]:
    """How far a table is of which runs are missing, a sentence; none if it is whole."""
    missing, asked = sum(cell.missing for cell in cells), sum(cell.asked for cell in cells)
    if not missing:
        return []
    whole = sum(not cell.missing for cell in cells)
    none = sum(cell.missing == cell.asked for cell in cells)
    return [
        f"Not done yet: {asked - missing} of {number_of(asked, 'figure')} (cells x seeds) are "
        f"there. Of {number_of(len(cells), 'cell')}, {whole} have all their seeds, "
        f"{len(cells) - whole - none} some and {none} none; the same command does the rest."
    ]


_Figure = tuple[str, Mapping[int, float], Interval | None]


def _figures(table: PaperTable, study: StudyReport, arm: ArmReport) -> Iterator[_Figure]:
    """Every figure of an arm that the table has: its column, by seed, and our interval."""
    own: _Figure = ("", arm.by_seed, arm.score)
    if table.figure == "selected":
        own = ("", arm.paper.by_seed if arm.paper else {}, None)
    more = [(name, found.by_seed, found.score) for name, found in arm.columns.items()]
    for heading, by_seed, score in (*more, own):
        column = table.column(study.settings, arm.rates, heading)
        if column is not None:
            yield column, by_seed, score


def _cell(
    table: PaperTable,
    study: StudyReport,
    arm: ArmReport,
    column: str,
    by_seed: Mapping[int, float],
    score: Interval | None,
    seeds: int,
) -> Cell:
    values = list(by_seed.values())
    images = study.measure.units if table.on_test else None
    percent = paper.table(table.number).get(row(arm.value), {}).get(column)
    agreement, interval = None, score
    if values and interval is None:
        interval = over_seeds(values, images)
    if values and percent is not None:
        compare = agreement_of_mean if table.over_runs == "mean" else agreement_of_best
        given = interval if table.over_runs == "mean" else None
        agreement = compare(values, percent / 100, images=images, runs=table.runs, interval=given)
        interval = agreement.interval
    held_out = None if table.on_test or not values else arm.score
    return Cell(
        activation=arm.value,
        column=column,
        by_seed=dict(by_seed),
        asked=seeds,
        diverged=len(arm.seeds) + len(arm.failed) - len(values),
        interval=interval,
        agreement=agreement,
        held_out=held_out,
        gap=None if held_out is None else float(np.mean(values)) - held_out.mean,
    )


def over_seeds(accuracies: Sequence[float], images: int | None) -> Interval | None:
    """Interval of a mean accuracy over training seeds; with one seed, over the test images.

    Args:
        accuracies: One per seed, in 0..1.
        images: Size of the test set; None where they are not of one, and one seed cannot tell.
    """
    if len(accuracies) > 1:
        return seed_interval(accuracies, trials=images)
    return None if images is None else image_interval(round(accuracies[0] * images), images)


def agreement_of_mean(
    accuracies: Sequence[float],
    published: float,
    *,
    images: int | None,
    runs: int,
    interval: Interval | None = None,
) -> Agreement:
    """Compare our mean with a published mean of `runs` runs.

    Formula: mean ± t(n-1)·s·sqrt(1/n + 1/runs) holds 95 % of the means of `runs` new runs.

    Args:
        accuracies: Ours, one per seed.
        published: The published mean.
        images: As for `over_seeds`.
        runs: Runs behind it.
        interval: Ours with its interval; None makes one over seeds.
    """
    interval = interval or over_seeds(accuracies, images)
    ours = float(np.mean(accuracies)) if interval is None else interval.mean
    n, expected = len(accuracies), None
    spread = float(np.std(accuracies, ddof=1)) if n > 1 else 0.0
    if spread > NO_SPREAD:
        quantile = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
        half = quantile * spread * math.sqrt(1 / n + 1 / runs)
        expected = (max(0.0, ours - half), min(1.0, ours + half))
    return _agreement(ours, interval, published, expected)


def agreement_of_best(
    accuracies: Sequence[float],
    published: float,
    *,
    images: int | None,
    runs: int,
    interval: Interval | None = None,
    seed: int = 0,
) -> Agreement:
    """Compare our best run with a published best of `runs` runs.

    The maximum of a sample has no confidence interval of the usual kind, and ours may be over fewer
    seeds. So the interval is the predictive one of a best of `runs`: mean and variance are drawn
    from their normal-theory posterior, then the runs, then their maximum; `seed` seeds the draws.
    `interval` is not used.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    n, best = len(values), float(values.max())
    spread = float(values.std(ddof=1)) if n > 1 else 0.0
    if spread <= NO_SPREAD:
        return _agreement(best, over_seeds([best] * min(n, 2), images), published, None)
    draw = np.random.default_rng(seed)
    deviation = spread * np.sqrt((n - 1) / draw.chisquare(n - 1, DRAWS))
    centre = values.mean() + deviation / math.sqrt(n) * draw.standard_normal(DRAWS)
    bests = (centre[:, None] + deviation[:, None] * draw.standard_normal((DRAWS, runs))).max(axis=1)
    low, high = np.clip(np.quantile(bests, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]), 0, 1)
    interval = Interval(
        mean=best,
        low=min(float(low), best),
        high=max(float(high), best),
        level=LEVEL,
        n=n,
        varies=f"training seeds (best of {runs} new runs)",
        seeds=n,
    )
    return _agreement(best, interval, published, (float(low), float(high)))


def _agreement(
    ours: float, interval: Interval | None, published: float, expected: tuple[float, float] | None
) -> Agreement:
    return Agreement(
        ours=ours,
        interval=interval,
        published=published,
        inside=None if interval is None else published in interval,
        expected=expected,
        plausible=None if expected is None else expected[0] <= published <= expected[1],
    )


def render(found: TableReport) -> str:
    """The comparison as a plain-text table."""
    names, notes = ["column", "activation", "seeds", "ours"], []
    if any(cell.held_out for cell in found.cells):
        names += ["held out", "gap"]
    new_runs = f"{number_of(found.runs, 'new run')} of ours"
    if found.compared:
        names += ["paper", "difference"]
    known = [each for each in found.compared if each.inside is not None]
    if known:
        names.append("inside")
        notes.append(
            f"Inside: whether the paper's figure lies in our interval: {found.inside} of "
            f"{len(known)} cells."
        )
    names += [new_runs] if found.judged else []
    if any(len(cell.by_seed) == 1 for cell in found.cells):
        notes.append(
            "With one seed an interval does not include the spread between runs: --seeds 3 or more."
        )
    if found.judged:
        notes.append(
            f"{new_runs}: where 95 % of such figures would lie, which is the fairer question, as "
            "the paper's figure has run-to-run noise of its own: "
            f"{sum(found.judged)} of {len(found.judged)} cells lie there."
        )
    varies = sorted({cell.interval.varies for cell in found.cells if cell.interval})
    notes += [f"95 % intervals over {' / '.join(varies)}."] if varies else []
    held_out = sorted({cell.held_out.varies for cell in found.cells if cell.held_out})
    if held_out and held_out != varies:
        notes.append(f"Of held-out figures over {' / '.join(held_out)}.")
    return render_table(
        [Column(name) for name in names],
        [_cells(cell, new_runs) for cell in found.cells],
        title=found.heading or f"Table {found.number}: {found.caption} (paper), in %",
        footnotes=[*notes, *found.notes],
    )


def _cells(cell: Cell, new_runs: str) -> dict[str, str]:
    ours = str(cell.interval) if cell.interval else "–"
    if cell.by_seed and not cell.interval:
        ours = f"{100 * np.mean(list(cell.by_seed.values())):.1f} %"
    if cell.diverged:
        ours += f" ({cell.diverged} diverged)"
    if cell.missing > 0:
        ours += f" ({cell.missing} missing)"
    shown = {
        "column": cell.column,
        "activation": cell.activation,
        "seeds": str(cell.asked),
        "ours": ours,
        "held out": str(cell.held_out) if cell.held_out else "",
        "gap": "" if cell.gap is None else f"{100 * cell.gap:+z.1f}",
    }
    if cell.agreement:
        found = cell.agreement
        shown |= {
            "paper": f"{100 * found.published:.2f}",
            "difference": f"{100 * found.difference:+z.1f}",
            "inside": {True: "yes", False: "no", None: "–"}[found.inside],
        }
        if found.expected:
            low, high = found.expected
            verdict = "yes" if found.plausible else "no"
            shown[new_runs] = f"{verdict} [{100 * low:.1f}, {100 * high:.1f}]"
    return shown
