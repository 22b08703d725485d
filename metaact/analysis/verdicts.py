"""A comparison in words: better, worse, equivalent, or no difference shown."""

from __future__ import annotations

from .comparison import Comparison
from .interval import Interval
from .wording import difference_text, p_text, points_text, roughly

BETTER, WORSE = "better", "worse"
EQUIVALENT, NOT_SHOWN = "equivalent", "no difference shown"


def verdict(interval: Interval, margin: float | None) -> str:
    """Read the word off an interval.

    | the interval | verdict |
    | --- | --- |
    | lies within the margin on both sides of 0 | "equivalent", also where it does not hold 0 |
    | lies above 0, or below it | "better" or "worse" |
    | holds 0 | "no difference shown", which is not "no difference" |

    Args:
        interval: First minus second.
        margin: Differences below it do not matter; None judges no equivalence.
    """
    if margin is not None and -margin < interval.low and interval.high < margin:
        return EQUIVALENT
    if 0 in interval:
        return NOT_SHOWN
    return BETTER if interval.mean > 0 else WORSE


def assumption(seeds: int, level: float) -> str:
    """What must be assumed of seeds that were not run, where all that were agree.

    Formula: of `seeds` draws none is another with probability (1 - share)^seeds; the largest share
    for which that is still 1 - level.
    """
    free = 100 * (1 - (1 - level) ** (1 / seeds))
    return (
        f"{seeds} agreeing seeds leave up to {free:.0f} % of all seeds free to differ; it is "
        "assumed that none does."
    )


def sentence(found: Comparison) -> str:
    """The verdict with its figures, for a reader who sees nothing else."""
    words = _statement(found)
    return f"{words} {found.assumes}" if found.assumes else words


def _statement(found: Comparison) -> str:
    first, second = found.first, found.second
    figures = difference_text(found.interval, margin=found.margin)
    basis = basis_of(found)
    differs = 0 not in found.interval
    size = difference_text(found.interval, size=True, margin=found.margin)
    by = f"{first} is {BETTER if found.mean > 0 else WORSE} than {second} by {size}"
    if found.verdict == EQUIVALENT:
        within = f"margin of {points_text(found.margin or 0, share=found.interval.share)}"
        if differs:
            return f"{by}, which is less than the {within} ({basis})."
        return f"{first} and {second} are equivalent within a {within}: {figures} ({basis})."
    if differs:
        return f"{by} ({basis})."
    shown = f"No difference shown between {first} and {second}: {figures} ({basis})"
    return f"{shown}{needed_text(found)}."


def basis_of(found: Comparison) -> str:
    """What stands in brackets: p-value, level, what varies, and over how many questions."""
    interval = found.interval
    over = interval.varies.replace(" (", ", ").rstrip(")")
    several = found.compared > 1
    kind = "simultaneous interval" if several else "interval"
    of = f" of {found.compared} questions" if several else ""
    parts = []
    if found.p_value is not None and (found.verdict != EQUIVALENT or 0 not in interval):
        parts.append(p_text(found.p_value, 1 - interval.level))
    parts.append(f"{100 * interval.level:g} % {kind}{of} over {over}")
    if interval.seeds == 1:
        parts.append("another seed may differ")
    return "; ".join(parts)


def needed_text(found: Comparison) -> str:
    """What of the sentence says how many more would settle it; "" where nothing does."""
    if not found.mean or found.assumes:
        return ""
    alone = ""
    if 0 not in found.alone:
        alone = "; asked alone it would be shown, among so many questions it is not"
    known = [more_text(name, n) for name, n in found.needed.items() if n]
    if not known:
        return f"{alone}; no number of {' or '.join(found.needed)} alone would settle it"
    return (
        f"{alone}; about {' or '.join(known)} would settle a difference of this size (fix the "
        "number beforehand: adding until it shows makes false alarms)"
    )


def more_text(name: str, number: int) -> str:
    """How many more of what: "14 more training seeds"."""
    return f"{roughly(number)} more {things(name, number)}"


def things(name: str, number: int) -> str:
    """The name of so many things: one of "training seeds" is a "training seed"."""
    return name if number != 1 else name.removesuffix("s")
