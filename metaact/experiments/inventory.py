"""The runs of a store in groups: everything that is one comparison is one line. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metaact import analysis
from metaact.runs import Entry

from .run_words import (
    RATES,
    VARYING,
    data_of,
    defaults,
    headline,
    in_words,
    moment,
    size_in_words,
    spans,
)

MOST_ARMS = 4
"""Activations that a line names; of more, their number is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that share every setting but activation, seed and learning rates.

    Attributes:
        kind: Kind of run.
        entries: The runs.
        setting: What they share, in words.
    """

    kind: str
    entries: tuple[Entry, ...]
    setting: str

    @property
    def activations(self) -> list[str]:
        """The arms, in the order in which they lie there."""
        return list(dict.fromkeys(str(e.config["activation"]) for e in self._with("activation")))

    @property
    def seeds(self) -> list[int]:
        """The training seeds."""
        seeds = {e.config["seed"] for e in self._with("seed")}
        return sorted(seed for seed in seeds if isinstance(seed, int))

    @property
    def statuses(self) -> dict[str, int]:
        """How many runs stand how."""
        return dict(Counter(entry.status for entry in self.entries))

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def changed(self) -> float:
        """When the newest file changed."""
        return max(entry.changed for entry in self.entries)

    def _with(self, name: str) -> list[Entry]:
        return [entry for entry in self.entries if name in entry.config]


def groups(entries: Sequence[Entry]) -> list[Group]:
    """The runs in groups, in the order of their first one.

    Groups that would read alike are told apart by the settings in which they differ. What cannot
    be read is a group of its own for each kind.
    """
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(_key(entry), []).append(entry)
    readings = {k: (m[0].kind, data_of(m[0].config), _setting(m)) for k, m in found.items()}
    made = []
    for key, members in found.items():
        others = [other for other in found if readings[other] == readings[key]]
        setting = ", ".join([readings[key][2], *_telling(key, others)])
        made.append(Group(kind=members[0].kind, entries=tuple(members), setting=setting))
    return made


def _key(entry: Entry) -> str:
    if entry.run is None:
        return json.dumps([entry.kind, None])
    aside = (*VARYING, *RATES.get(entry.kind, ()))
    kept = {name: value for name, value in entry.config.items() if name not in aside}
    return json.dumps([entry.kind, kept], sort_keys=True)


def _setting(members: Sequence[Entry]) -> str:
    first = members[0]
    if first.run is None:
        return "cannot be read"
    parts = [headline(first.kind, first.config)]
    usual = defaults(first.kind, first.config)
    for i, name in enumerate(RATES.get(first.kind, ())):
        values = sorted({e.config[name] for e in members if name in e.config})
        told = values and (i == 0 or values != [usual.get(name)])
        parts += [in_words(name, values)] if told else []
    return ", ".join(part for part in parts if part)


def _telling(key: str, others: Sequence[str]) -> list[str]:
    """The settings, hashes of the data most of all, in which a group differs from the others."""
    mine, theirs = json.loads(key)[1], [json.loads(other)[1] for other in others]
    names = [n for n in mine or {} if any((o or {}).get(n) != mine[n] for o in theirs)]
    return [
        f"{name.removesuffix('_sha256')} {mine[name][:8]}"
        if name.endswith("_sha256")
        else in_words(name, mine[name])
        for name in names
    ]


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """The list as one strict JSON document."""
    return {
        "experiment": "runs",
        "groups": [
            {
                "kind": group.kind,
                "data": data_of(group.entries[0].config),
                "setting": group.setting,
                "activations": group.activations,
                "seeds": group.seeds,
                "runs": len(group.entries),
                "statuses": group.statuses,
                "bytes": group.size,
                "changed": group.changed,
            }
            for group in groups(entries)
        ],
        "runs": [brief(entry) for entry in entries],
    }


def brief(entry: Entry) -> dict[str, Any]:
    """One run as strict JSON."""
    return {
        "directory": str(entry.directory),
        "kind": entry.kind,
        "name": entry.name,
        "identity": None if entry.run is None else entry.run.identity,
        "status": entry.status,
        "why": entry.why or None,
        "counter": entry.counter,
        "done": entry.done,
        "length": entry.length,
        "config": entry.config,
        "result": entry.result,
        "bytes": entry.size,
        "changed": entry.changed,
    }


def group_table(entries: Sequence[Entry]) -> str:
    """One line a group."""
    names = ("kind", "data", "setting", "arms", "seeds", "runs", "size", "changed")
    rows = [
        {
            "kind": group.kind,
            "data": data_of(group.entries[0].config),
            "setting": group.setting,
            "arms": _arms(group.activations),
            "seeds": spans(group.seeds),
            "runs": ", ".join(f"{n} {status}" for status, n in group.statuses.items()),
            "size": size_in_words(group.size),
            "changed": moment(group.changed),
        }
        for group in groups(entries)
    ]
    return analysis.render_table([analysis.Column(name, "left") for name in names], rows)


def _arms(names: Sequence[str]) -> str:
    more = len(names) - MOST_ARMS
    return ", ".join(names[:MOST_ARMS]) + (f" and {more} more" if more > 0 else "")


def run_table(entries: Sequence[Entry]) -> str:
    """One line a run."""
    names = ("run", "status", "test accuracy", "size", "changed")
    rows = [
        {
            "run": f"{entry.directory.parent.name}/{entry.directory.name}",
            "status": standing(entry),
            "test accuracy": _accuracy(entry),
            "size": size_in_words(entry.size),
            "changed": moment(entry.changed),
        }
        for entry in entries
    ]
    return analysis.render_table([analysis.Column(name, "left") for name in names], rows)


def standing(entry: Entry) -> str:
    """How a run stands, in words.

    An unfinished run is known as far as its last checkpoint.
    """
    if entry.status == "diverged":
        result = entry.result or {}
        at = result.get("iteration", result.get("epoch"))
        return f"{result.get('outcome')} at {entry.counter} {at}"
    if entry.status in ("unfinished", "busy"):
        of = f" of {entry.length}" if entry.length is not None else ""
        return f"{entry.status} at {entry.counter} {entry.done}{of}"
    return entry.status


def _accuracy(entry: Entry) -> str:
    value = (entry.result or {}).get("test_accuracy")
    return f"{100 * value:.1f} %" if isinstance(value, int | float) else "–"
