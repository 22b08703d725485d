"""The document as plain text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from metaact.analysis import Column, render_table
from metaact.reports.document import ArmReport, Document, StudyReport

from .study_tables import StudyTable, study_tables, verdict


def plain(document: Document) -> str:
    """Tables, verdicts and what was left out, for a terminal."""
    parts = []
    for study in document.studies:
        for table in study_tables(study):
            columns = [Column(name) for name in table.columns]
            notes = list(table.notes)
            parts.append(render_table(columns, table.rows, title=table.title, footnotes=notes))
            if table.sentences:
                parts.append("\n".join(table.sentences))
    parts += _left_out(document)
    return "\n\n".join(parts)


def _left_out(document: Document) -> list[str]:
    if not document.left_out:
        return []
    lines = [f"Left out, {len(document.left_out)} of the directories found:"]
    return ["\n".join([*lines, *(f"  {i.said}" for i in document.left_out)])]


def markdown(document: Document) -> str:
    """The same tables in Markdown."""
    parts = []
    for table in _tables(document):
        head = _cells(table.columns)
        rows = [_cells(row.get(name, "") for name in table.columns) for row in table.rows]
        rule = "| " + " | ".join("---" for _ in table.columns) + " |"
        parts.append("\n".join([f"**{_pipes(table.title)}**", "", head, rule, *rows]))
        parts += [_pipes(note) for note in table.notes]
        parts += ["\n".join(f"- {_pipes(sentence)}" for sentence in table.sentences)]
    return "\n\n".join(part for part in [*parts, *_left_out(document)] if part)


def _tables(document: Document) -> Iterable[StudyTable]:
    return (table for study in document.studies for table in study_tables(study))


def _cells(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_pipes(cell) for cell in cells) + " |"


def _pipes(text: str) -> str:
    """A text that Markdown shows as it is: no cell borders, no HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;")


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "→": r"$\to$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "<": r"$<$",
    ">": r"$>$",
}


def latex(document: Document) -> str:
    """The same tables for a LaTeX document that loads `booktabs`."""
    return "\n\n".join(_latex_table(table) for table in _tables(document))


def _latex_table(table: StudyTable) -> str:
    rows = [[row.get(name, "") for name in table.columns] for row in table.rows]
    caption = _tex(f"{table.title}. {' '.join(table.notes)}".replace("..", "."))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"\toprule",
            _tex_row(table.columns),
            r"\midrule",
            *(_tex_row(row) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(_tex(cell) for cell in cells) + r" \\"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


_FIELDS = (
    *("study", "experiment", "title", "arm", "value", "seeds", "failed", "level"),
    *("score", "low", "high", "varies", "validation"),
    *("failed_share", "failed_low", "failed_high", "score_counting_failed"),
    *("counting_failed_low", "counting_failed_high", "interquartile_mean"),
    *("reference", "difference", "difference_low", "difference_high", "difference_varies"),
    *("alone_low", "alone_high", "p_value", "p_alone", "compared", "probability", "verdict"),
    *("planned_seeds", "plan"),
)


def comma_separated(document: Document) -> str:
    """One row per arm, numbers unrounded, scores as measured."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for study in document.studies:
        for arm in study.arms:
            writer.writerow({name: safe_cell(value) for name, value in _record(study, arm).items()})
    return file.getvalue().rstrip("\n")


def safe_cell(value: object) -> object:
    """A cell of a CSV file: a text that a spreadsheet takes for a formula is marked as a text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _record(study: StudyReport, arm: ArmReport) -> dict[str, object]:
    record: dict[str, object] = {
        "study": study.id,
        "experiment": study.experiment,
        "title": study.title,
        "arm": arm.name,
        "value": arm.value,
        "seeds": len(arm.seeds),
        "failed": len(arm.failed),
        "level": study.level,
        "validation": arm.validation,
        "interquartile_mean": arm.interquartile,
    }
    if study.plan:
        record |= {"planned_seeds": study.plan.seeds, "plan": study.plan.state}
    if arm.failure_share:
        share = arm.failure_share
        record |= {"failed_share": share.mean, "failed_low": share.low, "failed_high": share.high}
    if arm.counted:
        record["score_counting_failed"] = arm.counted.mean
        record["counting_failed_low"] = arm.counted.low
        record["counting_failed_high"] = arm.counted.high
    if arm.score:
        score = arm.score
        record |= {"score": score.mean, "low": score.low, "high": score.high}
        record["varies"] = score.varies
    found = next((c for c in study.comparisons if c.first == arm.name), None)
    if found:
        record |= {
            "reference": found.second,
            "difference": found.interval.mean,
            "difference_low": found.interval.low,
            "difference_high": found.interval.high,
            "difference_varies": found.interval.varies,
            "alone_low": found.alone.low,
            "alone_high": found.alone.high,
            "p_value": found.p_value,
            "p_alone": found.p_alone,
            "compared": found.compared,
            "probability": found.probability.mean,
            "verdict": verdict(found, lost=bool(arm.failed or study.arm(found.second).failed)),
        }
    return record
