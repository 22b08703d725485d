"""A plan of how many seeds, kept beside the runs: what was fixed before the first, and kept or not.

To look, and to add seeds where nothing is shown yet, makes false alarms. A plan that is written
before the first run shows every later reader whether the number was fixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metaact.errors import RunError
from metaact.experiments.evidence import Study
from metaact.experiments.plans import Plan, plan_path, read_plan, seeds_of_arms
from metaact.experiments.table import find
from metaact.settings import counted

from .document import Document, PlanReport

KEPT, EARLY, NOT_KEPT = "kept", "looked at early", "not kept"


def report(study: Study) -> PlanReport | None:
    """What was planned for a study, and whether it was kept; None without a plan."""
    found = _plan(study)
    if found is None:
        return None
    arms = seeds_of_arms(found, study.experiment, by=study.by)
    there = min(n for _, n in arms), max(n for _, n in arms)
    looks = [(look.seeds, look.when) for look in found.looks]
    state = KEPT
    if there[1] > found.seeds:
        state = NOT_KEPT
    elif looks or _lacking(found, arms):
        state = EARLY
    return PlanReport(
        file=str(found.path),
        seeds=found.seeds,
        made=found.made,
        there=there,
        looks=looks,
        state=state,
        sentence=_sentence(found, there, state),
    )


def _plan(study: Study) -> Plan | None:
    paths = dict.fromkeys(
        plan_path(r.run.directory.parent.parent, study.experiment, r.run.config, by=study.by)
        for r in study.records
    )
    return next((plan for path in paths if (plan := read_plan(path)) is not None), None)


def _lacking(plan: Plan, arms: Sequence[tuple[Mapping[str, Any], int]]) -> bool:
    """Whether an arm for which the plan was not kept before has fewer seeds than were planned."""
    return any(n < plan.seeds for arm, n in arms if arm not in plan.kept_arms)


def _sentence(plan: Plan, there: tuple[int, int], state: str) -> str:
    said = f"Planned before the first run ({plan.made}): {plan.seeds} seeds an arm"
    lacking = there[0] < plan.seeds
    if state == NOT_KEPT:
        return f"{said}. Not kept: an arm has {there[1]}."
    if state == KEPT and lacking:
        return f"{said}. Kept: every arm had them ({plan.kept}); by now an arm has {there[0]}."
    if state == KEPT:
        return f"{said}. Kept: every arm has them, and no report was made before."
    said += f". Kept for the arms of {plan.kept}" if plan.kept else ""
    earlier = [f"{counted('seed')(look.seeds)} ({look.when})" for look in plan.looks]
    seen = f" at {', '.join(earlier)}" if earlier else ""
    if lacking:
        now = f"now, with {there[0]} of an arm"
        return f"{said}. Looked at early:{seen}{' and ' if seen else ' '}{now}."
    return f"{said}. Looked at early:{seen}; every arm has them by now."


def note_looks(document: Document) -> list[str]:
    """Record that a study was reported before its planned seeds were there, or with all of them.

    Returns:
        A line for each report that could not be recorded.
    """
    lines = []
    for study, found in ((study, study.plan) for study in document.studies if study.plan):
        kept = read_plan(Path(found.file))
        if kept is None or found.state == NOT_KEPT:
            continue
        full = found.there[0] >= kept.seeds
        if found.state == KEPT:
            arms = seeds_of_arms(kept, find(study.experiment), by=study.by)
            noted = kept.seen_kept(arm for arm, n in arms if n == kept.seeds)
        else:
            noted = kept if full else kept.looked_at(found.there[0])
        if noted == kept:
            continue
        try:
            noted.write()
        except RunError as error:
            what = "that the plan was kept" if full else "this early look"
            lines.append(f"{what} is not recorded: {error}")
    return lines
