"""How things show themselves: one short line in a console, tables and pictures in a notebook."""

from __future__ import annotations

import html
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 200
"""Characters of one value."""

LONG = 1e9
"""From here on a number is shown as a power of ten."""


@contextmanager
def unmoved() -> Iterator[None]:
    """Python's own stream of random numbers is afterwards where it was: rich draws from it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def brief(thing: object, *values: object, **facts: object) -> str:
    """A `repr` of one line: the name of the type, and what tells one such thing from another.

    Args:
        thing: The object.
        values: Facts that need no name.
        facts: Facts by name.

    Examples:
        >>> brief(0.5, "arelu", seeds=3, accuracy=0.91234567)
        "float('arelu', seeds=3, accuracy=0.9123)"
    """
    parts = [*map(_short, values), *(f"{name}={_short(value)}" for name, value in facts.items())]
    return f"{type(thing).__name__}({', '.join(parts)})"


def unusual(thing: Any) -> dict[str, object]:
    """The fields of a dataclass that are not at their defaults."""
    found = {}
    for one in fields(thing):
        value = getattr(thing, one.name)
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if value != default:
            found[one.name] = value
    return found


def digits(value: float, significant: int = 4) -> str:
    """A number to so many significant digits; one with more before the point as a whole number.

    Examples:
        >>> digits(0.0123456), digits(2000.4, 3), digits(1234567.0), digits(2e30)
        ('0.01235', '2000', '1234567', '2e+30')
    """
    is_long = 10**significant - 0.5 <= abs(value) < LONG
    return f"{value:.0f}" if is_long else f"{value:.{significant}g}"


def _short(value: object) -> str:
    text = digits(value) if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def html_table(
    columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, title: str = ""
) -> str:
    """A table for a notebook; every text is escaped, and a cell that is not there is empty.

    Args:
        columns: Headings from left to right.
        rows: Cells by heading.
        title: What it shows.
    """
    head = "".join(f"<th>{escaped(name)}</th>" for name in columns)
    cells = ("".join(f"<td>{escaped(row.get(n, ''))}</td>" for n in columns) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    caption = f"<caption>{escaped(title)}</caption>" if title else ""
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_facts(title: str, facts: Mapping[str, object], *pictures: str) -> str:
    """A heading, pictures, and facts by name; without those that are empty.

    Args:
        title: The heading.
        facts: What is said, by name.
        pictures: Markup that is put there as it is.
    """
    rows = "".join(
        f"<tr><th>{escaped(name)}</th><td>{escaped(value)}</td></tr>"
        for name, value in facts.items()
        if value not in ("", None)
    )
    return f"<div><b>{escaped(title)}</b>{''.join(pictures)}<table>{rows}</table></div>"


def html_lines(lines: Iterable[str]) -> str:
    """Sentences, each a paragraph."""
    return "".join(f"<p>{escaped(line)}</p>" for line in lines)


def escaped(value: object) -> str:
    """A value as text that no browser takes for markup."""
    return html.escape(str(value))


def html_picture(pixels: NDArray[Any], *, caption: str = "", scale: int = 1) -> str:
    """A picture that lies in the page itself.

    Args:
        pixels: uint8 [height, width] or [height, width, 3].
        caption: What it shows.
        scale: Screen pixels for each of its own.
    """
    import base64
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    height, width = (scale * size for size in pixels.shape[:2])
    style = "image-rendering: pixelated" if scale > 1 else ""
    return (
        f'<figure style="margin: 0"><img alt="{escaped(caption)}" width="{width}" '
        f'height="{height}" style="{style}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escaped(caption)}</figcaption></figure>"
    )
