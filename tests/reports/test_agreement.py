"""Intervals beside published figures: coverage on simulated runs, and the edges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from metaact import activations, paper
from metaact.experiments.paper.tables import convergence_table
from metaact.reports.agreement import (
    agreement_of_best,
    agreement_of_mean,
    over_seeds,
    render,
)
from metaact.reports.document import Cell, TableReport
from metaact.reports.paper import row


def test_one_seed_and_equal_seeds_never_have_zero_width() -> None:
    for accuracies in ([0.1135], [0.1135, 0.1135, 0.1135], [1.0], [0.0, 0.0]):
        interval = over_seeds(accuracies, 10_000)
        assert interval.low < interval.high
        assert "test images" in interval.varies


@pytest.mark.parametrize("accuracies", [[0.9], [0.9, 0.9, 0.9]])
def test_no_spread_says_nothing_about_new_runs(accuracies: list[float]) -> None:
    for compare in (agreement_of_mean, agreement_of_best):
        found = compare(accuracies, 0.9, images=10_000, runs=5)
        assert found.inside
        assert found.expected is None
        assert found.plausible is None


@pytest.mark.parametrize(
    ("compare", "runs"), [(agreement_of_mean, 5), (agreement_of_mean, 1), (agreement_of_best, 5)]
)
def test_same_population_is_plausible_95_percent_of_the_time(compare: Any, runs: int) -> None:
    draw = np.random.default_rng(1)
    combine = np.mean if compare is agreement_of_mean else np.max
    hits = 0
    for _ in range(400):
        ours, theirs = draw.normal(0.5, 0.02, 4), draw.normal(0.5, 0.02, runs)
        found = compare(list(ours), float(combine(theirs)), images=10_000, runs=runs)
        hits += bool(found.plausible)
    # Binomial(400, 0.95): standard deviation 4.4, so 380 ± 3 of them.
    assert 366 <= hits <= 394


def test_other_population_is_not_plausible() -> None:
    ours = [0.50, 0.51, 0.49, 0.50]
    assert agreement_of_mean(ours, 0.6, images=10_000, runs=5).plausible is False
    assert agreement_of_best(ours, 0.6, images=10_000, runs=5).plausible is False
    assert agreement_of_mean(ours, 0.6, images=10_000, runs=5).difference == pytest.approx(-0.1)


def test_best_is_our_best_and_lies_in_its_interval() -> None:
    found = agreement_of_best([0.3, 0.5, 0.4], 0.45, images=10_000, runs=5)
    assert found.ours == 0.5
    assert found.interval.low <= 0.5 <= found.interval.high


def table(*cells: Cell) -> TableReport:
    found = convergence_table(1)
    caption = paper.TABLES[1].caption
    return TableReport(number=1, caption=caption, cells=list(cells), notes=[found.note])


CELL = Cell(
    activation="relu",
    column="sgd_1e-3",
    by_seed={0: 0.36},
    asked=3,
    diverged=1,
    interval=None,
    agreement=agreement_of_mean([0.36], 0.359, images=10_000, runs=5),
)


def test_missing_and_diverged_seeds_are_shown() -> None:
    shown = render(table(CELL))
    assert "(1 diverged) (1 missing)" in shown
    assert "With one seed" in shown
    assert "35.90" in shown
    whole = render(table(replace(CELL, asked=1, diverged=0)))
    assert "diverged" not in whole
    assert "missing" not in whole


def test_how_many_lie_inside_is_counted() -> None:
    several = [0.35, 0.36, 0.37]
    near = agreement_of_mean(several, 0.359, images=10_000, runs=5)
    far = agreement_of_mean(several, 0.9, images=10_000, runs=5)
    cells = [
        replace(CELL, by_seed=dict(enumerate(several)), diverged=0, agreement=found)
        for found in (near, far, None)
    ]
    found = table(*cells)
    assert (len(found.compared), found.inside, found.judged) == (2, 1, [True, False])
    shown = " ".join(render(found).split())
    assert "1 of 2 cells" in shown
    assert "With one seed" not in shown


def test_every_activation_finds_the_row_of_its_title() -> None:
    """Reports know no registry, so they find the row by the name alone."""
    rows = {title for number in (1, 2, 3) for title in paper.table(number)}
    found = {row(entry.name) for entry in activations.entries()} - {""}
    assert found == rows
    for entry in activations.entries():
        title = row(entry.name)
        assert title == "" or title.lower() == entry.name.removesuffix("-paper"), entry.name
