"""What a study is, in words: its question, its data, and what a reader must know."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaact.experiments.evidence import Arm, Study
from metaact.experiments.experiment import EXAMPLES, HEX, Axis
from metaact.experiments.table import find
from metaact.experiments.words import telling
from metaact.runs import Run
from metaact.settings import completed

from .document import Picture, StudyReport

EXPLODED = 100.0
"""Training loss, in multiples of that of guessing, from which on a run is said to have exploded."""


EARLIER = {
    "test_episodes_sha256": ("episodes", "The first frozen test episode."),
    "test_sha256": ("images", "Some test images."),
    "target_test_sha256": ("images", "Some test images of the target."),
}
"""Pictures of what runs of version 0.1.0 were tested on, which they did not record: by its hash the
beginning of the file's name, and the caption."""


def question(study: Study, reference: str) -> str:
    """What the study asks, as a sentence."""
    others = list(dict.fromkeys(arm.value for arm in study.arms if arm.value != reference))
    names = ", ".join(others) or reference
    verb = "Do" if len(others) > 1 else "Does"
    against = reference if others else "others"
    return f"{verb} {names} {study.experiment.asks} than {against}?"


def data(study: Study) -> dict[str, Any]:
    """The provenance of the data, as the first run recorded it."""
    return dict(study.records[0].environment["data"])


def official(found: Mapping[str, Any]) -> bool:
    """Whether all data are those that were published, by their provenance."""
    if "official" in found:
        return bool(found["official"])
    return all(bool(part.get("official")) for part in found.values() if isinstance(part, dict))


def environments(study: Study) -> list[dict[str, Any]]:
    """The distinct machines and versions behind the runs, without the data."""
    found: list[dict[str, Any]] = []
    for record in study.records:
        about = {k: v for k, v in record.environment.items() if k not in ("data", "earlier")}
        if about not in found:
            found.append(about)
    return found


def notes(study: Study, *, over: str) -> list[str]:
    """What a reader must know beside the figures."""
    found = []
    if not study.per_unit and over != "seeds" and study.measure.unit:
        found.append(
            f"Some runs did not keep their scores for each of the {study.measure.unit}, so figures "
            "are over training seeds alone."
        )
    found += [f"{arm.name}: {_lost(arm, study.measure.axis)}." for arm in study.arms if arm.failed]
    found += _exploded(study)
    found += _uneven_seeds(study)
    versions = sorted({str(r.environment.get("metaact")) for r in study.records})
    if len(versions) > 1:
        found.append(f"Runs of different versions of metaact: {', '.join(versions)}.")
    known = completed(study.experiment.config, study.settings)
    for name, one in study.experiment.settings.items():
        note = one.notes.get(known.get(name)) if one.notes and name != study.by else None
        found += [note] if note else []
    return found


def data_notes(study: Study) -> list[str]:
    """What a reader must know of the data: what its runs recorded, and whether it is official."""
    told = (note for record in study.records for note in record.run.about.get("notes") or ())
    found = list(dict.fromkeys(told))
    provenance = data(study)
    if not official(provenance):
        found.append(f"Not official data: {_unofficial(provenance)}.")
    return found


def exploded(metrics: Iterable[Mapping[str, Any]], *, chance: float) -> Mapping[str, Any] | None:
    """The record at which the training loss first exceeded 100 times that of guessing, or None.

    One such update fills Adam's second moments, and those after it hardly move the weights: the run
    ends with finite numbers and has all but stopped learning.

    Args:
        metrics: A run's records.
        chance: Accuracy of guessing.

    Examples:
        >>> records = [{"epoch": 1, "train_loss": 2.0}, {"epoch": 2, "train_loss": 1e9}]
        >>> exploded(records, chance=0.1)
        {'epoch': 2, 'train_loss': 1000000000.0}
    """
    limit = EXPLODED * -math.log(chance)
    return next((m for m in metrics if (m.get("train_loss") or 0.0) > limit), None)


def _exploded(study: Study) -> list[str]:
    """Arms of which a run's loss exploded and yet stayed finite."""
    chance, found = study.measure.chance, []
    for arm in study.arms if chance else ():
        assert chance is not None
        seeds = [str(r.seed) for r in arm.scored if exploded(r.seen, chance=chance)]
        if seeds:
            found.append(
                f"{arm.name}: the training loss exploded in seed{'s' if len(seeds) > 1 else ''} "
                f"{', '.join(seeds)} and stayed finite; a smaller rate may help."
            )
    return found


def unmatched(study: Study, reference: str) -> list[str]:
    """Arms at rates at which the reference has no run: they have no verdict."""
    others = [arm for arm in study.arms if arm.value != reference]
    counts = {arm.name: len(study.alike(arm, reference)) for arm in others}
    alone = [name for name, count in counts.items() if count == 0]
    several = [name for name, count in counts.items() if count > 1]
    found = []
    if alone:
        found.append(
            f"{reference} has no run at the rates of {', '.join(alone)}: not compared there."
        )
    if several:
        found.append(
            f"{reference} was run at several rates that {', '.join(several)} "
            f"{'does' if len(several) == 1 else 'do'} not have: compared at each one's best alone."
        )
    return found


def uncompared(
    study: Study, asked: Sequence[tuple[str, str]], made: Sequence[tuple[str, str]]
) -> list[str]:
    """Why a pair has no verdict."""
    found = []
    for pair in asked:
        if pair in made:
            continue
        empty = [name for name in pair if not study.arm(name).seeds]
        shared = set(study.arm(pair[0]).seeds) & set(study.arm(pair[1]).seeds)
        why = "they have no seed in common"
        if empty:
            why = f"every seed of {' and '.join(empty)} failed"
        elif shared:
            why = "one score each is too few"
        found.append(f"{pair[0]} cannot be compared with {pair[1]}: {why}.")
    return found


def _lost(arm: Arm, axis: Axis) -> str:
    """Which seeds diverged, and when."""
    failed = [record for record in arm.records if record.failed]
    places = ", ".join(str(r.result.get(axis.key, "?")) for r in failed)
    where = f"at {axis.key} {places}"
    if not arm.scored:
        return f"every seed diverged ({where})"
    seeds = ", ".join(str(record.seed) for record in failed)
    flatters = "the mean of the remaining seeds overstates it"
    if len(failed) == 1:
        return f"seed {seeds} diverged ({where}) and has no score; {flatters}"
    return f"seeds {seeds} diverged ({where}) and have no score; {flatters}"


def _uneven_seeds(study: Study) -> list[str]:
    every = {record.seed for record in study.records}
    lacking = [
        f"{arm.name} {', '.join(str(seed) for seed in missing)}"
        for arm in study.arms
        if (missing := sorted(every - {record.seed for record in arm.records}))
    ]
    if not lacking:
        return []
    return [f"Seeds without a run: {'; '.join(lacking)}. Arms are compared on shared seeds."]


def _unofficial(found: Mapping[str, Any]) -> str:
    """Each data set once, with the note of its test part, which says where it is from."""
    parts = [part for part in found.values() if isinstance(part, dict)]
    told = {
        str(part["dataset"]): str(part.get("note", "")).rstrip(".")
        for part in parts  # the test part comes last
        if not part.get("official")
    }
    return "; ".join(f"{name} ({note})" if note else name for name, note in told.items())


def examples(study: Study) -> list[Picture]:
    """Pictures of what the study was tested on, where its store keeps them."""
    found: dict[str, Picture] = {}
    for record in study.records:
        folder = record.run.directory.parent.parent / EXAMPLES
        for example in _recorded(record.run):
            path = folder / example["file"]
            if example["file"] not in found and path.is_file():
                found[example["file"]] = Picture(caption=example["caption"], path=str(path))
    return list(found.values())[:1]


def _recorded(run: Run) -> list[dict[str, str]]:
    found: list[dict[str, str]] | None = run.about.get("examples")
    if found is not None:
        return found
    return [
        {"file": f"{kind}-{str(run.config[name])[:HEX]}.png", "caption": caption}
        for name, (kind, caption) in EARLIER.items()
        if name in run.config
    ]


def told_apart(studies: Sequence[StudyReport]) -> list[StudyReport]:
    """The studies, those of one title with the settings added in which they differ."""
    groups: dict[str, list[StudyReport]] = {}
    for study in studies:
        groups.setdefault(study.title, []).append(study)
    return [replace(study, title=_title(study, groups[study.title])) for study in studies]


def _title(study: StudyReport, same: Sequence[StudyReport]) -> str:
    names = dict.fromkeys(name for other in same for name in other.settings)
    experiment = find(study.experiment)
    differing = [
        telling(name, study.settings.get(name), experiment)
        for name in names
        if len({json.dumps(other.settings.get(name)) for other in same}) > 1
    ]
    return f"{study.title} ({', '.join(differing)})" if differing else study.title


def short_names(studies: Sequence[StudyReport]) -> dict[str, str]:
    """A few words for each study, by id: what was run, on which data, and what tells it apart."""
    brief = {study.id: _brief(study) for study in studies}
    alike: dict[str, list[StudyReport]] = {}
    for study in studies:
        alike.setdefault(brief[study.id], []).append(study)
    return {
        study.id: _title(replace(study, title=brief[study.id]), alike[brief[study.id]])
        for study in studies
    }


def _brief(study: StudyReport) -> str:
    experiment = find(study.experiment)
    data = [
        Path(str(study.settings[n])).name
        for n, s in experiment.settings.items()
        if (s.path or n in experiment.arguments) and study.settings.get(n)
    ]
    return f"{study.experiment}: {' → '.join(data)}" if data else study.title
