"""Evidence into one document: intervals, comparisons, verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np

from metaact import analysis
from metaact.analysis.bounds import check_level, in_percent
from metaact.errors import check_choice, check_int, check_rate
from metaact.experiments.commands import merged
from metaact.experiments.evidence import Arm, Array, Study
from metaact.experiments.experiment import SHARE, Column
from metaact.experiments.words import title

from . import curves, describe, failures, learned, paper, plans, shapes, tuning
from ._gather import Evidence
from .document import ArmReport, Curve, Document, Optimism, Ranking, Score, StudyReport

OVER = ("both", "seeds", "units")
METHODS = ("auto", "t", "bca", "wilson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How runs are compared.

    Attributes:
        reference: The arm that the others are compared with; None takes the first of `order`, or
            relu if it is there, or the first in the order of the table of activations.
        order: The arms in their order; those that are not named follow.
        over: What intervals and p-values cover: new "seeds", "units" (test episodes or images) or
            "both".
        method: Kind of interval of each arm: "auto", "t", "bca" or "wilson".
        level: Confidence level.
        margin: Differences below it do not matter, in units of the score; None judges no
            equivalence.
        thresholds: Scores whose first reaching is timed, of measures that are shares.
        points: Places along the way at which runs are read, too; None takes what they recorded.
        seed: Seed of bootstrap intervals.
    """

    reference: str | None = None
    order: Sequence[str] = ()
    over: str = "both"
    method: str = "auto"
    level: float = 0.95
    margin: float | None = None
    thresholds: Sequence[float] = (0.5, 0.9)
    points: Sequence[int] | None = None
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


def compare(evidence: Evidence, **options: Any) -> Document:
    """Compare the arms of every study.

    Args:
        evidence: What `gather` found.
        options: See `Options`.

    Returns:
        What `metaact compare` prints. Scores are as measured (accuracies in 0..1).

    Raises:
        UsageError: If an option is not allowed, or no study has the reference.
    """
    chosen = Options(**options)
    known = {arm.value for study in evidence.studies for arm in study.arms}
    if chosen.reference is not None:
        check_choice("reference", chosen.reference, sorted(known), why="the arms that are there")
    studies = []
    for name, study, baseline in named(evidence.studies):
        ordered = replace(study, arms=tuple(_ordered(study.arms, chosen.order)))
        studies.append(_Comparing(ordered, baseline, chosen).report(name))
    return Document(
        studies=describe.told_apart(studies),
        left_out=list(evidence.left_out),
        level=chosen.level,
        margin=chosen.margin,
        over=chosen.over,
        method=chosen.method,
        seed=chosen.seed,
    )


def named(studies: Sequence[Study]) -> list[tuple[str, Study, Study | None]]:
    """The studies that are shown, each with its name and the study that is its baseline."""
    counts: dict[str, int] = {}
    found = []
    for study, baseline in _with_baselines(studies):
        name = study.experiment.name
        counts[name] = counts.get(name, 0) + 1
        found.append((f"{name}-{counts[name]}", study, baseline))
    return found


def _ordered(arms: Sequence[Arm], order: Sequence[str]) -> list[Arm]:
    places = {value: index for index, value in enumerate(order)}
    return sorted(arms, key=lambda arm: places.get(arm.value, len(places)))


def _with_baselines(studies: Sequence[Study]) -> list[tuple[Study, Study | None]]:
    """Each study with the one that is its baseline, which is then not shown alone."""

    def belongs(study: Study, base: Study) -> bool:
        shared = (k for k in base.settings if k not in study.experiment.apart)
        same = all(study.settings.get(k) == base.settings[k] for k in shared)
        return study.experiment is base.experiment and same

    bases = [s for s in studies if s.experiment.baseline(s.settings)]
    found, used = [], set()
    for study in (s for s in studies if s not in bases):
        base = next((b for b in bases if belongs(study, b)), None)
        used.add(id(base))
        found.append((study, base))
    return found + [(base, None) for base in bases if id(base) not in used]


def _notes(columns: Mapping[str, Sequence[Column]], *, apart: bool) -> list[str]:
    """What the columns beside the scores are, or those apart, each once."""
    every = (c for found in columns.values() for c in found if c.apart == apart)
    return list(dict.fromkeys(c.note for c in every if c.note))


def _turned(column: Column, seeds: Sequence[int]) -> Array:
    """The figures of some seeds [seeds, 1], turned so that a higher one is better."""
    sign = 1 if column.better == "higher" else -1
    return sign * np.array([[float(np.mean(column.scores[seed]))] for seed in seeds])


class _Comparing:
    """One study under comparison, with the options that hold for all of it."""

    def __init__(self, study: Study, baseline: Study | None, options: Options) -> None:
        self.study = study
        self.baseline = baseline
        self.options = options

    def report(self, name: str) -> StudyReport:
        """The whole study."""
        study, options = self.study, self.options
        reference = self._reference()
        pairs = [(a.name, b) for a in study.arms if (b := self._other(a, reference))]
        at_one = learned.at_one_rate(study)
        comparisons, answered = learned.answer(study, pairs, at_one, self.compare)
        failed = failures.tests(study, pairs)
        columns = {arm.name: self._columns(arm) for arm in study.arms}
        arms = [self._arm(arm, columns[arm.name]) for arm in study.arms]
        notes = [
            *describe.notes(study, over=options.over),
            *describe.unmatched(study, reference),
            *describe.uncompared(study, pairs, [(c.first, c.second) for c in comparisons]),
            *filter(None, [learned.why_not(study, at_one)]),
            *failures.notes(arms, study.measure),
        ]
        if options.reference not in (None, reference):
            notes.append(f"No arm here is {options.reference}: compared with {reference}.")
        plan = plans.report(study)
        notes += [plan.sentence] if plan else []
        provenance = describe.data(study)
        tuned = tuning.tuned(
            study, reference, self.compare, lambda arm: self._arm(arm, self._columns(arm))
        )
        found = [r.run.about.get("command") for r in study.records]
        return StudyReport(
            id=name,
            experiment=study.experiment.name,
            title=title(study.experiment, study.settings, at=study.at, by=study.by),
            question=describe.question(study, reference),
            by=study.by,
            measure=study.measure,
            settings=dict(study.settings),
            data=provenance,
            official=describe.official(provenance),
            environments=describe.environments(study),
            arms=arms,
            reference=reference,
            comparisons=comparisons,
            tuned=tuned,
            sensitivity=tuning.sensitivity(study, lambda arm: self._interval(arm, options.over)),
            ranks=self._ranks(),
            learned=answered,
            notes=notes,
            data_notes=describe.data_notes(study),
            column_notes=_notes(columns, apart=False),
            further_notes=_notes(columns, apart=True),
            examples=describe.examples(study),
            commands=merged([command for command in found if command], by=study.by),
            level=options.level,
            failures=failed,
            plan=plan,
            others=self._others(columns, pairs),
            shapes=shapes.report(study, arms, tuned, level=options.level),
        )

    def _reference(self) -> str:
        """The arm that the others are compared with."""
        there = list(dict.fromkeys(arm.value for arm in self.study.arms))
        if self.options.reference in there:
            return str(self.options.reference)
        first = next((value for value in self.options.order if value in there), None)
        return first or ("relu" if "relu" in there else there[0])

    def _other(self, arm: Arm, reference: str) -> str | None:
        """The arm of the reference at the same rates, if it is another and there."""
        other = self.study.beside(arm, reference)
        return other.name if other is not None and other is not arm else None

    def compare(self, questions: Sequence[learned.Question]) -> list[analysis.Comparison | None]:
        """Paired comparisons, one family, each on the seeds that both arms have.

        Args:
            questions: Names of both arms, and the seeds that may count. A pair that is asked twice
                about the same seeds is one question of the family.

        Returns:
            One for each question, None where a pair has fewer than two scores to compare.
        """
        per_unit = self.study.per_unit
        cases: list[tuple[learned.Pair, Array, Array]] = []
        keys: list[tuple[learned.Pair, list[int]]] = []
        asked: list[tuple[learned.Pair, list[int]]] = []
        for (first, second), among in questions:
            a, b = self.study.arm(first), self.study.arm(second)
            shared = [seed for seed in a.seeds if seed in b.seeds]
            shared = [seed for seed in shared if among is None or seed in among]
            asked.append(((first, second), shared))
            if not shared or asked[-1] in keys:
                continue
            one, other = (self._better(arm.matrix(shared, per_unit=per_unit)) for arm in (a, b))
            if one.size > 1:
                cases.append(((first, second), one, other))
                keys.append(asked[-1])
        found = analysis.compare_pairs(
            cases,
            unit=self.study.measure.unit or "training seeds",
            over=self.options.over if per_unit else "seeds",
            level=self.options.level,
            margin=self.options.margin,
            replacement=self.study.measure.replacement,
            trials_per_unit=self._trials(per_unit),
            aligned=all(shared == keys[0][1] for _, shared in keys),
            bounds=self._turned(),
        )
        whole = [self._with_losses(comparison) for comparison in found]
        return [whole[keys.index(key)] if key in keys else None for key in asked]

    def _others(
        self, columns: Mapping[str, Sequence[Column]], pairs: Sequence[learned.Pair]
    ) -> dict[str, list[analysis.Comparison]]:
        """The same pairs in further figures that say which of two is better, each a family."""
        found: dict[str, list[analysis.Comparison]] = {}
        for name in dict.fromkeys(c.name for own in columns.values() for c in own if c.better):
            of = {
                arm: column for arm, own in columns.items() for column in own if column.name == name
            }
            cases, seeds = [], set[tuple[int, ...]]()
            for first, second in pairs:
                if first not in of or second not in of:
                    continue
                shared = [seed for seed in of[first].scores if seed in of[second].scores]
                if len(shared) > 1:
                    one, other = (_turned(of[arm], shared) for arm in (first, second))
                    if np.ptp(one - other) == 0:  # as relu6 and relu below 6: nothing to tell
                        continue
                    cases.append(((first, second), one, other))
                    seeds.add(tuple(shared))
            if not cases:
                continue
            column = of[cases[0][0][0]]
            low, high = column.bounds or self.study.measure.bounds
            compared = analysis.compare_pairs(
                cases,
                unit="training seeds",
                over="seeds",
                level=self.options.level,
                aligned=len(seeds) == 1,
                bounds=(low, high) if column.better == "higher" else (-high, -low),
            )
            found[name] = [self._with_losses(comparison) for comparison in compared]
        return found

    def _trials(self, per_unit: bool) -> int | None:
        """Answers behind one score of a matrix; None where that is not known."""
        return self.study.trials_per_unit if per_unit else self.study.measure.units or None

    def _better(self, scores: Array) -> Array:
        """Scores turned so that a higher one is better."""
        if self.study.measure.direction == "higher":
            return scores
        return 1 - scores if self.study.measure.is_share else -scores

    def _turned(self) -> tuple[float, float]:
        """The bounds of scores turned so."""
        measure = self.study.measure
        low, high = measure.bounds
        return measure.bounds if measure.is_share or measure.sign > 0 else (-high, -low)

    def _with_losses(self, found: analysis.Comparison) -> analysis.Comparison:
        """The sentence says which seeds failed, and where one alone is there to compare."""
        pair = [self.study.arm(found.first), self.study.arm(found.second)]
        sentence = found.sentence
        if found.interval.seeds == 1:
            sentence = f"On one seed: {sentence}"
            if max(len(arm.records) for arm in pair) > 1:
                sentence = f"On the one seed that both have: {found.sentence}"
        lost = [
            f"seed{'s' if len(arm.failed) > 1 else ''} "
            f"{', '.join(str(seed) for seed in arm.failed)} of {arm.name}"
            for arm in pair
            if arm.failed
        ]
        if lost:
            sentence += f" Diverged and not in it: {'; '.join(lost)}."
        return replace(found, sentence=sentence)

    def _arm(self, arm: Arm, columns: Sequence[Column]) -> ArmReport:
        study, level = self.study, self.options.level
        results = [record.result for record in arm.records]
        by_seed = {r.seed: r.score for r in arm.scored if r.score is not None}
        parameters = results[0].get("parameters")
        return ArmReport(
            name=arm.name,
            value=arm.value,
            rates=dict(arm.rates),
            seeds=list(arm.seeds),
            failed=list(arm.failed),
            runs=[str(record.run.directory) for record in arm.records],
            parameters=None if parameters is None else int(parameters),
            score=self._interval(arm, self.options.over),
            intervals={over: self._interval(arm, over) for over in OVER},
            by_seed=by_seed,
            validation=tuning.validation(arm),
            columns={column.name: self._column(column) for column in columns},
            paper=self._optimism(arm),
            curves=curves.curves(study, arm, level=level),
            baseline=self._baseline(arm),
            area=curves.area(study, arm, level=level),
            times=curves.times(
                study, arm, self.options.thresholds if study.measure.is_share else ()
            ),
            attention=curves.attention(study, arm),
            diagnostics=curves.diagnostics(study, arm, level=level),
            stuck_alpha=sum(int(result.get("stuck_alpha") or 0) for result in results),
            attention_layers=int(results[0].get("attention_layers", 0)),
            failure_share=analysis.failure_share(len(arm.failed), len(arm.records), level=level),
            counted=analysis.with_failures(
                list(by_seed.values()),
                len(arm.failed),
                value=study.measure.failed,
                trials=study.measure.units or None,
                level=level,
            ),
            interquartile=self._interquartile(arm, by_seed),
            far=analysis.far_seed(by_seed, **({} if study.measure.is_share else {"least": 0.0})),
        )

    def _interquartile(self, arm: Arm, by_seed: Mapping[int, float]) -> float | None:
        """None where failed seeds count as nothing, or there is no seed at all."""
        measure = self.study.measure
        if arm.failed and measure.failed is None:
            return None
        lost = [] if measure.failed is None else [measure.failed] * len(arm.failed)
        return analysis.interquartile_mean([*by_seed.values(), *lost], bounds=measure.bounds)

    def _baseline(self, arm: Arm) -> dict[str, Curve]:
        """The curves of the arm's baseline, where it has one."""
        base = self.baseline.like(arm) if self.baseline else None
        if not self.baseline or not base:
            return {}
        return curves.curves(self.baseline, base, level=self.options.level)

    def _columns(self, arm: Arm) -> list[Column]:
        """More scores of an arm: the experiment's own, and at earlier places."""
        study = self.study
        found = study.experiment.columns(study, self.baseline, arm)
        end = study.at or max((record.run.length or 0 for record in arm.records), default=0)
        for place in self._points() if study.measure.along else ():
            if place < end:
                known = {record.seed: record.test_scores(place) for record in arm.records}
                scores = {seed: value for seed, value in known.items() if value is not None}
                found.append(Column(name=f"{study.measure.axis.name} {place}", scores=scores))
        return found

    def _points(self) -> list[int]:
        if self.options.points is not None:
            return sorted(self.options.points)
        recorded = {p for r in self.study.records for p in r.run.about.get("points") or ()}
        return sorted(recorded)

    def _column(self, column: Column) -> Score:
        bounds = column.bounds or self.study.measure.bounds
        return Score(
            score=self._interval_of(list(column.scores.values()), bounds),
            by_seed={seed: float(np.mean(value)) for seed, value in column.scores.items()},
            share=in_percent(bounds),
            apart=column.apart,
        )

    def _interval_of(
        self, values: list[Any], bounds: tuple[float, float]
    ) -> analysis.Interval | None:
        """The interval of scores of several seeds: one number each, or one per unit."""
        per_unit = bool(values) and all(np.ndim(value) == 1 for value in values)
        if not per_unit:
            values = [[float(np.mean(value))] for value in values]
        if not values or (len(values) == 1 and not per_unit):
            return None
        array = np.array(values, dtype=np.float64)
        return self._estimate(array, self.options.over, per_unit, bounds)

    def _interval(self, arm: Arm, over: str) -> analysis.Interval | None:
        """Mean score with its interval; None where the runs cannot tell.

        The kind of interval that was asked for is that of the reading that was asked for: the
        others are shown beside it and may not allow it.
        """
        if not arm.scored:
            return None
        per_unit = self.study.per_unit
        matrix = arm.matrix(per_unit=per_unit)
        return self._estimate(matrix, over, per_unit, self.study.measure.bounds)

    def _estimate(
        self, matrix: Array, over: str, per_unit: bool, bounds: tuple[float, float]
    ) -> analysis.Interval | None:
        """None where scores that are no shares do not vary."""
        measure, options = self.study.measure, self.options
        over = over if per_unit else "seeds"
        if bounds != SHARE and (matrix.size < 2 or float(np.ptp(matrix)) == 0):
            return None
        return analysis.estimate(
            matrix,
            unit=measure.unit or "training seeds",
            trials_per_unit=self._trials(per_unit),
            over=over,
            method=options.method if over == options.over else "auto",
            replacement=measure.replacement,
            level=options.level,
            seed=options.seed,
            bounds=bounds,
        )

    def _optimism(self, arm: Arm) -> Optimism | None:
        """The figure of the paper's kind, the held-out figure, their gap, what was published."""
        study = self.study
        if not arm.scored or study.at == 0:
            return None
        selected = study.experiment.selected(study, arm)
        published = paper.published(study, arm)
        if selected is None:
            if published is None:
                return None
            held_out = float(np.mean([record.score for record in arm.scored]))
            which = f"{study.measure.unit} at the {study.measure.axis.name} that is read"
            return Optimism(
                figure=None,
                by_seed={},
                published=published,
                held_out=held_out,
                gap=None,
                selected_on="",
                held_out_is=which,
            )
        figure = fmean(selected.by_seed.values())
        return Optimism(
            figure=figure,
            by_seed=dict(selected.by_seed),
            published=published,
            held_out=selected.held_out,
            gap=figure - selected.held_out,
            selected_on=selected.selected_on,
            held_out_is=selected.held_out_is,
        )

    def _ranks(self) -> Ranking | None:
        """Ranks of the arms that lost no seed, on the seeds that all of them have.

        None with fewer than three such arms: a failed run has no rank, and to rank the others on
        the others would let the failed run decide which seeds count.
        """
        study, options = self.study, self.options
        arms = [arm for arm in study.arms if arm.scored and not arm.failed]
        seeds = sorted(set.intersection(*(set(arm.seeds) for arm in arms))) if arms else []
        per_unit = study.per_unit
        if len(arms) < 3 or not seeds or (len(seeds) < 2 and not per_unit):
            return None
        matrices = {arm.name: self._better(arm.matrix(seeds, per_unit=per_unit)) for arm in arms}
        over = options.over if per_unit else "seeds"
        found = analysis.rank_arms(
            matrices,
            over=over,
            unit=study.measure.unit or "training seeds",
            level=options.level,
            bounds=self._turned(),
        )
        return Ranking(found=found, left_out=[arm.name for arm in study.arms if arm.failed])
