"""What was seen as plain text, JSON and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from metaact.analysis import Column, Comparison, difference_text, render_table
from metaact.analysis.intervals import SEEDS
from metaact.analysis.verdicts import NOT_SHOWN
from metaact.reports.document import jsonable
from metaact.reports.render.text import safe_cell

from .measures import LOWER_IS_BETTER, FocusScore
from .report import Answer, Seen
from .scene import shortened

NOTHING = "–"

LETTERS = 20
"""Of the name of a class in a table; JSON has all of it."""

FEW = 3
"""Training seeds with which an interval over others is too wide to say much."""


def plain(seen: Seen) -> str:
    """Tables for a terminal."""
    parts = [_answers(seen)]
    if seen.activities:
        parts.append(_activities(seen))
    for layer in dict.fromkeys(score.layer for score in seen.focus):
        scores = [score for score in seen.focus if score.layer == layer]
        parts += _focus(seen, layer, scores)
    parts += seen.notes
    return "\n\n".join(parts)


def _answers(seen: Seen) -> str:
    """A row for each image: what is explained, and what each arm answers."""
    layers = list(dict.fromkeys((one.layer, one.path) for one in seen.answers))
    first = layers[0][0]
    there = [one for one in seen.answers if one.layer == first]
    images = list(dict.fromkeys(one.image for one in there))
    rows = [
        [image, _what(own), *(_said(one) for one in own)]
        for image in images
        for own in [[one for one in there if one.image == image]]
    ]
    explains = any(one.explained for one in there)
    seeds = ", ".join(dict.fromkeys(f"{one.seed}" for one in there))
    named = "; ".join(path if path == layer else f"{layer} is {path}" for layer, path in layers)
    notes = [
        f"{seen.images} Drawn by seed {seen.seed}, the same for all arms; networks of training "
        f"seed {seeds}.",
        f"Layer: {named}.",
    ]
    if explains:
        notes.append(
            "Explained: the true class where it is known, else the class answered; behind each "
            "answer the probability of the class explained."
        )
    blank = [one for one in seen.answers if one.blank]
    notes += [f"{one.image}, {one.arm}, {one.layer}: {one.blank}." for one in blank]
    columns = [Column(n) for n in ("image", "explained" if explains else "class", *seen.arms)]
    return render_table(columns, rows, title=seen.title, footnotes=notes)


def _what(own: Iterable[Answer]) -> str:
    found = dict.fromkeys(one.explained or one.truth or NOTHING for one in own)
    return shortened(next(iter(found)), LETTERS) if len(found) == 1 else "the answer"


def _said(one: Answer) -> str:
    mark = {True: "right", False: "wrong", None: ""}[one.right]
    share = "" if one.probability is None else f"{one.probability:.2f}"
    more = ", ".join(part for part in (mark, share) if part)
    answer = shortened(one.prediction, LETTERS)
    return f"{answer} ({more})" if more else answer


def _activities(seen: Seen) -> str:
    headings = (
        "arm",
        "seed",
        "channels",
        "dead",
        "negative before",
        "after",
        "size after / before",
    )
    rows = [
        (
            one.arm,
            one.seed,
            one.channels,
            f"{one.dead:.0%}",
            f"{one.negative_before:.0%}",
            f"{one.negative_after:.0%}",
            f"{one.gain:.2f}",
        )
        for one in seen.activities
    ]
    note = (
        "Over all channels and the images of the picture. Dead: maps that are 0 throughout. "
        "Negative: share of the values. Size: mean absolute value."
    )
    return render_table(
        [Column(name) for name in headings],
        rows,
        title=f"What the activation {seen.activities[0].path} does",
        footnotes=[note],
    )


def _focus(seen: Seen, layer: str, scores: list[FocusScore]) -> list[str]:
    """Scores beside the baselines, then what is gained over them, then the verdicts that differ."""
    first = scores[0]
    seeds = max(len(one.seeds) for one in scores)
    path = next((one.path for one in seen.answers if one.layer == layer), layer)
    named = layer if path == layer else f"{layer} ({path})"
    notes = [
        f"{first.images} images, {seeds} training seed{'s' if seeds > 1 else ''}; intervals over "
        f"{first.score.varies}.",
        "Random weights: maps of the same network with weights that nobody trained. Centre: a "
        "Gaussian in the middle of the image. Both are scored on the trained network.",
    ]
    if any(one.measure in LOWER_IS_BETTER for one in scores):
        notes.append("Of the deletion area less is better, of the others more.")
    own = [one for one in scores if one.measure == first.measure]
    empty = [f"{one.arm} {one.blank:.0%}" for one in own if one.blank]
    if empty:
        notes.append(
            "Maps with nothing that speaks for the class, counted as even ones: "
            f"{', '.join(empty)}."
        )
    headings = ("measure", "arm", "score", "random weights", "centre")
    parts = [
        render_table(
            [Column(name) for name in headings],
            [(one.measure, one.arm, one.score, one.random, one.centre) for one in scores],
            title=f"How well-focused Grad-CAM is at {named}",
            footnotes=notes,
        ),
        _gains(seen, named, scores),
    ]
    shown = [
        f"{one.measure}, gain over the centre: {one.versus.sentence}"
        for one in scores
        if one.versus is not None and one.versus.verdict != NOT_SHOWN
    ]
    if shown:
        parts.append("\n".join(shown))
    elif any(one.versus for one in scores):
        parts.append(f"At {named} no difference from {seen.reference} is shown.")
    return parts


def _gains(seen: Seen, named: str, scores: list[FocusScore]) -> str:
    against = f"that against {seen.reference}"
    compared = any(one.versus for one in scores)
    headings = ("measure", "arm", "over random weights", "over the centre")
    rows = [
        (
            one.measure,
            one.arm,
            _gain(one.over_random),
            _gain(one.over_centre),
            *([_gain(one.versus) if one.versus else ""] if compared else []),
        )
        for one in scores
    ]
    family = scores[0].over_random
    notes = [
        "Above 0 is better, of every measure."
        + (" The last column: the gain over the centre less that of the other arm." * compared),
        f"{100 * family.interval.level:g} % simultaneous intervals over {family.interval.varies}, "
        f"all layers together one family of {family.compared} questions ({family.corrected}).",
    ]
    interval = family.interval
    if interval.seeds <= FEW and interval.varies.startswith(SEEDS):
        notes.append(
            f"{interval.seeds} training seeds tell little of others: --over units asks about new "
            "images for these networks."
        )
    return render_table(
        [Column(name) for name in (*headings, *([against] if compared else []))],
        rows,
        title=f"What it gains at {named}",
        footnotes=notes,
    )


def _gain(found: Comparison) -> str:
    shown = difference_text(found.interval, margin=found.margin)
    return shown if found.verdict == NOT_SHOWN else f"{shown}, {found.verdict}"


def as_json(seen: Seen, figures: Iterable[str]) -> dict[str, Any]:
    """Everything as one document; scores and differences in 0..1."""
    return {
        "title": seen.title,
        "images": seen.images,
        "image_seed": seen.seed,
        "arms": list(seen.arms),
        "reference": seen.reference or None,
        "answers": jsonable(seen.answers),
        "activities": jsonable(seen.activities),
        "focus": jsonable(seen.focus),
        "notes": list(seen.notes),
        "figures": list(figures),
    }


_FOCUS = (
    *("layer", "measure", "arm", "images", "seeds", "score", "low", "high"),
    *("random", "random_low", "random_high", "centre", "centre_low", "centre_high"),
    *("over_random", "over_random_low", "over_random_high", "over_random_verdict"),
    *("over_centre", "over_centre_low", "over_centre_high", "over_centre_verdict"),
    *("reference", "versus", "versus_low", "versus_high", "versus_verdict"),
    *("level", "varies", "compared", "blank"),
)


def comma_separated(seen: Seen) -> str:
    """One row for each layer, measure and arm; for maps alone one for each image and arm."""
    if seen.focus:
        return _csv(_FOCUS, (_focus_record(one) for one in seen.focus))
    rows: Any = jsonable(seen.activities or seen.answers)
    return _csv(tuple(rows[0]), rows)


def _focus_record(one: FocusScore) -> dict[str, object]:
    record: dict[str, object] = {
        "layer": one.layer,
        "measure": one.measure,
        "arm": one.arm,
        "images": one.images,
        "seeds": len(one.seeds),
        "score": one.score.mean,
        "low": one.score.low,
        "high": one.score.high,
        "level": one.score.level,
        "varies": one.score.varies,
        "compared": one.over_random.compared,
        "blank": one.blank,
    }
    for name, interval in (("random", one.random), ("centre", one.centre)):
        record |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
    gains = {"over_random": one.over_random, "over_centre": one.over_centre, "versus": one.versus}
    for name, found in gains.items():
        if found is not None:
            record |= {
                name: found.interval.mean,
                f"{name}_low": found.interval.low,
                f"{name}_high": found.interval.high,
                f"{name}_verdict": found.verdict,
            }
    if one.versus is not None:
        record["reference"] = one.versus.second
    return record


def _csv(names: tuple[str, ...], rows: Iterable[dict[str, object]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: safe_cell(value) for name, value in row.items()})
    return file.getvalue().rstrip("\n")
