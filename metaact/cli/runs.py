"""`metaact runs`: list the runs of a store, show one in full, export or remove some."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from metaact.errors import MetaactError, check_choice, number_of, one_line
from metaact.experiments.table import kinds, of_kind

from .base import Command, F, Failure
from .output import complain, echo, echo_json
from .parameters import Folder, Names, Place, Runs
from .reading_options import BEGIN, STORE, check_begun, name_left_out
from .run_choice import dependents, find_runs, read_store

if TYPE_CHECKING:
    from metaact.reports.exports._export import Target
    from metaact.runs import Entry

MOST_COMPLAINTS = 5
"""Damaged directories that a list names without being asked for them."""

_out = click.option(
    "--out",
    type=Folder(),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run store in which names are looked up.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")


def _status_options(command: F) -> F:
    for name, help in (
        ("damaged", "Directories that cannot be read."),
        ("diverged", "Runs whose loss became NaN or infinite."),
        ("unfinished", "Runs without a result that no process works on."),
    ):
        command = click.option(f"--{name}", is_flag=True, help=help)(command)
    return command


@click.group()
def runs() -> None:
    """List, show, export or remove runs."""


@runs.command(
    "list", cls=Command, short_help="List the runs of stores, a line for each comparison."
)
@click.argument("stores", nargs=-1, type=Folder(), metavar="[STORE]...")
@click.option("--each", is_flag=True, help="One line per run, in place of one per comparison.")
@click.option("--kind", help=f"Only runs of this kind: {', '.join(kinds())}.")
@click.option("--activation", type=Names(), help="Only these arms.")
@click.option("--dataset", help="Only runs on this data set, also as source or target.")
@_status_options
@_json
def list_(
    stores: tuple[Path, ...],
    each: bool,
    kind: str | None,
    activation: tuple[str, ...] | None,
    dataset: str | None,
    as_json: bool,
    **statuses: bool,
) -> None:
    """List the runs in the STOREs (default: runs), one line for all runs of one comparison.

    A line stands for the runs that share every setting but activation, seed and learning rates.
    `source` are the pre-trainings of `metaact transfer`.

    \b
        metaact runs list
        metaact runs list --each --unfinished
        metaact runs list experiments/a experiments/b --kind maml --activation arelu
    """  # noqa: D301
    places = stores or (Path("runs"),)
    if not any(place.is_dir() for place in places):
        check_begun(places)
    entries = [e for place in places for e in read_store(place, name="stores")]
    if kind is not None and entries:
        check_choice("kind", kind, sorted({e.kind for e in entries}), why="kinds in this store")
    chosen = [
        e
        for e in entries
        if kind in (None, e.kind)
        and (not activation or e.config.get("activation") in activation)
        and (dataset is None or dataset in _data(e))
        and (not any(statuses.values()) or statuses.get(e.status))
    ]

    from metaact.reports import store_list

    if as_json:
        echo_json(store_list.summary(chosen))
    elif not chosen:
        where = ", ".join(str(place) for place in places)
        echo(f"no runs in {where}" + (" match." if entries else f" yet; begin with {BEGIN}."))
    else:
        echo((store_list.run_table if each else store_list.group_table)(chosen))
    _name_damaged(chosen, all_of_them=each or statuses["damaged"])


def _data(entry: Entry) -> list[object]:
    """The names of the data of a run."""
    experiment = of_kind(entry.kind)
    known = experiment.settings if experiment else {}
    return [entry.config[name] for name, one in known.items() if one.path and name in entry.config]


def _name_damaged(entries: Sequence[Entry], *, all_of_them: bool) -> None:
    """Why each directory cannot be read, on stderr: a list that says so has not failed."""
    damaged = [entry for entry in entries if entry.status == "damaged"]
    for entry in damaged if all_of_them else damaged[:MOST_COMPLAINTS]:
        echo(one_line(f"metaact: damaged: {entry.why}"), err=True)
    if not all_of_them and len(damaged) > MOST_COMPLAINTS:
        more = len(damaged) - MOST_COMPLAINTS
        echo(f"metaact: damaged: {more} more; --damaged names them.", err=True)


@runs.command("show", cls=Command, short_help="Print one run: status, settings, result, files.")
@click.argument("run", type=Place())
@_out
@_json
def show(run: str, out: Path, as_json: bool) -> None:
    """Print one RUN: its status, settings, environment, result, files, and command.

    RUN is a directory, or the beginning of one run's name or identity in the store.

    \b
        metaact runs show mnist-5way-1shot-arelu-seed0
        metaact runs show 6d73cf --json
    """  # noqa: D301
    (entry,) = find_runs([run], out)

    from metaact.reports import run_page

    needed_by = dependents(entry, read_store(entry.directory.resolve().parent.parent, name="run"))
    if as_json:
        echo_json(run_page.document(entry, dependents=needed_by))
    else:
        echo(run_page.page(entry, dependents=needed_by))


@runs.command(
    "export", cls=Command, short_help="Write finished runs for TensorBoard, Trackio or as CSV."
)
@click.argument("places", nargs=-1, type=Runs(), metavar="[RUNS]...")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["tensorboard", "trackio", "csv"]),
    help="Event files, trackio's local store, or a folder of tidy CSV files.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=Folder(),
    help="Folder for the files; not for trackio, which is told by TRACKIO_DIR. [default: "
    "tensorboard or csv]",
)
def export(places: tuple[Path, ...], to: Target, folder: Path | None) -> None:
    """Write the finished runs in RUNS (default: runs) for another program, after the fact.

    These are the runs that `metaact compare` reads. csv has one row per run, per epoch or
    iteration, and per test episode or image. tensorboard and trackio get every metric at its step
    (α and β of each layer too) and all settings; runs that are there already stay as they are. The
    place goes to stdout. They are installed by `pip install 'metaact[tensorboard]'` and
    `pip install 'metaact[trackio]'`.

    \b
        metaact runs export --to csv -o results
        metaact runs export --to tensorboard
        metaact runs export runs/maml --to trackio
    """  # noqa: D301
    if to == "trackio" and folder is not None:
        raise click.UsageError(
            "--output must not be given with --to trackio (it keeps its projects in a folder of "
            "its own); set TRACKIO_DIR to another."
        )
    places = places or (STORE,)
    check_begun(places)

    from metaact import reports

    evidence = reports.gather(places)
    name_left_out(evidence)
    if not evidence.studies:
        raise Failure("no complete run is left to export; see what was left out above.", 1)
    where = None if to == "trackio" else folder or Path(to)
    echo(reports.export(evidence, to, where))


@runs.command("rm", cls=Command, short_help="Remove runs.")
@click.argument("run", nargs=-1, type=Place(), metavar="[RUN]...")
@_out
@_status_options
@click.option(
    "--checkpoints",
    is_flag=True,
    help="Only the checkpoints of complete runs, which are no longer needed; without RUN, of all "
    "in the store. Results, records and weights stay.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(run: tuple[str, ...], out: Path, checkpoints: bool, yes: bool, **statuses: bool) -> None:
    """Remove RUNs: directories, or beginnings of one run's name or identity in the store.

    What would be removed is listed, and you are asked to confirm. A run that a process works on
    stays, and so does every directory that is not a run or holds other files.

    \b
        metaact runs rm mnist-5way-1shot-arelu-seed0
        metaact runs rm --unfinished --damaged
        metaact runs rm --checkpoints --yes
    """  # noqa: D301
    wanted = [name for name, asked in statuses.items() if asked]
    if not (run or wanted or checkpoints):
        raise click.UsageError(
            "name a RUN, or choose with --unfinished, --damaged, --diverged or --checkpoints."
        )
    entries = {e.directory.resolve(): e for e in find_runs(run, out)}
    if wanted or not run:
        stored = read_store(out, name="out")
        keep = wanted or ("complete", "diverged")
        entries |= {e.directory.resolve(): e for e in stored if e.status in keep}
    if checkpoints:
        _free(list(entries.values()), yes)
    else:
        _remove(list(entries.values()), yes)


def _free(entries: Sequence[Entry], yes: bool) -> None:
    from metaact.runs.removal import checkpoint_of, remove_checkpoint

    done = [e for e in entries if e.result is not None and checkpoint_of(e.directory).is_file()]
    freed = sum(checkpoint_of(e.directory).stat().st_size for e in done)
    what = f"the checkpoints of {_count(done)}"
    _do(done, freed, what, remove_checkpoint, yes=yes)


def _remove(entries: Sequence[Entry], yes: bool) -> None:
    from metaact.runs.removal import remove_run

    others: dict[Path, list[Entry]] = {}
    needed = 0
    for entry in entries:
        store = entry.directory.resolve().parent.parent
        if store not in others:
            others[store] = read_store(store, name="run")
        needed += bool(dependents(entry, others[store]))
    if needed:
        echo(
            f"metaact: other runs start from {needed} of these: they are made again when the same "
            "command is given.",
            err=True,
        )
    _do(entries, sum(e.size for e in entries), _count(entries), remove_run, yes=yes)


def _count(entries: Sequence[Entry]) -> str:
    return number_of(len(entries), "run")


def _do(
    entries: Sequence[Entry],
    size: int,
    what: str,
    remove: Callable[[Path], None],
    *,
    yes: bool,
) -> None:
    """List what will be removed, ask, and do it; what could not be is named, with exit code 1."""
    from metaact.reports.store_list import group_table, run_table, size_in_words

    if not entries:
        echo("nothing to remove.")
        return
    each = len(entries) <= MOST_LINES
    echo((run_table if each else group_table)(entries), err=True)
    question = f"remove {what} ({size_in_words(size)})?"
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(f"{question} There is no terminal to ask on; give --yes to confirm.", 2)
        click.confirm(question, abort=True, err=True)
    gone, complaints = [], []
    for entry in entries:
        try:
            remove(entry.directory)
            gone.append(entry)
        except MetaactError as error:
            complaints.append(str(error))
    if gone:
        echo(f"removed {what if not complaints else _count(gone)}.")
    complain(complaints)


MOST_LINES = 20
"""Runs that are listed one by one before they are removed; more are listed by groups."""
