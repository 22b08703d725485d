"""Whether a published figure of few runs agrees with ours: a table of the paper, ours beside it.

A published mean of five runs has run-to-run noise of its own. Whether it lies in *our* confidence
interval is one question; whether five new runs of ours could have given it is the fairer one, which
a prediction interval answers. Both are shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from metaact import paper
from metaact.analysis import Column, Interval, image_interval, render_table, seed_interval
from metaact.experiments.paper.tables import PaperTable

from .document import Agreement, ArmReport, Cell, Document, StudyReport, TableReport
from .paper import row

LEVEL = 0.95

NO_SPREAD = 1e-12
"""Seeds that agree to this (one constant answer) show no run-to-run noise to predict from."""

DRAWS = 40_000
"""Draws of the best-of-n simulation: its quantiles are good to about 1 % of the spread."""


def table_report(table: PaperTable, document: Document, *, seeds: int) -> TableReport:
    """A table of the paper, ours beside it, from the document of its runs.

    Args:
        table: The table with its runs.
        document: What came of them.
        seeds: Seeds asked for.
    """
    cells = []
    for study in document.studies:
        for arm in study.arms:
            for column, by_seed, score in _figures(table, study, arm):
                cells.append(_cell(table, study, arm, column, by_seed, score, seeds))
    notes = [table.note] if table.note else []
    notes += dict.fromkeys(note for study in document.studies for note in study.data_notes)
    return TableReport(
        number=table.number,
        caption=paper.TABLES[table.number].caption,
        cells=cells,
        notes=notes,
    )


_Figure = tuple[str, Mapping[int, float], Interval | None]


def _figures(table: PaperTable, study: StudyReport, arm: ArmReport) -> Iterator[_Figure]:
    """Every figure of an arm that the table has: its column, by seed, and our interval."""
    own: _Figure = ("", arm.by_seed, arm.score)
    if table.figure == "selected":
        own = ("", arm.paper.by_seed if arm.paper else {}, None)
    more = [(name, found.by_seed, found.score) for name, found in arm.columns.items()]
    for heading, by_seed, score in (*more, own):
        column = table.column(study.settings, arm.rates["lr"], heading)
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
    images, values = study.measure.units, list(by_seed.values())
    percent = paper.table(table.number).get(row(arm.value), {}).get(column)
    agreement, interval = None, score
    if values and interval is None:
        interval = over_seeds(values, images)
    if values and interval is not None and percent is not None:
        compare = agreement_of_mean if table.over_runs == "mean" else agreement_of_best
        given = interval if table.over_runs == "mean" else None
        agreement = compare(values, percent / 100, images=images, runs=table.runs, interval=given)
        interval = agreement.interval
    return Cell(
        activation=arm.value,
        column=column,
        by_seed=dict(by_seed),
        asked=seeds,
        diverged=len(arm.seeds) + len(arm.failed) - len(values),
        interval=interval,
        agreement=agreement,
    )


def over_seeds(accuracies: Sequence[float], images: int) -> Interval:
    """Interval of a mean accuracy over training seeds; with one seed, over the test images.

    Args:
        accuracies: One per seed, in 0..1.
        images: Size of the test set.
    """
    if len(accuracies) == 1:
        return image_interval(round(accuracies[0] * images), images)
    return seed_interval(accuracies, trials=images)


def agreement_of_mean(
    accuracies: Sequence[float],
    published: float,
    *,
    images: int,
    runs: int,
    interval: Interval | None = None,
) -> Agreement:
    """Compare our mean with a published mean of `runs` runs.

    Formula: mean ± t(n-1)·s·sqrt(1/n + 1/runs) holds 95 % of the means of `runs` new runs.

    Args:
        accuracies: Ours, one per seed.
        published: The published mean.
        images: Size of the test set.
        runs: Runs behind it.
        interval: Ours with its interval; None makes one over seeds.
    """
    interval = interval or over_seeds(accuracies, images)
    n, expected = len(accuracies), None
    spread = float(np.std(accuracies, ddof=1)) if n > 1 else 0.0
    if spread > NO_SPREAD:
        quantile = float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
        half = quantile * spread * math.sqrt(1 / n + 1 / runs)
        expected = (max(0.0, interval.mean - half), min(1.0, interval.mean + half))
    return _agreement(interval.mean, interval, published, expected)


def agreement_of_best(
    accuracies: Sequence[float],
    published: float,
    *,
    images: int,
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
    ours: float, interval: Interval, published: float, expected: tuple[float, float] | None
) -> Agreement:
    return Agreement(
        ours=ours,
        interval=interval,
        published=published,
        inside=published in interval,
        expected=expected,
        plausible=None if expected is None else expected[0] <= published <= expected[1],
    )


def render(found: TableReport) -> str:
    """The comparison as a plain-text table."""
    names, notes = ["column", "activation", "seeds", "ours"], []
    if any(cell.held_out for cell in found.cells):
        names.append("held out")
    if found.compared:
        names += ["paper", "difference", "inside"]
        notes.append(
            f"Inside: whether the paper's figure lies in our interval: {found.inside} of "
            f"{len(found.compared)} cells."
        )
    names += ["5 new runs of ours"] if found.judged else []
    if any(len(cell.by_seed) == 1 for cell in found.cells):
        notes.append(
            "With one seed an interval does not include the spread between runs: --seeds 3 or more."
        )
    if found.judged:
        notes.append(
            "5 new runs of ours: where 95 % of such figures of five new runs would lie, which is "
            "the fairer question, as the paper's figure has run-to-run noise of its own: "
            f"{sum(found.judged)} of {len(found.judged)} cells lie there."
        )
    varies = sorted({cell.interval.varies for cell in found.cells if cell.interval})
    notes += [f"95 % intervals over {' / '.join(varies)}."] if varies else []
    return render_table(
        [Column(name) for name in names],
        [_cells(cell) for cell in found.cells],
        title=found.heading or f"Table {found.number}: {found.caption} (paper), in %",
        footnotes=[*notes, *found.notes],
    )


def _cells(cell: Cell) -> dict[str, str]:
    ours = str(cell.interval) if cell.interval else "–"
    if cell.diverged:
        ours += f" ({cell.diverged} diverged)"
    lacking = cell.asked - len(cell.by_seed) - cell.diverged
    if lacking > 0:
        ours += f" ({lacking} missing)"
    shown = {
        "column": cell.column,
        "activation": cell.activation,
        "seeds": str(cell.asked),
        "ours": ours,
        "held out": str(cell.held_out) if cell.held_out else "",
    }
    if cell.agreement:
        found = cell.agreement
        shown |= {
            "paper": f"{100 * found.published:.2f}",
            "difference": f"{100 * found.difference:+z.1f}",
            "inside": "yes" if found.inside else "no",
        }
        if found.expected:
            low, high = found.expected
            verdict = "yes" if found.plausible else "no"
            shown["5 new runs of ours"] = f"{verdict} [{100 * low:.1f}, {100 * high:.1f}]"
    return shown
