"""Pictures on the page: each with its number, caption, legend, and the command that makes it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from metaact.reports import summary
from metaact.reports.document import Document, Picture, StudyReport
from metaact.reports.pictures import Drawn

from .page_html import Html, element
from .page_svg import WIDTH, inline, legend

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a study's section needs to know of the page.

    Attributes:
        margin: Half-width of the range in which differences do not matter, or None.
        draws: Whether this study's pictures are drawn.
        numbers: Numbers of the figures, counted through the page.
        told: Notes that stand on the page already in this study.
    """

    margin: float | None
    draws: bool = True
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    told: set[str] = field(default_factory=set)

    def new(self, notes: Iterable[str]) -> list[str]:
        """Those of some notes that this study has not told yet; they are from now on."""
        fresh = [note for note in dict.fromkeys(notes) if note not in self.told]
        self.told.update(fresh)
        return fresh


def figure(study: StudyReport, context: Context, drawn: Drawn | None) -> Html:
    """A picture; nothing where there is none."""
    if drawn is None:
        return Html("")
    name = f"{study.id}-figure-{drawn.kind}"
    samples = legend(drawn.figure)  # which it takes off the picture
    picture = inline(drawn.figure, name=f"{name}-svg", label=drawn.label, values=drawn.values)
    return element("figure", picture, samples, _caption(study, context, drawn.caption), id=name)


def forest(document: Document, context: Context) -> Html:
    """The differences of all studies in one picture; nothing where nothing is compared."""
    drawn = summary.forest(document, width=WIDTH)
    if drawn is None:
        return Html("")
    picture = inline(drawn.figure, name="forest-svg", label=drawn.label, values=drawn.values)
    number = element("b", f"Figure {next(context.numbers)}.")
    hint = " Point at a row, or go to it by keyboard, for its verdict in words."
    caption = element("figcaption", number, " ", drawn.caption, hint)
    return element("figure", picture, caption, id="forest")


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
    made = element("a", "How to make it", href=f"#{study.id}-runs-and-how-to-make-them-again")
    return element("figcaption", number, " ", words, " ", made, ".")


def commands(study: StudyReport) -> list[Html]:
    """The commands that make a study's runs, and then this page."""
    none = "Version 0.1.0 of metaact, which made these runs, recorded no commands."
    lines = [*study.commands, "metaact report runs -o report.html"]
    return [
        element("p", none, class_="notes") if not study.commands else Html(""),
        element("pre", element("code", "\n".join(lines)), tabindex="0"),
    ]
