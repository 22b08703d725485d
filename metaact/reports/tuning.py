"""Both readings of a study with several learning rates: at shared rates, and each at its best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from metaact.analysis import Comparison, Interval
from metaact.analysis.intervals import SEEDS
from metaact.analysis.verdicts import needed_text
from metaact.experiments.evidence import Arm, Study
from metaact.experiments.tuning import Trial, budget, choose, divide
from metaact.settings import spans

from . import learned
from .document import ArmReport, Point, Sensitivity, Tuned

SCORING = "scoring seeds"
"""What the tuned reading compares arms on: two thirds of all seeds."""


def validation(arm: Arm) -> float | None:
    """Mean score on the validation part; None without one, or where a seed has none."""
    values = arm.validations
    if len(values) < len(arm.records) or not values:
        return None
    return float(np.mean(list(values.values())))


def tuned(
    study: Study,
    reference: str,
    compare: Callable[[Sequence[learned.Question]], Sequence[Comparison | None]],
    report: Callable[[Arm], ArmReport],
) -> Tuned | None:
    """Every arm at the rates that were best for it on the validation part.

    Of the seeds that were run at every rate of every arm some choose (see `divide`); all others
    score. No test image or episode plays a part in the choice.

    Args:
        study: The runs.
        reference: The arm that the others are compared with.
        compare: Compares pairs of arms, each on the given seeds, corrected together.
        report: What is told of an arm.

    Returns:
        None where no arm was tried at several rates or there is no validation part.
    """
    common = _seeds_at_every_rate(study)
    choosing, scoring = _divided(study, common)
    trials = [
        Trial(
            arm=arm.value,
            rates=dict(arm.rates),
            validation={s: v for s, v in arm.validations.items() if s in choosing},
            asked=len(choosing),
            runs=len(common[arm.value]),
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
    arms = [_on_seeds(study.arm(name), scoring) for name in found.values()]

    def compare_scoring(asked: Sequence[learned.Question]) -> list[Comparison | None]:
        return [_in_scoring_seeds(c) if c else None for c in compare(asked)]

    comparisons, answered = learned.answer(study, pairs, found, compare_scoring, among=scoring)
    return Tuned(
        chosen=found,
        comparisons=comparisons,
        arms=[_without_curves(report(arm)) for arm in arms if arm.records],
        chosen_on=choosing,
        scored_on=scoring,
        learned=answered,
        budget=tried,
        notes=[_who_chose(choosing, scoring), *tried.notes()],
    )


def _divided(study: Study, common: Mapping[str, set[int]]) -> tuple[list[int], list[int]]:
    """The seeds that choose, and those that score: all others, or the same if there are none."""
    values = [arm.value for arm in study.arms]
    tried = [seeds for value, seeds in common.items() if values.count(value) > 1]
    every = {record.seed for record in study.records}
    choosing, _ = divide(set.intersection(*tried) if tried else every)
    return choosing, sorted(every - set(choosing)) or choosing


def _who_chose(choosing: Sequence[int], scoring: Sequence[int]) -> str:
    if choosing == scoring:
        return (
            "The one seed chose the rates and is scored at them: the best of several flatters. "
            "With two seeds or more, some choose and others score."
        )
    return (
        f"The rates were chosen by {_seeds(choosing)} and are scored on {_seeds(scoring)}: a "
        "network that is good by luck in both would flatter. Of seeds that are added a third "
        f"chooses; only the others are {SCORING}."
    )


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {spans(seeds)}"


def _in_scoring_seeds(found: Comparison) -> Comparison:
    """The comparison, with what would settle it counted in seeds that score: more must choose."""
    needed = {SCORING if name == SEEDS else name: n for name, n in found.needed.items()}
    renamed = replace(found, needed=needed)
    said = found.sentence.replace(needed_text(found), needed_text(renamed))
    return replace(renamed, sentence=said)


def _on_seeds(arm: Arm, seeds: Sequence[int]) -> Arm:
    return replace(arm, records=tuple(r for r in arm.records if r.seed in seeds))


def _without_curves(arm: ArmReport) -> ArmReport:
    """What the table needs: the curves are those of the whole arm."""
    return replace(arm, curves={}, baseline={}, times=[], area=None)


def _seeds_at_every_rate(study: Study) -> dict[str, set[int]]:
    """By arm: the seeds that were run, to their end or not, at each of its rates."""
    found: dict[str, set[int]] = {}
    for arm in study.arms:
        seeds = {record.seed for record in arm.records}
        found[arm.value] = found.get(arm.value, seeds) & seeds
    return found


def sensitivity(study: Study, interval: Callable[[Arm], Interval | None]) -> Sensitivity | None:
    """Score against the rate that varies most, one line an arm.

    Where two rates vary, each point is at the value of the other that did best on validation among
    the seeds that choose, and its score is of those that do not.
    """
    choosing, scoring = _divided(study, _seeds_at_every_rate(study))
    names = list(dict.fromkeys(name for arm in study.arms for name in arm.rates))
    values = {n: {arm.rates[n] for arm in study.arms if n in arm.rates} for n in names}
    name = max(names, key=lambda n: len(values[n]), default=None)
    if name is None or len(values[name]) < 2:
        return None
    lines: dict[str, list[Point]] = {}
    chosen = False
    for value in dict.fromkeys(arm.value for arm in study.arms):
        mine = [arm for arm in study.arms if arm.value == value and name in arm.rates]
        if not mine:
            continue
        lines[value] = []
        for rate in sorted({arm.rates[name] for arm in mine}):
            here = [arm for arm in mine if arm.rates[name] == rate]
            if len(here) > 1:
                chosen = True
                best = max(here, key=lambda a: _height(_on_seeds(a, choosing), study.measure.sign))
                here = [_on_seeds(best, scoring)]
            (arm,) = here
            point = Point(rate=rate, score=interval(arm), failed=len(arm.failed))
            lines[value].append(point)
    return Sensitivity(rate=name, lines=lines, note=_at_best(choosing, scoring) if chosen else "")


def _at_best(choosing: Sequence[int], scoring: Sequence[int]) -> str:
    return (
        "Where another rate varies, too, a score is at the value of it that did best on validation "
        f"(chosen by {_seeds(choosing)}, scored on {_seeds(scoring)})."
    )


def _height(arm: Arm, sign: int) -> float:
    """How good an arm is on validation; one that is not known is the worst."""
    value = validation(arm)
    return -np.inf if value is None else sign * value
