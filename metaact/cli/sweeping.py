"""How a command does its runs: side by side, some of them, only listed, or as commands."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaact.cores import launched
from metaact.errors import UsageError, number_of

from .groups import Option
from .output import echo, echo_json
from .progress import progress

if TYPE_CHECKING:
    from metaact.experiments.preview import Entry, Preview
    from metaact.experiments.study import Outcome, Ready


def sweep_options() -> list[click.Option]:
    """Options of every verb that runs experiments."""
    return [
        Option(
            ["--workers"],
            group="Computation",
            type=int,
            envvar="METAACT_WORKERS",
            show_envvar=True,
            help="Processes that do the runs side by side, one thread each; results are the same. "
            "[default: the free cores; 1 on a GPU]",
        ),
        Option(
            ["--ray"],
            group="Computation",
            metavar="ADDRESS",
            help="Do the runs on a Ray cluster, --workers of them at a time: HOST:PORT of the "
            "cluster that this machine is a node of, ray://HOST:PORT of another, or auto. "
            "[--workers: its cores or GPUs]",
        ),
        Option(
            ["--threads"],
            group="Computation",
            type=int,
            envvar="METAACT_THREADS",
            show_envvar=True,
            help="Threads of a run that is done by one process, each with its share of the tasks "
            "or images; results are the same to the bit. [default: the free cores]",
        ),
        Option(
            ["--limit"],
            group="Computation",
            type=int,
            help="Only so many of the runs that are missing; 1 is a smoke test. 0: none, and the "
            "result is that of the runs that are there.",
        ),
        Option(
            ["--dry-run"],
            group="Computation",
            is_flag=True,
            help="Do nothing but list the runs, which of them are there, and about how long the "
            "others will take, from a few timed steps.",
        ),
        Option(
            ["--list-commands"],
            group="Computation",
            is_flag=True,
            help="Do nothing but print a command for each arm, rate and seed of which a run is "
            "missing, to be run in any order and on any machine that has the folder.",
        ),
    ]


def do_all(ready: Ready, given: Mapping[str, Any]) -> Outcome:
    """Do the runs of a command under a progress bar, or say what would be done.

    Args:
        ready: The runs.
        given: The options of the command.

    Returns:
        How they ended.

    Raises:
        Exit: Where nothing was to be done but to list the runs or their commands.
        UsageError: If an option is not allowed.
    """
    if given["threads"] is not None:
        from metaact.adaptation import set_threads

        set_threads(given["threads"])
    if given["list_commands"]:
        _list_commands(ready, given)
        raise click.exceptions.Exit
    how = {name: given[name] for name in ("workers", "ray", "limit")}
    if launched() > 1:
        how["workers"] = _alone(given)
    if given["dry_run"]:
        found = ready.preview(**how)
        if given["as_json"]:
            echo_json(asdict(found) | {"counts": found.counts})
        else:
            echo(_in_words(found, _unit(ready)))
        raise click.exceptions.Exit
    if given["verbose"]:
        _name_runs(ready, given)
    with progress(ready.steps, _unit(ready)) as (tick, say):
        return ready.run(**how, tick=tick, say=say)


def _alone(given: Mapping[str, Any]) -> int:
    """One worker, where the processes of `torchrun` share one run."""
    for name in ("workers", "ray"):
        if given[name] not in (None, 1):
            raise UsageError(
                f"`{name}` must be left out under torchrun (its processes share each run); "
                f"got {given[name]!r}."
            )
    return 1


def _name_runs(ready: Ready, given: Mapping[str, Any]) -> None:
    """Each run with its directory, and what carries them out, on stderr."""
    import torch

    from metaact.adaptation.shares import threads

    for job in ready.jobs:
        echo(f"{job.label}: {job.run.directory}", err=True)
    echo(
        f"PyTorch {torch.__version__}, {number_of(threads(), 'thread')}, device {given['device']}",
        err=True,
    )


def _unit(ready: Ready) -> str:
    return next((job.planned.measure.axis.key for job in ready.jobs), "step")


def _list_commands(ready: Ready, given: Mapping[str, Any]) -> None:
    """One line a command, which makes the same runs in the same store."""
    more = ["--out", str(ready.library.store.path)]
    if given["data_root"] is not None:
        more += ["--data-root", str(given["data_root"])]
    if given["device"] != "auto":
        more += ["--device", given["device"]]
    found = ready.commands(limit=given["limit"])
    for words in found:
        echo(shlex.join([*program(), *words, *more]))
    if not found and all(job.run.is_complete for job in ready.jobs):
        echo("metaact: all runs are there; no command is left.", err=True)


def program() -> list[str]:
    """The words that start this program again: "metaact", or Python with a script."""
    typed = Path(sys.argv[0])
    if typed.name == "metaact":
        return ["metaact"] if typed.parent == Path() else [str(typed)]
    if typed.name == "__main__.py":
        return [sys.executable, "-m", typed.parent.name]
    return [sys.executable, str(typed)]


def _in_words(found: Preview, unit: str) -> str:
    """The preview as a reader sees it."""
    from metaact.experiments.timing import about

    width = max(len(entry.label) for entry in found.entries)
    rows = [
        f"{entry.label:<{width}}  {_status(entry, unit)}  {entry.directory}"
        for entry in found.entries
    ]
    others = found.counts
    there = others.pop("complete", 0)
    total = f"{there} of {number_of(len(found.entries), 'run')} are there"
    total += ", ".join(["", *(f"{number} {status}" for status, number in others.items())]) + "."
    if not found.runs:
        return "\n".join([*rows, "", total])
    todo = f"{found.runs} to do" if found.runs > 1 else "1 to do"
    by = f"{found.workers} workers" if found.workers > 1 else "this process"
    if found.seconds is None:
        last = f"{todo}, by {by}; none could be timed."
    else:
        steps = number_of(found.timed, "run")
        last = (
            f"{todo}, by {by}: {about(found.seconds)}, an estimate from a few timed "
            f"steps of {steps}."
        )
    return "\n".join([*rows, "", total, last])


def _status(entry: Entry, unit: str) -> str:
    if entry.status != "started":
        return f"{entry.status:<8}"
    return f"started ({entry.done} of {entry.length} {unit}s)"
