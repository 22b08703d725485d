"""The command line behind one run, finished or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metaact.runs import Entry, Run


def command_of(entry: Entry, descendants: Sequence[Entry] = ()) -> str | None:
    """The command that makes a run again, and the seeds before it; None if none does.

    Args:
        entry: The run.
        descendants: The fine-tunings that start from it: a pre-training is made with them.
    """
    if entry.kind == "source":
        return command_of(descendants[0]) if descendants else None
    if entry.run is None or entry.kind not in ("maml", "converge", "transfer"):
        return None
    try:
        return _command(entry, entry.run)
    except (KeyError, TypeError, ValueError):  # a run of that kind that no command of ours made
        return None


def _command(entry: Entry, run: Run) -> str:
    from metaact.reports.commands import command
    from metaact.reports.evidence import Arm, Study
    from metaact.reports.records import RATES, Record

    config = dict(entry.config)
    rates = {name: float(config.pop(name)) for name in RATES[entry.kind] if name in config}
    record = Record(
        run=run,
        experiment=entry.kind,
        activation=str(config.pop("activation")),
        seed=int(config.pop("seed")),
        rates=rates,
        settings=config,
        result=entry.result or {},
        environment={},
        metrics=(),
        at=None,
        diverged=False,
        accuracy=None,
        scores=None,
        validation=(entry.last or {}).get("validation_accuracy"),
    )
    arm = Arm(name="", activation=record.activation, rates=rates, records=(record,))
    return command(Study(experiment=entry.kind, settings=config, arms=(arm,), at=None))
