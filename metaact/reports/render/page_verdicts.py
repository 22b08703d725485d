"""What a study rests on, and the verdicts of all studies in one table."""

from __future__ import annotations

from collections.abc import Sequence

from metaact.experiments.table import find
from metaact.reports.describe import short_names
from metaact.reports.document import Document, StudyReport

from .page_html import Content, Html, element, fold, slug, table

MOST_NAMES = 8
"""More arms of one verdict than these are folded."""

_MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "no difference shown": "?"}
"""The verdicts in the order in which they are read, each with its mark."""


def facts(study: StudyReport) -> Html:
    """What a reader wants to know before any figure."""
    measure = study.measure
    seeds = [len(arm.seeds) + len(arm.failed) for arm in study.arms]
    lost = sum(len(arm.failed) for arm in study.arms)
    official = "official" if study.official else "NOT OFFICIAL"
    pairs: list[tuple[str, Content]] = [
        ("Data", element("strong", official, class_="good" if study.official else "bad")),
        ("Arms", str(len(study.arms))),
        ("Seeds an arm", " to ".join(dict.fromkeys((str(min(seeds)), str(max(seeds)))))),
        ("Runs", f"{study.runs}, {lost} diverged" if lost else str(study.runs)),
    ]
    if measure.unit:
        tested = f"{measure.units} {measure.unit}" if measure.units else measure.unit
        pairs.insert(1, ("Tested on", tested))
    if study.settings.get("protocol"):
        pairs.append(("Protocol", _protocol(study)))
    return element(
        "dl",
        [element("div", element("dt", name), element("dd", value)) for name, value in pairs],
        class_="facts",
    )


def _protocol(study: StudyReport) -> Html:
    """The protocol, with what it means as a tooltip."""
    known = find(study.experiment).settings.get("protocol")
    return element("span", str(study.settings["protocol"]), title=known.help if known else None)


def table_of_verdicts(document: Document) -> Html:
    """One row a study: against what, and which arms are better, worse, equivalent, open."""
    names = short_names(document.studies)
    rows: list[dict[str, Content]] = []
    for study in document.studies:
        link = element("a", names[study.id], href=f"#{study.id}")
        found = {kind: [c.first for c in study.comparisons if c.verdict == kind] for kind in _MARKS}
        lines = [_counted(kind, arms) for kind, arms in found.items() if arms]
        rows.append(
            {
                "study": [link, element("span", f"against {study.reference}", class_="against")],
                "verdicts": lines or "nothing to compare",
            }
        )
    caption = "Verdict on every arm, read off its simultaneous interval"
    return table(["study", "verdicts"], rows, caption=caption, text_columns=["verdicts"])


def _counted(kind: str, arms: Sequence[str]) -> Html:
    """The mark of a verdict and the arms that it is of; many are folded."""
    mark = element("b", _MARKS[kind], class_=f"mark {slug(kind)}", aria_hidden="true")
    names = ", ".join(arms)
    told = names if len(arms) <= MOST_NAMES else fold(f"{len(arms)} arms", names)
    return element("div", mark, f" {kind}: ", told, class_="verdict")
