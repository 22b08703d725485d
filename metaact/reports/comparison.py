"""Evidence into one document: intervals, comparisons, verdicts, as strict JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from metaact import __version__, analysis
from metaact.analysis.bounds import check_level
from metaact.errors import check_choice, check_int, check_rate
from metaact.runs import finite

from . import courses, describe, learned
from .commands import command
from .evidence import Arm, Evidence, Study
from .published import optimism
from .records import Array
from .titles import told_apart
from .tuning import sensitivity, tuned, validation

OVER = ("both", "seeds", "units")
METHODS = ("auto", "t", "bca", "wilson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How runs are compared.

    Attributes:
        reference: Activation that the others are compared with; None takes relu if it is there,
            else the first.
        over: What a repetition would draw anew: "seeds", "units" (test episodes or images) or
            "both".
        method: Kind of interval of each arm: "auto", "t", "bca" or "wilson".
        level: Confidence level.
        margin: Differences below it do not matter, in 0..1; None judges no equivalence.
        thresholds: Accuracies whose first reaching is timed.
        seed: Seed of bootstrap intervals.
    """

    reference: str | None = None
    over: str = "both"
    method: str = "auto"
    level: float = 0.95
    margin: float | None = None
    thresholds: Sequence[float] = (0.5, 0.9)
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("over", self.over, OVER)
        check_choice("interval", self.method, METHODS)
        check_level(self.level)
        check_int("seed", self.seed, minimum=0)
        if self.margin is not None:
            check_rate("margin", self.margin, maximum=1)
        for threshold in self.thresholds:
            check_rate("thresholds", threshold, maximum=1)


def compare(evidence: Evidence, **options: Any) -> dict[str, Any]:
    """Compare the arms of every study.

    Args:
        evidence: What `gather` found.
        options: See `Options`.

    Returns:
        Strict JSON: what `metaact compare --json` prints. Accuracies are in 0..1, differences in
        -1..1.

    Raises:
        UsageError: If an option is not allowed, or no study has the reference.
    """
    chosen = Options(**options)
    known = {arm.activation for study in evidence.studies for arm in study.arms}
    if chosen.reference is not None:
        check_choice("reference", chosen.reference, sorted(known), why="the arms that are there")
    folded = _fold_baselines(evidence.studies)
    counts: dict[str, int] = {}
    studies = []
    for study, baseline in folded:
        counts[study.experiment] = counts.get(study.experiment, 0) + 1
        name = f"{study.experiment}-{counts[study.experiment]}"
        studies.append(_study(study, baseline, name, chosen))
    document = {
        "experiment": "comparison",
        "version": __version__,
        "level": chosen.level,
        "margin": chosen.margin,
        "over": chosen.over,
        "method": chosen.method,
        "seed": chosen.seed,
        "studies": told_apart(studies),
        "left_out": [
            {"directory": str(item.directory), "why": item.why} for item in evidence.left_out
        ],
    }
    return finite(document)  # type: ignore[return-value]


def _fold_baselines(studies: Sequence[Study]) -> list[tuple[Study, Study | None]]:
    """Each study with the one that is its baseline "target only", which is then not shown alone."""

    def is_baseline(study: Study) -> bool:
        return study.experiment == "transfer" and not study.settings["pretrained"]

    def belongs(tuned: Study, base: Study) -> bool:
        same = (k for k in base.settings if k != "pretrained")
        return all(tuned.settings.get(k) == base.settings[k] for k in same)

    tuned = [s for s in studies if not is_baseline(s)]
    bases = [s for s in studies if is_baseline(s)]
    found = []
    used = set()
    for study in tuned:
        base = next(
            (b for b in bases if study.experiment == "transfer" and belongs(study, b)), None
        )
        used.add(id(base))
        found.append((study, base))
    return found + [(base, None) for base in bases if id(base) not in used]


def _study(study: Study, baseline: Study | None, name: str, options: Options) -> dict[str, Any]:
    reference = _reference(study, options.reference)
    arms = [_arm(study, baseline, arm, options) for arm in study.arms]
    pairs = [(arm.name, other) for arm in study.arms if (other := _other(study, arm, reference))]

    def against(
        asked: Sequence[learned.Pair], seeds: Sequence[int] | None = None
    ) -> list[analysis.Comparison]:
        return _compare(study, asked, options, seeds)

    comparisons = against(pairs)
    names = learned.at_one_rate(study)
    notes = [
        *describe.notes(study, over=options.over),
        *describe.uncompared(study, pairs, [(c.first, c.second) for c in comparisons]),
        *filter(None, [learned.why_not(study, names)]),
        *_varies(arms),
    ]
    if options.reference not in (None, reference):
        notes.append(f"No arm here is {options.reference}: compared with {reference}.")
    return {
        "id": name,
        "experiment": study.experiment,
        "title": describe.title(study),
        "question": describe.question(study, reference),
        "unit": study.unit,
        "units": describe.units(study),
        "replacement": study.settings.get("replacement"),
        "chance": describe.chance(study),
        "protocol": study.settings.get("protocol"),
        "settings": dict(study.settings),
        "data": describe.data(study),
        "official": describe.official(study),
        "environments": describe.environments(study),
        "arms": arms,
        "reference": reference,
        "comparisons": [c.as_json() for c in comparisons],
        "tuned": tuned(study, reference, against),
        "sensitivity": sensitivity(study, lambda arm: _interval(study, arm, options, options.over)),
        "ranks": _ranks(study, options),
        "learned": learned.answer(study, names, against),
        "notes": notes,
        "examples": describe.examples(study),
        "reproduce": [command(study)],
    }


def _varies(arms: Sequence[dict[str, Any]]) -> list[str]:
    found = dict.fromkeys(arm["accuracy"]["varies"] for arm in arms if arm["accuracy"])
    return [f"Intervals over {' / '.join(found)}."] if found else []


def _reference(study: Study, asked: str | None) -> str:
    """The activation that the others are compared with."""
    there = list(dict.fromkeys(arm.activation for arm in study.arms))
    if asked in there:
        return str(asked)
    return "relu" if "relu" in there else there[0]


def _other(study: Study, arm: Arm, reference: str) -> str | None:
    """The arm of the reference at the same rates, if it is another and there."""
    same = [a for a in study.arms if a.activation == reference and a.rates == arm.rates]
    return same[0].name if same and same[0] is not arm else None


def _compare(
    study: Study,
    pairs: Sequence[learned.Pair],
    options: Options,
    seeds: Sequence[int] | None = None,
) -> list[analysis.Comparison]:
    """Paired comparisons on the seeds that both arms have, or on the given, corrected together.

    A pair with fewer than two scores to compare has none.
    """
    per_unit = study.per_unit
    cases: list[tuple[learned.Pair, Array, Array]] = []
    for first, second in pairs:
        a, b = study.arm(first), study.arm(second)
        shared = [seed for seed in a.seeds if seed in b.seeds] if seeds is None else seeds
        if not shared:
            continue
        one, other = (arm.matrix(shared, per_unit=per_unit) for arm in (a, b))
        if one.size > 1:
            cases.append(((first, second), one, other))
    found = analysis.compare_pairs(
        cases,
        unit=study.unit,
        over=options.over if per_unit else "seeds",
        level=options.level,
        margin=options.margin,
    )
    return [_with_losses(study, comparison) for comparison in found]


def _with_losses(study: Study, found: analysis.Comparison) -> analysis.Comparison:
    """The sentence says which seeds diverged, and where one alone is there to compare."""
    pair = [study.arm(found.first), study.arm(found.second)]
    sentence = found.sentence
    if found.interval.seeds == 1:
        sentence = f"On one seed: {sentence}"
        if max(len(arm.records) for arm in pair) > 1:
            sentence = f"On the one seed that both have: {found.sentence}"
    lost = [
        f"seed{'s' if len(arm.diverged) > 1 else ''} "
        f"{', '.join(str(seed) for seed in arm.diverged)} of {arm.name}"
        for arm in pair
        if arm.diverged
    ]
    if lost:
        sentence += f" Diverged and not in it: {'; '.join(lost)}."
    return replace(found, sentence=sentence)


def _arm(study: Study, baseline: Study | None, arm: Arm, options: Options) -> dict[str, Any]:
    results = [record.result for record in arm.records]
    return {
        "name": arm.name,
        "activation": arm.activation,
        "rates": dict(arm.rates),
        "seeds": list(arm.seeds),
        "diverged": list(arm.diverged),
        "runs": [str(record.run.directory) for record in arm.records],
        "parameters": results[0].get("parameters"),
        "accuracy": _interval(study, arm, options, options.over),
        "intervals": {over: _interval(study, arm, options, over) for over in OVER},
        "by_seed": {str(record.seed): record.accuracy for record in arm.converged},
        "validation": validation(arm),
        "baselines": _baselines(study, baseline, arm, options),
        "paper": optimism(study, arm),
        "curves": courses.curves(study, arm),
        "area": courses.area(study, arm),
        "times": courses.times(study, arm, options.thresholds),
        "attention": courses.attention(study, arm),
        "stuck_alpha": sum(int(result.get("stuck_alpha", 0)) for result in results),
        "attention_layers": int(results[0].get("attention_layers", 0)),
    }


def _interval(study: Study, arm: Arm, options: Options, over: str) -> dict[str, Any] | None:
    """Mean accuracy with its interval; None where the runs cannot tell.

    The kind of interval that was asked for is that of the reading that was asked for: the others
    are shown beside it and may not allow it.
    """
    if not arm.converged:
        return None
    per_unit = study.per_unit
    if not per_unit and over != "seeds":
        over = "seeds"
    trials = study.trials_per_unit if per_unit else describe.units(study) or None
    found = analysis.estimate(
        arm.matrix(per_unit=per_unit),
        unit=study.unit,
        trials_per_unit=trials,
        over=over,
        method=options.method if over == options.over else "auto",
        replacement=study.settings.get("replacement"),
        level=options.level,
        seed=options.seed,
    )
    return asdict(found)


def _baselines(study: Study, baseline: Study | None, arm: Arm, options: Options) -> dict[str, Any]:
    """A transfer's two baselines: trained on the target only, and never fine-tuned."""
    if study.experiment != "transfer" or not study.settings["pretrained"]:
        return {}
    found: dict[str, Any] = {"target only": None, "never fine-tuned": None}
    if baseline is not None:
        same = [a for a in baseline.arms if a.activation == arm.activation and _alike(a, arm)]
        found["target only"] = _interval(baseline, same[0], options, options.over) if same else None
    starts = [record.metrics[0].get("test_accuracy") for record in arm.records]
    known = [value for value in starts if value is not None]
    if len(known) > 1:
        images = describe.units(study)
        found["never fine-tuned"] = asdict(analysis.seed_interval(known, trials=images))
    return found


def _alike(baseline: Arm, arm: Arm) -> bool:
    """Whether they share every rate that the baseline has: it was never pre-trained."""
    return all(arm.rates[name] == rate for name, rate in baseline.rates.items())


def _ranks(study: Study, options: Options) -> dict[str, Any] | None:
    """Ranks of the arms that lost no seed, on the seeds that all of them have.

    None with fewer than three such arms: a diverged run has no rank, and to rank the others on the
    seeds that it left would let it choose the judges.
    """
    arms = [arm for arm in study.arms if arm.converged and not arm.diverged]
    seeds = sorted(set.intersection(*(set(arm.seeds) for arm in arms))) if arms else []
    if len(arms) < 3 or not seeds:
        return None
    per_unit = study.per_unit
    over = options.over if per_unit else "seeds"
    if len(seeds) < 2 and not per_unit:
        return None
    matrices = {arm.name: arm.matrix(seeds, per_unit=per_unit) for arm in arms}
    found = analysis.rank_arms(matrices, over=over, unit=study.unit, level=options.level)
    lost = [arm.name for arm in study.arms if arm.diverged]
    return {**found.as_json(), "left_out": lost}
