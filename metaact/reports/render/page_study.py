"""One study on the page: the evidence, and folded what it takes to make it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from metaact.reports import pictures
from metaact.reports.document import StudyReport
from metaact.reports.pictures import Drawn
from metaact.reports.summary import MOST_ROWS

from . import page_sources as sources
from . import page_tables as tables
from . import study_tables
from .page_figures import Context, commands, example, figure
from .page_html import Html, element, fold, items, markup, minus, slug
from .page_svg import WIDTH
from .page_verdicts import facts

MOST_EXAMPLES = 6

Part: TypeAlias = Callable[[StudyReport, Context], Html]


def study_section(study: StudyReport, context: Context) -> Html:
    """A whole study."""
    context = replace(context, told=set())
    made = [_part(study, title, make(study, context)) for title, make in _parts(study)]
    folded = [
        # An address within what is folded opens it.
        fold(title, element("div", content, id=f"{study.id}-{slug(title)}"))
        for title, make in _FOLDED
        if (content := make(study, context))
    ]
    undrawn = element(
        "p",
        "The pictures of this study are not drawn, to keep the page small: ask for more with ",
        element("code", "--pictures"),
        ", or report these runs alone.",
        class_="notes",
    )
    return element(
        "section",
        element("h2", study.title, id=f"{study.id}-title"),
        element("p", study.question, class_="question"),
        facts(study),
        None if context.draws else undrawn,
        made,
        element("div", folded, class_="folded"),
        id=study.id,
        class_="study",
        aria_labelledby=f"{study.id}-title",
    )


def _parts(study: StudyReport) -> list[tuple[str, Part]]:
    """What is seen at once, in its order."""
    arm = study.by.replace("_", " ")
    return [
        ("Results", _results),
        ("Further figures", _further),
        ("Failed seeds", _failures),
        ("Learned, or only scaled?", _learned),
        (f"Each {arm} at its own best rate", _tuned),
        ("Pictures", _pictures),
    ]


def headings(study: StudyReport) -> list[tuple[str, str]]:
    """Addresses and names of a study's parts that a contents list names."""
    there = [
        ("Learned, or only scaled?", study.learned),
        (f"Each {study.by.replace('_', ' ')} at its own best rate", study.tuned),
    ]
    titles = ["Results", *(title for title, found in there if found)]
    titles.append("Runs, and how to make them again")
    return [(f"{study.id}-{slug(title)}", title) for title in titles]


def _part(study: StudyReport, title: str, content: Html) -> Html:
    if not content:
        return Html("")
    name = f"{study.id}-{slug(title)}"
    return element("section", element("h3", title, id=name), content)


def _drawn(study: StudyReport, context: Context, draw: Callable[[], Drawn | None]) -> Html:
    """A picture, if this study's are drawn at all."""
    return figure(study, context, draw() if context.draws else None)


def _results(study: StudyReport, context: Context) -> Html:
    return tables.results(study, context)


def _further(study: StudyReport, context: Context) -> Html:
    return markup(
        [
            tables.whole(study_tables.further(study), context),
            tables.whole(study_tables.others(study), context),
        ]
    )


def _failures(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.failures(study), context)


def _tuned(study: StudyReport, context: Context) -> Html:
    if study.tuned is None:
        return Html("")
    apart = study_tables.learned_at_best(study)
    return markup(
        [
            element(
                "p",
                "One rate for all arms confounds an arm with its gain. The results above compare "
                "arms at equal rates; here each has the rate that was best for it on validation "
                "data.",
            ),
            tables.whole(study_tables.tuned(study), context),
            fold(apart.title, tables.whole(apart, context)) if apart.rows else None,
        ]
    )


def _learned(study: StudyReport, context: Context) -> Html:
    if study.learned is None:
        return Html("")
    answer, *rest = study_tables.learned(study).notes
    return markup(
        [
            element("p", minus(answer), class_="answer"),
            tables.parts(study, study.learned),
            tables.reading(context.new(rest)),
        ]
    )


def _optimism(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.optimism(study), context)


def _pictures(study: StudyReport, context: Context) -> Html:
    """All pictures beside each other: differences only where the forest of all lacks some."""
    makers: list[Callable[[], Drawn | None]] = [
        lambda: pictures.learning(study, width=WIDTH),
        lambda: pictures.losses(study, width=WIDTH),
        lambda: pictures.sensitivity(study, width=WIDTH),
        lambda: pictures.start_values(study, width=WIDTH),
        lambda: pictures.shapes(study, width=WIDTH),
        lambda: pictures.trajectories(study, width=WIDTH),
        lambda: pictures.layers(study, width=WIDTH),
        lambda: pictures.against_shape(study, width=WIDTH),
    ]
    if len(study.comparisons) > MOST_ROWS or not study.measure.is_share:
        makers.insert(0, lambda: pictures.differences(study, context.margin, width=WIDTH))
    drawn = [_drawn(study, context, make) for make in makers]
    drawn += [example(study, context, found) for found in study.examples[:MOST_EXAMPLES]]
    if not any(drawn):
        return Html("")
    stuck = [
        f"{arm.name}: α is stuck in {arm.stuck_alpha} of "
        f"{arm.attention_layers * len(arm.runs)} layers at the end, and learns no more."
        for arm in study.arms
        if arm.stuck_alpha
    ]
    return markup([element("div", drawn, class_="pictures"), items(stuck, class_="notes")])


def _rates(study: StudyReport, context: Context) -> Html:
    if study.sensitivity is None:
        return Html("")
    words = (
        "These runs have no validation part, so no arm can be given its own best rate without a "
        "look at the test."
    )
    return markup(
        [
            element("p", words, class_="notes") if study.tuned is None else None,
            tables.whole(study_tables.rates(study), context),
        ]
    )


def _speed(study: StudyReport, context: Context) -> Html:
    return tables.speed(study, context)


def _shape(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.shape(study), context)


def _attention(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.attention(study), context)


def _ranks(study: StudyReport, context: Context) -> Html:
    return _drawn(study, context, lambda: pictures.ranks(study, width=WIDTH))


def _data(study: StudyReport, context: Context) -> Html:
    return sources.provenance(study)


def _settings(study: StudyReport, context: Context) -> Html:
    return sources.settings(study)


def _runs(study: StudyReport, context: Context) -> Html:
    words = "This command makes these runs, or finds them where they are:"
    if len(study.commands) > 1:
        words = "These commands make these runs, or find them where they are:"
    return markup(
        [
            element("p", words) if study.commands else None,
            commands(study),
            sources.runs(study),
            sources.environments(study),
        ]
    )


_FOLDED: tuple[tuple[str, Part], ...] = (
    ("Every arm at every rate", _rates),
    ("How fast it learns", _speed),
    ("Shape of the activations", _shape),
    ("Optimism: selected and held-out figures", _optimism),
    ("Ranks", _ranks),
    ("α and β at the end", _attention),
    ("Data and provenance", _data),
    ("Settings", _settings),
    ("Runs, and how to make them again", _runs),
)
"""What is looked up: folded, and open in print."""
