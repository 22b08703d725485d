"""The shape of each arm's activation beside what was measured, and how their orders agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from metaact import analysis
from metaact.analysis.association import FEWEST
from metaact.errors import UsageError
from metaact.experiments.evidence import Study

from .document import ArmReport, ShapeMeasure, Shapes, Tuned

NAMES: Mapping[str, tuple[str, str]] = {
    "negative_slope": ("slope on the left", "mean derivative for x < 0"),
    "gain": ("gain", "√E[f(x)²]"),
    "floor": ("floor", "least |derivative| on [−4, 4]"),
    "dead_band": ("dead band", "length within [−4, 4] without a slope"),
    "kink": ("kink", "jump of the derivative at 0"),
    "sides": ("saturated sides", "sides on which the slope vanishes far out"),
}
"""The measures of shape as tables call them, and what each is; x is standard normal."""


def report(
    study: Study, arms: Sequence[ArmReport], tuned: Tuned | None, *, level: float
) -> Shapes | None:
    """The shapes of the arms of a study against their scores; None with fewer than five.

    Each activation counts once: at its own best rates where they were chosen, else at the rates at
    which most were run.
    """
    if study.by != "activation":
        return None
    chosen, at = _once(arms, tuned)
    known = {arm.name: _shape(study, arm) for arm in chosen if arm.score and not arm.failed}
    whole = {name: shape for name, shape in known.items() if shape}
    if len(whole) < FEWEST:
        return None
    scores = {arm.name: arm.score for arm in chosen if arm.name in whole and arm.score}
    means = [study.measure.sign * scores[name].mean for name in whole]
    measures = []
    for name in NAMES:
        values = {arm: float(shape[name]) for arm, shape in whole.items()}
        found = analysis.rank_correlation(list(values.values()), means, level=level)
        measures.append(ShapeMeasure(name=name, values=values, correlation=found))
    return Shapes(
        scores=scores,
        measures=measures,
        at=at,
        without=[arm.name for arm in chosen if arm.name not in whole],
    )


def _once(arms: Sequence[ArmReport], tuned: Tuned | None) -> tuple[list[ArmReport], str]:
    """One arm for each activation, and at which rates they are."""
    if tuned is not None:
        return list(tuned.arms), "each at its own best rates"
    counts = Counter(tuple(arm.rates.items()) for arm in arms if arm.score)
    if not counts:
        return [], ""
    rates, _ = counts.most_common(1)[0]
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in rates)
    chosen = [arm for arm in arms if tuple(arm.rates.items()) == rates]
    return chosen, f"at {told}" if len(counts) > 1 else ""


def _shape(study: Study, arm: ArmReport) -> Mapping[str, float]:
    """The shape that a run of the arm recorded; of runs of before, that of the name in the table.

    Code of a user's is not run to read a store.
    """
    own = next(one for one in study.arms if one.value == arm.value)
    for record in own.records:
        found = record.run.about.get("shape")
        if isinstance(found, dict) and set(NAMES) <= set(found):
            return found
    if ":" in arm.value:
        return {}
    from metaact.activations import resolve, shape_record

    try:
        return shape_record(resolve(arm.value))
    except UsageError:  # a name of another version
        return {}
