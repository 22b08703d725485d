"""Is an activation's advantage learned, or only scaled? A difference taken apart by controls.

With A the learnable activation, A₀ the same frozen at its start, B the baseline and B* the
baseline whose initialisation passes on as much as A₀ does:

    A - B = (A - A₀) + (A₀ - B*) + (B* - B)
             learning    shape       gain

Every part is a paired comparison of two arms on the same seeds and tests. All four statements and
the differences to the reference are one family: their intervals hold together, and a difference
that is asked for in both places has one interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from metaact.activations.controls import controls_of
from metaact.analysis import Comparison
from metaact.experiments.evidence import Arm, Study

from . import curves
from .document import Learned, Part

Pair = tuple[str, str]
Question = tuple[Pair, Sequence[int] | None]
"""Names of two arms, and the seeds that may count; None for all."""


def pairs(names: Mapping[str, str]) -> list[tuple[str, Pair]]:
    """The comparisons that answer the question, by the name of the part: "total" first.

    Empty where there is no arm together with its frozen control.

    Args:
        names: Name of the arm of each activation.
    """
    first = next((a for a in names if controls_of(a)["frozen"] in names), None)
    if first is None:
        return []
    frozen = controls_of(first)["frozen"]
    found = [("learning", (names[first], names[str(frozen)]))]
    second = next((a for a in names if controls_of(a)["gain"]), None)
    if second is None:
        return found
    gain = controls_of(second)["gain"]
    found.insert(0, ("total", (names[first], names[second])))
    if gain not in names:
        return [*found, ("shape and gain", (names[str(frozen)], names[second]))]
    return [
        *found,
        ("shape", (names[str(frozen)], names[str(gain)])),
        ("gain", (names[str(gain)], names[second])),
    ]


def at_one_rate(study: Study) -> dict[str, str]:
    """Name of the arm of each activation at one shared rate.

    Of several the one at which most arms are, fewest seeds failed, and the mean validation
    score over all arms is best. The seeds that choose it are compared at it, too: what that does
    to verdicts, next to nothing, and to means is measured in docs/statistics.md.
    """
    by_rate: dict[tuple[object, ...], list[Arm]] = {}
    for arm in study.arms:
        by_rate.setdefault(tuple(arm.rates.items()), []).append(arm)
    sign = study.measure.sign
    shared = max(by_rate.values(), key=lambda arms: _suits_all(arms, sign))
    return {arm.value: arm.name for arm in shared}


def _suits_all(arms: Sequence[Arm], sign: int) -> tuple[int, int, float]:
    known = [value for arm in arms for value in arm.validations.values()]
    return len(arms), -sum(len(arm.failed) for arm in arms), sign * float(np.mean(known or [0.0]))


def answer(
    study: Study,
    wanted: Sequence[Pair],
    names: Mapping[str, str],
    compare: Callable[[Sequence[Question]], Sequence[Comparison | None]],
    *,
    among: Sequence[int] | None = None,
) -> tuple[list[Comparison], Learned | None]:
    """Compare pairs of arms; take the difference apart, and say what is left of "learned".

    All parts are compared on the seeds that all arms in them have, so that they add up. Pairs,
    total and parts are corrected together: the chance that any statement is false is 1 - level.
    Where nothing could be learned the runs are no evidence on learning, and that part is left out.

    Args:
        study: The runs.
        wanted: The pairs that are compared anyway.
        names: Name of the arm of each activation: at one shared rate, or each at its own.
        compare: Compares pairs of arms among given seeds, corrected over all of them.
        among: The seeds that may count; None for all.

    Returns:
        The comparisons of `wanted` that can be made; and the question's part of the document, None
        where it cannot be answered (see `why_not`).
    """
    asked, seeds = _parts(study, names, among)
    questions: list[Question] = [(pair, among) for pair in wanted]
    questions += [(pair, seeds) for pair in asked.values()]
    made = compare(questions)
    comparisons = [found for found in made[: len(wanted)] if found]
    parts = [found for found in made[len(wanted) :] if found]
    if not parts or len(parts) < len(asked):
        return comparisons, None
    return comparisons, _learned(study, asked, seeds, among, dict(zip(asked, parts, strict=True)))


def _parts(
    study: Study, names: Mapping[str, str], among: Sequence[int] | None
) -> tuple[dict[str, Pair], list[int]]:
    """The parts that can be told, by name, and the seeds that all arms in them have."""
    there = {a: name for a, name in names.items() if study.arm(name).scored}
    asked = dict(pairs(there))
    seeds = [s for s in _shared_seeds(study, asked) if among is None or s in among]
    if asked and _fixed(study, asked["learning"][0]):
        del asked["learning"]
    return asked, seeds


def _learned(
    study: Study,
    asked: Mapping[str, Pair],
    seeds: list[int],
    among: Sequence[int] | None,
    found: Mapping[str, Comparison],
) -> Learned:
    """The question's part of the document, from the comparison of each part."""
    first = asked["total" if "total" in asked else "learning"][0]
    second = asked["total"][1] if "total" in asked else None
    rates = {tuple(arm.rates.items()) for arm in study.arms}
    return Learned(
        first=first,
        second=second,
        seeds=seeds,
        parts=[
            Part(name=name, sentence=_sentence(name, c), difference=c) for name, c in found.items()
        ],
        answer=_on_seeds(study, asked, seeds, among)
        + _answer(first, second, found)
        + (_CHOSEN if among is None and len(rates) > 1 else ""),
        parameters=curves.parameters(study.arm(first)),
    )


_CHOSEN = (
    " The shared rate is the one at which all arms together do best on validation; means at it may "
    "flatter the arm whose seeds differ most."
)


def why_not(study: Study, names: Mapping[str, str]) -> str | None:
    """Why the question, or a part of it, has no answer although its arms were run; else None."""
    asked = dict(pairs(names))
    if not asked:
        return None
    lost = [
        n for n in dict.fromkeys(n for p in asked.values() for n in p) if not study.arm(n).seeds
    ]
    if lost:
        return (
            f"Learned, or only scaled? The part of {', '.join(lost)} has no answer: every seed "
            "failed."
        )
    if not _shared_seeds(study, asked):
        return "Learned, or only scaled? No answer: the arms have no seed in common."
    if _fixed(study, asked["learning"][0]) and len(asked) == 1:
        return f"Learned, or only scaled? No answer: {_kept(asked['learning'][0])}."
    return None


def _fixed(study: Study, name: str) -> bool:
    """Whether the parameters of an arm stayed at their start in every run: nothing was learned."""
    if study.settings.get("freeze_activations"):
        return True
    layers = curves.attention(study, study.arm(name)).values()
    rows = [row for layer in layers for part in (layer.alpha, layer.beta) for row in part]
    return any(len(row) > 1 for row in rows) and all(len(set(row)) == 1 for row in rows)


def _kept(name: str) -> str:
    return (
        f"the parameters of {name} were kept at their start, so nothing could be learned and these "
        "runs say nothing of learning"
    )


def _shared_seeds(study: Study, asked: Mapping[str, Pair]) -> list[int]:
    arms = [study.arm(name) for pair in asked.values() for name in pair]
    return sorted(set.intersection(*(set(arm.seeds) for arm in arms))) if arms else []


def _on_seeds(
    study: Study, asked: Mapping[str, Pair], seeds: Sequence[int], among: Sequence[int] | None
) -> str:
    """What a reader must know before the answer, where seeds were lost; else ""."""
    arms = [study.arm(name) for pair in asked.values() for name in pair]
    every = {r.seed for arm in arms for r in arm.records if among is None or r.seed in among}
    if set(seeds) == every:
        return ""
    shown = ", ".join(str(seed) for seed in seeds)
    if len(seeds) == 1:
        return f"On the one seed ({shown}) that all these arms have, another may differ: "
    return f"On the seeds that all these arms have ({shown}): "


_MEANING = {
    "total": "Together",
    "learning": "Learning α and β",
    "shape": "The function it starts as, at equal gain",
    "gain": "The gain alone",
    "shape and gain": "The function it starts as, gain included",
}


_CAUSE = {
    "shape": "the function it starts as",
    "gain": "its gain",
    "shape and gain": "how it starts (its shape or its gain: an arm with matched gain would tell)",
}


def _sentence(name: str, found: Comparison) -> str:
    return f"{_MEANING[name]} ({found.first} − {found.second}): {found.summary}"


def _answer(first: str, second: str | None, found: Mapping[str, Comparison]) -> str:
    said = _kept(first)
    if "learning" in found:
        learning = found["learning"]
        said = f"{_of_learning(first, learning)} ({learning.summary})"
    if second is None:
        return f"{said[0].upper()}{said[1:]}."
    total = found["total"]
    if total.verdict == "no difference shown":
        return (
            f"No advantage of {first} over {second} is shown ({total.summary}), so there is none "
            f"to explain; {said}."
        )
    if total.verdict == "equivalent":
        way = "better" if total.mean > 0 else "worse"
        lead = f"{first} is {way} than {second} by less than the margin"
        if 0 in total.interval:
            lead = f"{first} and {second} are equivalent within the margin"
        return f"{lead} ({total.summary}), so there is nothing that matters to explain; {said}."
    return (
        f"{first} is {total.verdict} than {second} ({total.summary}); {said}, and "
        f"{_because(total, found)}."
    )


def _of_learning(first: str, learning: Comparison) -> str:
    """What is said of learning, by its verdict."""
    if learning.verdict == "equivalent" and 0 not in learning.interval:
        way = "helps" if learning.mean > 0 else "hurts"
        return f"learning {first}'s parameters {way} by less than the margin"
    return {
        "better": f"learning {first}'s parameters helps",
        "worse": f"learning {first}'s parameters hurts",
        "equivalent": f"learning {first}'s parameters changes nothing beyond the margin",
        "no difference shown": f"learning {first}'s parameters is not shown to matter",
    }[learning.verdict]


def _because(total: Comparison, found: Mapping[str, Comparison]) -> str:
    """Which of the other parts are shown, in the total's direction and against it."""
    others = [name for name in found if name not in ("total", "learning")]
    opposite = "worse" if total.verdict == "better" else "better"
    for_it = [_CAUSE[n] for n in others if found[n].verdict == total.verdict]
    against = [_CAUSE[n] for n in others if found[n].verdict == opposite]
    because = "no other part is shown to matter"
    if for_it:
        because = f"what is shown to matter is {' and '.join(for_it)}"
    if against:
        because += f", against which works {' and '.join(against)}"
    return because
