"""The document as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

from metaact.errors import check_int
from metaact.reports.describe import short_names
from metaact.reports.document import Document

from .page_figures import Context, forest
from .page_html import Content, Html, element, fold, items, markup
from .page_study import headings, study_section
from .page_verdicts import table_of_verdicts

_MANY = 12
"""Left-out runs beyond these are folded."""

_MANY_STUDIES = 6
"""Beyond these the contents list names studies without their parts."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Nothing is loaded and no script runs, whatever an activation is called."""


def page(document: Document, *, title: str | None = None, pictures: int | None = None) -> str:
    """The whole page.

    Args:
        document: What `compare` returns.
        title: Heading; None names the study, or how many there are.
        pictures: How many studies have their pictures drawn, those with most runs; the others say
            how to get them. None draws all: a tenth of a second a picture, six a study.

    Returns:
        HTML, complete in itself.

    Raises:
        UsageError: If `pictures` is negative.
    """
    if pictures is not None:
        check_int("pictures", pictures, minimum=0)
    heading = title or _title(document)
    style = resources.files("metaact").joinpath("reports", "render", "page.css").read_text("utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", heading),
        element("style", Html(style)),
    )
    context = Context(margin=document.margin)
    front = _front(document, context, drawn=pictures != 0)
    body = element(
        "body",
        element("a", "To the summary", href="#summary", class_="skip"),
        _header(document, heading),
        element(
            "div",
            _contents(document),
            element("main", front, _studies(document, context, pictures)),
            class_="frame",
        ),
        _footer(document),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _title(document: Document) -> str:
    studies = document.studies
    if len(studies) == 1:
        return studies[0].title
    settings = {study.by for study in studies}
    asked = settings.pop().replace("_", " ") if len(settings) == 1 else "settings"
    what = "activation functions" if asked == "activation" else asked
    return f"{len(studies)} studies of {what}"


def _header(document: Document, heading: str) -> Html:
    studies = document.studies
    runs = sum(study.runs for study in studies)
    unofficial = sum(not study.official for study in studies)
    what = [
        f"{runs} runs in {len(studies)} {'study' if len(studies) == 1 else 'studies'}",
        f"{len(document.left_out)} left out" if document.left_out else "none left out",
        f"{unofficial} on data that are not official" if unofficial else "all data official",
        f"metaact {document.version}",
    ]
    return element("header", element("h1", heading), element("p", " · ".join(what)), id="top")


def _contents(document: Document) -> Html:
    """Links to all parts: in view beside a wide page, folded above a narrow one."""
    names = short_names(document.studies)
    few = len(document.studies) <= _MANY_STUDIES
    entries: list[Content] = [element("a", "Summary", href="#summary")]
    for study in document.studies:
        parts = [element("a", title, href=f"#{place}") for place, title in headings(study)]
        link = element("a", names[study.id], href=f"#{study.id}")
        entries.append([link, items(parts) if few else None])
    return element(
        "nav",
        fold("Contents", items(entries), class_="contents"),
        element("a", "Back to top", href="#top", class_="to-top"),
        aria_label="Contents",
    )


def _front(document: Document, context: Context, *, drawn: bool) -> Html:
    """What a reader sees first: what is missing, all studies in one picture and one table."""
    return element(
        "section",
        _left_out(document),
        element("h2", "Summary", id="summary-title"),
        element(
            "div",
            forest(document, context) if drawn else None,
            element("div", table_of_verdicts(document), _terms(document)),
            class_="summary",
        ),
        id="summary",
        aria_labelledby="summary-title",
    )


def _left_out(document: Document) -> Html:
    found = document.left_out
    if not found:
        return Html("")
    named = [markup([element("code", item.directory), ": ", item.why]) for item in found]
    count = f"{len(found)} {'directory was' if len(found) == 1 else 'directories were'} left out"
    rest = fold(f"{len(named) - _MANY} more", items(named[_MANY:])) if named[_MANY:] else None
    return element(
        "aside",
        element("h2", count),
        element("p", "Nothing of them is in any figure on this page."),
        items(named[:_MANY]),
        rest,
        class_="left-out",
    )


def _terms(document: Document) -> Html:
    """How the figures on this page are to be read."""
    over = {
        "both": "training seeds and test episodes or images, where the runs kept both",
        "seeds": "training seeds",
        "units": "test episodes or images, for the networks that were trained",
    }[document.over]
    within = "No margin was given, so no two arms can be called equivalent."
    if document.margin is not None:
        within = f"Within {100 * document.margin:g} points arms can be called equivalent."
    sentences = [
        f"Intervals are at {100 * document.level:g} %, over {over}; each says what varies. "
        f"Kind: {document.method}, seed of the bootstrap {document.seed}.",
        "Differences are paired: the same seeds and the same frozen test for both arms. Their "
        f"intervals hold all together at {100 * document.level:g} % over the questions of one "
        "table, and verdicts and two-sided p-values are read off them; beside them stands the "
        "interval of each question if it had been asked alone.",
        f"“No difference shown” is not “equal”. {within}",
        "P(better) is the probability that the arm scores higher than the reference on one new "
        "draw, ties counted half.",
        "“More, to settle it” is how much more would be needed if the difference that was found "
        "is the true one, in a new study whose number is fixed beforehand: adding seeds until "
        "something shows is looking again, and makes false alarms.",
    ]
    return fold("How to read the figures", items(sentences), class_="terms")


def _studies(document: Document, context: Context, pictures: int | None) -> list[Html]:
    """The studies in order; pictures only of those with most runs."""
    largest = sorted(document.studies, key=lambda study: -study.runs)
    drawn = {study.id for study in largest[:pictures]}
    return [
        study_section(study, replace(context, draws=study.id in drawn))
        for study in document.studies
    ]


def _footer(document: Document) -> Html:
    words = f"Made by metaact {document.version} from run directories; the same as numbers: "
    return element("footer", element("p", words, element("code", "metaact compare runs --json")))
