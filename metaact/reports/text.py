"""The document for readers: plain text, Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from metaact.analysis import Column, render_table

from .sheets import Sheet, sheets, verdict


def plain(document: Mapping[str, Any]) -> str:
    """Tables, verdicts and what was left out, for a terminal."""
    parts = []
    for study in document["studies"]:
        for sheet in sheets(study):
            parts.append(_plain_table(sheet))
            if sheet.title == study["title"] and study["comparisons"]:
                parts.append("\n".join(c["sentence"] for c in study["comparisons"]))
    parts += _left_out(document)
    return "\n\n".join(parts)


def _plain_table(sheet: Sheet) -> str:
    columns = [Column(name) for name in sheet.columns]
    return render_table(columns, sheet.rows, title=sheet.title, footnotes=sheet.notes)


def _left_out(document: Mapping[str, Any]) -> list[str]:
    left_out = document["left_out"]
    if not left_out:
        return []
    lines = [f"Left out, {len(left_out)} of the directories found:"]
    return ["\n".join([*lines, *(f"  {item['directory']}: {item['why']}" for item in left_out)])]


def markdown(document: Mapping[str, Any]) -> str:
    """The same tables in Markdown."""
    parts = []
    for study in document["studies"]:
        for sheet in sheets(study):
            head = _cells(sheet.columns)
            rows = [_cells(row.get(name, "") for name in sheet.columns) for row in sheet.rows]
            rule = "| " + " | ".join("---" for _ in sheet.columns) + " |"
            parts.append("\n".join([f"**{_pipes(sheet.title)}**", "", head, rule, *rows]))
            parts += [_pipes(note) for note in sheet.notes]
            if sheet.title == study["title"]:
                parts += ["\n".join(f"- {_pipes(c['sentence'])}" for c in study["comparisons"])]
    return "\n\n".join(part for part in [*parts, *_left_out(document)] if part)


def _cells(cells: Any) -> str:
    return "| " + " | ".join(_pipes(str(cell)) for cell in cells) + " |"


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


def latex(document: Mapping[str, Any]) -> str:
    """The same tables for a LaTeX document that loads `booktabs`."""
    return "\n\n".join(
        _latex_table(sheet) for study in document["studies"] for sheet in sheets(study)
    )


def _latex_table(sheet: Sheet) -> str:
    rows = [[row.get(name, "") for name in sheet.columns] for row in sheet.rows]
    caption = _tex(f"{sheet.title}. {' '.join(sheet.notes)}".replace("..", "."))
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(sheet.columns) - 1)}}}",
            r"\toprule",
            _tex_row(sheet.columns),
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
    *("study", "experiment", "title", "arm", "activation", "seeds", "diverged"),
    *("accuracy", "low", "high", "varies", "validation"),
    *("reference", "difference", "difference_low", "difference_high", "p_value", "p_holm"),
    *("effect", "probability", "verdict"),
)


def comma_separated(document: Mapping[str, Any]) -> str:
    """One row per arm, numbers unrounded, accuracies in 0..1."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for study in document["studies"]:
        for arm in study["arms"]:
            writer.writerow(_record(study, arm))
    return file.getvalue().rstrip("\n")


def _record(study: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, object]:
    record: dict[str, object] = {
        "study": study["id"],
        "experiment": study["experiment"],
        "title": study["title"],
        "arm": arm["name"],
        "activation": arm["activation"],
        "seeds": len(arm["seeds"]),
        "diverged": len(arm["diverged"]),
        "validation": arm["validation"],
    }
    if arm["accuracy"]:
        found = arm["accuracy"]
        record |= {"accuracy": found["mean"], **{k: found[k] for k in ("low", "high", "varies")}}
    comparison = next((c for c in study["comparisons"] if c["first"] == arm["name"]), None)
    if comparison:
        found = comparison["interval"]
        record |= {
            "reference": comparison["second"],
            "difference": found["mean"],
            "difference_low": found["low"],
            "difference_high": found["high"],
            **{k: comparison[k] for k in ("p_value", "p_holm", "effect")},
            "verdict": verdict(comparison),
            "probability": (comparison["probability"] or {}).get("mean"),
        }
    return record
