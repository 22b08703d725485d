"""What a comparison found, as one typed document: every verb prints it, every page is made of it.

Scores are as the measure gives them (accuracies in 0..1), differences are positive where the first
arm is better. All of it is frozen; `as_json` gives what `--json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from metaact import __version__
from metaact.analysis import Comparison, Interval, Ranks
from metaact.display import brief, escaped, html_lines
from metaact.experiments.experiment import Measure
from metaact.experiments.tuning import Budget
from metaact.runs import finite


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A directory that was not averaged in.

    Attributes:
        directory: Which.
        why: One sentence.
    """

    directory: str
    why: str

    @property
    def said(self) -> str:
        """Which, and why; one that its reason names is not named twice."""
        return self.why if self.directory in self.why else f"{self.directory}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One figure along the way, over seeds.

    Attributes:
        x: Places [points].
        x_name: What a step is called.
        mean: Mean over seeds; None where a seed has no value.
        low: Lower end of its band; None with one seed.
        high: Upper end.
        seeds: How many.
    """

    x: list[float]
    x_name: str
    mean: list[float | None]
    low: list[float | None] | None
    high: list[float | None] | None
    seeds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """When an arm first reached a score.

    Attributes:
        threshold: The score.
        curve: The figure that was watched.
        by_seed: When each seed reached it; None for those that did not.
        censored_at: The earliest planned end of a seed: a seed that diverged never got there.
        median: Median over seeds by Kaplan and Meier; None where half never got there.
    """

    threshold: float
    curve: str
    by_seed: list[float | None]
    censored_at: float
    median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """α and β of one layer over training.

    Attributes:
        x: Places [points].
        alpha: α before clamping [seeds][points]; None where it was not finite.
        beta: β likewise.
    """

    x: list[float]
    alpha: list[list[float | None]]
    beta: list[list[float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimism:
    """A figure that was selected on what it is measured on, and what was published.

    Attributes:
        figure: Mean over seeds of the selected figure; None where nothing was selected.
        by_seed: The same by seed.
        published: The paper's figure for these settings; None for other settings.
        held_out: The figure that nothing selected, or that was selected elsewhere.
        gap: Selected minus held out.
        selected_on: What the first was selected on; "" where nothing was.
        held_out_is: What the other is.
    """

    figure: float | None
    by_seed: dict[int, float]
    published: float | None
    held_out: float
    gap: float | None
    selected_on: str
    held_out_is: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """α or β of a layer: mean over seeds at its start and end, and the seeds' range there.

    Attributes:
        start: Mean at the first record.
        end: Mean at the end.
        low: Least at the end.
        high: Greatest at the end.
    """

    start: float
    end: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One more score of an arm.

    Attributes:
        score: Mean with its interval; None where the runs cannot tell.
        by_seed: Mean score of each seed that has it.
        share: Whether it is a share, shown in percent.
        apart: Whether it stands in the table of further figures, not beside the score.
    """

    score: Interval | None
    by_seed: dict[int, float]
    share: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """One arm at one setting of its rates.

    Attributes:
        name: How tables call it.
        value: Its value of the setting that is asked about.
        rates: Its learning rates.
        seeds: Seeds that have a score.
        failed: Seeds that have none.
        runs: Directories.
        parameters: Trainable parameters of its network.
        score: Mean score with the interval that was asked for; None where no seed has one.
        intervals: The same mean with intervals over seeds, over units and over both.
        by_seed: Mean score of each seed.
        validation: Mean score on the validation part; None where a seed has none.
        columns: Further scores by heading.
        paper: The paper's kind of figure; None where the runs have none.
        curves: Everything recorded along the way, by name.
        baseline: The same of its baseline, where it has one ("target only").
        area: Mean height of the watched curve.
        times: When thresholds were reached.
        attention: α and β of each layer over training.
        diagnostics: What was recorded of each layer along the way: units that do nothing, rank,
            norms, own parameters of the activation; by layer and name.
        stuck_alpha: Layers whose α has no gradient any more, over all seeds.
        attention_layers: Layers that have an α, in one network.
        failure_share: Share of seeds that failed, with an exact interval; None without a run.
        counted: Mean score over all seeds, failed ones at the measure's value for a failure.
        interquartile: Mean of the middle half of all seeds, failed ones counted likewise.
        far: The seed whose score lies far from the others'; None if there is none.
    """

    name: str
    value: str
    rates: dict[str, float]
    seeds: list[int]
    failed: list[int]
    runs: list[str]
    parameters: int | None
    score: Interval | None
    intervals: dict[str, Interval | None]
    by_seed: dict[int, float]
    validation: float | None
    columns: dict[str, Score] = field(default_factory=dict)
    paper: Optimism | None = None
    curves: dict[str, Curve] = field(default_factory=dict)
    baseline: dict[str, Curve] = field(default_factory=dict)
    area: Interval | None = None
    times: list[Time] = field(default_factory=list)
    attention: dict[str, Layer] = field(default_factory=dict)
    diagnostics: dict[str, dict[str, Curve]] = field(default_factory=dict)
    stuck_alpha: int = 0
    attention_layers: int = 0
    failure_share: Interval | None = None
    counted: Interval | None = None
    interquartile: float | None = None
    far: int | None = None

    def __repr__(self) -> str:
        return brief(self, self.name, str(self.score), seeds=self.seeds, failed=self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureTest:
    """Whether two arms fail equally often, on the seeds that both ran.

    Attributes:
        first: The first arm.
        second: The second.
        seeds: How many seeds both ran.
        only_first: On how many of them the first alone failed.
        only_second: On how many the second alone.
        p_value: Exact (McNemar), times the number of comparisons made together.
        compared: That number.
    """

    first: str
    second: str
    seeds: int
    only_first: int
    only_second: int
    p_value: float
    compared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What was planned before the first run of a study, and what became of it.

    Attributes:
        file: Where the plan is kept.
        seeds: Planned number of seeds of every arm.
        made: When, as in "2026-11-26 14:05".
        there: Fewest and most seeds that an arm has in the store, planned arms without a run too.
        looks: Earlier reports that came before all planned seeds were there: seeds and when.
        state: "kept", "looked at early" or "not kept" (there are more seeds than planned).
        sentence: The same for a reader.
    """

    file: str
    seeds: int
    made: str
    there: tuple[int, int]
    looks: list[tuple[int, str]]
    state: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a difference that controls tell apart.

    Attributes:
        name: "total", "learning", "shape", "gain" or "shape and gain".
        sentence: What it is, with its figures.
        difference: The comparison.
    """

    name: str
    sentence: str
    difference: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The answer to "learned, or only scaled?".

    Attributes:
        first: The learnable arm.
        second: The arm that it is compared with; None without one.
        seeds: Seeds that all arms in it have.
        parts: The comparisons.
        answer: What they say together.
        parameters: α and β of each layer of the first arm.
    """

    first: str
    second: str | None
    seeds: list[int]
    parts: list[Part]
    answer: str
    parameters: dict[str, dict[str, Parameter]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Each arm at the rates that were best for it on the validation part.

    Attributes:
        chosen: Name of the arm at its best rates, by value.
        comparisons: With the reference at its own best rates.
        arms: The arms at those rates, on the seeds that score them.
        chosen_on: Seeds that chose the rates.
        scored_on: Seeds that score them: others, unless there is only one.
        learned: The answer to "learned, or only scaled?" there.
        budget: What was tried.
        notes: What a reader must know.
    """

    chosen: dict[str, str]
    comparisons: list[Comparison]
    arms: list[ArmReport]
    chosen_on: list[int]
    scored_on: list[int]
    learned: Learned | None
    budget: Budget
    notes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An arm's score at one rate.

    Attributes:
        rate: The rate.
        score: Mean score with its interval; None where no seed has one.
        failed: How many seeds have none.
    """

    rate: float
    score: Interval | None
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """Score against the rate that varies most.

    Attributes:
        rate: Name of the rate.
        lines: Points of each arm, by value, at the best value of every other rate.
        note: How that was chosen, a sentence; "" where no other rate varies.
    """

    rate: str
    lines: dict[str, list[Point]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Ranks of the arms that lost no seed.

    Attributes:
        found: The ranks.
        left_out: Arms of which a seed failed: it has no rank.
    """

    found: Ranks
    left_out: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeMeasure:
    """One measure of the shape of activations, against what a study measured.

    Attributes:
        name: What it is: "negative_slope", "gain", "floor", "dead_band", "kink" or "sides".
        values: It, by arm.
        correlation: Spearman's rank correlation with the mean score, above 0 where more of it goes
            with a better one; its interval is over arms. None where all arms agree.
    """

    name: str
    values: dict[str, float]
    correlation: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The shape of each arm's activation against what was measured.

    Attributes:
        scores: Mean score of each arm, with its interval, by the name of the arm.
        measures: The measures of shape.
        at: At which rates the arms are, in words; "" where they were run at one.
        without: Arms that have no shape, no score, or a seed that failed.
    """

    scores: dict[str, Interval]
    measures: list[ShapeMeasure]
    at: str
    without: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of what a study is tested on.

    Attributes:
        caption: What it shows.
        path: Where it is.
    """

    caption: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyReport:
    """One study: runs that may be compared, and what came out.

    Attributes:
        id: Its name in this document.
        experiment: What was run.
        title: What it is, in a line that tells it from others.
        question: What it asks.
        by: The setting whose values are the arms.
        measure: What is measured.
        settings: What all its runs share.
        data: Provenance of the data.
        official: Whether all data are as published.
        environments: Distinct machines and versions behind the runs.
        arms: The arms, in their order.
        reference: Value of the arm that the others are compared with.
        comparisons: One for each arm and the reference at the same rates.
        tuned: Each arm at its own best rates; None where nothing was tuned.
        sensitivity: Score against rate; None with one rate.
        ranks: Ranks of the arms; None with fewer than three.
        learned: The answer to "learned, or only scaled?"; None where its arms are not there.
        notes: What a reader must know of the runs and figures, a sentence each.
        data_notes: What a reader must know of the data, a sentence each.
        column_notes: What further columns are, a sentence each.
        further_notes: Likewise those in a table of their own.
        shapes: Shape of the activations against what was measured; None with fewer than five.
        examples: Pictures of what is tested on.
        commands: Command lines that make these runs.
        level: Confidence level of everything in it.
        failures: For each arm and the reference whether they fail equally often; empty where no
            seed failed.
        plan: What was planned before the first run; None without a plan.
        others: The same comparisons in further figures of the arms, by their headings; each is a
            family of its own, and positive where the first arm is better.
    """

    id: str
    experiment: str
    title: str
    question: str
    by: str
    measure: Measure
    settings: dict[str, Any]
    data: dict[str, Any]
    official: bool
    environments: list[dict[str, Any]]
    arms: list[ArmReport]
    reference: str
    comparisons: list[Comparison]
    tuned: Tuned | None
    sensitivity: Sensitivity | None
    ranks: Ranking | None
    learned: Learned | None
    notes: list[str]
    data_notes: list[str]
    column_notes: list[str]
    examples: list[Picture]
    commands: list[str]
    level: float = 0.95
    failures: list[FailureTest] = field(default_factory=list)
    plan: PlanReport | None = None
    others: dict[str, list[Comparison]] = field(default_factory=dict)
    further_notes: list[str] = field(default_factory=list)
    shapes: Shapes | None = None

    def __repr__(self) -> str:
        return brief(self, self.id, self.title, arms=[arm.name for arm in self.arms])

    def _repr_html_(self) -> str:
        from .render.study_tables import study_tables  # which is made of documents

        return "".join(table._repr_html_() for table in study_tables(self))

    def arm(self, name: str) -> ArmReport:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def runs(self) -> int:
        """How many runs it rests on."""
        return sum(len(arm.runs) for arm in self.arms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A published figure beside ours; all in 0..1.

    Attributes:
        ours: Our figure.
        interval: Its 95 % interval; None where one seed cannot tell.
        published: The published figure.
        inside: Whether that lies in the interval; None without one.
        expected: Where 95 % of such figures of as many new runs of ours would lie; None with one
            seed or seeds that all agree, which say nothing about run-to-run noise.
        plausible: Whether the published figure lies there.
    """

    ours: float
    interval: Interval | None
    published: float
    inside: bool | None
    expected: tuple[float, float] | None
    plausible: bool | None

    @property
    def difference(self) -> float:
        """Ours minus the published figure."""
        return self.ours - self.published


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a table of the paper: ours beside it.

    Attributes:
        activation: The arm.
        column: The paper's column ("sgd_1e-3").
        by_seed: Ours, of the seeds that have the figure.
        asked: Seeds that were asked for.
        diverged: Seeds whose run diverged before.
        interval: Ours with its interval; None if no seed has the figure, or one cannot tell.
        agreement: The comparison; None where the paper has no such cell or we have no figure.
        held_out: Ours where nothing was chosen by what is measured: at an epoch that the test part
            did not choose, or on tasks that are not those of training; None where ours is that.
        gap: Ours minus that.
    """

    activation: str
    column: str
    by_seed: dict[int, float]
    asked: int
    diverged: int
    interval: Interval | None
    agreement: Agreement | None
    held_out: Interval | None = None
    gap: float | None = None

    @property
    def missing(self) -> int:
        """Seeds whose run is not there."""
        return self.asked - len(self.by_seed) - self.diverged


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """A table of the paper with ours beside it.

    Attributes:
        number: The table.
        caption: What it shows.
        cells: Ours beside the paper's.
        notes: What a reader must know.
        heading: What is written above it; "" is its number and caption.
        runs: Runs behind each published figure.
    """

    number: int
    caption: str
    cells: list[Cell]
    notes: list[str]
    heading: str = ""
    runs: int = 5

    def _repr_html_(self) -> str:
        from .agreement import render  # which makes such tables

        return f"<pre>{escaped(render(self))}</pre>"

    @property
    def compared(self) -> list[Agreement]:
        """The cells that both have."""
        return [cell.agreement for cell in self.cells if cell.agreement]

    @property
    def inside(self) -> int:
        """How many published figures lie in our intervals."""
        return sum(bool(found.inside) for found in self.compared)

    @property
    def judged(self) -> list[bool]:
        """For each cell with a spread, whether new runs of ours could have given its figure."""
        return [found.plausible for found in self.compared if found.plausible is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Everything that a comparison found.

    Attributes:
        studies: Each may be compared within, never across.
        left_out: Directories that are in none of them, with the reason.
        level: Confidence level.
        margin: Differences below it do not matter; None judges no equivalence.
        over: What intervals and p-values cover: "both", "seeds" or "units".
        method: Kind of interval of each arm.
        seed: Seed of bootstrap intervals.
        reused: Runs that were complete before a verb was called.
        missing: One line for every run that a verb was asked for and that is not there.
        figures: Picture files that a verb wrote.
        tables: Tables of the paper with ours beside them, where they were asked for.
        version: Version of metaact.
        experiment: What the document is of.
    """

    studies: list[StudyReport]
    left_out: list[LeftOut]
    level: float
    margin: float | None
    over: str
    method: str
    seed: int
    reused: int = 0
    missing: list[str] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    tables: list[TableReport] = field(default_factory=list)
    version: str = __version__
    experiment: str = "comparison"

    def __repr__(self) -> str:
        return brief(
            self,
            self.experiment,
            studies=[study.id for study in self.studies],
            left_out=len(self.left_out),
        )

    def _repr_html_(self) -> str:
        left = [f"Left out {item.said}" for item in self.left_out]
        shown = [study._repr_html_() for study in self.studies]
        shown += [table._repr_html_() for table in self.tables]
        return "".join(shown) + html_lines(left)

    def as_json(self) -> dict[str, Any]:
        """The document as strict JSON: what is not finite is null."""
        found = finite(jsonable(self))
        assert isinstance(found, dict)
        return found


def jsonable(value: object) -> Any:
    """Dataclasses as dicts of their fields, tuples as lists, keys as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: jsonable(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value
