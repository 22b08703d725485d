"""Both readings of a study with several learning rates: at shared rates, and each at its best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from metaact.analysis import Comparison, Interval
from metaact.experiments.evidence import Arm, Study
from metaact.experiments.tuning import Trial, budget, choose

from . import learned
from .document import Point, Sensitivity, Tuned


def validation(arm: Arm) -> float | None:
    """Mean score on the validation part; None without one, or where a seed has none."""
    values = arm.validations
    if len(values) < len(arm.records) or not values:
        return None
    return float(np.mean(list(values.values())))


def tuned(
    study: Study, reference: str, compare: Callable[..., Sequence[Comparison]]
) -> Tuned | None:
    """Every arm at the rates that were best for it on the validation part.

    An arm is judged on the seeds that were run at all of its rates. No test image or episode plays
    a part in the choice.

    Args:
        study: The runs.
        reference: The arm that the others are compared with.
        compare: Compares pairs of arms (on given seeds, or those both have), corrected together.

    Returns:
        None where no arm was tried at several rates or there is no validation part.
    """
    common = _seeds_at_every_rate(study)
    trials = [
        Trial(
            arm=arm.value,
            rates=dict(arm.rates),
            validation={s: v for s, v in arm.validations.items() if s in common[arm.value]},
            asked=len(common[arm.value]),
        )
        for arm in study.arms
    ]
    choices = choose(trials, higher=study.measure.sign > 0)
    tried = budget(trials, choices)
    if tried is None or all(choice.index is None for choice in choices):
        return None
    found = {c.arm: study.arms[c.index].name for c in choices if c.index is not None}
    other = found.get(reference)  # None: at no rate all of its seeds are there, as the notes say
    pairs = [(name, other) for name in found.values() if other is not None and name != other]
    return Tuned(
        chosen=found,
        comparisons=list(compare(pairs)) if pairs else [],
        learned=learned.answer(study, found, compare),
        budget=tried,
        notes=tried.notes(),
    )


def _seeds_at_every_rate(study: Study) -> dict[str, set[int]]:
    """By arm: the seeds that were run, to their end or not, at each of its rates."""
    found: dict[str, set[int]] = {}
    for arm in study.arms:
        seeds = {record.seed for record in arm.records}
        found[arm.value] = found.get(arm.value, seeds) & seeds
    return found


def sensitivity(study: Study, interval: Callable[[Arm], Interval | None]) -> Sensitivity | None:
    """Score against the rate that varies most, one line an arm.

    Where two rates vary, each point is at the value of the other that did best on validation.
    """
    names = list(study.arms[0].rates)
    values = {name: {arm.rates.get(name) for arm in study.arms} for name in names}
    name = max(names, key=lambda n: len(values[n]), default=None)
    if name is None or len(values[name]) < 2:
        return None
    lines: dict[str, list[Point]] = {}
    for value in dict.fromkeys(arm.value for arm in study.arms):
        mine = [arm for arm in study.arms if arm.value == value]
        lines[value] = []
        for rate in sorted({arm.rates[name] for arm in mine}):
            here = [arm for arm in mine if arm.rates[name] == rate]
            arm = max(here, key=lambda a: _height(a, study.measure.sign))
            point = Point(rate=rate, score=interval(arm), failed=len(arm.failed))
            lines[value].append(point)
    return Sensitivity(rate=name, lines=lines)


def _height(arm: Arm, sign: int) -> float:
    """How good an arm is on validation; one that is not known is the worst."""
    value = validation(arm)
    return -np.inf if value is None else sign * value
