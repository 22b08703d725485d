"""A longer run of the same settings contains every shorter one.

Unless it depends on its planned length: a cosine that ends after 20 epochs is not, after 10, where
one that ends after 10 is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from metaact.runs import Damaged, Run, RunStore
from metaact.settings import is_divided

from .experiment import Experiment, Planned
from .recorded import check


class Library:
    """The complete runs of a store that contain shorter ones, found by what they computed.

    Args:
        store: The run store; it is read once.
        experiment: Whose runs; those of an experiment whose runs contain no shorter ones are not
            looked for.

    Attributes:
        store: The run store.
        damaged: Directories that cannot be read; a report shows them.
    """

    def __init__(self, store: RunStore, experiment: Experiment) -> None:
        self.store = store
        self.damaged: list[Damaged] = []
        known = experiment.settings
        self._known = known
        self._length = next((name for name, one in known.items() if one.contains), None)
        self._loose = {name for name, one in known.items() if one.role == "observation"}
        self._longest: dict[str, Run] = {}
        for kind in experiment.kinds if self._length else ():
            listing = store.scan(kind, check=check)
            self.damaged += listing.damaged
            for run in listing.runs:
                if run.is_complete and run.result()["outcome"] == "complete":
                    self._offer(run)

    def _offer(self, run: Run) -> None:
        key = self._key(run.kind, run.config)
        present = self._longest.get(key)
        if present is None or (run.length or 0) > (present.length or 0):
            self._longest[key] = run

    def open(self, planned: Planned, about: Mapping[str, object]) -> Run:
        """The run that was planned, or a complete one that is longer and otherwise the same.

        Args:
            planned: The run.
            about: What a new run records of itself.

        Returns:
            A run; its `metrics()` may go on past the length asked for.
        """
        own = self.store.open(
            kind=planned.kind, name=planned.name, config=planned.identity, about=about
        )
        if self._length is None or own.is_complete:
            return own
        longer = self._longest.get(self._key(planned.kind, planned.identity))
        return longer if longer and (longer.length or 0) >= planned.length else own

    def _key(self, kind: str, config: Mapping[str, object]) -> str:
        loose = self._loose | ({self._length} if is_divided(self._known, config) else set())
        kept = {k: v for k, v in config.items() if k not in loose}
        return json.dumps([kind, kept], sort_keys=True, default=list)
