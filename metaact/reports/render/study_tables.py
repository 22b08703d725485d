"""The tables of a study: what plain text, Markdown, LaTeX and the page have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from metaact.analysis import Comparison, Interval, difference_text
from metaact.analysis.curves import stuck
from metaact.analysis.intervals import SEEDS
from metaact.analysis.wording import p_figure
from metaact.display import digits, html_lines, html_table
from metaact.reports.document import (
    ArmReport,
    FailureTest,
    Layer,
    Learned,
    Parameter,
    Score,
    StudyReport,
    Time,
)
from metaact.reports.shapes import NAMES as SHAPES
from metaact.settings import in_words

Row = dict[str, str]

MOST_LAYERS = 8
"""Layers of a network that have a row each; of more there is one row for all."""

AREA = "area under the curve"
"""Heading of what tells how fast an arm learns, also where an experiment makes a column of it."""


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

    def _repr_html_(self) -> str:
        shown = html_table(self.columns, self.rows, title=self.title)
        return shown + html_lines([*self.notes, *self.sentences])


def study_tables(study: StudyReport) -> list[StudyTable]:
    """All tables of one study of the document; those without rows are left out."""
    makers = (
        scores,
        further,
        others,
        failures,
        tuned,
        rates,
        learned,
        learned_at_best,
        optimism,
        speed,
        shape,
        attention,
    )
    return [table for make in makers if (table := make(study)).rows]


def scores(study: StudyReport) -> StudyTable:
    """Every arm with its interval and its comparison with the reference.

    The best arm stands first where all have the same rates; else the arms keep their order.
    """

    def height(arm: ArmReport) -> float:
        return study.measure.sign * arm.score.mean if arm.score else -math.inf  # none: last

    arms = study.arms
    if len({tuple(arm.rates.items()) for arm in arms}) == 1:
        arms = sorted(arms, key=height, reverse=True)
    rows = [_row(study, arm, study.comparisons) for arm in arms]
    sentences = [comparison.sentence for comparison in study.comparisons]
    notes = [
        *_levels(study, arms),
        *guessing(study),
        *family(study, study.comparisons),
        *study.notes,
        *study.column_notes,
        *study.data_notes,
    ]
    if study.measure.sign < 0:
        notes.append("A lower score is better; a positive difference is for the arm.")
    return _table(study, study.title, rows, notes, sentences)


def _levels(study: StudyReport, arms: Sequence[ArmReport]) -> list[str]:
    """The level of the intervals of scores, and what they are over."""
    found = dict.fromkeys(arm.score.varies for arm in arms if arm.score)
    return [f"{percents(study.level)} intervals over {' / '.join(found)}."] if found else []


def guessing(study: StudyReport) -> list[str]:
    """What guessing would give, where there is guessing."""
    chance = study.measure.chance
    return [f"Guessing gives {100 * chance:.3g} %."] if chance is not None else []


def family(study: StudyReport, found: Sequence[Comparison]) -> list[str]:
    """How differences and verdicts of one table are to be read."""
    if not found:
        return []
    level, most = percents(study.level), max(found, key=lambda c: c.compared)
    notes = [f"Differences: {level} intervals, from which the verdicts are read."]
    none = all(comparison.p_value is None for comparison in found)
    likewise = "" if none else "; p likewise"
    if most.compared > 1:
        notes = [
            f"Differences: simultaneous {level} intervals of {most.compared} questions "
            f"({most.corrected}), which hold all together and from which the verdicts are read"
            f"{likewise}. Asked alone: the {level} interval of a question if it had been the only "
            "one."
        ]
    if none:
        notes.append("No p-values: one seed says nothing about another.")
    assumed = dict.fromkeys(c.assumes for c in found if c.assumes)
    return [*notes, *assumed]


def further(study: StudyReport) -> StudyTable:
    """Figures of every arm that do not stand beside its score."""
    rows = []
    for arm in study.arms:
        cells = {name: _column(found) for name, found in arm.columns.items() if found.apart}
        rows += [{"arm": arm.name, **cells}] if cells else []
    return _table(study, "Further figures", rows, study.further_notes)


def others(study: StudyReport) -> StudyTable:
    """Every arm beside the reference in further figures, with the verdict in each."""
    title = f"Further figures: difference to {study.reference}"
    rows = []
    for arm in study.arms:
        cells = {
            name: f"{difference(found)} {found.verdict}"
            for name, all_ in study.others.items()
            for found in all_
            if found.first == arm.name
        }
        rows += [{"arm": arm.name, **cells}] if cells else []
    every = [found for all_ in study.others.values() for found in all_]
    if not every:
        return _table(study, title, [], [])
    most = max(found.compared for found in every)
    together = f"simultaneous {percents(study.level)} intervals" if most > 1 else "intervals"
    notes = [
        f"Above 0 the arm is better; {together} over {every[0].interval.varies}, which hold "
        "together for all arms of one column, and from which its verdicts are read. No figure: the "
        "same difference in every seed, or fewer than two seeds."
    ]
    return _table(study, title, rows, notes)


def failures(study: StudyReport) -> StudyTable:
    """How often seeds fail, and scores that count it; no rows where none did or stands apart."""
    title = "Failed seeds, and scores that do not hang on single seeds"
    measure, tests = study.measure, {test.first: test for test in study.failures}
    if not any(arm.failed or (arm.far is not None and measure.unit) for arm in study.arms):
        return _table(study, title, [], [])
    value = measure.failed
    counted_as = "" if value is None else f"{measure.name}, failed at {100 * value:g} %"
    rows = []
    for arm in study.arms:
        row = {
            "arm": arm.name,
            "failed": f"{len(arm.failed)} of {len(arm.runs)}",
            "share": interval(arm.failure_share),
            **({} if value is None else {counted_as: interval(arm.counted)}),
            "interquartile mean": score(study, arm.interquartile),
        }
        if arm.name in tests:
            row |= _failure_cells(tests[arm.name], 1 - study.level)
        rows.append(row)
    level = percents(study.level)
    counts = (
        ""
        if value is None
        else (
            f"The second score counts them at {100 * value:g} %; its {level} interval allows "
            "for how many fail. "
        )
    )
    notes = [
        f"Share of seeds that failed or diverged: exact {level} interval (Clopper and Pearson). "
        + counts
        + "Interquartile mean: of the middle half of all seeds.",
    ]
    varying = dict.fromkeys(arm.counted.varies for arm in study.arms if arm.counted)
    notes += [f"Where scores agree it is over {what}." for what in varying if what != SEEDS]
    if tests:
        notes.append(
            "Only here, only there: seeds on which just this arm, or just the reference, failed; "
            "p: exact (McNemar), over all these tests. Differences and verdicts above leave failed "
            "seeds out."
        )
    return _table(study, title, rows, notes)


def _failure_cells(found: FailureTest, threshold: float) -> Row:
    return {
        "only here": str(found.only_first),
        "only there": str(found.only_second),
        "p (exact)": p_value(found.p_value, threshold),
    }


def tuned(study: StudyReport) -> StudyTable:
    """Every arm at the rate that was its best on the validation part."""
    title = "Each arm at its own best rate, chosen on the validation part"
    if study.tuned is None:
        return _table(study, title, [], [])
    found = study.tuned
    rows = [_row(study, arm, found.comparisons) for arm in found.arms]
    sentences = [comparison.sentence for comparison in found.comparisons]
    notes = [*found.notes, *_levels(study, found.arms), *family(study, found.comparisons)]
    return _table(study, title, rows, notes, sentences)


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
    notes += [found.note] if found.note else []
    return _table(study, title, rows, [*_levels(study, study.arms), *notes])


def learned(study: StudyReport) -> StudyTable:
    """The parts of a difference that controls tell apart, at one rate for all."""
    return _learned(study, study.learned, "Learned, or only scaled?", study.arms)


def learned_at_best(study: StudyReport) -> StudyTable:
    """The same with each arm at its own best rate."""
    title = "Learned, or only scaled? Each arm at its own best rate"
    if study.tuned is None:
        return _table(study, title, [], [])
    return _learned(study, study.tuned.learned, title, study.tuned.arms)


def _learned(
    study: StudyReport, found: Learned | None, title: str, arms: Sequence[ArmReport]
) -> StudyTable:
    if found is None:
        return _table(study, title, [], [])
    # All parts are on the seeds that all their arms have: what one of them lost, all leave out.
    names = {n for part in found.parts for n in (part.difference.first, part.difference.second)}
    lost = any(arm.failed for arm in arms if arm.name in names)
    rows = [
        {
            "part": part.name,
            "arms": f"{part.difference.first} − {part.difference.second}",
            **_difference_cells(part.difference),
            "verdict": verdict(part.difference, lost=lost),
        }
        for part in found.parts
    ]
    asked = [part.difference for part in found.parts]
    movement = _movement(found.first, found.parameters)
    return _table(study, title, rows, [found.answer, *movement, *family(study, asked)])


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
            "selected figure": score(study, paper.figure),
            "published": score(study, paper.published),
            "held out": score(study, paper.held_out),
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
    areas = [arm.area for arm in study.arms if arm.area and AREA not in arm.columns]
    rows = []
    for arm in study.arms:
        if not areas and not arm.times:
            continue
        row = {"arm": arm.name}
        row |= {AREA: interval(arm.area)} if areas else {}
        row |= {f"to {100 * time.threshold:g} %": duration(time) for time in arm.times}
        rows.append(row)
    curve = next((time.curve for arm in study.arms for time in arm.times), study.measure.test)
    notes = [f"Of the {curve.replace('_', ' ')}, in {study.measure.axis.name}s."]
    if any(arm.times for arm in study.arms):
        notes[0] += (
            " Time: median over seeds (Kaplan-Meier); a seed that never gets there, or diverges, "
            "is censored at its planned end."
        )
    if areas:
        over = " / ".join(dict.fromkeys(area.varies for area in areas))
        notes.append(
            f"Area: mean height of the curve, {percents(study.level)} interval over {over}."
        )
    return _table(study, "How fast", rows, notes)


def shape(study: StudyReport) -> StudyTable:
    """How the order of the arms by the shape of their activations agrees with that by score."""
    title = f"Shape of the activations against {study.measure.test.replace('_', ' ')}"
    found = study.shapes
    if found is None:
        return _table(study, title, [], [])
    rows = [
        {
            "shape": SHAPES[one.name][0],
            "what it is": SHAPES[one.name][1],
            "from": digits(min(one.values.values()), 3),
            "to": digits(max(one.values.values()), 3),
            "rank correlation": interval(one.correlation),
        }
        for one in found.measures
    ]
    count = len(found.scores)
    notes = [
        f"Spearman's rank correlation over {count} arms{f', {found.at}' if found.at else ''}: "
        f"above 0, more of it goes with a better score. Each {percents(study.level)} interval is "
        "by itself, over arms as if they had been drawn at random. Arms differ in all of these at "
        "once: it names no cause.",
    ]
    if found.without:
        notes.append(f"Without {', '.join(found.without)}: no shape, no score, or a failed seed.")
    return _table(study, title, rows, notes)


def attention(study: StudyReport) -> StudyTable:
    """α and β of each layer at the end, and how many α are stuck at which end of their range.

    Of arms at several rates, those at each arm's own best.
    """
    arms = study.tuned.arms if study.tuned else study.arms
    rows = []
    for arm in arms:
        layers = arm.attention
        parts = {layer: [values] for layer, values in layers.items()}
        if len(layers) > MOST_LAYERS:
            parts = {f"all {len(layers)}": list(layers.values())}
        rows += [{"arm": arm.name, "layer": name, **_ends(part)} for name, part in parts.items()]
    notes = [
        "Means at the end, with the least and the greatest that a row has. α is as learned, before "
        "it is held between 0.01 and 0.99; above or below that it has no gradient and is stuck."
    ]
    return _table(study, "α and β at the end", rows, notes)


def _ends(layers: Sequence[Layer]) -> Row:
    """α and β of some layers at the end, over seeds."""
    alpha = np.array([one[-1] for layer in layers for one in layer.alpha], dtype=np.float64)
    beta = np.array([one[-1] for layer in layers for one in layer.beta], dtype=np.float64)
    above, below = (int((stuck(alpha) & end).sum()) for end in (alpha > 0.5, alpha <= 0.5))
    words = [
        f"{number} {where}" for number, where in ((above, "above"), (below, "below")) if number
    ]
    return {
        "α": _range(alpha),
        "β": _range(beta),
        "stuck α": f"{' and '.join(words) or '0'} of {alpha.size}",
    }


def _range(values: np.ndarray) -> str:
    if values.size == 1:
        return f"{values[0]:.3f}"
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def _row(study: StudyReport, arm: ArmReport, comparisons: Sequence[Comparison]) -> Row:
    row = {"arm": arm.name, "seeds": str(len(arm.seeds)), study.measure.name: _mean(study, arm)}
    if arm.failed:
        row[study.measure.name] += f" ({len(arm.failed)} diverged)"
    row |= {name: _column(found) for name, found in arm.columns.items() if not found.apart}
    if arm.attention_layers and _learns(arm):
        row["stuck α"] = f"{arm.stuck_alpha}/{arm.attention_layers * len(arm.runs)}"
    found = next((c for c in comparisons if c.first == arm.name), None)
    if found:
        lost = bool(arm.failed or study.arm(found.second).failed)
        row |= {
            **_difference_cells(found),
            "P(better)": percent(found.probability.mean),
            "verdict": verdict(found, lost=lost),
        }
    return row


def _difference_cells(found: Comparison) -> Row:
    """The difference with its simultaneous interval, the one asked alone, and p."""
    alone = (
        difference_text(found.alone, margin=found.margin).replace(" points", "").partition(" ")[2]
    )
    cells = {"difference": difference(found)}
    if found.compared > 1:
        cells["asked alone"] = alone
    if found.p_value is not None:
        cells["p"] = p_value(found.p_value, 1 - found.interval.level)
    return cells


def _learns(arm: ArmReport) -> bool:
    """Whether an arm has an α that can get stuck, and was not frozen."""
    return bool(arm.attention)


def verdict(comparison: Comparison, *, lost: bool = False) -> str:
    """The verdict, with what it rests on: one seed, an assumption, the seeds that did not fail.

    Args:
        comparison: The comparison.
        lost: Whether a seed of an arm failed.
    """
    notes = ["one seed"] if comparison.interval.seeds == 1 else []
    notes += ["if other seeds agree"] if comparison.assumes else []
    notes += ["without failed seeds"] if lost else []
    return f"{comparison.verdict} ({', '.join(notes)})" if notes else comparison.verdict


_LAST = ("stuck α", "difference", "asked alone", "p", "P(better)", "verdict")
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


def _mean(study: StudyReport, arm: ArmReport) -> str:
    """The score of an arm; one without an interval, of one seed, stands alone."""
    if arm.score is None and arm.by_seed:
        return study.measure.show(fmean(arm.by_seed.values()))
    return interval(arm.score)


def _column(found: Score) -> str:
    """A further figure of an arm; of seeds that show no variation it has no interval."""
    if found.score is not None or not found.by_seed:
        return interval(found.score)
    mean = fmean(found.by_seed.values())
    return f"{percent(mean)} %" if found.share else digits(mean)


def score(study: StudyReport, value: float | None) -> str:
    """A score without its unit; blank if there is none."""
    return "" if value is None else study.measure.show(value, unit=False)


def unit(study: StudyReport) -> str:
    """What captions add to the name of a measure."""
    return ", in percent" if study.measure.is_share else ""


def interval(found: Interval | None) -> str:
    """An interval as in all tables: "78.6 ± 1.0 %"."""
    return str(found) if found else "–"


def difference(comparison: Comparison) -> str:
    """A difference in points with its interval: "+4.7 [1.1, 8.3]"."""
    return difference_text(comparison.interval, margin=comparison.margin).replace(" points", "")


def p_value(p: float, threshold: float) -> str:
    """A p-value that never reads as 0, nor as on the other side of the threshold."""
    return p_figure(p, threshold)


def percents(level: float) -> str:
    """A level in percent: "95 %"."""
    return f"{100 * level:g} %"


def percent(value: float | None) -> str:
    """A share in percent; blank if there is none."""
    return "" if value is None else f"{100 * value:.1f}"


def duration(time: Time) -> str:
    """A median time, and how many seeds never got there."""
    missed = sum(first is None for first in time.by_seed)
    if missed == len(time.by_seed):
        return f"not within {digits(time.censored_at, 6)}" if time.censored_at else "–"
    shown = f">{digits(time.censored_at, 6)}" if time.median is None else digits(time.median, 3)
    return f"{shown} ({missed} of {len(time.by_seed)} not)" if missed else shown
