"""Titles that tell studies apart, also those that differ in a setting no title names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def told_apart(studies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The studies, those of one title with the settings added in which they differ.

    Args:
        studies: Studies of the document.

    Examples:
        >>> same = [{"title": "mnist", "settings": {"batch_size": size}} for size in (32, 64)]
        >>> [study["title"] for study in told_apart(same)]
        ['mnist (batch size 32)', 'mnist (batch size 64)']
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for study in studies:
        groups.setdefault(study["title"], []).append(study)
    return [{**study, "title": _title(study, groups[study["title"]])} for study in studies]


def _title(study: Mapping[str, Any], same: Sequence[Mapping[str, Any]]) -> str:
    names = dict.fromkeys(name for other in same for name in other["settings"])
    differing = [
        f"{name.replace('_', ' ')} {str(study['settings'].get(name))[:12]}"
        for name in names
        if len({json.dumps(other["settings"].get(name)) for other in same}) > 1
    ]
    return f"{study['title']} ({', '.join(differing)})" if differing else str(study["title"])
