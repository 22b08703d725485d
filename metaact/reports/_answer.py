"""A verb's document: the result of a comparison that was just run, or found in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from metaact.experiments.evidence import arm_of
from metaact.experiments.study import Outcome

from ._compare import compare
from ._gather import gather
from .document import Document, LeftOut


def answer(outcome: Outcome, *, by: str = "activation", **options: Any) -> Document:
    """The document of a comparison: the one that `metaact compare` makes of the same runs.

    The order of the arms is handed on, so that the first is the reference unless another is named.

    Args:
        outcome: How the runs ended.
        by: The setting whose values are the arms.
        options: See `Options`.

    Returns:
        The document, with what is missing and what was there before. It has no study if no run is
        complete.
    """
    values = (arm_of(outcome.experiment, by, getattr(c, by)) for c in outcome.configs)
    order = list(dict.fromkeys(values))
    points = sorted({p for job in outcome.jobs for p in job.planned.points})
    directories = outcome.directories
    evidence = gather(directories, by=by, at=outcome.at)
    found = compare(evidence, **{"order": order, "points": points, **options})
    damaged = [LeftOut(directory=str(d.directory), why=d.reason) for d in outcome.damaged]
    return replace(
        found,
        left_out=[*found.left_out, *damaged],
        reused=outcome.report.reused,
        missing=[*outcome.report.complaints(), *outcome.report.limited()],
    )
