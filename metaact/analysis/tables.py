"""Plain-text tables for the terminal."""

from __future__ import annotations

import hashlib
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from metaact.display import unmoved
from metaact.errors import UsageError

_GAP = "  "

WIDTH: ContextVar[int | None] = ContextVar("WIDTH", default=None)
"""Letters in a line of the terminal that tables must fit; None where any width will do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading, and the key of its cells where rows are mappings.
        align: "left", "right", or "auto": right where all cells read as numbers.
    """

    name: str
    align: str = "auto"


def render_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[object] | Mapping[str, object]],
    *,
    title: str = "",
    footnotes: Sequence[str] = (),
) -> str:
    """Lay out a table in plain text.

    Args:
        columns: Headings from left to right.
        rows: Each a sequence with one cell per column, or a mapping from column names (other
            keys are ignored, missing ones are blank). None is shown as "–".
        title: A line above.
        footnotes: Sentences below, wrapped.

    Returns:
        Lines without trailing blanks, no newline at the end.

    Raises:
        UsageError: If a row has the wrong number of cells.

    Examples:
        >>> rows = [("arelu", "92.5 ± 1.0 %"), ("relu", None)]
        >>> print(render_table([Column("arm"), Column("accuracy")], rows))
        arm    accuracy
        -----  ------------
        arelu  92.5 ± 1.0 %
        relu   –
    """
    cells = [_cells(columns, row) for row in rows]
    widths = [
        max(len(text) for text in (column.name, *(row[i] for row in cells)))
        for i, column in enumerate(columns)
    ]
    right = [_is_right(column, [row[i] for row in cells]) for i, column in enumerate(columns)]
    natural = sum(widths) + len(_GAP) * (len(widths) - 1)
    limit = WIDTH.get() or natural
    lines = [*textwrap.wrap(title, WIDTH.get() or len(title)), ""] if title else []
    headings = [column.name for column in columns]
    if natural > limit:
        lines += _folded(headings, cells, right, limit)
    else:
        for row in (headings, ["-" * width for width in widths], *cells):
            texts = [
                text.rjust(width) if at_right else text.ljust(width)
                for text, width, at_right in zip(row, widths, right, strict=True)
            ]
            lines.append(_GAP.join(texts).rstrip())
    if footnotes:
        lines.append("")
        width = min(limit, 100) if natural > limit else max(72, min(100, natural))
        lines += [line for note in footnotes for line in textwrap.wrap(note, width)]
    return "\n".join(lines)


def _folded(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> list[str]:
    """The lines of a table whose cells are folded so that it is no wider than that."""
    with unmoved():
        return _laid_out(headings, cells, right, width)


def _laid_out(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool], width: int
) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading, at_right in zip(headings, right, strict=True):
        table.add_column(heading, justify="right" if at_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(table, markup=False, highlight=False)
    return [line.rstrip() for line in captured.get().splitlines()]


def _cells(columns: Sequence[Column], row: Sequence[object] | Mapping[str, object]) -> list[str]:
    if isinstance(row, Mapping):
        values: Sequence[object] = [row.get(column.name, "") for column in columns]
    else:
        values = row
    if len(values) != len(columns):
        raise UsageError(
            f"`rows` must have {len(columns)} cells each (one per column); got {len(values)}."
        )
    return ["–" if value is None else " ".join(str(value).split()) for value in values]


def _is_right(column: Column, texts: Sequence[str]) -> bool:
    if column.align != "auto":
        return column.align == "right"
    shown = [text for text in texts if text not in ("", "–")]
    return bool(shown) and all(_is_number(text) for text in shown)


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix("%").strip())
    except ValueError:
        return False
    return True


def short_hash(parts: Iterable[str], *, digits: int = 8) -> str:
    """A few hex digits over texts in any order: names a picture after the runs it shows.

    Examples:
        >>> short_hash(["a", "b"]) == short_hash(["b", "a"])
        True
    """
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:digits]
