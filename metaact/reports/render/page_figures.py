"""Pictures on the page: each with its number, caption, legend, and the command that makes it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from metaact.reports.document import Picture, StudyReport
from metaact.reports.pictures import Drawn

from .page_html import Html, element, fold
from .page_svg import inline, legend

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a study's section needs to know of the page.

    Attributes:
        margin: Half-width of the range in which differences do not matter, or None.
        alone: Whether the page has one study, whose verdicts stand at its head.
        draws: Whether this study's pictures are drawn.
        numbers: Numbers of the figures, counted through the page.
    """

    margin: float | None
    alone: bool = False
    draws: bool = True
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


def figure(study: StudyReport, context: Context, drawn: Drawn | None) -> Html:
    """A picture; nothing where there is none."""
    if drawn is None:
        return Html("")
    name = f"{study.id}-figure-{drawn.kind}"
    samples = legend(drawn.figure)  # which it takes off the picture
    picture = inline(drawn.figure, name=f"{name}-svg", label=drawn.label)
    return element("figure", picture, samples, _caption(study, context, drawn.caption), id=name)


def example(study: StudyReport, context: Context, found: Picture) -> Html:
    """A picture of what is tested on, within the page; one that cannot be read is named."""
    content = _png(Path(found.path))
    if content is None:
        words = f"{found.caption} (the picture {found.path} cannot be read)"
        return element("p", words, class_="notes")
    image = element("img", src=content, alt=found.caption)
    return element("figure", image, _caption(study, context, found.caption))


def _png(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if not content.startswith(_PNG):
        return None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _caption(study: StudyReport, context: Context, words: str) -> Html:
    number = element("b", f"Figure {next(context.numbers)}.")
    return element("figcaption", number, " ", words, fold("How to make it", commands(study)))


def commands(study: StudyReport) -> list[Html]:
    """The commands that make a study's runs, and then this page."""
    none = "Version 0.1.0 of metaact, which made these runs, recorded no commands."
    lines = [*study.commands, "metaact report runs -o report.html"]
    return [
        element("p", none, class_="notes") if not study.commands else Html(""),
        element("pre", element("code", "\n".join(lines)), tabindex="0"),
    ]
