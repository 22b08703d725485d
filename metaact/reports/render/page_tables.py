"""The tables of results on the page: those of all formats, with more words where there is room."""

from __future__ import annotations

from collections.abc import Sequence

from metaact.analysis import Comparison
from metaact.analysis.verdicts import things
from metaact.analysis.wording import roughly
from metaact.reports.document import Learned, StudyReport, Time
from metaact.settings import counted

from . import study_tables
from .page_figures import Context
from .page_html import Content, Html, element, fold, items, markup, minus, table
from .study_tables import StudyTable

_WORDS = ("verdict", "arms", "what it is")
"""Columns that are not numbers."""


def whole(found: StudyTable, context: Context) -> Html:
    """One of the tables that `metaact compare` prints; nothing without rows.

    Its notes are folded below it, those left out that the study has told above.
    """
    if not found.rows:
        return Html("")
    drawn = table(found.columns, found.rows, caption=found.title, text_columns=_WORDS)
    return element("div", drawn, reading(context.new(found.notes)))


def reading(notes: Sequence[str]) -> Html:
    """Notes on how a table is to be read, folded."""
    if not notes:
        return Html("")
    return fold("How to read it", items(map(minus, notes), class_="notes"))


def parts(study: StudyReport, learned: Learned) -> Html:
    """The difference taken apart, with what each part means."""
    found = study_tables.learned(study)
    rows = [
        {**row, "what it is": part.sentence.partition(" (")[0]}
        for row, part in zip(found.rows, learned.parts, strict=True)
    ]
    first, *rest = found.columns
    names = [part.name for part in learned.parts if part.name != "total"]
    caption = f"The difference taken apart: total = {' + '.join(names)}"
    return table([first, "what it is", *rest], rows, caption=caption, text_columns=_WORDS)


def results(study: StudyReport, context: Context) -> Html:
    """Every arm with its interval, its comparison, and what would settle an open one."""
    found = study_tables.scores(study)
    by_arm = {comparison.first: comparison for comparison in study.comparisons}
    references = {comparison.second for comparison in study.comparisons}
    rows: list[dict[str, Content]] = [
        {**row, "verdict": "reference"} if row["arm"] in references else {**row}
        for row in found.rows
    ]
    needed = {row["arm"]: _settle(by_arm.get(row["arm"])) for row in found.rows}
    settle = [f"{arm}: {words}." for arm, words in needed.items() if words]
    caption = (
        f"Test {study.measure.name} of every arm{study_tables.unit(study)}, and its difference to "
        f"{study.reference}"
    )
    warnings = context.new([*study.notes, *study.data_notes])
    return markup(
        [
            table(found.columns, rows, caption=caption, text_columns=_WORDS),
            items(map(minus, warnings), class_="notes"),
            element(
                "div",
                reading(context.new(found.notes)),
                fold("What more would settle it", items(settle)) if settle else None,
                readings(study),
                class_="folded",
            ),
        ]
    )


def _settle(comparison: Comparison | None) -> str:
    """How much more would make this difference stand out, if it is the true one."""
    if comparison is None or comparison.verdict != "no difference shown" or comparison.assumes:
        return ""
    needed = comparison.needed.items()
    enough = [f"{roughly(count)} {things(name, count)}" for name, count in needed if count]
    never = [f"{name} alone cannot" for name, count in needed if count is None]
    return "; ".join([" or ".join(enough), *never] if enough else never)


def readings(study: StudyReport) -> Html:
    """Each arm's interval over units, over seeds and over both; nothing if there is one kind."""
    names = {
        "units": f"over {study.measure.unit}",
        "seeds": "over training seeds",
        "both": "over both",
    }
    rows: list[dict[str, str]] = []
    for arm in study.arms:
        known = {over: found for over, found in arm.intervals.items() if found}
        if known:
            cells = {names[over]: study_tables.interval(found) for over, found in known.items()}
            rows.append({"arm": arm.name, **cells})
    columns = [name for name in names.values() if any(row.get(name) for row in rows)]
    if len(columns) < 2:
        return Html("")
    level = study_tables.percents(study.level)
    caption = f"The same means with {level} intervals over what could be drawn anew"
    shown = table(["arm", *columns], rows, caption=caption)
    return fold("Intervals over each source of variation", shown)


def speed(study: StudyReport, context: Context) -> Html:
    """Area under the curve and times, and what was never reached in words."""
    found = study_tables.speed(study)
    if not found.rows:
        return Html("")
    steps = counted(study.measure.axis.name)
    missed = [
        f"{arm.name}: {100 * time.threshold:g} % not reached by {_missed(time)} within "
        f"{steps(time.censored_at)}."
        for arm in study.arms
        for time in arm.times
        if None in time.by_seed and time.censored_at
    ]
    censored = items(missed, class_="notes")
    if len(missed) > 6:
        censored = fold(f"Not reached: {len(missed)} cases", items(missed))
    return element("div", whole(found, context), censored)


def _missed(time: Time) -> str:
    count = len(time.by_seed)
    lost = sum(first is None for first in time.by_seed)
    if count == 1:
        return "its one seed"
    return f"any of {count} seeds" if lost == count else f"{lost} of {count} seeds"
