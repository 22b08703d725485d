"""The head of a study on the page: what it rests on, and its verdicts in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from metaact.analysis import Comparison
from metaact.experiments.table import find
from metaact.reports.document import StudyReport

from .page_html import Content, Html, element, fold, items, markup, minus, slug

MOST_SENTENCES = 8
"""More verdicts than these are folded, the decided ones first."""

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
    if measure.chance is not None:
        pairs.append(("Guessing gives", f"{100 * measure.chance:g} %"))
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


def verdicts(study: StudyReport, *, most: int = MOST_SENTENCES) -> Html:
    """The sentences of all comparisons, decided ones first; more than `most` are folded."""
    order = list(_MARKS)
    found = sorted(study.comparisons, key=lambda comparison: order.index(comparison.verdict))
    if not found:
        return element("p", "No two arms here can be compared.", class_="notes")
    shown = [verdict(comparison) for comparison in found]
    rest = fold(_counted(found[most:]), items(shown[most:])) if found[most:] else None
    return element("div", items(shown[:most]), rest, class_="verdicts")


def _counted(found: Sequence[Comparison]) -> str:
    """What is folded, by verdict: "3 more: 1 worse, 2 no difference shown"."""
    kinds = Counter(comparison.verdict for comparison in found)
    return f"{len(found)} more: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}"


def verdict(comparison: Comparison) -> Html:
    """One comparison: its mark and its sentence."""
    kind = comparison.verdict
    mark = element("b", _MARKS[kind], class_=f"mark {slug(kind)}", aria_hidden="true")
    return markup([mark, " ", minus(comparison.sentence)])
