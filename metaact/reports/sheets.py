"""The document as tables: what plain text, Markdown, LaTeX and CSV have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaact.analysis import Interval
from metaact.analysis.verdicts import difference_text

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table of a study.

    Attributes:
        study: Which study.
        title: What it shows.
        columns: Headings from left to right.
        rows: Cells by heading.
        notes: Sentences below.
    """

    study: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def sheets(study: Mapping[str, Any]) -> list[Sheet]:
    """All tables of one study of the document; those without rows are left out."""
    makers = (accuracies, tuned, learned, learned_at_best, optimism, speed)
    return [sheet for make in makers if (sheet := make(study)).rows]


def accuracies(study: Mapping[str, Any]) -> Sheet:
    """Every arm with its interval and its comparison with the reference, the best first."""

    def height(arm: Mapping[str, Any]) -> float:
        return arm["accuracy"]["mean"] if arm["accuracy"] else 0.0

    arms = study["arms"]
    if len({tuple(arm["rates"].items()) for arm in arms}) == 1:
        arms = sorted(arms, key=height, reverse=True)
    rows = [_row(arm, study["comparisons"]) for arm in arms]
    notes = list(study["notes"])
    if any(arm["baselines"] for arm in arms):
        notes.append(
            "Target only: trained from scratch with the fine-tuning settings, as many epochs. "
            "Never fine-tuned: the pre-trained network on the target as it is."
        )
    return _sheet(study, study["title"], rows, notes)


def tuned(study: Mapping[str, Any]) -> Sheet:
    """Every activation at the rate that was its best on the validation part."""
    found = study["tuned"] or {"arms": [], "comparisons": [], "notes": []}
    by_name = {arm["name"]: arm for arm in study["arms"]}
    rows = [_row(by_name[name], found["comparisons"]) for name in found["arms"]]
    title = "Each activation at its own best rate, chosen on the validation part"
    return _sheet(study, title, rows, found["notes"])


def learned(study: Mapping[str, Any]) -> Sheet:
    """The parts of a difference that controls tell apart, at one rate for all."""
    return _learned(study, study["learned"], "Learned, or only scaled?")


def learned_at_best(study: Mapping[str, Any]) -> Sheet:
    """The same with each arm at its own best rate."""
    title = "Learned, or only scaled? Each arm at its own best rate"
    return _learned(study, (study["tuned"] or {}).get("learned"), title)


def _learned(study: Mapping[str, Any], found: Mapping[str, Any] | None, title: str) -> Sheet:
    rows: list[Row] = []
    for part in found["parts"] if found else ():
        comparison = part["difference"]
        rows.append(
            {
                "part": part["name"],
                "arms": f"{comparison['first']} − {comparison['second']}",
                "difference": difference(comparison),
                "p (Holm)": p_value(comparison["p_holm"]),
                "verdict": verdict(comparison),
            }
        )
    notes = [found["answer"]] if found else []
    notes += _movement(found["first"], found["parameters"]) if found else []
    if found and found["second"]:
        notes.append(
            "The total is tested first and alone; its parts are corrected together and explain "
            "only a total that is shown."
        )
    return _sheet(study, title, rows, notes)


def _movement(name: str, parameters: Mapping[str, Any]) -> list[str]:
    moved = [
        f"{layer} α {p['alpha']['start']:.2f} → {p['alpha']['end']:.2f}, "
        f"β {p['beta']['start']:.2f} → {p['beta']['end']:.2f}"
        for layer, p in parameters.items()
    ]
    return [f"Parameters of {name}, mean over seeds: {'; '.join(moved)}."] if moved else []


def optimism(study: Mapping[str, Any]) -> Sheet:
    """The paper's kind of figure beside the held-out one."""
    found = [(arm, arm["paper"]) for arm in study["arms"] if arm["paper"]]
    rows = [
        {
            "arm": arm["name"] + (f" ({len(arm['diverged'])} diverged)" if arm["diverged"] else ""),
            "selected figure": percent(paper["figure"]),
            "published": percent(paper["published"]),
            "held out": percent(paper["held_out"]),
            "gap": "" if paper["gap"] is None else f"{100 * paper['gap']:+.1f}",
        }
        for arm, paper in found
    ]
    selected = sorted({paper["selected_on"] for _, paper in found if paper["selected_on"]})
    held_out = sorted({paper["held_out_is"] for _, paper in found})
    notes = [f"Selected: the best on {'; '.join(selected)}."] if selected else []
    notes.append(f"Held out: on {'; '.join(held_out)}.")
    if not study["official"] and any(paper["published"] is not None for _, paper in found):
        notes.append("The published figures are of the official data, which these are not.")
    return _sheet(study, "Optimism: the paper's kind of figure, and the held-out one", rows, notes)


def speed(study: Mapping[str, Any]) -> Sheet:
    """Area under the curve, and time to an accuracy."""
    rows = []
    for arm in study["arms"]:
        if arm["area"] is None and not arm["times"]:
            continue
        row = {"arm": arm["name"], "area under the curve": interval(arm["area"])}
        for time in arm["times"]:
            row[f"to {100 * time['threshold']:g} %"] = duration(time)
        rows.append(row)
    curve = next((t["curve"] for arm in study["arms"] for t in arm["times"]), "accuracy")
    step = next((c["x_name"] for a in study["arms"] for c in a["curves"].values()), "step")
    notes = [
        f"Of the {curve.replace('_', ' ')}, in {step}s. Time: median over seeds (Kaplan-Meier); a "
        "seed that never gets there is censored at its end. Area: mean height of the curve."
    ]
    return _sheet(study, "How fast", rows, notes)


def _row(arm: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> Row:
    row = {
        "arm": arm["name"],
        "seeds": str(len(arm["seeds"])),
        "accuracy": interval(arm["accuracy"]),
    }
    row |= {name: interval(found) for name, found in arm["baselines"].items()}
    if arm["diverged"]:
        row["accuracy"] += f" ({len(arm['diverged'])} diverged)"
    found = next((c for c in comparisons if c["first"] == arm["name"]), None)
    if found:
        row |= {
            "difference": difference(found),
            "p (Holm)": p_value(found["p_holm"]),
            "effect d": "" if found["effect"] is None else f"{found['effect']:+.2f}",
            "P(better)": percent(found["probability"]["mean"]) if found["probability"] else "",
            "verdict": verdict(found),
        }
    return row


def verdict(comparison: Mapping[str, Any]) -> str:
    """The verdict; one that rests on a single training seed says so."""
    alone = " (one seed)" if comparison["interval"]["seeds"] == 1 else ""
    return f"{comparison['verdict']}{alone}"


def _sheet(
    study: Mapping[str, Any], title: str, rows: Sequence[Row], notes: Sequence[str]
) -> Sheet:
    columns = dict.fromkeys(name for row in rows for name in row)
    shown = tuple(name for name in columns if any(row.get(name) for row in rows))
    return Sheet(
        study=study["id"], title=title, columns=shown, rows=tuple(rows), notes=tuple(notes)
    )


def interval(found: Mapping[str, Any] | None) -> str:
    """An interval as in all tables: "78.6 ± 1.0 %"."""
    return str(Interval(**found)) if found else "–"


def difference(comparison: Mapping[str, Any]) -> str:
    """A difference in points with its interval: "+4.7 [1.1, 8.3]"."""
    return difference_text(Interval(**comparison["interval"])).replace(" points", "")


def p_value(p: float) -> str:
    """A p-value with two digits that never reads as 0."""
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def percent(value: float | None) -> str:
    """A share in percent; blank if there is none."""
    return "" if value is None else f"{100 * value:.1f}"


def duration(time: Mapping[str, Any]) -> str:
    """A median time, and how many seeds never got there."""
    missed = sum(first is None for first in time["by_seed"])
    if missed == len(time["by_seed"]):
        return f"not within {time['censored_at']:g}"
    shown = f">{time['censored_at']:g}" if time["median"] is None else f"{time['median']:.3g}"
    return f"{shown} ({missed} of {len(time['by_seed'])} not)" if missed else shown
