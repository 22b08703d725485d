"""A run's settings in words: what it is about, and how it differs from the defaults. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaact.settings import Setting, defaults, in_words, is_divided

from .experiment import Experiment

Settings = Mapping[str, Any]


def data_of(experiment: Experiment, settings: Settings) -> str:
    """What runs are trained and tested on.

    Examples:
        >>> from metaact.experiments.transfer import TRANSFER
        >>> data_of(TRANSFER, {"source": "mnist", "target": "svhn"})
        'mnist to svhn'
    """
    named = [name for name, one in experiment.settings.items() if one.path]
    return " to ".join(str(settings[name]) for name in named if settings.get(name))


def differing(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """The settings that are not the defaults', hashes left out."""
    defaults = defaults_of(experiment, settings)
    return {
        name: value
        for name, value in settings.items()
        if not name.endswith("_sha256") and (name not in defaults or value != defaults[name])
    }


def defaults_of(experiment: Experiment, settings: Settings) -> dict[str, Any]:
    """What each setting is by default, where the others are as they are."""
    recorded = {name: one.default for name, one in experiment.recorded.items()}
    return {**defaults(experiment.config, settings), **recorded}


def headline(experiment: Experiment, settings: Settings, *, at: int | None = None) -> str:
    """The settings that matter, in a few words: those always said, and those not the default.

    Args:
        experiment: What was run.
        settings: What runs share.
        at: Place at which they are read, in place of their length.

    Examples:
        >>> from metaact.experiments.maml import MAML
        >>> headline(MAML, {"ways": 5, "shots": 1, "iterations": 100, "first_order": True})
        '5-way, 1-shot, 100 iterations, first order'
    """
    odd = differing(experiment, settings)
    found = []
    for name, one in experiment.settings.items():
        if one.role not in ("data", "training") or one.path:
            continue
        if at is not None and one.contains and is_divided(experiment.settings, settings):
            found.append(one.in_words(at))
        elif at is not None and one.contains and name in settings:
            found.append(f"{one.in_words(settings[name])} read after {at}")
        elif name in settings and (one.always or (name in odd and not _is_unusual(one))):
            found.append(one.in_words(settings[name]))
    return ", ".join(found)


def _is_unusual(one: Setting) -> bool:
    """Whether a setting has no default to differ from: it is said where it tells runs apart."""
    return one.default is None and not one.unset


def title(
    experiment: Experiment, settings: Settings, *, at: int | None = None, by: str = "activation"
) -> str:
    """One line on what runs are about; see `headline`.

    The arm is named where it is among the settings: where another setting is asked about.
    """
    named = experiment.title
    what = named if isinstance(named, str) else named(settings, by)
    what = "On" if experiment.baseline(settings) else what
    data = data_of(experiment, settings)
    of = f"{what} {data}" if data else what.removesuffix(" on")
    arms = [name for name, one in experiment.settings.items() if one.role == "arm"]
    held = "".join(f", {settings[name]}" for name in arms if name in settings)
    return f"{of}: {headline(experiment, settings, at=at)}{held}"


def telling(name: str, value: object, experiment: Experiment) -> str:
    """A setting in which runs of one title differ; of a hash its beginning."""
    if name.endswith("_sha256"):
        return f"{name.removesuffix('_sha256').replace('_', ' ')} {str(value)[:8]}"
    known = experiment.settings.get(name)
    return known.in_words(value) if known and value is not None else in_words(name, value)
