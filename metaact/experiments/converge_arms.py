"""The runs of `metaact converge`, gathered into arms and read back as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from metaact.runs import Json, Run

from .converge import Study, open_run
from .converge_config import ConvergeConfig
from .rates import CONVERGE_RATES, Rates, at_rates
from .reuse import Library, at_epoch, records_until
from .soundness import is_sound
from .tuning import Trial

Record = dict[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What one complete run recorded up to the epochs asked for.

    Attributes:
        run: The run; it may be longer.
        seed: Its seed.
        records: Metrics in order, the ones within the first epoch included.
        diverged_in: Epoch in which it diverged, or None.
    """

    run: Run
    seed: int
    records: tuple[Record, ...]
    diverged_in: int | None

    def at(self, epoch: int, key: str) -> float | None:
        """One figure at the end of an epoch; None if it is not there."""
        record = at_epoch(self.records, epoch)
        return None if record is None else number(record.get(key))

    def series(self, key: str) -> list[tuple[float, float]]:
        """Pairs of epoch and figure, wherever the figure was measured."""
        pairs = [(number(r["epoch"]), number(r.get(key))) for r in self.records]
        return [(epoch, value) for epoch, value in pairs if epoch is not None and value is not None]

    def best(self, key: str) -> tuple[int, float] | None:
        """The whole epoch with the greatest figure, the first of equals, and that figure."""
        whole = [(int(e), value) for e, value in self.series(key) if e >= 1 and e == int(e)]
        return max(whole, key=lambda pair: (pair[1], -pair[0]), default=None)

    def first_reaching(self, key: str, threshold: float) -> float | None:
        """Epochs (with fractions) until the figure first reached the threshold; None if never."""
        return next((e for e, value in self.series(key) if value >= threshold), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The runs of one activation with one optimizer at one learning rate, over seeds.

    Attributes:
        config: Its settings; the seed is the first one's.
        traces: Complete runs, diverged ones included, in the order of their seeds.
        asked: How many seeds were asked for.
    """

    config: ConvergeConfig
    traces: tuple[Trace, ...]
    asked: int

    @property
    def converged(self) -> tuple[Trace, ...]:
        """The runs that ended with finite losses."""
        return tuple(t for t in self.traces if t.diverged_in is None)

    @property
    def label(self) -> str:
        """How pictures and messages name it."""
        return f"{self.config.activation} {self.config.optimizer} lr {self.config.lr:g}"

    @property
    def rates(self) -> Rates:
        """Its learning rates."""
        return at_rates(self.config.fields(), CONVERGE_RATES)

    def trial(self) -> Trial:
        """What tuning looks at: both accuracies after the last epoch, of the converged runs."""

        def last(key: str) -> dict[int, float]:
            found = {t.seed: t.at(self.config.epochs, key) for t in self.converged}
            return {seed: value for seed, value in found.items() if value is not None}

        return Trial(
            arm=f"{self.config.activation} {self.config.optimizer}",
            rates=self.rates,
            validation=last("validation_accuracy"),
            test=last("test_accuracy"),
            asked=self.asked,
        )

    def values(self, epoch: int, key: str) -> dict[int, float]:
        """A figure at the end of an epoch, by seed, of the runs that have it."""
        found = {t.seed: t.at(epoch, key) for t in self.traces}
        return {seed: value for seed, value in found.items() if value is not None}

    def curve(self, key: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Epochs [points] and values [seeds, points] that all converged runs have."""
        series = [dict(t.series(key)) for t in self.converged]
        if not series:
            return None
        epochs = sorted(set.intersection(*(set(s) for s in series)))
        if not epochs:
            return None
        return np.array(epochs), np.array([[s[e] for e in epochs] for s in series])

    def attention(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Per layer: epochs [points], α and β [seeds, points] of the converged runs."""
        watched = [{number(r["epoch"]): _layers(r) for r in t.records} for t in self.converged]
        if not watched:
            return {}
        epochs = sorted(set.intersection(*(set(w) for w in watched)), key=lambda e: e or 0.0)
        layers = watched[0][epochs[0]]

        def values(layer: str, name: str) -> np.ndarray:
            return np.array([[w[e][layer][name] for e in epochs] for w in watched])

        return {
            layer: (np.array(epochs), values(layer, "alpha"), values(layer, "beta"))
            for layer in layers
        }


def absent(arms: Sequence[Arm]) -> str:
    """What a picture of `arms` does not show, to end its title with; "" if nothing.

    A mean over the seeds that are left flatters an arm: whoever looks must know.
    """
    lost = [
        f"{arm.config.activation} {count} of {arm.asked} seeds {why}"
        for arm in arms
        for count, why in (
            (len(arm.traces) - len(arm.converged), "diverged"),
            (arm.asked - len(arm.traces), "missing"),
        )
        if count
    ]
    return f"; without {', '.join(lost)}" if lost else ""


def number(value: object) -> float | None:
    """A JSON number as a float, None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]


def _layers(record: Record) -> dict[str, dict[str, float]]:
    """α and β by layer; NaN for what was not finite."""
    layers = record["attention"]
    assert isinstance(layers, dict)
    found = {}
    for layer, values in layers.items():
        assert isinstance(values, dict)
        numbers = {name: number(value) for name, value in values.items()}
        found[layer] = {k: math.nan if v is None else v for k, v in numbers.items()}
    return found


def trace(config: ConvergeConfig, run: Run) -> Trace:
    """What a complete run recorded up to `config.epochs`."""
    result = run.result()
    diverged = result["epoch"] if result["outcome"] == "diverged" else None
    assert diverged is None or isinstance(diverged, int)
    return Trace(
        run=run,
        seed=config.seed,
        records=tuple(records_until(run, config.epochs)),
        diverged_in=diverged,
    )


def collect(configs: Sequence[ConvergeConfig], shared: Study, library: Library) -> list[Arm]:
    """The arms of a comparison, in the order in which they were asked for."""
    groups: dict[ConvergeConfig, list[ConvergeConfig]] = {}
    for config in configs:
        groups.setdefault(replace(config, seed=0), []).append(config)
    arms = []
    for group in groups.values():
        runs = [(config, open_run(config, shared, library)) for config in group]
        traces = tuple(trace(config, run) for config, run in runs if is_sound(run))
        arms.append(Arm(config=group[0], traces=traces, asked=len(group)))
    return arms
