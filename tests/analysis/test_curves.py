"""Bands, stuck α, tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from metaact.analysis import Column, curve_band, render_table, short_hash, stuck
from metaact.errors import UsageError


def test_band_is_scipys_t_interval_per_point() -> None:
    matrix = np.random.default_rng(0).random((4, 6))
    mean, low, high = curve_band(matrix, level=0.9)
    expected = stats.t.interval(0.9, 3, matrix.mean(axis=0), stats.sem(matrix, axis=0))
    assert mean == pytest.approx(matrix.mean(axis=0))
    assert low == pytest.approx(expected[0])
    assert high == pytest.approx(expected[1])


def test_band_of_one_seed_and_of_a_diverged_one() -> None:
    mean, low, high = curve_band([[0.1, 0.2]])
    assert (mean.tolist(), low, high) == ([0.1, 0.2], None, None)
    mean, low, high = curve_band([[0.1, math.nan], [0.2, 0.9]])
    assert low is not None
    assert [math.isnan(x) for x in (mean[0], mean[1], low[1])] == [False, True, True]


def test_band_is_cut_to_bounds() -> None:
    _, low, high = curve_band([[0.1], [0.9]], bounds=(0, 1))
    assert low is not None
    assert high is not None
    assert (low[0], high[0]) == (0, 1)


def test_stuck_is_where_the_clamp_has_no_gradient() -> None:
    alpha = np.array([[0.9, 0.99, 0.9901], [0.01, 0.0099, math.nan]])
    assert stuck(alpha).tolist() == [[False, False, True], [False, True, True]]


def test_table_of_mappings_and_sequences() -> None:
    columns = [Column("arm"), Column("accuracy"), Column("parameters")]
    expected = (
        "T\n\n"
        "arm    accuracy      parameters\n"
        "-----  ------------  ----------\n"
        "arelu  92.5 ± 1.0 %       12936\n"
        "relu   –\n\n"
        "Note."
    )
    mappings = [
        {"arm": "arelu", "accuracy": "92.5 ± 1.0 %", "parameters": 12936, "other": 1},
        {"arm": "relu", "accuracy": None},
    ]
    assert render_table(columns, mappings, title="T", footnotes=["Note."]) == expected
    sequences = [("arelu", "92.5 ± 1.0 %", 12936), ("relu", None, "")]
    assert render_table(columns, sequences, title="T", footnotes=["Note."]) == expected


def test_table_is_refused_or_empty() -> None:
    with pytest.raises(UsageError, match="2 cells"):
        render_table([Column("a"), Column("b")], [("x",)])
    assert render_table([Column("a")], []) == "a\n-"
    assert render_table([Column("a", align="right")], [("long",)]) == "   a\n----\nlong"


def test_long_footnotes_are_wrapped() -> None:
    lines = render_table([Column("a")], [("x",)], footnotes=["word " * 60]).splitlines()
    assert len(lines) > 6
    assert max(map(len, lines)) <= 72


def test_short_hash_depends_on_every_part() -> None:
    assert short_hash(["a", "b"]) == short_hash(["b", "a"]) != short_hash(["a", "c"])
    assert len(short_hash([])) == 8
