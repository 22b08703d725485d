"""A whole comparison in one call: configs in, runs in a store out. What the commands call, too."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaact import activations
from metaact.cores import free_cores
from metaact.display import brief
from metaact.errors import UsageError, check_int
from metaact.runs import Damaged, Run, RunStore
from metaact.runs.atomic import make_folder, write_atomically
from metaact.settings import Config, Setting, is_read, settings_of, with_role

from . import loop
from .arms import canonical
from .cluster import Cluster
from .commands import command, words
from .experiment import EXAMPLES, Example, Experiment, Planned, Prepared
from .pool import LocalPool, Pool, Tick
from .preview import Preview, preview
from .processes import Start, WorkerPool, group_of, on_this_machine
from .reuse import Library
from .sweep import Job, SweepReport, sweep
from .table import EXPERIMENTS
from .worker import Recipe, hash_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 150_000
"""Bytes: a report holds the picture within itself."""

QUALITIES = (110, 80, 55, 40, 25)
"""Dots per inch, tried in this order until the picture is small enough."""

WORDS = "#7b7b7b"
"""Grey that can be read on white and on the dark ground of a page."""


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

    def __repr__(self) -> str:
        return brief(self, self.experiment.name, runs=len(self.jobs), done=len(self.report.done))

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
        recipe: How a worker process makes the same; None if the experiment is not registered.
    """

    experiment: Experiment
    configs: tuple[Any, ...]
    jobs: tuple[Job, ...]
    shared: tuple[Prepared, ...]
    library: Library = field(repr=False)
    recipe: Recipe | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return brief(self, self.experiment.name, runs=len(self.jobs))

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
        workers: int | None = 1,
        ray: str | None = None,
        limit: int | None = None,
        tick: Callable[[int], None] = lambda steps: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> Outcome:
        """Do every run that the store does not hold.

        Args:
            workers: Processes that do runs side by side, one thread each. Results are the same to
                the bit. 1 is this process; None takes the free cores, on a GPU this process.
            ray: Address of a Ray cluster: the workers are on its nodes, a core or GPU each, and
                `workers=None` takes as many as there are.
            limit: Only so many of the runs that are missing: with 0 the outcome is that of those
                which are there; None for all.
            tick: Told the number of steps that have passed.
            say: Told a line about each run that is done, was there already or is worked on
                elsewhere.

        Raises:
            UsageError: If `workers` or `limit` is not allowed, or `ray` is no cluster.
            RunError: If a node of the cluster has other versions than this machine.
        """
        _check_counts(workers=workers, limit=limit)
        with self._connected(ray) as cluster:
            hire = self._hiring(workers, cluster)
            for example in (e for shared in self.shared for e in shared.examples):
                _keep(example, self.library.store.path)
            report = sweep(self.jobs, tick=tick, say=say, limit=limit, hire=hire)
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

    def preview(
        self, *, workers: int | None = 1, ray: str | None = None, limit: int | None = None
    ) -> Preview:
        """The runs, which of them are there, and about how long the others will take.

        A few steps are timed for that; nothing is written to the store.

        Args:
            workers: As for `run`.
            ray: As for `run`.
            limit: As for `run`.

        Raises:
            UsageError: As for `run`.
            RunError: As for `run`.
        """
        _check_counts(workers=workers, limit=limit)
        with self._connected(ray) as cluster:
            return preview(self.jobs, limit=limit, hire=self._hiring(workers, cluster))

    def commands(self, *, limit: int | None = None) -> list[list[str]]:
        """The words of one command for each arm, rate and seed of which a run is missing.

        Each makes its runs by itself, in any order or side by side: a transfer makes its
        pre-training, or waits for the process that makes it.

        Args:
            limit: As for `run`: only the commands of the runs that come first.
        """
        missing = [job for job in self.jobs if not job.run.is_complete][:limit]
        wanted = {id(job.planned.config) for job in missing}
        return [words(self.experiment, one) for one in self.configs if id(one) in wanted]

    @contextmanager
    def _connected(self, ray: str | None) -> Iterator[Cluster | None]:
        """The cluster that does the runs; None where it is this machine, or nothing is to do."""
        if ray is None or all(job.run.is_complete for job in self.jobs):
            yield None
        else:
            recipe = self._recipe_for("`ray` must be left out", ray)
            with Cluster(ray, recipe, store=self.library.store.path) as cluster:
                yield cluster

    def _hiring(self, workers: int | None, cluster: Cluster | None) -> Callable[..., Pool]:
        """Who does the runs, made when it is known how many they are."""
        on_gpu = any(shared.device != "cpu" for shared in self.shared)

        def hire(jobs: int, tick: Tick, say: Callable[[str], None]) -> Pool:
            asked = workers
            if cluster is not None:
                asked = asked or max(1, cluster.size)
            elif asked is None:
                asked = 1 if on_gpu or self.recipe is None or jobs == 1 else free_cores()
            size = min(asked, jobs)
            if cluster is None and size == 1:
                return LocalPool(tick)
            start: Start
            if cluster is not None:
                start = cluster.start
            else:
                start = on_this_machine(self._recipe_for("`workers` must be 1", asked))
            groups = group_of(self.shared)
            return WorkerPool(start, size=size, group_of=groups, tick=tick, say=say)

        return hire

    def _recipe_for(self, allowed: str, got: object) -> Recipe:
        if self.recipe is None:
            raise UsageError(
                f"{allowed} for {self.experiment.name} (other processes cannot import it: "
                f"`experiments.register` says where it is); got {got}."
            )
        return self.recipe

    @property
    def _own(self) -> set[Path]:
        """Directories of the runs asked for: what was found in one is told with its run."""
        return {job.run.directory for job in self.jobs}

    @property
    def _evidence(self) -> list[Job]:
        return [job for job in self.jobs if job.planned.kind == self.experiment.name]


def _check_counts(*, workers: int | None, limit: int | None) -> None:
    for name, count, least in (("workers", workers, 1), ("limit", limit, 0)):
        if count is not None:
            check_int(name, count, minimum=least)


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
    groups = tuple(shared_by.values())
    for group in groups:
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
        recipe=_recipe(experiment, groups, everything, root=root, device=device, given=given),
    )


def _recipe(
    experiment: Experiment,
    groups: Sequence[Sequence[Config]],
    shared: Sequence[Prepared],
    *,
    root: Path | None,
    device: str,
    given: Mapping[str, Any],
) -> Recipe | None:
    """How a worker process makes the same data and plan; None where it cannot."""
    if experiment.name not in EXPERIMENTS:
        return None
    names = [one.name for one in settings_of(experiment.config)]
    return Recipe(
        place=EXPERIMENTS[experiment.name].place,
        groups=tuple(
            tuple({name: getattr(config, name) for name in names} for config in group)
            for group in groups
        ),
        root=root,
        device=device,
        given=given,
        checkpoint_seconds=loop.CHECKPOINT_SECONDS,
        data=tuple(hash_of(one.data) for one in shared),
    )


def run(
    experiment: Experiment,
    configs: Sequence[Config],
    store: RunStore | str | Path,
    *,
    workers: int | None = 1,
    ray: str | None = None,
    limit: int | None = None,
    tick: Callable[[int], None] = lambda steps: None,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Outcome:
    """Do every run of a comparison that the store does not hold; see `prepare`.

    Args:
        experiment: What to run.
        configs: One per arm, rate and seed.
        store: The run store, or its folder.
        workers: Processes that do runs side by side, see `Ready.run`; 1 is this process.
        ray: Address of a Ray cluster that does them, see `Ready.run`.
        limit: Only so many of the runs that are missing; None for all.
        tick: Told the number of steps that have passed.
        say: Told a line about each run that is done, was there already or is worked on elsewhere.
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
    ready = prepare(experiment, configs, store, **options)
    return ready.run(workers=workers, ray=ray, limit=limit, tick=tick, say=say)


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
    shapes: dict[str, dict[str, float]] = {}
    for one, shared in planned:
        needs = tuple(opened[id(other)] for other in one.needs)
        about: dict[str, object] = {
            "command": command(experiment, one.config),
            "measure": one.measure.as_json(),
            "length": one.length,
            "points": list(one.points),
            "notes": [*shared.notes, *one.notes],
            "needs": [f"{run.kind}/{run.directory.name}" for run in needs],
            "examples": [{"file": e.file, "caption": e.caption} for e in shared.examples],
        }
        if one.signature is not None:
            about["network"] = one.signature.as_json()
        if (name := str(getattr(one.config, "activation", ""))) and name not in shapes:
            shapes[name] = activations.shape_record(activations.resolve(name, one.config.forms))
        if name and shapes[name]:
            about["shape"] = shapes[name]
        opened[id(one)] = run = library.open(one, about)
        told = [s.in_words(value) for s in varied for value in _said(s, one.config)]
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
    return [one for one in apart if len({value for c in configs for value in _said(one, c)}) > 1]


def _said(one: Setting, config: Config) -> list[Any]:
    """The value of a setting, if it says anything that no other says."""
    values = {other.name: getattr(config, other.name) for other in settings_of(type(config))}
    others = with_role(type(config), "training")
    implied = (other.implies.get(values[other.name], {}) for other in others)
    if not is_read(one, values) or any(one.name in names for names in implied):
        return []
    return [values[one.name]]


def _keep(example: Example, store: Path) -> None:
    """Draw an example, unless it is there."""
    path = store / EXAMPLES / example.file
    if not path.is_file():
        make_folder(path.parent)
        write_atomically(path, _small(example.draw()))


def _small(figure: Figure) -> bytes:
    """A PNG in full colour of at most `LARGEST` bytes, if that can be, which suits any ground."""
    from matplotlib.text import Text
    from PIL import Image

    for label in figure.findobj(Text):
        label.set_color(WORDS)
    content = b""
    for dpi in QUALITIES:
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi, transparent=True)
        Image.open(drawn).save(small, format="png", optimize=True)
        content = small.getvalue()
        if len(content) <= LARGEST:
            break
    return content
