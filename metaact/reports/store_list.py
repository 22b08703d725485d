"""The runs of a store in groups: everything that is one comparison is one line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metaact import analysis
from metaact.activations.order import place
from metaact.display import digits
from metaact.experiments.evidence import shared_settings
from metaact.experiments.experiment import SHARE, Experiment
from metaact.experiments.table import of_kind
from metaact.experiments.words import data_of, headline, telling
from metaact.runs import Entry
from metaact.settings import in_words, spans

MOST_ARMS = 4
"""Arms that a line names; of more, their number is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that are one study: they share every setting but arm, seed and learning rates.

    Attributes:
        kind: Kind of run.
        entries: The runs.
        data: What they are trained and tested on.
        setting: What they share, in words.
    """

    kind: str
    entries: tuple[Entry, ...]
    data: str
    setting: str

    @property
    def arms(self) -> list[str]:
        """The arms, in the order of the table of activations."""
        found = {str(e.config["activation"]) for e in self.entries if "activation" in e.config}
        return sorted(found, key=place)

    @property
    def seeds(self) -> list[int]:
        """The training seeds."""
        found = {e.config.get("seed") for e in self.entries}
        return sorted(seed for seed in found if isinstance(seed, int))

    @property
    def statuses(self) -> dict[str, int]:
        """How many runs have each status."""
        return dict(Counter(entry.status for entry in self.entries))

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def changed(self) -> float:
        """When the newest file changed."""
        return max(entry.changed for entry in self.entries)


def groups(entries: Sequence[Entry]) -> list[Group]:
    """The runs in groups, in the order of their first one.

    They are the studies of `metaact compare`. Groups that would read alike are told apart by the
    settings in which they differ. What cannot be read is a group of its own for each kind.
    """
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(_key(entry), []).append(entry)
    readings = {key: _reading(members) for key, members in found.items()}
    made = []
    for key, members in found.items():
        others = [other for other in found if readings[other] == readings[key]]
        kind, data, setting = readings[key]
        parts = [setting, *_telling(members[0], key, others)]
        told = ", ".join(part for part in parts if part)
        made.append(Group(kind=kind, entries=tuple(members), data=data, setting=told))
    return made


def _key(entry: Entry) -> str:
    experiment = of_kind(entry.kind)
    if entry.run is None:
        return json.dumps([entry.kind, None])
    if experiment is None:
        aside = ("activation", "seed")
        shared = {name: value for name, value in entry.config.items() if name not in aside}
    else:
        shared = shared_settings(experiment, entry.config)
    return json.dumps([entry.kind, shared], sort_keys=True)


def _reading(members: Sequence[Entry]) -> tuple[str, str, str]:
    """Kind, data and setting of a group, as they are read."""
    first = members[0]
    if first.run is None:
        return first.kind, "", "cannot be read"
    experiment = of_kind(first.kind)
    if experiment is None:
        return first.kind, "", ""
    parts = [headline(experiment, first.config), *_rates(experiment, members)]
    setting = ", ".join(part for part in parts if part)
    return first.kind, data_of(experiment, first.config), setting


def _rates(experiment: Experiment, members: Sequence[Entry]) -> list[str]:
    """The rates at which there are runs; beyond the first only those that are not the default."""
    found = []
    for number, rate in enumerate(experiment.rates):
        values = sorted({e.config[rate.name] for e in members if rate.name in e.config})
        if values and (number == 0 or values != [rate.default]):
            found.append(in_words(rate.name, values))
    return found


def _telling(first: Entry, key: str, others: Sequence[str]) -> list[str]:
    """The settings, hashes of the data most of all, in which a group differs from the others."""
    experiment = of_kind(first.kind)
    mine, theirs = json.loads(key)[1] or {}, [json.loads(other)[1] or {} for other in others]
    names = [n for n in mine if any(o.get(n) != mine[n] for o in theirs)]
    if experiment is None:
        return [in_words(name, mine[name]) for name in names]
    return [telling(name, mine[name], experiment) for name in names]


def summary(entries: Sequence[Entry]) -> dict[str, Any]:
    """The list as one strict JSON document."""
    return {
        "experiment": "runs",
        "groups": [
            {
                "kind": group.kind,
                "data": group.data,
                "setting": group.setting,
                "arms": group.arms,
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
            "data": group.data,
            "setting": group.setting,
            "arms": _arms(group.arms),
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
    names = ("run", "status", "test score", "size", "changed")
    rows = [
        {
            "run": f"{entry.directory.parent.name}/{entry.directory.name}",
            "status": standing(entry),
            "test score": _score(entry),
            "size": size_in_words(entry.size),
            "changed": moment(entry.changed),
        }
        for entry in entries
    ]
    return analysis.render_table([analysis.Column(name, "left") for name in names], rows)


def standing(entry: Entry) -> str:
    """The status of a run, in words.

    An unfinished run is known as far as its last checkpoint.
    """
    if entry.status == "diverged":
        result = entry.result or {}
        at = result.get(entry.counter)
        return f"{result.get('outcome')} at {entry.counter} {at}"
    if entry.status in ("unfinished", "busy"):
        of = f" of {entry.length}" if entry.length is not None else ""
        return f"{entry.status} at {entry.counter} {entry.done}{of}"
    return entry.status


def _score(entry: Entry) -> str:
    measure: Mapping[str, Any] = {} if entry.run is None else entry.run.about.get("measure") or {}
    value = (entry.result or {}).get(f"test_{measure.get('name', 'accuracy')}")
    if not isinstance(value, int | float):
        return "–"
    share = list(measure.get("bounds", SHARE)) == list(SHARE)
    return f"{100 * value:.1f} %" if share else digits(value)


def size_in_words(size: float) -> str:
    """Bytes in units of 1000.

    Examples:
        >>> size_in_words(512), size_in_words(163_825), size_in_words(5.2e9)
        ('512 B', '164 kB', '5.2 GB')
    """
    power = 0
    while size >= 999.5 and power < 3:
        size, power = size / 1000, power + 1
    unit = ("B", "kB", "MB", "GB")[power]
    return f"{size:.1f} {unit}" if power and size < 10 else f"{size:.0f} {unit}"


def moment(seconds: float) -> str:
    """A time, in the reader's time zone, to the minute."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
