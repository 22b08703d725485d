"""The tables of a study on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import sheets
from .page_figures import Study
from .page_html import Content, Html, element, fold, items, markup, minus, table

_WORDS = (
    *("verdict", "arms", "what it is", "more, to settle it"),
    *("dataset", "split", "official", "note", "runs"),
)
"""Columns that are not numbers."""


def sheet(found: sheets.Sheet) -> Html:
    """One of the tables that `metaact compare` prints, with its notes."""
    rows = [dict(row) for row in found.rows]
    drawn = table(found.columns, rows, caption=found.title, text_columns=_WORDS)
    return element("div", drawn, items(map(minus, found.notes), class_="notes"))


def parts(study: Study) -> Html:
    """The difference taken apart, with what each part means."""
    found = sheets.learned(study)
    rows = [
        {**row, "what it is": part["sentence"].partition(" (")[0]}
        for row, part in zip(found.rows, study["learned"]["parts"], strict=True)
    ]
    first, *rest = found.columns
    columns = [first, "what it is", *rest]
    names = [row[first] for row in found.rows if row[first] != "total"]
    caption = f"The difference taken apart: total = {' + '.join(names)}"
    return table(columns, rows, caption=caption, text_columns=_WORDS)


def results(study: Study) -> Html:
    """Every arm with its interval, its comparison, and what would settle an open one."""
    found = sheets.accuracies(study)
    by_arm = {comparison["first"]: comparison for comparison in study["comparisons"]}
    references = {comparison["second"] for comparison in study["comparisons"]}
    rows: list[dict[str, Content]] = []
    for row in found.rows:
        settle = _settle(by_arm.get(row["arm"]))
        rows.append({**row, "more, to settle it": settle} if settle else dict(row))
        if row["arm"] in references:
            rows[-1]["verdict"] = "reference"
    columns = list(found.columns)
    if any("more, to settle it" in row for row in rows):
        columns.append("more, to settle it")
    caption = f"Test accuracy of every arm, in percent, and its difference to {study['reference']}"
    return markup(
        [
            table(columns, rows, caption=caption, text_columns=_WORDS),
            items(found.notes, class_="notes"),
        ]
    )


def _settle(comparison: Mapping[str, Any] | None) -> str:
    """How much more would make this difference stand out, if it is the true one."""
    if comparison is None or comparison["verdict"] != "no difference shown":
        return ""
    needed = dict(comparison["needed"] or {})
    enough = [f"{count} {name}" for name, count in needed.items() if count]
    never = [f"{name} alone cannot" for name, count in needed.items() if count is None]
    return "; ".join([" or ".join(enough), *never] if enough else never)


def readings(study: Study) -> Html:
    """Each arm's interval over units, over seeds and over both; nothing if there is one kind."""
    names = {"units": f"over {study['unit']}", "seeds": "over training seeds", "both": "over both"}
    rows = []
    for arm in study["arms"]:
        cells = {names[k]: sheets.interval(v) for k, v in arm["intervals"].items() if v}
        if cells:
            rows.append({"arm": arm["name"], **cells})
    columns = [name for name in names.values() if len({row.get(name) for row in rows} - {None})]
    if len(columns) < 2:
        return Html("")
    caption = "The same means with intervals over what could be drawn anew"
    return fold(
        "Intervals over each source of variation", table(["arm", *columns], rows, caption=caption)
    )


def baselines(study: Study) -> Html:
    """A transfer's accuracy beside training on the target only, and no fine-tuning."""
    names = list(dict.fromkeys(name for arm in study["arms"] for name in arm.get("baselines", {})))
    rows = [
        {"arm": arm["name"], "fine-tuned": sheets.interval(arm["accuracy"])}
        | {name: sheets.interval(arm["baselines"][name]) for name in arm["baselines"]}
        for arm in study["arms"]
        if any(arm.get("baselines", {}).values())
    ]
    if not rows:
        return Html("")
    return table(["arm", "fine-tuned", *names], rows, caption="Beside the baselines of transfer")


def speed(study: Study) -> Html:
    """Area under the curve and times, and what was never reached in words."""
    found = sheets.speed(study)
    if not found.rows:
        return Html("")
    step = next((c["x_name"] for a in study["arms"] for c in a["curves"].values()), "step")
    missed = [
        f"{arm['name']}: {100 * time['threshold']:g} % not reached by {_missed(time)} within "
        f"{time['censored_at']:g} {step}s."
        for arm in study["arms"]
        for time in arm["times"]
        if None in time["by_seed"]
    ]
    if len(missed) > 6:
        censored = fold(f"Not reached: {len(missed)} cases", items(missed))
    else:
        censored = items(missed, class_="notes")
    return element("div", sheet(found), censored)


def _missed(time: Mapping[str, Any]) -> str:
    seeds = time["by_seed"]
    lost = sum(first is None for first in seeds)
    if len(seeds) == 1:
        return "its one seed"
    return f"any of {len(seeds)} seeds" if lost == len(seeds) else f"{lost} of {len(seeds)} seeds"


def provenance(study: Study) -> Html:
    """What data the runs are from, where known: official or not, sizes, hashes."""
    data = study["data"]
    parts = [(name, part) for name, part in data.items() if isinstance(part, Mapping)]
    rows = [_data_row(name, part) for name, part in parts]
    if "dataset" in data:
        rows.insert(0, _data_row("data", data))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    rest = [f"{k.replace('_', ' ')}: {_plain(v)}" for k, v in data.items() if _is_aside(k, v)]
    caption = "Data of these runs"
    return markup(
        [
            table(columns, rows, caption=caption, text_columns=_WORDS) if rows else None,
            items(rest if rows else [*rest, "No data are named in these runs."], class_="notes"),
        ]
    )


def _is_aside(key: str, value: Any) -> bool:
    known = ("official", "dataset", "split", "images", "classes", "sha256", "note")
    return key not in known and not isinstance(value, Mapping)


def _data_row(name: str, part: Mapping[str, Any]) -> dict[str, Content]:
    row: dict[str, Content] = {"used as": name}
    for key in ("dataset", "split", "images", "classes"):
        if key in part:
            row[key] = _plain(part[key])
    row["official"] = "yes" if part.get("official") else "NO"
    if part.get("note"):
        row["note"] = str(part["note"])
    if part.get("sha256"):
        row["SHA-256"] = element("code", str(part["sha256"])[:12], title=str(part["sha256"]))
    return row


def settings(study: Study) -> Html:
    """Every setting that all runs share."""
    rows = [
        {"setting": name.replace("_", " "), "value": element("code", _plain(value))}
        for name, value in study["settings"].items()
    ]
    caption = "What all runs of this study share"
    return table(["setting", "value"], rows, caption=caption, text_columns=["value"])


def environments(study: Study) -> Html:
    """The machines and versions behind the runs, one column each."""
    found = [_flat(about) for about in study["environments"]]
    names = list(dict.fromkeys(key for about in found for key in about))
    columns = [f"environment {number}" for number in range(1, len(found) + 1)]
    rows = [
        {"": name} | {col: about.get(name, "–") for col, about in zip(columns, found, strict=True)}
        for name in names
    ]
    caption = "Versions and machines"
    return table(["", *columns], rows, caption=caption, text_columns=columns)


def _flat(about: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in about.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        flat |= _flat(value, f"{name} ") if isinstance(value, Mapping) else {name: _plain(value)}
    return flat


def runs(study: Study) -> Html:
    """Test accuracy of each seed, and where its run lies."""
    seeds = sorted({int(s) for a in study["arms"] for s in [*a["by_seed"], *a["diverged"]]})
    rows = []
    for arm in study["arms"]:
        shown = {f"seed {seed}": "diverged" for seed in arm["diverged"]}
        shown |= {f"seed {s}": sheets.percent(value) for s, value in arm["by_seed"].items()}
        rows.append({"arm": arm["name"], **shown})
    columns = ["arm", *(f"seed {seed}" for seed in seeds)]
    places = [place for arm in study["arms"] for place in arm["runs"]]
    return markup(
        [
            table(columns, rows, caption="Test accuracy of each seed, in percent"),
            fold(
                f"The {len(places)} run directories",
                items([element("code", place) for place in places], class_="places"),
            ),
        ]
    )


def _plain(value: Any) -> str:
    """A setting as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_plain(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
