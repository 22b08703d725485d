"""A whole comparison in one call: configs in, runs in a store out. What the commands call, too."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaact.errors import UsageError
from metaact.runs import Damaged, Run, RunStore
from metaact.runs.atomic import make_folder, write_atomically
from metaact.settings import Config, Setting, with_role

from .arms import canonical
from .commands import command
from .experiment import EXAMPLES, Example, Experiment, Planned, Prepared
from .reuse import Library
from .sweep import Job, SweepReport, sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 60_000
"""Bytes: a report holds the picture within itself."""

QUALITIES = ((110, 64), (110, 32), (80, 32), (55, 32), (40, 16), (25, 8))
"""Dots per inch and colours, tried in this order until the picture is small enough."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """How a comparison ended.

    Attributes:
        experiment: What was run.
        configs: The runs asked for, with canonical names, in the order of the arms.
        jobs: All runs behind them.
        report: How they ended.
        damaged: Directories of the store that cannot be read.
        validated: Whether all data have a part to choose on.
        at: Place at which the runs are to be read: None, unless one is longer than asked for.
    """

    experiment: Experiment
    configs: tuple[Any, ...]
    jobs: tuple[Job, ...]
    report: SweepReport
    damaged: tuple[Damaged, ...] = ()
    validated: bool = True
    at: int | None = None

    @property
    def directories(self) -> list[Path]:
        """Run directories that hold evidence and are complete."""
        return [run.directory for run in self.report.done if run.kind == self.experiment.name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """A comparison whose data are loaded and whose runs are known; nothing has run yet.

    Attributes:
        experiment: What is to be run.
        configs: The runs asked for, with canonical names.
        jobs: All runs behind them, those that others start from first.
        shared: The data of each group of configs.
        library: The store.
    """

    experiment: Experiment
    configs: tuple[Any, ...]
    jobs: tuple[Job, ...]
    shared: tuple[Prepared, ...]
    library: Library = field(repr=False)

    @property
    def validated(self) -> bool:
        """Whether all data have a part to choose on."""
        return all(shared.validated for shared in self.shared)

    @property
    def steps(self) -> int:
        """Progress ticks of all runs."""
        return sum(job.planned.length for job in self.jobs)

    def run(
        self,
        *,
        tick: Callable[[int], None] = lambda steps: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> Outcome:
        """Do every run that the store does not hold.

        Args:
            tick: Told the number of steps that have passed.
            say: Told a line about each run that was there already or is worked on elsewhere.
        """
        for example in (e for shared in self.shared for e in shared.examples):
            _keep(example, self.library.store.path)
        report = sweep(self.jobs, tick=tick, say=say)
        longer = [j for j in self._evidence if (j.run.length or 0) > j.planned.length]
        return Outcome(
            experiment=self.experiment,
            configs=self.configs,
            jobs=self.jobs,
            report=report,
            damaged=tuple(d for d in self.library.damaged if d.directory not in self._own),
            validated=self.validated,
            at=max(j.planned.length for j in self._evidence) if longer else None,
        )

    @property
    def _own(self) -> set[Path]:
        """Directories of the runs asked for: what was found in one is told with its run."""
        return {job.run.directory for job in self.jobs}

    @property
    def _evidence(self) -> list[Job]:
        return [job for job in self.jobs if job.planned.kind == self.experiment.name]


def prepare(
    experiment: Experiment,
    configs: Sequence[Config],
    store: RunStore | str | Path,
    *,
    alphas: Sequence[float] = (),
    betas: Sequence[float] = (),
    root: Path | None = None,
    device: str = "cpu",
    **given: Any,
) -> Ready:
    """Load the data of a comparison and find its runs; whatever cannot run is refused here.

    Args:
        experiment: What to run.
        configs: One per arm, rate and seed, the arms in their order.
        store: The run store, or its folder.
        alphas: Start values of α, each tried with each arm that takes them.
        betas: Start values of β, likewise.
        root: Data root; None for the default.
        device: Where to compute.
        given: What else the experiment takes: `pair` of a transfer, made beforehand.

    Raises:
        UsageError: If a config does not fit the data or the network.
        DataError: If the data cannot be had.
    """
    if not configs:
        raise UsageError("`configs` must hold at least one; got none.")
    expanded = canonical(configs, alphas=alphas, betas=betas)
    library = Library(store if isinstance(store, RunStore) else RunStore(store), experiment)
    computes: Any = experiment.computes()
    planned: list[tuple[Planned, Prepared]] = []
    shared_by: dict[tuple[object, ...], list[Any]] = {}
    names = [one.name for one in with_role(experiment.config, "data")]
    for config in expanded:
        key = tuple(getattr(config, name) for name in names)
        shared_by.setdefault(key, []).append(config)
    everything = []
    for group in shared_by.values():
        shared: Prepared = computes.prepare(group, root=root, device=device, **given)
        everything.append(shared)
        planned += [(one, shared) for one in computes.plan(group, shared)]
    jobs = open_jobs(experiment, planned, library)
    if not all(job.run.is_complete for job in jobs):
        library.store.check_writable()
    return Ready(
        experiment=experiment,
        configs=tuple(expanded),
        jobs=tuple(jobs),
        shared=tuple(everything),
        library=library,
    )


def run(
    experiment: Experiment,
    configs: Sequence[Config],
    store: RunStore | str | Path,
    *,
    tick: Callable[[int], None] = lambda steps: None,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Outcome:
    """Do every run of a comparison that the store does not hold; see `prepare`.

    Args:
        experiment: What to run.
        configs: One per arm, rate and seed.
        store: The run store, or its folder.
        tick: Told the number of steps that have passed.
        say: Told a line about each run that was there already or is worked on elsewhere.
        options: Further arguments of `prepare`.

    Returns:
        The outcome; `metaact.reports.answer` makes a document of it.

    Examples:
        >>> from metaact import experiments, reports
        >>> configs = [experiments.MamlConfig(activation=a) for a in ("arelu", "relu")]
        >>> outcome = experiments.run(experiments.MAML, configs, "runs")       # doctest: +SKIP
        >>> reports.answer(outcome).studies[0].arms[0].score.mean              # doctest: +SKIP
        0.617
    """
    return prepare(experiment, configs, store, **options).run(tick=tick, say=say)


def open_jobs(
    experiment: Experiment, planned: Sequence[tuple[Planned, Prepared]], library: Library
) -> list[Job]:
    """The runs of a plan in their store, each once, with what each records of itself.

    Args:
        experiment: What they are runs of.
        planned: The runs and the data of each, those that others start from first.
        library: The store.
    """
    opened: dict[int, Run] = {}
    jobs: dict[str, Job] = {}
    varied = _varied([one.config for one, _ in planned])
    for one, shared in planned:
        needs = tuple(opened[id(other)] for other in one.needs)
        about = {
            "command": command(experiment, one.config),
            "measure": one.measure.as_json(),
            "length": one.length,
            "points": list(one.points),
            "notes": [*shared.notes, *one.notes],
            "needs": [f"{run.kind}/{run.directory.name}" for run in needs],
            "examples": [{"file": e.file, "caption": e.caption} for e in shared.examples],
        }
        opened[id(one)] = run = library.open(one, about)
        told = [setting.in_words(getattr(one.config, setting.name)) for setting in varied]
        job = Job(
            planned=one,
            run=run,
            needs=needs,
            shared=shared,
            computes=experiment.computes(),
            label=", ".join([one.label, *told]),
        )
        jobs.setdefault(run.identity, job)
    return list(jobs.values())


def _varied(configs: Sequence[Config]) -> list[Setting]:
    """The settings beside arms, seeds and rates that have several values in a plan."""
    apart = with_role(type(configs[0]), "data", "training", "observation") if configs else ()
    return [one for one in apart if len({getattr(c, one.name) for c in configs}) > 1]


def _keep(example: Example, store: Path) -> None:
    """Draw an example, unless it is there."""
    path = store / EXAMPLES / example.file
    if not path.is_file():
        make_folder(path.parent)
        write_atomically(path, _small(example.draw()))


def _small(figure: Figure) -> bytes:
    """A PNG of at most `LARGEST` bytes, in the best quality that allows it."""
    from PIL import Image

    content = b""
    for dpi, colours in QUALITIES:
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi)
        picture = Image.open(drawn).convert("RGB")
        picture = picture.quantize(colours, dither=Image.Dither.NONE)
        picture.save(small, format="png", optimize=True)
        content = small.getvalue()
        if len(content) <= LARGEST:
            break
    return content
