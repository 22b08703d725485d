"""Where a study is from, on the page: its data, settings, runs, versions and machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaact.experiments.table import find
from metaact.reports.document import StudyReport

from .page_html import Content, Html, element, fold, items, markup, table
from .study_tables import unit

_WORDS = ("dataset", "split", "official", "note")
"""Columns that are not numbers."""


def provenance(study: StudyReport) -> Html:
    """What data the runs are from, where known: official or not, sizes, hashes."""
    data = study.data
    rows = [_data_row(name, part) for name, part in data.items() if isinstance(part, Mapping)]
    if "dataset" in data:
        rows.insert(0, _data_row("data", data))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    rest = [f"{k.replace('_', ' ')}: {_plain(v)}" for k, v in data.items() if _is_aside(k, v)]
    if not rows:
        return items([*rest, "No data are named in these runs."], class_="notes")
    return markup(
        [
            table(columns, rows, caption="Data of these runs", text_columns=_WORDS),
            items(rest, class_="notes"),
        ]
    )


def _is_aside(key: str, value: object) -> bool:
    known = ("official", "dataset", "split", "images", "classes", "sha256", "note", "form")
    return key not in known and not isinstance(value, Mapping)


def _data_row(name: str, part: Mapping[str, Any]) -> dict[str, Content]:
    row: dict[str, Content] = {"used as": name.replace("_", " ")}
    for key in ("dataset", "split", "images", "classes"):
        if key in part:
            row[key] = _plain(part[key])
    row["official"] = "yes" if part.get("official") else "NO"
    notes = [str(part[key]) for key in ("note", "form") if part.get(key)]
    if notes:
        row["note"] = "; ".join(notes)
    if part.get("sha256"):
        row["SHA-256"] = element("code", str(part["sha256"])[:12], title=str(part["sha256"]))
    return row


def settings(study: StudyReport) -> Html:
    """Every setting that all runs share, with what it is."""
    known = find(study.experiment).settings
    rows: list[dict[str, Content]] = [
        {
            "setting": known[name].label if name in known else name.replace("_", " "),
            "value": element("code", _plain(value)),
            "what it is": known[name].help if name in known else "",
        }
        for name, value in study.settings.items()
    ]
    words = ["value", "what it is"]
    caption = "What all runs of this study share"
    return table(["setting", *words], rows, caption=caption, text_columns=words)


def environments(study: StudyReport) -> Html:
    """The machines and versions behind the runs, one column each."""
    found = [_flat(about) for about in study.environments]
    names = list(dict.fromkeys(key for about in found for key in about))
    columns = [f"environment {number}" for number in range(1, len(found) + 1)]
    rows = [
        {"": name} | {col: about.get(name, "–") for col, about in zip(columns, found, strict=True)}
        for name in names
    ]
    return table(["", *columns], rows, caption="Versions and machines", text_columns=columns)


def _flat(about: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in about.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        flat |= _flat(value, f"{name} ") if isinstance(value, Mapping) else {name: _plain(value)}
    return flat


def runs(study: StudyReport) -> Html:
    """Test score of each seed, the size of the network, and where each run lies."""
    seeds = sorted({seed for arm in study.arms for seed in [*arm.by_seed, *arm.failed]})
    rows = []
    for arm in study.arms:
        row = {"arm": arm.name}
        row |= {f"seed {seed}": "diverged" for seed in arm.failed}
        row |= {
            f"seed {seed}": study.measure.show(score, unit=False)
            for seed, score in arm.by_seed.items()
        }
        if arm.parameters is not None:
            row["parameters"] = f"{arm.parameters:,}"
        rows.append(row)
    columns = ["arm", *(f"seed {seed}" for seed in seeds)]
    if any("parameters" in row for row in rows):
        columns.append("parameters")
    places = [element("code", place) for arm in study.arms for place in arm.runs]
    caption = f"Test {study.measure.name} of each seed{unit(study)}, and trainable parameters"
    return markup(
        [
            table(columns, rows, caption=caption),
            fold(f"The {len(places)} run directories", items(places, class_="places")),
        ]
    )


def _plain(value: object) -> str:
    """A value as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
