"""Both readings of a study with several learning rates: at a shared rate, and each at its best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from metaact.analysis import Comparison
from metaact.experiments import rates as rating
from metaact.experiments import tuning

from . import learned
from .evidence import Arm, Study

_RATES = {
    "maml": rating.MAML_RATES,
    "converge": rating.CONVERGE_RATES,
    "transfer": rating.TRANSFER_RATES,
}


def validation(arm: Arm) -> float | None:
    """Mean accuracy on the validation part; None without one, or where a seed diverged."""
    values = _validations(arm)
    if len(values) < len(arm.records) or not values:
        return None
    return float(np.mean(list(values.values())))


def _validations(arm: Arm) -> dict[int, float]:
    return {r.seed: r.validation for r in arm.converged if r.validation is not None}


def tuned(
    study: Study, reference: str, compare: Callable[..., Sequence[Comparison]]
) -> dict[str, Any] | None:
    """Every activation at the rates that were best for it on the validation part.

    An activation is judged on the seeds that were run at all of its rates.

    No test image or episode plays a part in the choice.

    Args:
        study: The runs.
        reference: The activation that the others are compared with.
        compare: Compares pairs of arms (on given seeds, or those both have), corrected together.

    Returns:
        None where no activation was tried at several rates or there is no validation part.
    """
    common = _seeds_at_every_rate(study)
    trials = [
        tuning.Trial(
            arm=arm.activation,
            rates=dict(arm.rates),
            validation={s: v for s, v in _validations(arm).items() if s in common[arm.activation]},
            test={},
            asked=len(common[arm.activation]),
        )
        for arm in study.arms
    ]
    choices = tuning.choose(trials)
    rates = [rate for rate in _RATES[study.experiment] if rate.field in study.arms[0].rates]
    budget = tuning.document(trials, choices, rates=rates)
    if budget is None or all(choice.index is None for choice in choices):
        return None
    found = {c.arm: study.arms[c.index].name for c in choices if c.index is not None}
    pairs = [(name, found[reference]) for arm, name in found.items() if arm != reference]
    comparisons = compare(pairs) if reference in found else []
    return {
        "chosen": found,
        "arms": list(found.values()),
        "comparisons": [c.as_json() for c in comparisons],
        "learned": learned.answer(study, found, compare),
        "budget": budget,
        "notes": tuning.notes(budget, rates),
    }


def _seeds_at_every_rate(study: Study) -> dict[str, set[int]]:
    """By activation: the seeds that were run, to their end or not, at each of its rates."""
    found: dict[str, set[int]] = {}
    for arm in study.arms:
        seeds = {record.seed for record in arm.records}
        found[arm.activation] = found.get(arm.activation, seeds) & seeds
    return found


def sensitivity(
    study: Study, interval: Callable[[Arm], Mapping[str, Any] | None]
) -> dict[str, Any] | None:
    """Accuracy against the rate that varies most, one line an activation.

    Where two rates vary, each point is at the value of the other that did best on validation.
    """
    names = list(study.arms[0].rates)
    values = {name: {arm.rates[name] for arm in study.arms} for name in names}
    name = max(names, key=lambda n: len(values[n]))
    if len(values[name]) < 2:
        return None
    lines: dict[str, list[dict[str, Any]]] = {}
    for activation in dict.fromkeys(arm.activation for arm in study.arms):
        mine = [arm for arm in study.arms if arm.activation == activation]
        lines[activation] = []
        for rate in sorted({arm.rates[name] for arm in mine}):
            here = [arm for arm in mine if arm.rates[name] == rate]
            arm = max(here, key=lambda a: validation(a) or 0.0)
            point = {"rate": rate, "accuracy": interval(arm), "diverged": len(arm.diverged)}
            lines[activation].append(point)
    return {"rate": name, "lines": lines}
