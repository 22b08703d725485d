"""One study on the page: its verdicts, then the evidence, then what it takes to make it again."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from . import page_tables as tables
from . import sheets
from .page_figures import Picture, Study, learning, sensitivity
from .page_forest import differences
from .page_html import Content, Html, element, fold, items, markup, minus, slug
from .page_learned import shapes, trajectories
from .page_ranks import ranks
from .page_svg import inline, legend

MOST_SENTENCES = 8
"""More verdicts than these are folded, the decided ones first."""

MOST_EXAMPLES = 6

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(slots=True, kw_only=True)
class Setting:
    """What is the same for all studies of a page.

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


def study_section(study: Study, setting: Setting) -> Html:
    """A whole study."""
    parts = [
        ("Results", _results),
        ("Each activation at its own best rate", _tuned),
        ("Accuracy against the rate", _rates),
        ("Learned, or only scaled?", _learned),
        ("Optimism: selected and held-out figures", _optimism),
        ("How fast it learns", _speed),
        ("Ranks", _ranks),
        ("Activations as learned", _functions),
        ("What the test looks like", _examples),
        ("Data and provenance", lambda study, _: tables.provenance(study)),
        ("Settings", _settings),
        ("Runs, and how to make them again", _runs),
    ]
    drawn = [_part(study, title, make(study, setting)) for title, make in parts]
    undrawn = element(
        "p",
        "The pictures of this study are not drawn, to keep the page small: ask for more with ",
        element("code", "--pictures"),
        ", or report these runs alone.",
        class_="notes",
    )
    return element(
        "section",
        element("h2", study["title"]),
        None if setting.alone else _summary(study),
        None if setting.draws else undrawn,
        drawn,
        id=study["id"],
        class_="study",
    )


def _summary(study: Study) -> Html:
    """What stands at the head of the page too, for those who come to this study by a link."""
    return markup(
        [
            element("p", study["question"], class_="question"),
            facts(study),
            element("h3", "Verdicts", id=f"{study['id']}-verdicts"),
            verdicts(study),
        ]
    )


def _part(study: Study, title: str, content: Html) -> Html:
    if not content:
        return Html("")
    name = f"{study['id']}-{slug(title)}"
    return element("section", element("h3", title, id=name), content, aria_labelledby=name)


def facts(study: Study) -> Html:
    """What a reader wants to know before any figure."""
    seeds = sorted({len(arm["seeds"]) + len(arm["diverged"]) for arm in study["arms"]})
    official = "official" if study["official"] else "NOT OFFICIAL"
    mark = element("strong", official, class_="good" if study["official"] else "bad")
    lost = sum(len(arm["diverged"]) for arm in study["arms"])
    total = sum(len(arm["runs"]) for arm in study["arms"])
    pairs: list[tuple[str, Content]] = [
        ("Data", mark),
        ("Tested on", f"{study['units']} {study['unit']}" if study["units"] else study["unit"]),
        ("Arms", str(len(study["arms"]))),
        ("Seeds an arm", " to ".join(str(seed) for seed in dict.fromkeys((seeds[0], seeds[-1])))),
        ("Runs", f"{total}, {lost} diverged" if lost else str(total)),
        ("Guessing gives", f"{100 * study['chance']:g} %"),
    ]
    if study["protocol"]:
        pairs.append(("Protocol", str(study["protocol"])))
    return element(
        "dl",
        [element("div", element("dt", name), element("dd", value)) for name, value in pairs],
        class_="facts",
    )


def verdicts(study: Study, *, most: int = MOST_SENTENCES) -> Html:
    """The sentences of all comparisons, decided ones first; more than `most` are folded."""
    order = list(_MARKS)
    found = sorted(study["comparisons"], key=lambda c: order.index(c["verdict"]))
    if not found:
        return element("p", "No two arms here can be compared.", class_="notes")
    shown = [_verdict(comparison) for comparison in found]
    rest = None
    if len(shown) > most:
        rest = fold(_counted(found[most:]), items(shown[most:]))
    return element("div", items(shown[:most]), rest, class_="verdicts")


def _counted(found: Sequence[Mapping[str, Any]]) -> str:
    """What is folded, by verdict: "3 more: 1 worse, 2 no difference shown"."""
    kinds = Counter(comparison["verdict"] for comparison in found)
    return f"{len(found)} more: {', '.join(f'{n} {kind}' for kind, n in kinds.items())}"


def _verdict(comparison: Mapping[str, Any]) -> Html:
    kind = comparison["verdict"]
    mark = element("b", _MARKS[kind], class_=f"mark {slug(kind)}", aria_hidden="true")
    return markup([mark, " ", minus(comparison["sentence"])])


_MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "no difference shown": "?"}


def _results(study: Study, setting: Setting) -> Html:
    return markup(
        [
            tables.results(study),
            _figure(study, setting, lambda s: differences(s, setting.margin)),
            tables.baselines(study),
            tables.readings(study),
        ]
    )


def _tuned(study: Study, setting: Setting) -> Html:
    if not study["tuned"]:
        return Html("")
    sentences = [_verdict(comparison) for comparison in study["tuned"]["comparisons"]]
    return markup(
        [
            element(
                "p",
                "One rate for all arms mixes an activation up with its gain. The results above "
                "compare arms at equal rates; here each has the rate that was best for it on "
                "validation data.",
            ),
            element("div", items(sentences), class_="verdicts") if sentences else None,
            tables.sheet(sheets.tuned(study)),
        ]
    )


def _rates(study: Study, setting: Setting) -> Html:
    if not study["sensitivity"]:
        return Html("")
    words = (
        "These runs have no validation part, so no arm can be given its own best rate without a "
        "look at the test."
    )
    alone = element("p", words, class_="notes") if not study["tuned"] else None
    return markup([alone, _figure(study, setting, sensitivity)])


def _learned(study: Study, setting: Setting) -> Html:
    found = study["learned"]
    if not found:
        return Html("")
    sheet = sheets.learned(study)
    return markup(
        [
            element("p", minus(found["answer"]), class_="answer"),
            tables.parts(study),
            items(sheet.notes[1:], class_="notes"),
        ]
    )


def _optimism(study: Study, setting: Setting) -> Html:
    found = sheets.optimism(study)
    return tables.sheet(found) if found.rows else Html("")


def _speed(study: Study, setting: Setting) -> Html:
    parts = [_figure(study, setting, learning), tables.speed(study)]
    return element("div", parts, class_="pictures") if any(parts) else Html("")


def _ranks(study: Study, setting: Setting) -> Html:
    return _figure(study, setting, ranks)


def _functions(study: Study, setting: Setting) -> Html:
    drawn = [_figure(study, setting, shapes), _figure(study, setting, trajectories)]
    if not any(drawn):
        return Html("")
    stuck = [
        f"{arm['name']}: α is stuck in {arm['stuck_alpha']} of "
        f"{arm['attention_layers'] * len(arm['seeds'])} layers at the end, and learns no more."
        for arm in study["arms"]
        if arm["stuck_alpha"]
    ]
    return markup([element("div", drawn, class_="pictures"), items(stuck, class_="notes")])


def _examples(study: Study, setting: Setting) -> Html:
    found = study.get("examples") or ()
    if not found:
        return Html("")
    shown = []
    for example in found[:MOST_EXAMPLES]:
        content = _png(Path(example["path"]))
        if content is None:
            words = f"{example['caption']} (the picture {example['path']} cannot be read)"
            shown.append(element("p", words, class_="notes"))
            continue
        image = element("img", src=content, alt=str(example["caption"]))
        caption = _caption(study, setting, str(example["caption"]))
        shown.append(element("figure", image, caption))
    return element("div", shown, class_="pictures")


def _png(path: Path) -> str | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if not content.startswith(_PNG):
        return None
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _settings(study: Study, setting: Setting) -> Html:
    return fold(f"{len(study['settings'])} settings", tables.settings(study))


def _runs(study: Study, setting: Setting) -> Html:
    return markup(
        [
            element("p", "This command makes these runs, or finds them where they are:"),
            _command(study),
            fold("Accuracy of each seed, and its directory", tables.runs(study)),
            fold("Versions and machines", tables.environments(study)),
        ]
    )


def _figure(study: Study, setting: Setting, make: Callable[[Study], Picture | None]) -> Html:
    """A picture with its number, caption, legend, and what makes it."""
    picture = make(study) if setting.draws else None
    if picture is None:
        return Html("")
    name = f"{study['id']}-figure-{picture.kind}"
    samples = legend(picture.figure)
    drawn = inline(picture.figure, name=f"{name}-svg", label=picture.label)
    return element("figure", drawn, samples, _caption(study, setting, picture.caption), id=name)


def _caption(study: Study, setting: Setting, words: str) -> Html:
    number = element("b", f"Figure {next(setting.numbers)}.")
    return element("figcaption", number, " ", words, fold("How to make it", _command(study)))


def _command(study: Study) -> Html:
    lines = [*study["reproduce"], "metaact report runs -o report.html"]
    return element("pre", element("code", "\n".join(lines)), tabindex="0")
