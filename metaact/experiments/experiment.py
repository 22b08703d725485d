"""What an experiment says of itself: its settings, its measure, and where its runs are computed.

Everything else is derived from it: the command and its options, what names a run, the sweep, the
tuning, the comparison, the page. Imports neither torch nor NumPy: reports are read without them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from metaact.display import brief, digits, unusual
from metaact.errors import UsageError
from metaact.runs.form import Form
from metaact.settings import Config, Setting, by_name

from .form import DATA, Facts, RunForm, usual

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from metaact.runs import Run

    from .evidence import Arm, Study

Json = Any

EXAMPLES = "examples"
"""Folder of a store with small pictures of what its studies are tested on."""

SHARE = (0.0, 1.0)
"""Bounds of a share."""

DIFFERENCE = (-1.0, 1.0)
"""Bounds of a difference of two shares."""

HEX = 12
"""Hex digits that name the picture of an example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What a run is watched over.

    Attributes:
        name: What a step is called: "epoch".
        key: The entry of a record that counts it.
        first: The number of the first one: iterations count from 0, epochs from 1.
    """

    name: str = "epoch"
    key: str = "epoch"
    first: int = 1

    def place(self, record: Mapping[str, Any]) -> float:
        """Where on the axis a record stands: how many steps are done."""
        return float(record[self.key]) + 1 - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What every run of an experiment is scored by; recorded in the run.

    Attributes:
        name: What it is: records hold it as `test_<name>` and `validation_<name>`.
        unit: What a test score is per: "test episodes", "test images"; "" where each seed has one.
        units: How many of them there are; 0 where that is not known.
        direction: Which of two scores is better.
        bounds: Least and greatest score: (0, 1) for a share, which is shown in percent; others,
            which may be infinite, for a figure that is shown as it is.
        resolution: Step between two scores of one unit: 1 for right or wrong, 1/75 for an episode
            of 75 images; None for a continuous score.
        failed: What counts for a seed that failed; None where no score is bad enough.
        chance: Score of guessing; None where there is no guessing.
        replacement: Whether units were drawn with replacement; None where none were drawn.
        axis: What runs are watched over.
        along: Whether the test score is measured along the way, so that runs can be read earlier.
    """

    name: str = "accuracy"
    unit: str
    units: int
    direction: Literal["higher", "lower"] = "higher"
    bounds: tuple[float, float] = SHARE
    resolution: float | None = None
    failed: float | None = 0.0
    chance: float | None = None
    replacement: bool | None = None
    axis: Axis = field(default_factory=Axis)
    along: bool = True

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not low < high:
            raise UsageError(f"`bounds` of a measure must be (least, greatest); got {self.bounds}.")

    @property
    def is_share(self) -> bool:
        """Whether scores are shares, shown in percent."""
        return self.bounds == SHARE

    def show(self, score: float, *, unit: bool = True) -> str:
        """A score as a reader sees it: in percent, or as it is.

        Examples:
            >>> Measure(unit="test images", units=10).show(0.786)
            '78.6 %'
            >>> Measure(name="error", unit="", units=0, bounds=(0.0, math.inf)).show(1.23456)
            '1.235'
        """
        if self.is_share:
            return f"{100 * score:.1f}{' %' if unit else ''}"
        return digits(score)

    def __repr__(self) -> str:
        return brief(self, **unusual(self))

    @property
    def sign(self) -> int:
        """1 where a higher score is better, -1 where a lower one is."""
        return 1 if self.direction == "higher" else -1

    @property
    def test(self) -> str:
        """Name of the test score in records and results."""
        return f"test_{self.name}"

    @property
    def validation(self) -> str:
        """Name of the validation score in records."""
        return f"validation_{self.name}"

    def as_json(self) -> dict[str, Any]:
        """The measure as a run records it."""
        return {**asdict(self), "bounds": [x if math.isfinite(x) else None for x in self.bounds]}

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Measure:
        """The measure that a run recorded."""
        low, high = found["bounds"]
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
        return Measure(**{**found, "bounds": bounds, "axis": Axis(**found["axis"])})


EXAMPLE_WIDTH = 4.0
"""Inches of an example at most: its words can be read where a page shows it in a column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A small picture of what a study is tested on, kept beside its runs.

    Attributes:
        kind: What it shows, "episodes" or "images": the start of the file's name.
        sha256: Hash of that.
        caption: What it shows, for a reader.
        draw: Draws it.
    """

    kind: str
    sha256: str
    caption: str
    draw: Callable[[], Figure]

    def __repr__(self) -> str:
        return brief(self, self.kind, self.caption)

    @property
    def file(self) -> str:
        """Name of the picture in the store's folder of examples."""
        return f"{self.kind}-{self.sha256[:HEX]}.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What the network of a run takes and gives; recorded in the run, so that it can be loaded.

    Attributes:
        channels: Of its images.
        size: Their height and width.
        outputs: Its logits.
        class_names: What each of them stands for; () where a task says it, as in meta-learning.
    """

    channels: int
    size: tuple[int, int]
    outputs: int
    class_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, **unusual(self))

    def as_json(self) -> dict[str, Any]:
        """The signature as a run records it."""
        return {**asdict(self), "size": list(self.size), "class_names": list(self.class_names)}

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Signature:
        """The signature that a run recorded."""
        height, width = found["size"]
        names = tuple(found["class_names"])
        return Signature(**{**found, "size": (height, width), "class_names": names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """What all runs of a comparison share; experiments add their data.

    Attributes:
        data: Provenance of the data, for the record.
        device: Where everything is computed.
        normalisation: Mean and standard deviation of each channel that the networks are fed with.
        validated: Whether there is a part of the data to choose on.
        examples: Pictures of what is tested on.
        notes: What a reader must know of the data, a sentence each.
    """

    data: Mapping[str, Any]
    device: str
    normalisation: Mapping[str, Any]
    validated: bool
    examples: tuple[Example, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return brief(self, device=self.device, validated=self.validated)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planned:
    """One run to be done.

    Attributes:
        config: Its settings.
        kind: Kind of run: the folder it lies in.
        name: Its readable name.
        label: What the user sees: "arelu seed 0".
        identity: Everything that names it, as JSON.
        measure: What it is scored by.
        length: How many steps it takes.
        needs: Runs that it starts from: they come before it.
        points: Places along the way at which it is read, too.
        notes: What a reader must know of it, a sentence each.
        group: Runs of an equal group may be executed in one call; None forbids it.
        together: Most runs in one call.
        part: What of a config this run is, where a config has several; the experiment's own.
        normalisation: What its network is fed with, where runs that share data differ in it.
        signature: What its network takes and gives; None if the run cannot be loaded as one.
    """

    config: Any
    kind: str
    name: str
    label: str
    identity: Mapping[str, object]
    measure: Measure
    length: int
    needs: tuple[Planned, ...] = ()
    points: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    group: object = None
    together: int = 1
    part: Any = None
    normalisation: Mapping[str, Any] | None = None
    signature: Signature | None = None

    def __repr__(self) -> str:
        return brief(self, self.kind, self.name, length=self.length)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A run in execution: locked and started.

    Attributes:
        planned: What it is.
        run: Its directory.
        needs: The directories of the runs that it starts from, in the order of `planned.needs`.
    """

    planned: Planned
    run: Run
    needs: tuple[Run, ...] = ()

    def __repr__(self) -> str:
        return brief(self, self.planned.label, self.run)


class Implementation(Protocol):
    """The module that computes an experiment's runs; it may import torch."""

    def prepare(self, configs: Sequence[Any], /, *, root: Path | None, device: str) -> Any:
        """Load and verify the data, and refuse here what could not run.

        Args:
            configs: Runs that share every setting of the role "data".
            root: Data root; None for the default.
            device: Where to compute.
        """

    def plan(self, configs: Sequence[Any], shared: Any, /) -> list[Planned]:
        """The runs behind the configs, those that others start from first."""

    def execute(
        self, members: Sequence[Member], shared: Any, /, *, tick: Callable[[], None]
    ) -> None:
        """Do the runs, or continue them where they stopped, and finish each.

        No result depends on a run's companions beyond the rounding of differently blocked sums.

        Args:
            members: Runs of one group.
            shared: From `prepare`.
            tick: Called once a step, also for those done before a kill.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """A figure that was selected on what it is measured on, beside one that was not.

    Attributes:
        by_seed: The selected figure of each seed; empty where nothing was selected.
        held_out: The figure that nothing selected, or that was selected elsewhere.
        selected_on: What the first was selected on; "" where nothing was.
        held_out_is: What the second is.
    """

    by_seed: Mapping[int, float]
    held_out: float
    selected_on: str
    held_out_is: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One more figure of an arm, beside its score.

    Attributes:
        name: Heading.
        scores: Test scores of each seed that has it: by seed one number, or one per unit.
        note: What it is, a sentence for below the table; "" where the heading says it.
        bounds: Least and greatest of them, as those of a measure; None has the measure's.
        better: Which of two is better, "higher" or "lower": then arms are compared in it, too. None
            compares none.
        apart: Whether it stands in a table of its own, not beside the score.
    """

    name: str
    scores: Mapping[int, Any]
    note: str = ""
    bounds: tuple[float, float] | None = None
    better: Literal["higher", "lower"] | None = None
    apart: bool = False

    def __repr__(self) -> str:
        return brief(self, self.name, seeds=list(self.scores))


def _no_columns(study: Study, baseline: Study | None, arm: Arm) -> list[Column]:
    return []


def _nothing_selected(study: Study, arm: Arm) -> Selected | None:
    return None


def _no_cell(
    settings: Mapping[str, Any], rates: Mapping[str, float], at: int
) -> tuple[int, str] | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment.

    Attributes:
        name: The command, and the kind of the runs that hold evidence.
        config: Class of its configs.
        implementation: The module that computes: "package.module".
        help: Help text of its command, its first line a summary.
        title: What it does, as titles begin: "Training from scratch on"; or that from the settings
            that runs share and the name of the one whose values are the arms.
        asks: What an arm may do better: "adapt better to new tasks".
        measure: The measure, from a run's settings and the provenance of its data.
        kinds: Each kind of run and what such a run is, in words; the first holds evidence.
        unused: Names of the settings that a run of a kind with such settings has no use for, and
            does not record; it records all others.
        hashes: Hashes of data that runs record beside their settings, by name.
        data: The form of the provenance of their data.
        form: The form of everything else that a run writes down. Whatever reads a run takes one
            that has another form for damaged.
        arguments: Settings that are arguments of the command, not options.
        recorded: Settings that runs record beside those of the config, by name.
        baseline: Whether settings are those of a baseline, shown with what it is the baseline of.
        apart: Settings in which a baseline differs from that.
        baseline_name: What a baseline is called in pictures.
        losses: Names of recorded losses that are drawn beside the training loss, of which the first
            that is there counts.
        loss_bounds: Least and greatest loss; None where there are none.
        traces: Names of other recorded figures that are drawn along the way.
        columns: More figures of an arm.
        selected: The paper's kind of figure of an arm.
        cell: Table and column of the paper in which a run with these settings stands.
    """

    name: str
    config: type[Config]
    implementation: str
    help: str
    title: str | Callable[[Mapping[str, Any], str], str]
    asks: str
    measure: Callable[[Mapping[str, Any], Mapping[str, Any]], Measure]
    kinds: Mapping[str, str]
    unused: Callable[[str, Mapping[str, Any]], Collection[str]] = lambda kind, settings: ()
    hashes: tuple[str, ...] = ()
    data: Form = DATA
    form: Callable[[Facts], RunForm] = usual
    arguments: tuple[str, ...] = ()
    recorded: Mapping[str, Setting] = field(default_factory=dict)
    baseline: Callable[[Mapping[str, Any]], bool] = lambda settings: False
    apart: tuple[str, ...] = ()
    baseline_name: str = "baseline"
    losses: tuple[str, ...] = ()
    loss_bounds: tuple[float, float] | None = None
    traces: tuple[str, ...] = ()
    columns: Callable[[Study, Study | None, Arm], list[Column]] = _no_columns
    selected: Callable[[Study, Arm], Selected | None] = _nothing_selected
    cell: Callable[[Mapping[str, Any], Mapping[str, float], int], tuple[int, str] | None] = _no_cell

    def __repr__(self) -> str:
        return brief(self, self.name)

    @property
    def settings(self) -> dict[str, Setting]:
        """Every setting that its runs may record, by name."""
        return {**self.recorded, **by_name(self.config), **self.recorded}

    @property
    def rates(self) -> tuple[Setting, ...]:
        """The settings that can be tuned."""
        return tuple(one for one in self.settings.values() if one.role == "rate")

    def computes(self) -> Implementation:
        """The module that computes its runs; it is imported here."""
        module: Any = importlib.import_module(self.implementation)
        found: Implementation = module
        return found
