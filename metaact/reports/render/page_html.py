"""HTML as values: text is escaped unless it is markup already, so nothing a user named can act."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

VOID = frozenset({"br", "img", "meta"})


class Html(str):
    """Markup that is put on the page as it is."""

    __slots__ = ()


Content: TypeAlias = "str | Html | Iterable[Content] | None"


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Html:
    """One element.

    Args:
        name: Its tag.
        content: What it holds: text, which is escaped, `Html`, lists of both; None is nothing.
        attributes: By name, "_" for "-", a last "_" dropped; True has no value, None is left out.

    Examples:
        >>> element("p", "a < b ", element("b", "c"), class_="note", hidden=True)
        '<p class="note" hidden>a &lt; b <b>c</b></p>'
    """
    parts = [name]
    for key, value in attributes.items():
        called = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(called)
        elif value is not None and value is not False:
            parts.append(f'{called}="{html.escape(value)}"')
    opened = f"<{' '.join(parts)}>"
    return Html(opened if name in VOID else f"{opened}{markup(content)}</{name}>")


def markup(content: Content) -> Html:
    """Text escaped, markup as it is, lists joined."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return Html(html.escape(content, quote=False))
    return Html("".join(markup(part) for part in content))


def table(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Content]],
    *,
    caption: str,
    text_columns: Sequence[str] = (),
) -> Html:
    """A table in a frame of its own that scrolls sideways and can be reached by keyboard.

    The first column heads its rows. Columns are set to the right, except it and `text_columns`.

    Args:
        columns: Headings from left to right.
        rows: Cells by heading; what is missing is an empty cell.
        caption: What the table shows.
        text_columns: Columns of words.
    """
    left = {columns[0], *text_columns}

    def kind(name: str) -> str | None:
        return "words" if name in left else "number"

    head = [element("th", name, scope="col", class_=kind(name)) for name in columns]
    body = []
    for row in rows:
        first, *rest = columns
        cells = [element("th", row.get(first), scope="row")]
        cells += [element("td", _number(row.get(name)), class_=kind(name)) for name in rest]
        body.append(element("tr", cells))
    whole = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", head)),
        element("tbody", body),
    )
    return element("div", whole, class_="wide", role="group", tabindex="0", aria_label=caption)


def minus(text: str) -> str:
    """Text with a minus for a hyphen before a number.

    Examples:
        >>> minus("-1.3 [-3.6, 1.0] of 5-way")
        '−1.3 [−3.6, 1.0] of 5-way'
    """
    return re.sub(r"(?<![^\s\[(])-(?=\d)", "−", text)


def _number(content: Content) -> Content:
    plain = isinstance(content, str) and not isinstance(content, Html)
    return minus(str(content)) if plain else content


def items(contents: Iterable[Content], **attributes: str | None) -> Html:
    """A list of paragraphs; nothing if there are none."""
    entries = [element("li", content) for content in contents]
    return element("ul", entries, **attributes) if entries else Html("")


def fold(summary: Content, *content: Content, **attributes: str | bool | None) -> Html:
    """A part that is opened by a click; opened in print by the style."""
    return element("details", element("summary", summary), *content, **attributes)


def slug(text: str) -> str:
    """A name as part of an id: letters, digits and hyphens.

    Examples:
        >>> slug("maml-1 <learned>")
        'maml-1-learned'
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
