"""The document as one HTML page that needs nothing else: no network, no script, no other file."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

from metaact.errors import check_int
from metaact.reports.document import Document, StudyReport

from .page_figures import Context
from .page_html import Html, element, fold, items, markup, minus
from .page_study import study_section
from .page_verdicts import MOST_SENTENCES, facts, verdicts

_MANY = 12
"""Left-out runs beyond these are folded."""

_MANY_STUDIES = 6
"""Beyond these each shows only its first verdicts at the head of the page."""

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
    body = element(
        "body",
        element("a", "To the verdicts", href="#verdicts", class_="skip"),
        _header(document, heading),
        element("main", _front(document), _studies(document, pictures)),
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
    return element("header", element("h1", heading), element("p", " · ".join(what)))


def _front(document: Document) -> Html:
    """What a reader sees first: what is missing, every question with its verdicts, the terms."""
    count = len(document.studies)
    most = MOST_SENTENCES if count <= _MANY_STUDIES else 3
    asked = [_question(study, alone=count == 1, most=most) for study in document.studies]
    return element(
        "section",
        _left_out(document),
        element("h2", "Questions and verdicts"),
        asked,
        _terms(document),
        id="verdicts",
    )


def _question(study: StudyReport, *, alone: bool, most: int) -> Html:
    answer = element("p", minus(study.learned.answer), class_="answer") if study.learned else None
    where = element("a", study.title, href=f"#{study.id}")
    return element(
        "article",
        element("h3", study.question),
        None if alone else element("p", where),
        facts(study),
        verdicts(study, most=most),
        answer,
        class_="asked",
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


def _studies(document: Document, pictures: int | None) -> list[Html]:
    """The studies in order; pictures only of those with most runs."""
    largest = sorted(document.studies, key=lambda study: -study.runs)
    drawn = {study.id for study in largest[:pictures]}
    context = Context(margin=document.margin, alone=len(document.studies) == 1)
    return [
        study_section(study, replace(context, draws=study.id in drawn))
        for study in document.studies
    ]


def _footer(document: Document) -> Html:
    words = f"Made by metaact {document.version} from run directories; the same as numbers: "
    return element("footer", element("p", words, element("code", "metaact compare runs --json")))
