"""After each command, the next one that makes sense: one line on stderr."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from .output import note

if TYPE_CHECKING:
    from metaact.reports import Document
    from metaact.reports.document import ArmReport

FEW_SEEDS = 3
"""Fewer say little about other seeds."""


def suggest(command: str, why: str) -> None:
    """Name a command and what it is good for.

    Args:
        command: What is to be typed.
        why: What it does, as the end of a sentence.
    """
    note(f"next: `{command}` {why}")


def after_runs(document: Document, store: Path) -> None:
    """What to do with new runs: other rates, more seeds, a control, or one page about them.

    Args:
        document: What was printed about them.
        store: Where they are.
    """
    arms = [arm for study in document.studies for arm in study.arms]
    if not arms or document.missing:
        return
    seeds = min(len(arm.seeds) + len(arm.failed) for arm in arms)
    names = {arm.name for arm in arms}
    if len(arms) == len(document.studies):
        note("next: the same command with `--activation arelu,relu` compares two activations.")
    elif lost := _lost(document):
        name, rate = next(iter(lost.rates.items()))
        grid = f"{name.replace('_', '-')}={rate / 10:g},{rate / 3:.1g}"
        note(
            f"next: {lost.name} diverged with every seed; the same command with `--tune {grid}` "
            "lets each arm choose its rate."
        )
    elif seeds < FEW_SEEDS:
        note(f"next: the same command with `--seeds {FEW_SEEDS}` says how other seeds would do.")
    elif {"arelu", "relu"} & names and not {"arelu-frozen", "relu-gain"} & names:
        note("next: the same command with `--controls` says whether the gain is learned.")
    else:
        suggest(f"metaact report {shlex.quote(str(store))}", "puts all of it on one page.")


def _lost(document: Document) -> ArmReport | None:
    """An arm of which every seed failed at the one rate that all arms were given."""
    for study in document.studies:
        if study.tuned is None and study.settings.get("protocol", "held-out") == "held-out":
            for arm in study.arms:
                if arm.failed and not arm.seeds:
                    return arm
    return None
