"""An arm along the way: curves with bands, area, time to a score, α and β."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metaact import analysis
from metaact.experiments.evidence import Arm, Array, Record, Study

from .document import Curve, Layer, Parameter, Time


def watchable(study: Study) -> tuple[str, ...]:
    """Figures that are recorded along the way; the first that is there tells how fast."""
    measure = study.measure
    known = study.experiment
    traces = (f"train_{measure.name}", "train_loss", *known.losses, *known.traces)
    if measure.along:
        return measure.test, measure.validation, *traces
    return measure.validation, *traces


def curves(study: Study, arm: Arm, *, level: float = 0.95) -> dict[str, Curve]:
    """Mean and band over seeds of everything recorded along the way, by name.

    A point at which any seed has no value has none: a mean over the survivors would flatter.
    """
    found = {}
    for name in watchable(study):
        series = [_series(record, name) for record in arm.records]
        if not any(series):
            continue
        scored = name.endswith(study.measure.name)
        bounds = study.measure.bounds if scored else None
        if name.endswith("_loss"):
            bounds = study.experiment.loss_bounds
        found[name] = _curve(study, series, level=level, bounds=bounds)
    return found


def diagnostics(study: Study, arm: Arm, *, level: float = 0.95) -> dict[str, dict[str, Curve]]:
    """Mean and band over seeds of what was recorded of each layer, by layer and name.

    Runs that recorded nothing of the kind, as those of earlier versions, are not among the seeds.
    """
    place = study.measure.axis.place
    rows = [{place(m): m["layers"] for m in r.seen if m.get("layers")} for r in arm.scored]
    rows = [row for row in rows if row]
    names = {
        layer: dict.fromkeys(
            name for row in rows for found in row.values() for name in found[layer]
        )
        for layer in (next(iter(rows[0].values())) if rows else ())
    }
    found: dict[str, dict[str, Curve]] = {}
    for layer, figures in names.items():
        for name in figures:
            series = [
                {x: layers[layer][name] for x, layers in row.items() if name in layers[layer]}
                for row in rows
            ]
            known = [{x: v for x, v in one.items() if v is not None} for one in series]
            bounds = _BOUNDS.get(name.rpartition("_")[2])
            found.setdefault(layer, {})[name] = _curve(study, known, level=level, bounds=bounds)
    return found


_BOUNDS = {"units": (0.0, 1.0), "rank": (0.0, math.inf), "norm": (0.0, math.inf)}
"""Of what is recorded of layers, by the last word of its name."""


def _curve(
    study: Study,
    series: Sequence[Mapping[float, float]],
    *,
    level: float,
    bounds: tuple[float, float] | None,
) -> Curve:
    """Mean and band of one figure of several seeds."""
    x, values = _table(series)
    mean, low, high = analysis.curve_band(values, level=level, bounds=bounds)
    return Curve(
        x=x.tolist(),
        x_name=study.measure.axis.name,
        mean=_numbers(mean),
        low=None if low is None else _numbers(low),
        high=None if high is None else _numbers(high),
        seeds=len(series),
    )


def watched(study: Study) -> str | None:
    """The score by whose curve speed is judged: the first that every run recorded.

    A loss is none. A run that diverged in its first step recorded nothing, and is not considered.
    """
    begun = [record for record in study.records if record.seen]
    for name in (n for n in watchable(study) if n.endswith(study.measure.name)):
        if begun and all(any(name in m for m in r.seen) or r.failed for r in begun):
            return name
    return None


def area(study: Study, arm: Arm, *, level: float = 0.95) -> analysis.Interval | None:
    """Area under the watched curve as a mean score, with its interval over seeds.

    None if a seed failed or there is one seed only of which nothing could vary. Where all agree,
    the interval is over the test's images or episodes, and says what it assumes.
    """
    name = watched(study)
    if name is None or arm.failed or len(arm.scored) < 2:
        return None
    areas = []
    for record in arm.scored:
        series = _series(record, name)
        if len(series) < 2:
            return None
        areas.append(analysis.area_under_curve(list(series), list(series.values())))
    measure = study.measure
    return analysis.seed_interval(
        areas, trials=measure.units or None, level=level, bounds=measure.bounds
    )


def times(study: Study, arm: Arm, thresholds: Sequence[float]) -> list[Time]:
    """When each seed first reached a score; those that did not are censored at the planned end.

    A seed that diverged or failed is one of them, even where it had been there before: it leaves no
    network with that score. Censored where it diverged it would count as one of which nothing is
    known, and the seeds that are left would make the arm look faster.
    """
    name = watched(study)
    if name is None:
        return []
    better = study.measure.direction == "higher"
    found = []
    for threshold in thresholds:
        reached, ends = [], []
        for record in arm.records:
            series = _series(record, name)
            there = (x for x, v in series.items() if (v >= threshold if better else v <= threshold))
            reached.append(None if record.failed else next(there, None))
            planned = record.run.length if record.at is None else record.at
            ends.append(float(planned or max(series, default=0.0)))
        found.append(
            Time(
                threshold=threshold,
                curve=name,
                by_seed=reached,
                censored_at=min(ends, default=0.0),
                median=analysis.median_time(reached, censored_at=ends),
            )
        )
    return found


def attention(study: Study, arm: Arm) -> dict[str, Layer]:
    """α and β per layer over time."""
    kept = _attending(arm)
    if not kept or not all(kept):
        return {}
    place = study.measure.axis.place
    rows = [{place(m): m["attention"] for m in ms} for ms in kept]
    shared = sorted(set.intersection(*(set(row) for row in rows)))
    return {
        layer: Layer(
            x=shared,
            alpha=[[row[x][layer]["alpha"] for x in shared] for row in rows],
            beta=[[row[x][layer]["beta"] for x in shared] for row in rows],
        )
        for layer in _layers(kept)
    }


def parameters(arm: Arm) -> dict[str, dict[str, Parameter]]:
    """α and β of each layer, at the start and at the end; {} for arms without them.

    Without the layers of which one has left the finite numbers: they have no mean.
    """
    kept = _attending(arm)
    if not kept or not all(kept):
        return {}
    found = {
        layer: {name: _parameter(kept, layer, name) for name in ("alpha", "beta")}
        for layer in _layers(kept)
    }
    return {
        layer: {name: one for name, one in own.items() if one is not None}
        for layer, own in found.items()
        if None not in own.values()
    }


def _parameter(
    kept: Sequence[Sequence[Mapping[str, dict[str, dict[str, float | None]]]]],
    layer: str,
    name: str,
) -> Parameter | None:
    start = [value for ms in kept if (value := ms[0]["attention"][layer][name]) is not None]
    end = [value for ms in kept if (value := ms[-1]["attention"][layer][name]) is not None]
    if len(start) + len(end) < 2 * len(kept):
        return None
    return Parameter(
        start=float(np.mean(start)),
        end=float(np.mean(end)),
        low=float(np.min(end)),
        high=float(np.max(end)),
    )


def _layers(kept: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    """The layers that the networks of all seeds have."""
    first = kept[0][0]["attention"]
    return [layer for layer in first if all(layer in ms[0]["attention"] for ms in kept)]


def _attending(arm: Arm) -> list[list[Mapping[str, dict[str, dict[str, float | None]]]]]:
    return [[m for m in record.seen if m.get("attention")] for record in arm.scored]


def _series(record: Record, name: str) -> dict[float, float]:
    """One recorded figure by its place, up to where the run is read."""
    place = record.measure.axis.place
    return {place(m): float(m[name]) for m in record.seen if m.get(name) is not None}


def _table(series: Sequence[Mapping[float, float]]) -> tuple[Array, Array]:
    """All places of all seeds [points], and values [seeds, points], NaN where one has none."""
    places = sorted(set().union(*series))
    values = [[one.get(x, np.nan) for x in places] for one in series]
    return np.array(places, dtype=np.float64), np.array(values, dtype=np.float64)


def _numbers(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
