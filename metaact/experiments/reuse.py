"""A longer run of the same setting contains every shorter one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from metaact.runs import Json, Run, RunStore

LOOSE = ("epochs", "first_epoch_points")
"""Settings that change how long a run is watched, not what is computed up to an epoch."""


class Library:
    """The complete supervised runs of a store, found by what they computed.

    Args:
        store: The run store; it is read once.
        kinds: Kinds of runs.

    Attributes:
        store: The run store.
        damaged: One sentence about each directory that cannot be read; a report shows them.
    """

    def __init__(self, store: RunStore, *kinds: str) -> None:
        self.store = store
        self._longest: dict[str, Run] = {}
        listings = {kind: store.scan(kind) for kind in kinds}
        self.damaged = [item.reason for found in listings.values() for item in found.damaged]
        for kind, listing in listings.items():
            for run in listing.runs:
                if run.is_complete and run.result()["outcome"] == "complete":
                    self._offer(_key(kind, run.config), run)

    def _offer(self, key: str, run: Run) -> None:
        present = self._longest.get(key)
        if present is None or _epochs(run.config) > _epochs(present.config):
            self._longest[key] = run

    def open(self, *, kind: str, name: str, config: Mapping[str, object]) -> Run:
        """The run of this config, or a complete one that is longer and otherwise the same.

        Args:
            kind: Kind of run.
            name: Readable name of a new run.
            config: Every field of its identity, `epochs` among them.

        Returns:
            A run; its `metrics()` may go on past the epochs asked for.
        """
        own = self.store.open(kind=kind, name=name, config=config)
        longer = self._longest.get(_key(kind, config))
        enough = longer is not None and _epochs(longer.config) >= _epochs(config)
        return longer if longer is not None and enough and not own.is_complete else own


def _epochs(config: Mapping[str, object]) -> int:
    epochs = config.get("epochs")
    return epochs if isinstance(epochs, int) else 0


def _key(kind: str, config: Mapping[str, object]) -> str:
    kept = {k: v for k, v in config.items() if k not in LOOSE}
    return json.dumps([kind, kept], sort_keys=True, default=list)


def records_until(run: Run, epochs: int) -> list[dict[str, Json]]:
    """The run's metrics up to and with the end of that epoch."""
    return [record for record in run.metrics() if _number(record["epoch"]) <= epochs]


def at_epoch(records: Iterable[Mapping[str, object]], epoch: int) -> Mapping[str, object] | None:
    """The record at the end of an epoch; None if the run diverged before."""
    return next((r for r in records if r["epoch"] == epoch), None)


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
