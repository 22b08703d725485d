"""Seeds that failed, and seeds that lie far from the others: results, not gaps in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from metaact.analysis import failure_p
from metaact.experiments.evidence import Study
from metaact.experiments.experiment import Measure

from .document import ArmReport, FailureTest


def tests(study: Study, pairs: Sequence[tuple[str, str]]) -> list[FailureTest]:
    """Whether the arms of each pair fail equally often; none where no seed failed.

    Formula: McNemar's exact p-value on the seeds that both ran, times the number of pairs.
    """
    if not any(arm.failed for arm in study.arms):
        return []
    found = []
    for names in pairs:
        first, second = (study.arm(name) for name in names)
        seeds = {r.seed for r in first.records} & {r.seed for r in second.records}
        one, other = (seeds & set(arm.failed) for arm in (first, second))
        found.append(
            FailureTest(
                first=names[0],
                second=names[1],
                seeds=len(seeds),
                only_first=len(one - other),
                only_second=len(other - one),
                p_value=min(1.0, len(pairs) * failure_p(one, other, seeds)),
                compared=len(pairs),
            )
        )
    return found


def notes(arms: Sequence[ArmReport], measure: Measure) -> list[str]:
    """The seeds that lie far from the others of their arm, a sentence each.

    Where each seed is tested on what is its own, it is far in many arms at once: one sentence.
    """
    if not measure.unit:
        found = Counter(arm.far for arm in arms if arm.far is not None)
        return [
            f"Seed {seed} lies far from the others in {count} of {len(arms)} arms: its stream is "
            "its own. Differences are paired; with so skewed seeds no interval of an arm's few "
            "seeds holds its level."
            for seed, count in found.items()
        ]
    return [_far(arm, arm.far, measure) for arm in arms if arm.far is not None]


def _far(arm: ArmReport, seed: int, measure: Measure) -> str:
    others = [score for s, score in arm.by_seed.items() if s != seed]
    low, high = (measure.show(end, unit=False) for end in (min(others), max(others)))
    last = measure.show(max(others))
    between = last if low == high else f"{low} to {last}"
    return (
        f"{arm.name}: seed {seed} lies far from the others ({measure.show(arm.by_seed[seed])} "
        f"beside {between}); with so skewed seeds no interval of few seeds holds its level."
    )
