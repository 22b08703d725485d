"""The tables of a study: what plain text, Markdown, LaTeX and the page have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaact.analysis import Comparison, Interval, difference_text
from metaact.reports.document import ArmReport, Learned, Parameter, StudyReport, Time
from metaact.settings import in_words

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTable:
    """One table of a study.

    Attributes:
        study: Which study.
        title: What it shows.
        columns: Headings from left to right.
        rows: Cells by heading.
        notes: Sentences below.
        sentences: Verdicts in words, below the table.
    """

    study: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()


def study_tables(study: StudyReport) -> list[StudyTable]:
    """All tables of one study of the document; those without rows are left out."""
    makers = (scores, tuned, rates, learned, learned_at_best, optimism, speed)
    return [table for make in makers if (table := make(study)).rows]


def scores(study: StudyReport) -> StudyTable:
    """Every arm with its interval and its comparison with the reference.

    The best arm stands first where all have the same rates; else the arms keep their order.
    """

    def height(arm: ArmReport) -> float:
        return study.measure.sign * arm.score.mean if arm.score else -2.0  # without one: last

    arms = study.arms
    if len({tuple(arm.rates.items()) for arm in arms}) == 1:
        arms = sorted(arms, key=height, reverse=True)
    rows = [_row(study, arm, study.comparisons) for arm in arms]
    sentences = [comparison.sentence for comparison in study.comparisons]
    notes = [*study.notes, *study.column_notes, *study.data_notes]
    if study.measure.sign < 0:
        notes.append("A lower score is better; a positive difference is for the arm.")
    return _table(study, study.title, rows, notes, sentences)


def tuned(study: StudyReport) -> StudyTable:
    """Every arm at the rate that was its best on the validation part."""
    title = "Each arm at its own best rate, chosen on the validation part"
    if study.tuned is None:
        return _table(study, title, [], [])
    found = study.tuned
    rows = [_row(study, study.arm(name), found.comparisons) for name in found.chosen.values()]
    sentences = [comparison.sentence for comparison in found.comparisons]
    return _table(study, title, rows, found.notes, sentences)


def rates(study: StudyReport) -> StudyTable:
    """Every arm at every rate: the score against the rate that varies most."""
    found = study.sensitivity
    title = f"Every arm at every rate: test {study.measure.name}"
    if found is None:
        return _table(study, title, [], [])
    chosen = study.tuned.budget.chosen if study.tuned else {}
    rows = []
    for value, points in found.lines.items():
        row = {"arm": value}
        for point in points:
            text = interval(point.score)
            text += f" ({point.failed} diverged)" if point.failed else ""
            best = chosen.get(value, {}).get(found.rate) == point.rate
            row[in_words(found.rate, point.rate)] = f"{text} *" if best else text
        rows.append(row)
    notes = ["*: this arm's best on validation."] if chosen else []
    return _table(study, title, rows, notes)


def learned(study: StudyReport) -> StudyTable:
    """The parts of a difference that controls tell apart, at one rate for all."""
    return _learned(study, study.learned, "Learned, or only scaled?")


def learned_at_best(study: StudyReport) -> StudyTable:
    """The same with each arm at its own best rate."""
    title = "Learned, or only scaled? Each arm at its own best rate"
    return _learned(study, study.tuned.learned if study.tuned else None, title)


def _learned(study: StudyReport, found: Learned | None, title: str) -> StudyTable:
    if found is None:
        return _table(study, title, [], [])
    rows = [
        {
            "part": part.name,
            "arms": f"{part.difference.first} − {part.difference.second}",
            "difference": difference(part.difference),
            "p (Holm)": p_value(part.difference.p_holm),
            "verdict": verdict(part.difference),
        }
        for part in found.parts
    ]
    notes = [found.answer, *_movement(found.first, found.parameters)]
    if found.second:
        notes.append(
            "The total is tested first and alone; its parts are corrected together and explain "
            "only a total that is shown."
        )
    return _table(study, title, rows, notes)


def _movement(name: str, parameters: Mapping[str, Mapping[str, Parameter]]) -> list[str]:
    moved = [
        f"{layer} α {p['alpha'].start:.2f} → {p['alpha'].end:.2f}, "
        f"β {p['beta'].start:.2f} → {p['beta'].end:.2f}"
        for layer, p in parameters.items()
    ]
    return [f"Parameters of {name}, mean over seeds: {'; '.join(moved)}."] if moved else []


def optimism(study: StudyReport) -> StudyTable:
    """The paper's kind of figure beside the held-out one."""
    title = "Optimism: selected and held-out figures"
    found = [(arm, arm.paper) for arm in study.arms if arm.paper]
    rows = [
        {
            "arm": arm.name + (f" ({len(arm.failed)} diverged)" if arm.failed else ""),
            "selected figure": percent(paper.figure),
            "published": percent(paper.published),
            "held out": percent(paper.held_out),
            "gap": "" if paper.gap is None else f"{100 * paper.gap:+z.1f}",
        }
        for arm, paper in found
    ]
    selected = sorted({paper.selected_on for _, paper in found if paper.selected_on})
    held_out = sorted({paper.held_out_is for _, paper in found})
    notes = [f"Selected: the best on {'; '.join(selected)}."] if selected else []
    notes.append(f"Held out: on {'; '.join(held_out)}.")
    if not study.official and any(paper.published is not None for _, paper in found):
        notes.append(
            "The published figures were measured on the official data; these runs were not."
        )
    return _table(study, title, rows, notes)


def speed(study: StudyReport) -> StudyTable:
    """Area under the curve, and time to a score."""
    rows = []
    for arm in study.arms:
        if arm.area is None and not arm.times:
            continue
        row = {"arm": arm.name, "area under the curve": interval(arm.area)}
        row |= {f"to {100 * time.threshold:g} %": duration(time) for time in arm.times}
        rows.append(row)
    curve = next((time.curve for arm in study.arms for time in arm.times), study.measure.test)
    notes = [
        f"Of the {curve.replace('_', ' ')}, in {study.measure.axis.name}s. Time: median over seeds "
        "(Kaplan-Meier); a seed that never gets there is censored at its end. Area: mean height of "
        "the curve."
    ]
    return _table(study, "How fast", rows, notes)


def _row(study: StudyReport, arm: ArmReport, comparisons: Sequence[Comparison]) -> Row:
    row = {"arm": arm.name, "seeds": str(len(arm.seeds)), study.measure.name: interval(arm.score)}
    if arm.failed:
        row[study.measure.name] += f" ({len(arm.failed)} diverged)"
    row |= {name: interval(found.score) for name, found in arm.columns.items()}
    if arm.attention_layers and _learns(arm):
        row["stuck α"] = f"{arm.stuck_alpha}/{arm.attention_layers * len(arm.runs)}"
    found = next((c for c in comparisons if c.first == arm.name), None)
    if found:
        row |= {
            "difference": difference(found),
            "p (Holm)": p_value(found.p_holm),
            "effect d": "" if found.effect is None else f"{found.effect:+z.2f}",
            "P(better)": percent(found.probability.mean),
            "verdict": verdict(found),
        }
    return row


def _learns(arm: ArmReport) -> bool:
    """Whether an arm has an α that can get stuck, and was not frozen."""
    return bool(arm.attention)


def verdict(comparison: Comparison) -> str:
    """The verdict; one that rests on a single training seed says so."""
    alone = " (one seed)" if comparison.interval.seeds == 1 else ""
    return f"{comparison.verdict}{alone}"


_LAST = ("stuck α", "difference", "p (Holm)", "effect d", "P(better)", "verdict")
"""Headings that stand at the right, whatever columns an arm has."""


def _table(
    study: StudyReport,
    title: str,
    rows: Sequence[Row],
    notes: Sequence[str],
    sentences: Sequence[str] = (),
) -> StudyTable:
    names = list(dict.fromkeys(name for row in rows for name in row))
    ordered = [n for n in names if n not in _LAST] + [n for n in _LAST if n in names]
    return StudyTable(
        study=study.id,
        title=title,
        columns=tuple(name for name in ordered if any(row.get(name) for row in rows)),
        rows=tuple(rows),
        notes=tuple(notes),
        sentences=tuple(sentences),
    )


def interval(found: Interval | None) -> str:
    """An interval as in all tables: "78.6 ± 1.0 %"."""
    return str(found) if found else "–"


def difference(comparison: Comparison) -> str:
    """A difference in points with its interval: "+4.7 [1.1, 8.3]"."""
    return difference_text(comparison.interval).replace(" points", "")


def p_value(p: float) -> str:
    """A p-value with two digits that never reads as 0."""
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def percent(value: float | None) -> str:
    """A share in percent; blank if there is none."""
    return "" if value is None else f"{100 * value:.1f}"


def duration(time: Time) -> str:
    """A median time, and how many seeds never got there."""
    missed = sum(first is None for first in time.by_seed)
    if missed == len(time.by_seed):
        return f"not within {time.censored_at:g}"
    shown = f">{time.censored_at:g}" if time.median is None else f"{time.median:.3g}"
    return f"{shown} ({missed} of {len(time.by_seed)} not)" if missed else shown
