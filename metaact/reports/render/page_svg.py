"""A Matplotlib figure as inline SVG, in the page's colours and fonts and with ids of its own."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metaact.analysis.figures import canvas
from metaact.reports.picture_values import Value

from .page_html import Html, element

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 4.0
"""Inches of a picture: its text stays readable when it is shrunk to a phone's width."""

_ROOM = 34 / (72 * WIDTH)
"""Units of the page for each point of a picture: the widest fill a figure, others stay smaller."""


def inline(figure: Figure, *, name: str, label: str, values: Sequence[Value] = ()) -> Html:
    """The figure as an `<svg>` element, without its legend.

    Args:
        figure: The figure.
        name: Prefix of its ids, unique on the page.
        label: What it shows, for those who do not see it.
        values: What it says in figures, shown on hover and focus.
    """
    buffer = io.StringIO()
    with canvas.style():
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None})
    drawn = buffer.getvalue()
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)
    assert size is not None  # Matplotlib writes it always
    body = _body(drawn, name) + _values(figure, values)
    title = element("title", label, id=f"{name}-title")
    # What holds something that can be focused is no image but a group of them.
    role = "group" if values else "img"
    return Html(
        f'<svg viewBox="0 0 {size[1]} {size[2]}" role="{role}" aria-labelledby="{name}-title" '
        f'class="picture" style="max-width:{_ROOM * float(size[1]):.1f}rem">{title}{body}</svg>'
    )


_LETTER = 4.1
"""Points: width of a letter of a value, of 7.5 points."""

_STEP = 10.0
"""Points from one line of a value to the next."""


def _values(figure: Figure, values: Sequence[Value]) -> str:
    """A place to point at for each value, with its words, which the style shows on hover."""
    if not values:
        return ""
    width, height = (72 * inches for inches in figure.get_size_inches())
    places = [_box(figure, value) for value in values]
    sides = [_neighbours(value, values, places) for value in values]
    parts = []
    for value, (left, top, right, bottom), (x0, x1) in zip(values, places, sides, strict=True):
        left, right = max(left, x0), min(right, x1)
        lines = [row for line in value.text.split("\n") for row in textwrap.wrap(line, 56) or [""]]
        wide, high = _LETTER * max(map(len, lines)) + 10, _STEP * len(lines) + 6
        x = min(max((left + right - wide) / 2, 1), max(width - wide - 1, 1))
        y = bottom + 2 if bottom + 2 + high < height or value.y is None else top - high - 2
        y = max(min(y, height - high - 1), 1) if value.y is None else y
        words = [
            element("tspan", line, x=f"{x + 5:.1f}", dy=f"{_STEP if n else 0:g}")
            for n, line in enumerate(lines)
        ]
        box = (
            f'<rect class="place" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}"/>'
            f'<g class="told" aria-hidden="true"><rect x="{x:.1f}" y="{y:.1f}" '
            f'width="{wide:.1f}" height="{high:.1f}" rx="3"/>'
        )
        text = element("text", words, y=f"{y + _STEP:.1f}")
        label = value.text.replace("\n", "; ")
        parts.append(
            element(
                "g",
                Html(f"{box}{text}</g>"),
                class_="value",
                tabindex="0",
                role="img",
                aria_label=label,
            )
        )
    return "".join(parts)


def _box(figure: Figure, value: Value) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what a value is about, in points of the picture."""
    axes = [one for one in figure.axes if one.get_visible()][value.panel]
    scale, height = 72 / figure.dpi, 72 * figure.get_figheight()
    inside = axes.get_window_extent()
    left, right = inside.x0 * scale, inside.x1 * scale
    top, bottom = height - inside.y1 * scale, height - inside.y0 * scale
    if value.x is not None:
        place = float(axes.transData.transform((value.x, axes.get_ylim()[0]))[0]) * scale
        left, right = max(left, place - 40), min(right, place + 40)
    if value.y is not None:
        ends = [axes.transData.transform((axes.get_xlim()[0], value.y + d))[1] for d in (-0.5, 0.5)]
        top, bottom = sorted(height - float(end) * scale for end in ends)
        left = 0.0
    return left, top, right, bottom


def _neighbours(
    value: Value, values: Sequence[Value], places: Sequence[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Where the places of the values left and right of one along an axis meet its own."""
    if value.x is None:
        return -1e9, 1e9
    boxes = dict(zip([one.x for one in values], places, strict=True))
    middle = {x: (box[0] + box[2]) / 2 for x, box in boxes.items()}
    own = middle[value.x]
    before = [(m + own) / 2 for m in middle.values() if m < own]
    after = [(m + own) / 2 for m in middle.values() if m > own]
    return max(before, default=-1e9), min(after, default=1e9)


def _body(drawn: str, name: str) -> str:
    """What is inside Matplotlib's `<svg>`, made small and made the page's own."""
    body = drawn[drawn.index("</metadata>") + len("</metadata>") : drawn.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.S)
    body = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", body)
    body = re.sub(r' (d|x|y|width|height|transform)="[^"]*"', lambda m: _rounded(m[0]), body)
    body = re.sub(r' style="[^"]*"', lambda m: _style(m[0]), body)
    body = _own_ids(body, name)
    body = re.sub(r"\s*\n\s*", " ", body)
    while (shorter := re.sub(r"<g>\s*</g>|<defs>\s*</defs>", "", body)) != body:
        body = shorter
    return re.sub(r"> <(?!tspan)", "><", body).strip()


def _rounded(attribute: str) -> str:
    """Coordinates to a tenth of a point, which is less than a pixel."""
    shorter = re.sub(r"\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}", attribute)
    return re.sub(r"\s*\n", "", shorter)


def _style(attribute: str) -> str:
    """A style with the page's fonts and colours."""
    without = re.sub(r"font-family:[^;\"]*;? ?", "", attribute)
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: _colour(m[0]), without)


def _own_ids(body: str, name: str) -> str:
    """Ids that are referred to get a prefix, the others go."""
    body = body.replace("xlink:href", "href")
    used = set(re.findall(r'href="#([^"]+)"', body)) | set(re.findall(r"url\(#([^)]+)\)", body))
    short = {old: f"{name}-{number}" for number, old in enumerate(sorted(used))}
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{short[m[1]]}"' if m[1] in short else "", body)
    body = re.sub(r'href="#([^"]+)"', lambda m: f'href="#{short[m[1]]}"', body)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{short[m[1]]})", body)


def _colour(value: str) -> str:
    """A colour of the canvas as the page's variable for it; black and grey as the text's."""
    if value in _ARMS:
        return f"var(--arm-{_ARMS.index(value) + 1})"
    red, green, blue = value[1:3], value[3:5], value[5:7]
    if value == "#b00020":
        return "var(--alarm)"
    if red == green == blue:
        grey = int(red, 16)
        return f"var(--{'ground' if grey > 240 else 'rule' if grey > 184 else 'faint'})"
    return value


_ARMS = tuple(colour.lower() for colour in canvas.ALL_COLOURS)


def legend(figure: Figure) -> Html:
    """Take the figure's legend off and give it as a list, which wraps where the page is narrow."""
    found: list[tuple[Any, str]] = []
    for old in list(figure.legends):
        texts = [text.get_text().replace(r"\$", "$") for text in old.get_texts()]
        found += zip(old.legend_handles, texts, strict=True)
        old.remove()
    if not found:
        return Html("")
    entries = [element("li", _sample(handle), " ", text) for handle, text in found]
    return element("ul", entries, class_="legend")


_DASHES = {"--": "7 3.5", "-.": "7 3 1.5 3", ":": "1.5 3"}

_SHAPES = {
    "o": '<circle cx="15" cy="6" r="3.4"/>',
    "s": '<rect x="12" y="3" width="6" height="6"/>',
    "^": '<path d="M15 2l4 7.5h-8z"/>',
    "v": '<path d="M15 10l4-7.5h-8z"/>',
    "<": '<path d="M11 6l7.5-4v8z"/>',
    ">": '<path d="M19 6l-7.5-4v8z"/>',
    "D": '<path d="M15 1.5l4.5 4.5l-4.5 4.5l-4.5-4.5z"/>',
    "P": '<path d="M13.5 2h3v2.5h2.5v3h-2.5v2.5h-3v-2.5h-2.5v-3h2.5z"/>',
    "X": '<path d="M12 1.5l3 3l3-3l1.5 1.5l-3 3l3 3l-1.5 1.5l-3-3l-3 3l-1.5-1.5l3-3l-3-3z"/>',
    "p": '<path d="M15 2l4 3l-1.5 4.5h-5l-1.5-4.5z"/>',
    "*": '<path d="M15 1.5l1.2 3.2h3.4l-2.7 2.1l1 3.3l-2.9-2l-2.9 2l1-3.3l-2.7-2.1h3.4z"/>',
}
"""Matplotlib's markers, about (15, 6) in a sample of 30 by 12."""


_HALVES = {
    "left": (0, 0, 15, 12),
    "right": (15, 0, 15, 12),
    "top": (0, 0, 30, 6),
    "bottom": (0, 6, 30, 6),
}
"""Where a half-filled marker is filled: x, y, width and height in the sample."""


def _sample(handle: Any) -> Html:
    """A short piece of a line with its marker, or of a band."""
    from matplotlib.colors import to_hex, to_rgba_array
    from matplotlib.lines import Line2D

    if isinstance(handle, Line2D):
        colour = _colour(to_hex(handle.get_color()))
        dashes = _DASHES.get(str(handle.get_linestyle()))
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        width = f"{1.25 * handle.get_linewidth():.3g}"
        inside = f'<path d="M0 6H30" stroke-width="{width}"{dash} style="stroke:{colour}"/>'
        inside += _marker(str(handle.get_marker()), str(handle.get_fillstyle()), colour)
    else:
        colour = _colour(to_hex(to_rgba_array(handle.get_facecolor())[0]))
        inside = f'<rect width="30" height="12" opacity=".3" style="fill:{colour}"/>'
    return Html(f'<svg viewBox="0 0 30 12" aria-hidden="true">{inside}</svg>')


def _marker(name: str, filled: str, colour: str) -> str:
    """A marker, filled as a whole, in half, or not at all."""
    shape = _SHAPES.get(name, "")
    if not shape or filled == "full":
        return f'<g style="fill:{colour}">{shape}</g>'
    outline = f'<g style="fill:var(--ground);stroke:{colour}">{shape}</g>'
    if filled not in _HALVES:
        return outline
    x, y, width, height = _HALVES[filled]
    place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    view = f'viewBox="{x} {y} {width} {height}"'
    return f'{outline}<svg {place} {view} style="fill:{colour}">{shape}</svg>'
