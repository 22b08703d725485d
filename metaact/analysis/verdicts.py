"""A comparison in words: better, worse, equivalent, or no difference shown."""

from __future__ import annotations

from .comparison import Comparison
from .wording import difference_text, p_text, points_text

BETTER, WORSE = "better", "worse"
EQUIVALENT, NOT_SHOWN = "equivalent", "no difference shown"


def verdict(mean: float, p_holm: float, p_equivalence: float | None, *, level: float) -> str:
    """Choose the word.

    | differs (p_holm < 1-level) | within the margin (p_equivalence < 1-level) | verdict |
    | --- | --- | --- |
    | yes | no, or no margin | "better" or "worse" |
    | yes | yes | "equivalent"; the sentence tells that there is a difference below the margin |
    | no | yes | "equivalent" |
    | no | no, or no margin | "no difference shown", which is not "no difference" |

    Args:
        mean: First minus second.
        p_holm: Corrected p-value of no difference.
        p_equivalence: Corrected p-value of a difference of at least the margin; None without one.
        level: Confidence level.
    """
    if p_equivalence is not None and p_equivalence < 1 - level:
        return EQUIVALENT
    if p_holm < 1 - level:
        return BETTER if mean > 0 else WORSE
    return NOT_SHOWN


def sentence(found: Comparison) -> str:
    """The verdict with its figures, for a reader who sees nothing else."""
    first, second, level = found.first, found.second, found.interval.level
    differs = found.p_holm < 1 - level
    size = difference_text(found.interval, size=True)
    by = f"{first} is {BETTER if found.mean > 0 else WORSE} than {second} by {size}"
    if found.verdict == EQUIVALENT:
        within = f"margin of {points_text(found.margin or 0)}"
        if differs:
            return f"{by}, which is less than the {within} ({_basis(found)})."
        figures = difference_text(found.interval)
        return (
            f"{first} and {second} are equivalent within a {within}: {figures} ({_basis(found)})."
        )
    if differs:
        return f"{by} ({_basis(found)})."
    figures = difference_text(found.interval)
    shown = f"No difference shown between {first} and {second}: {figures} ({_basis(found)})"
    return f"{shown}{_needed(found)}."


def _basis(found: Comparison) -> str:
    """What stands in brackets: p-values, what varies, and a level that is not the usual one."""
    threshold = 1 - found.interval.level
    over = found.interval.varies.replace(" (", ", ").rstrip(")")
    parts = []
    if found.verdict == EQUIVALENT and found.p_equivalence is not None:
        p = p_text(found.p_equivalence, threshold)
        parts.append(f"{p} for a larger difference{_corrected(found)}")
    if found.verdict != EQUIVALENT or found.p_holm < threshold:
        p = p_text(found.p_holm, threshold)
        no = " for none" if found.verdict == EQUIVALENT else ""
        parts.append(f"{p}{no}{_corrected(found)}")
    parts.append(f"over {over}")
    if found.interval.level != 0.95:
        parts.append(f"{100 * found.interval.level:g} % interval")
    return "; ".join(parts)


def _corrected(found: Comparison) -> str:
    return f" after Holm over {found.compared} comparisons" if found.compared > 1 else ""


def _needed(found: Comparison) -> str:
    """What would settle it, where any number would and one more is needed.

    The numbers are for a question that is asked alone: the correction for several is not in them.
    """
    if not found.mean:
        return ""
    if found.interval.low > 0 or found.interval.high < 0:
        return "; asked alone it would be shown, among so many comparisons it is not"
    alone = " if it were the only question" if found.compared > 1 else ""
    # "episodes" and "seeds" lose their plural, as in "1 more training seed".
    known = [
        f"{_round(n)} more {name if n > 1 else name.removesuffix('s')}"
        for name, n in found.needed.items()
        if n
    ]
    if not known:
        return f"; no number of {' or '.join(found.needed)} alone would settle one of this size"
    return f"; about {' or '.join(known)} would settle a difference of this size{alone}"


def _round(number: int) -> str:
    """Two leading digits: what a rough extrapolation is worth."""
    return f"{int(float(f'{number:.2g}')):,}"
