"""One study on the page: its verdicts, then the evidence, then what it takes to make it again."""

from __future__ import annotations

from collections.abc import Callable

from metaact.reports import pictures
from metaact.reports.document import StudyReport
from metaact.reports.pictures import Drawn

from . import page_sources as sources
from . import page_tables as tables
from . import study_tables
from .page_figures import Context, commands, example, figure
from .page_html import Html, element, fold, items, markup, minus, slug
from .page_svg import WIDTH
from .page_verdicts import facts, verdict, verdicts

MOST_EXAMPLES = 6


def study_section(study: StudyReport, context: Context) -> Html:
    """A whole study."""
    arm = study.by.replace("_", " ")
    measure = study.measure.name
    parts = [
        ("Results", _results),
        ("Failed seeds", _failures),
        (f"Each {arm} at its own best rate", _tuned),
        (f"{measure.capitalize()} against the rate", _rates),
        ("Learned, or only scaled?", _learned),
        ("Optimism: selected and held-out figures", _optimism),
        ("How fast it learns", _speed),
        ("Ranks", _ranks),
        ("Start values of α and β", _start_values),
        ("Activations as learned", _functions),
        ("What the test looks like", _examples),
        ("Data and provenance", _data),
        ("Settings", _settings),
        ("Runs, and how to make them again", _runs),
    ]
    made = [_part(study, title, make(study, context)) for title, make in parts]
    undrawn = element(
        "p",
        "The pictures of this study are not drawn, to keep the page small: ask for more with ",
        element("code", "--pictures"),
        ", or report these runs alone.",
        class_="notes",
    )
    return element(
        "section",
        element("h2", study.title),
        None if context.alone else _summary(study),
        None if context.draws else undrawn,
        made,
        id=study.id,
        class_="study",
    )


def _summary(study: StudyReport) -> Html:
    """What stands at the head of the page too, for those who come to this study by a link."""
    return markup(
        [
            element("p", study.question, class_="question"),
            facts(study),
            element("h3", "Verdicts", id=f"{study.id}-verdicts"),
            verdicts(study),
        ]
    )


def _part(study: StudyReport, title: str, content: Html) -> Html:
    if not content:
        return Html("")
    name = f"{study.id}-{slug(title)}"
    return element("section", element("h3", title, id=name), content, aria_labelledby=name)


def _drawn(study: StudyReport, context: Context, draw: Callable[[], Drawn | None]) -> Html:
    """A picture, if this study's are drawn at all."""
    return figure(study, context, draw() if context.draws else None)


def _results(study: StudyReport, context: Context) -> Html:
    return markup(
        [
            tables.results(study),
            _drawn(
                study, context, lambda: pictures.differences(study, context.margin, width=WIDTH)
            ),
            tables.readings(study),
        ]
    )


def _failures(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.failures(study))


def _tuned(study: StudyReport, context: Context) -> Html:
    if study.tuned is None:
        return Html("")
    sentences = [verdict(comparison) for comparison in study.tuned.comparisons]
    return markup(
        [
            element(
                "p",
                "One rate for all arms confounds an arm with its gain. The results above compare "
                "arms at equal rates; here each has the rate that was best for it on validation "
                "data.",
            ),
            element("div", items(sentences), class_="verdicts") if sentences else None,
            tables.whole(study_tables.tuned(study)),
            tables.whole(study_tables.learned_at_best(study)),
        ]
    )


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
            _drawn(study, context, lambda: pictures.sensitivity(study, width=WIDTH)),
            tables.whole(study_tables.rates(study)),
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
            items(map(minus, rest), class_="notes"),
        ]
    )


def _optimism(study: StudyReport, context: Context) -> Html:
    return tables.whole(study_tables.optimism(study))


def _speed(study: StudyReport, context: Context) -> Html:
    curves = _drawn(study, context, lambda: pictures.learning(study, width=WIDTH))
    losses = _drawn(study, context, lambda: pictures.losses(study, width=WIDTH))
    parts = [curves, losses, tables.speed(study)]
    return element("div", parts, class_="pictures") if any(parts) else Html("")


def _ranks(study: StudyReport, context: Context) -> Html:
    return _drawn(study, context, lambda: pictures.ranks(study, width=WIDTH))


def _start_values(study: StudyReport, context: Context) -> Html:
    return _drawn(study, context, lambda: pictures.start_values(study, width=WIDTH))


def _functions(study: StudyReport, context: Context) -> Html:
    drawn = [
        _drawn(study, context, lambda: pictures.shapes(study, width=WIDTH)),
        _drawn(study, context, lambda: pictures.trajectories(study, width=WIDTH)),
    ]
    if not any(drawn):
        return Html("")
    stuck = [
        f"{arm.name}: α is stuck in {arm.stuck_alpha} of "
        f"{arm.attention_layers * len(arm.runs)} layers at the end, and learns no more."
        for arm in study.arms
        if arm.stuck_alpha
    ]
    return markup([element("div", drawn, class_="pictures"), items(stuck, class_="notes")])


def _examples(study: StudyReport, context: Context) -> Html:
    shown = [example(study, context, found) for found in study.examples[:MOST_EXAMPLES]]
    return element("div", shown, class_="pictures") if shown else Html("")


def _data(study: StudyReport, context: Context) -> Html:
    return sources.provenance(study)


def _settings(study: StudyReport, context: Context) -> Html:
    return fold(f"{len(study.settings)} settings", sources.settings(study))


def _runs(study: StudyReport, context: Context) -> Html:
    words = "This command makes these runs, or finds them where they are:"
    if len(study.commands) > 1:
        words = "These commands make these runs, or find them where they are:"
    name = study.measure.name.capitalize()
    return markup(
        [
            element("p", words) if study.commands else None,
            commands(study),
            fold(f"{name} of each seed, and its directory", sources.runs(study)),
            fold("Versions and machines", sources.environments(study)),
        ]
    )
