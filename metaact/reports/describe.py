"""What a study is, in words: its title, its question, and what a reader must know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaact.experiments.explosion import exploded_at
from metaact.tasks import DATASETS

from .evidence import Arm, Study


def title(study: Study) -> str:
    """One line that tells this study from others."""
    return _TITLES[study.experiment](study)


def _maml(study: Study) -> str:
    s = study.settings
    order = ", first order" if s["first_order"] else ""
    plural = "" if s["iterations"] == 1 else "s"
    head = ", head only" if s["head_only"] else ""
    return (
        f"MAML on {s['dataset']}: {s['ways']}-way {s['shots']}-shot, held-out {s['hold_out']}, "
        f"{_network(s)}, {s['iterations']} iteration{plural}{order}{head}, {s['protocol']} protocol"
    )


def _converge(study: Study) -> str:
    s = study.settings
    return (
        f"{s['dataset']} from scratch by {s['optimizer'].upper()}: {_network(s)}, test accuracy "
        f"after {_epochs(study)}, {s['protocol']} protocol"
    )


def _transfer(study: Study) -> str:
    s = study.settings
    if not s["pretrained"]:
        return f"{s['target']} only, as the fine-tuning: {_network(s)}, after {_epochs(study)}"
    return (
        f"{s['source']} to {s['target']}: {_network(s)}, pre-trained for {s['pretrained']} epochs, "
        f"fine-tuned by {s['optimizer'].upper()}, test accuracy after {_epochs(study)}"
    )


_TITLES = {"maml": _maml, "converge": _converge, "transfer": _transfer}


def _network(settings: Mapping[str, Any]) -> str:
    norm = "BatchNorm" if settings["batch_norm"] == "batch" else "no BatchNorm"
    return f"{settings['model']} ({norm})"


def _epochs(study: Study) -> str:
    number = study.at if study.at is not None else study.settings["epochs"]
    return f"{number} epoch{'' if number == 1 else 's'}"


def question(study: Study, reference: str) -> str:
    """What the study asks, as a sentence."""
    others = [arm.activation for arm in study.arms if arm.activation != reference]
    names = ", ".join(dict.fromkeys(others)) or reference
    verb = "do" if len(dict.fromkeys(others)) > 1 else "does"
    what = {
        "maml": "adapt better to new tasks",
        "converge": "make a network learn better from scratch at these rates",
        "transfer": "make a pre-trained network adapt better to the target",
    }[study.experiment]
    against = reference if others else "other activations"
    return f"{verb.capitalize()} {names} {what} than {against}?"


def data(study: Study) -> dict[str, Any]:
    """The provenance of the data, as the first run recorded it."""
    return dict(study.records[0].environment["data"])


def official(study: Study) -> bool:
    """Whether all data are those that were published."""
    found = data(study)
    if "official" in found:
        return bool(found["official"])
    return all(bool(part.get("official")) for part in found.values() if isinstance(part, dict))


def units(study: Study) -> int:
    """How many test episodes or images each arm was scored on."""
    if study.experiment == "maml":
        return int(study.settings["test_episodes"])
    sizes = [int(r.result["test_images"]) for r in study.records if "test_images" in r.result]
    return sizes[0] if sizes else 0


def chance(study: Study) -> float:
    """Accuracy of guessing; of ten classes where the data set is the user's own and unknown."""
    if study.experiment == "maml":
        return 1 / int(study.settings["ways"])
    name = study.settings.get("dataset", study.settings.get("target"))
    known = {dataset.name: dataset.classes for dataset in DATASETS}
    return 1 / known.get(str(name), 10)


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
    if not study.per_unit and over != "seeds":
        found.append(
            "Some runs did not keep which test images were right, so figures are over training "
            "seeds alone."
        )
    for arm in study.arms:
        if arm.diverged:
            found.append(f"{arm.name}: {_lost(arm)}.")
    found += _exploded(study)
    found += _uneven_seeds(study)
    versions = sorted({str(r.environment.get("metaact")) for r in study.records})
    if len(versions) > 1:
        found.append(f"Runs of different versions of metaact: {', '.join(versions)}.")
    if not official(study):
        found.append(f"Not official data: {_unofficial(data(study))}.")
    return found


def _exploded(study: Study) -> list[str]:
    """Arms of which a run's loss rose beyond all reason and yet stayed finite."""
    found = []
    for arm in study.arms:
        seeds = [
            str(record.seed)
            for record in arm.converged
            if exploded_at(record.course, chance=chance(study))
        ]
        if seeds:
            found.append(
                f"{arm.name}: the training loss exploded in seed{'s' if len(seeds) > 1 else ''} "
                f"{', '.join(seeds)} and stayed finite; a smaller rate may help."
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
            why = f"every seed of {' and '.join(empty)} diverged"
        elif shared:
            why = "one score each is too few"
        found.append(f"{pair[0]} cannot be compared with {pair[1]}: {why}.")
    return found


def _lost(arm: Arm) -> str:
    seeds = ", ".join(str(seed) for seed in arm.diverged)
    if not arm.converged:
        return "every seed diverged"
    if len(arm.diverged) == 1:
        return f"seed {seeds} diverged and has no accuracy; the figure of the others flatters it"
    return f"seeds {seeds} diverged and have no accuracy; the figure of the others flatters it"


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
    notes = {
        str(part["dataset"]): str(part.get("note", "")).rstrip(".")
        for part in parts  # the test part comes last
        if not part.get("official")
    }
    return "; ".join(f"{name} ({note})" if note else name for name, note in notes.items())


_PICTURES = {
    "maml": ("episodes", "test_episodes_sha256", "The first frozen test episode."),
    "converge": ("images", "test_sha256", "Some test images."),
    "transfer": ("images", "target_test_sha256", "Some test images of the target."),
}


def examples(study: Study) -> list[dict[str, str]]:
    """Pictures of what the study was tested on, where its store keeps them."""
    kind, field, caption = _PICTURES[study.experiment]
    name = f"{kind}-{str(study.settings[field])[:12]}.png"
    stores = dict.fromkeys(record.run.directory.parent.parent for record in study.records)
    found = (store / "examples" / name for store in stores)
    return [{"caption": caption, "path": str(path)} for path in found if path.is_file()][:1]
