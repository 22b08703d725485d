"""The course of an arm: curves with bands, area, time to an accuracy, α and β."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from metaact import analysis
from metaact.runs import finite

from .evidence import Arm, Study
from .records import Array, Record

STEP = {"maml": "meta-iteration", "converge": "epoch", "transfer": "epoch"}

_CURVES = {
    "maml": ("validation_accuracy", "train_accuracy", "train_loss"),
    "converge": ("test_accuracy", "validation_accuracy", "train_loss"),
    "transfer": ("test_accuracy", "validation_accuracy", "train_loss"),
}
"""Figures that are recorded along the way; the first that is there tells how fast an arm learns."""


def curves(study: Study, arm: Arm) -> dict[str, dict[str, Any]]:
    """Mean and band over seeds of everything recorded along the way, by name.

    A point at which any seed has no value has none: a mean over the survivors would flatter.
    """
    found = {}
    for name in _CURVES[study.experiment]:
        series = [_series(record, study, name) for record in arm.records]
        x, values = _table(series)
        if not len(x) or not any(series):
            continue
        bounds = (0.0, 1.0) if name.endswith("accuracy") else None
        mean, low, high = analysis.curve_band(values, bounds=bounds)
        found[name] = {
            "x": x.tolist(),
            "x_name": STEP[study.experiment],
            "mean": _numbers(mean),
            "low": None if low is None else _numbers(low),
            "high": None if high is None else _numbers(high),
            "seeds": len(series),
        }
    return found


def watched(study: Study) -> str | None:
    """The accuracy by whose curve speed is judged: the first that every run recorded.

    A run that diverged at once recorded nothing, and is asked nothing here.
    """
    begun = [record for record in study.records if record.course]
    for name in _CURVES[study.experiment]:
        if begun and all(any(name in m for m in r.course) or r.diverged for r in begun):
            return name
    return None


def area(study: Study, arm: Arm) -> dict[str, Any] | None:
    """Area under the watched curve as a mean accuracy, with its interval over seeds.

    None if a seed diverged or there is one seed only of which nothing could vary.
    """
    name = watched(study)
    if name is None or arm.diverged or len(arm.converged) < 2:
        return None
    areas = []
    for record in arm.converged:
        series = _series(record, study, name)
        if len(series) < 2:
            return None
        areas.append(analysis.area_under_curve(list(series), list(series.values())))
    return asdict(analysis.seed_interval(areas))


def times(study: Study, arm: Arm, thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """When each seed first reached an accuracy; those that did not are censored at their end."""
    name = watched(study)
    if name is None:
        return []
    found = []
    for threshold in thresholds:
        reached, ends = [], []
        for record in arm.records:
            series = _series(record, study, name)
            first = next((x for x, value in series.items() if value >= threshold), None)
            reached.append(first)
            ends.append(max(series, default=0.0))
        end = min(ends, default=0.0)
        found.append(
            {
                "threshold": threshold,
                "curve": name,
                "by_seed": reached,
                "censored_at": end,
                "median": analysis.median_time(reached, censored_at=ends),
            }
        )
    return found


def attention(study: Study, arm: Arm) -> dict[str, dict[str, Any]]:
    """α and β per layer over time: x [points], alpha and beta [seeds][points]."""
    kept = [[m for m in record.course if m.get("attention")] for record in arm.converged]
    if not kept or not kept[0]:
        return {}
    shared = sorted(set.intersection(*({_step(m, study) for m in ms} for ms in kept)))
    rows = [{_step(m, study): m["attention"] for m in ms} for ms in kept]
    return {
        layer: {
            "x": shared,
            "alpha": [[row[x][layer]["alpha"] for x in shared] for row in rows],
            "beta": [[row[x][layer]["beta"] for x in shared] for row in rows],
        }
        for layer in kept[0][0]["attention"]
    }


def _step(metric: Mapping[str, Any], study: Study) -> float:
    """Where on the x axis a record stands: a meta-iteration is done when it is recorded."""
    if study.experiment == "maml":
        return float(metric["iteration"] + 1)
    return float(metric["epoch"])


def _series(record: Record, study: Study, name: str) -> dict[float, float]:
    """One recorded figure by its place, up to where the run is read."""
    return {
        _step(m, study): float(m[name]) for m in record.course if isinstance(m.get(name), float)
    }


def _table(series: Sequence[Mapping[float, float]]) -> tuple[Array, Array]:
    """All places of all seeds [points], and values [seeds, points], NaN where one has none."""
    places = sorted(set().union(*series))
    values = [[one.get(x, np.nan) for x in places] for one in series]
    return np.array(places, dtype=np.float64), np.array(values, dtype=np.float64)


def _numbers(values: Array) -> list[float | None]:
    return finite([float(value) for value in values])  # type: ignore[return-value]
