"""Tables on a terminal: no line is wider, and no word of a cell is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from metaact.analysis import Column, render_table, tables

WORDS = st.text("abcdefgh0123456789.%[]", min_size=1, max_size=9)
CELLS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
ROWS = st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, width=st.integers(48, 120))
def test_a_table_is_as_wide_as_the_terminal_and_keeps_every_letter(
    rows: list[list[str]], width: int
) -> None:
    columns = [Column(name) for name in ("arm", "accuracy", "difference", "verdict")]
    token = tables.WIDTH.set(width)
    try:
        text = render_table(columns, rows, title="a title", footnotes=["one note", "another"])
    finally:
        tables.WIDTH.reset(token)
    assert max(map(len, text.splitlines())) <= width
    for letter in "abcdefgh0123456789":
        assert text.count(letter) >= sum(cell.count(letter) for row in rows for cell in row)


def test_a_table_that_fits_is_as_it_is_elsewhere() -> None:
    rows = [("arelu", "92.5 ± 1.0 %"), ("relu", None)]
    columns = [Column("arm"), Column("accuracy")]
    anywhere = render_table(columns, rows)
    token = tables.WIDTH.set(80)
    try:
        assert render_table(columns, rows) == anywhere
    finally:
        tables.WIDTH.reset(token)
