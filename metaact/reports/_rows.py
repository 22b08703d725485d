"""Runs as tidy rows: one a run, one a record along the way, or one a test unit. No pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from metaact.errors import check_choice
from metaact.experiments.evidence import FIGURES, Arm, Record
from metaact.settings import completed, shown

from ._compare import named
from ._gather import Evidence

Per = Literal["run", "epoch", "unit"]

PER: tuple[Per, ...] = ("run", "epoch", "unit")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The rows of one run.

    Attributes:
        keys: What tells the run from others; the same in each of its rows.
        columns: What differs from row to row, by name [rows].
        settings: All its settings by name; the same in each of its rows.
        length: How many rows there are.
    """

    keys: Row
    columns: Mapping[str, Sequence[Any]]
    settings: Row
    length: int


def blocks(evidence: Evidence, per: Per = "run") -> Iterator[Block]:
    """The rows of every run, study by study, with the names that `compare --json` gives.

    Args:
        evidence: What `gather` found.
        per: What a row stands for: "run", "epoch" (a record along the way: an epoch or an
            iteration) or "unit" (a test episode or image).

    Raises:
        UsageError: If `per` is another.
    """
    check_choice("per", per, PER)
    for study, arm, record, baseline in _all(evidence):
        columns = _COLUMNS[per](record)
        keys = {
            "study": study,
            "experiment": record.experiment.name,
            "arm": arm.name,
            "value": arm.value,
            "seed": record.seed,
            "baseline": baseline,
            "run": str(record.run.directory),
        }
        known = completed(record.experiment.config, record.run.config)
        settings = {name: plain(value) for name, value in known.items() if name not in keys}
        length = max(map(len, columns.values()), default=0)
        yield Block(keys=keys, columns=columns, settings=settings, length=length)


def table(found: Iterable[Block], *, settings: bool = True) -> dict[str, list[Any]]:
    """All rows as columns, keys first and settings last; a cell that a run lacks is None.

    Args:
        found: The rows.
        settings: Whether settings are among the columns.
    """
    every = list(found)
    names: dict[str, None] = {}
    for part in ("keys", "columns", "settings") if settings else ("keys", "columns"):
        names |= dict.fromkeys(name for block in every for name in getattr(block, part))
    return {name: [cell for block in every for cell in _cells(block, name)] for name in names}


def _cells(block: Block, name: str) -> Sequence[Any]:
    if name in block.columns:
        return block.columns[name]
    return [block.keys.get(name, block.settings.get(name))] * block.length


def plain(value: Any) -> Any:
    """A setting as one cell: a list as the command line takes it."""
    return shown(value) if isinstance(value, list | tuple) else value


def scalars(record: Mapping[str, Any]) -> Row:
    """The figures of a record or a result; α and β as `attention.LAYER.alpha`.

    Likewise what was recorded of layers, as `layers.LAYER.weight_norm`.
    """
    found = {k: v for k, v in record.items() if v is None or isinstance(v, int | float)}
    for kind in ("attention", "layers"):
        for layer, values in (record.get(kind) or {}).items():
            found |= {f"{kind}.{layer}.{name}": value for name, value in values.items()}
    return found


def _all(evidence: Evidence) -> Iterator[tuple[str, Arm, Record, bool]]:
    """Every run once, with the name of its study; a baseline's is that of the first it serves."""
    served = set()
    for name, study, baseline in named(evidence.studies):
        parts = [(study, False)]
        if baseline is not None and id(baseline) not in served:
            served.add(id(baseline))
            parts.append((baseline, True))
        for part, is_baseline in parts:
            for arm in part.arms:
                yield from ((name, arm, record, is_baseline) for record in arm.records)


def _figures(record: Record) -> dict[str, list[Any]]:
    """The scores of a run and what else it ended with."""
    at_end = {name: value for name, value in scalars(record.result).items() if "." in name}
    row = {
        "outcome": record.result.get("outcome"),
        "failed": record.failed,
        "score": record.score,
        "validation": record.validation,
        "units": record.measure.units,
        **{name: record.result.get(name) for name in FIGURES},
        **at_end,
        "identity": record.run.identity,
        "metaact": record.environment.get("metaact"),
        "device": record.environment.get("device"),
    }
    return {name: [value] for name, value in row.items()}


def _records(record: Record) -> dict[str, list[Any]]:
    """What was recorded along the way; a figure that is called as a setting is `recorded_NAME`."""
    axis, config = record.measure.axis, record.run.config
    rows = [scalars(one) for one in record.seen]
    names = dict.fromkeys(name for row in rows for name in row)
    found: dict[str, list[Any]] = {
        "x": [axis.place(one) for one in record.seen],
        "x_name": [axis.name] * len(rows),
    }
    for name in names:
        called = f"recorded_{name}" if name in config else name
        found[called] = [row.get(name) for row in rows]
    return found


def _units(record: Record) -> dict[str, Sequence[Any]]:
    """The score of each test unit; none where the run failed or kept its mean alone."""
    scores = [] if record.scores is None else record.scores.tolist()
    return {"unit": range(len(scores)), "score": scores}


_COLUMNS: Mapping[Per, Callable[[Record], Mapping[str, Sequence[Any]]]] = {
    "run": _figures,
    "epoch": _records,
    "unit": _units,
}
