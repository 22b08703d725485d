"""A plan of how many seeds a study gets, written into its store before the first run. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaact.errors import UNREADABLE, RunError, UsageError, check_int, reason_of
from metaact.runs import Run, RunStore
from metaact.runs.atomic import make_folder, write_atomically
from metaact.runs.form import COUNT, Fields, Items, Named, Text
from metaact.runs.run import RESULT
from metaact.settings import completed

from .evidence import shared_settings
from .experiment import Experiment
from .recorded import holds

if TYPE_CHECKING:
    from .study import Ready

FOLDER = "plans"
"""Folder of a store with the plans of its studies."""


_FORM = Fields(
    needed={
        "seeds": COUNT,
        "made": Text(),
        "study": Named(),
        "looks": Items(Fields(needed={"seeds": COUNT, "when": Text()})),
    },
    may={"arms": Items(Named()), "kept": Text(), "kept_arms": Items(Named())},
)
"""What the file of a plan holds; an earlier version wrote no arms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A report that was made before all planned seeds were there.

    Attributes:
        seeds: How many there were then.
        when: As in "2026-11-26 14:05".
    """

    seeds: int
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many seeds every arm of a study gets.

    Attributes:
        path: Where it is kept.
        study: Experiment, question and settings of the study, for who reads the file.
        seeds: That number.
        made: When it was written.
        arms: The arms it was made for, each by the settings that tell it from the others.
        looks: Reports before all of them were there.
        kept: When the first report was made with all of them there, if none was made before; from
            then on the plan is kept for the arms that it had, also where runs are removed.
        kept_arms: Those arms. One that is added can still be looked at early.
    """

    path: Path
    study: Mapping[str, Any] = field(repr=False)
    seeds: int
    made: str
    arms: tuple[Mapping[str, Any], ...] = ()
    looks: tuple[Look, ...] = ()
    kept: str = ""
    kept_arms: tuple[Mapping[str, Any], ...] = ()

    def write(self) -> None:
        """Keep it.

        Raises:
            RunError: If the store cannot be written.
        """
        looks = [{"seeds": look.seeds, "when": look.when} for look in self.looks]
        document = {
            "seeds": self.seeds,
            "made": self.made,
            "arms": list(self.arms),
            "looks": looks,
            "kept": self.kept,
            "kept_arms": list(self.kept_arms),
            "study": self.study,
        }
        make_folder(self.path.parent)
        write_atomically(self.path, f"{json.dumps(document, indent=2)}\n".encode())

    def looked_at(self, seeds: int) -> Plan:
        """The same with a report at so few seeds, once for each number of them."""
        if any(look.seeds == seeds for look in self.looks):
            return self
        return replace(self, looks=(*self.looks, Look(seeds=seeds, when=_now())))

    def seen_kept(self, arms: Iterable[Mapping[str, Any]]) -> Plan:
        """The same, kept from now on for these arms, too."""
        new = tuple(arm for arm in arms if arm not in self.kept_arms)
        return replace(self, kept=self.kept or _now(), kept_arms=self.kept_arms + new)


def plan_seeds(ready: Ready, seeds: int, *, by: str = "activation") -> None:
    """Write the plan of every study of a comparison, before its first run.

    Args:
        ready: The comparison.
        seeds: Seeds of every arm.
        by: The setting whose values are the arms.

    Raises:
        UsageError: If a study has runs already and no plan, or another plan, or more seeds are
            asked for than are planned.
    """
    check_int("plan_seeds", seeds, minimum=2, why="one seed says nothing about another")
    asked = len({config.seed for config in ready.configs})
    check_int("seeds", asked, minimum=1, maximum=seeds, why="no more than are planned")
    store = ready.library.store
    for path, (study, arms) in _studies(ready, by).items():
        known = read_plan(path)
        if known is not None and known.seeds != seeds:
            raise UsageError(
                f"`plan_seeds` must be {known.seeds}, as planned {known.made} (a plan that is "
                f"changed fixes nothing); got {seeds}."
            )
        if known is None:
            _refuse_after_runs(store, ready.experiment, path, by, seeds)
            Plan(path=path, study=study, seeds=seeds, made=_now(), arms=tuple(arms)).write()
        elif new := [arm for arm in arms if arm not in known.arms]:
            replace(known, arms=(*known.arms, *new)).write()


def seeds_of_arms(
    plan: Plan, experiment: Experiment, *, by: str
) -> list[tuple[Mapping[str, Any], int]]:
    """How many seeds each arm of a study has in the plan's store, planned arms without any too.

    They are counted in the store, whatever part of it a report reads.

    Args:
        plan: Of the study.
        experiment: What its runs are runs of.
        by: The setting whose values are the arms.
    """
    store = RunStore(plan.path.parent.parent)
    found: list[tuple[Mapping[str, Any], set[int]]] = [(arm, set()) for arm in plan.arms]
    for run in _runs_of(store, experiment, plan.path, by):
        if (run.directory / RESULT).is_file():
            arm = _arm(experiment, run.config, by)
            seeds = next((seeds for one, seeds in found if one == arm), None)
            if seeds is None:
                found.append((arm, seeds := set()))
            seeds.add(int(run.config["seed"]))
    return [(arm, len(seeds)) for arm, seeds in found]


def read_plan(path: Path) -> Plan | None:
    """A plan; None if there is none.

    Args:
        path: See `plan_path`.

    Raises:
        RunError: If it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        why = _FORM.fault(found, "plan")
    except (OSError, *UNREADABLE) as error:
        why = reason_of(error)
    if why is not None:
        raise RunError(
            f"`{path}` must be a plan of seeds as --plan-seeds writes it ({why}); delete it, and "
            "say so where you report the study."
        )
    return Plan(
        path=path,
        study=found["study"],
        seeds=found["seeds"],
        made=found["made"],
        arms=tuple(found.get("arms", ())),
        looks=tuple(Look(seeds=look["seeds"], when=look["when"]) for look in found["looks"]),
        kept=found.get("kept", ""),
        kept_arms=tuple(found.get("kept_arms", ())),
    )


def plan_path(
    store: Path, experiment: Experiment, config: Mapping[str, Any], *, by: str = "activation"
) -> Path:
    """Where the plan of a run's study is kept.

    Args:
        store: The store's folder.
        experiment: What it is a run of.
        config: What names the run.
        by: The setting whose values are the arms.
    """
    text = json.dumps([by, shared_settings(experiment, config, by=by)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return store / FOLDER / f"{experiment.name}-{digest}.json"


def _studies(ready: Ready, by: str) -> dict[Path, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each study that holds evidence, by where its plan is kept: what it is, and its arms."""
    experiment = ready.experiment
    found: dict[Path, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for job in ready.jobs:
        if job.planned.kind == experiment.name:
            config = dict(job.planned.identity)
            path = plan_path(ready.library.store.path, experiment, config, by=by)
            shared = shared_settings(experiment, config, by=by)
            study = {"experiment": experiment.name, "by": by, "settings": shared}
            _, arms = found.setdefault(path, (study, []))
            if (arm := _arm(experiment, config, by)) not in arms:
                arms.append(arm)
    return found


def _arm(experiment: Experiment, config: Mapping[str, Any], by: str) -> dict[str, Any]:
    """What tells a run's arm from the others of its study."""
    shared = shared_settings(experiment, config, by=by)
    found = {k: v for k, v in config.items() if k not in shared and k != "seed"}
    plain: dict[str, Any] = json.loads(json.dumps(found))  # as it is read back
    return plain


def _runs_of(store: RunStore, experiment: Experiment, path: Path, by: str) -> list[Run]:
    """The runs of a plan's study, complete or not."""
    every = store.scan(experiment.name, records=False).runs
    sound = [run for run in every if holds(run, experiment)]
    runs = [run for run in sound if by in completed(experiment.config, run.config)]
    return [r for r in runs if plan_path(store.path, experiment, r.config, by=by) == path]


def _refuse_after_runs(
    store: RunStore, experiment: Experiment, path: Path, by: str, seeds: int
) -> None:
    there = _runs_of(store, experiment, path, by)
    if there:
        raise UsageError(
            "`plan_seeds` must be given before the first run of a study (a plan made after a look "
            f"fixes nothing, and {len(there)} of its runs are in {store.path}); got {seeds}."
        )


def _now() -> str:
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
