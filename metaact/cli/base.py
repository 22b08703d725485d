"""What all commands share: errors in one line, common options, device, seeds, run store."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from metaact.errors import MetaactError, RunError, UsageError, check_int, renamed

from .config_file import FILE, KEYS, read_config
from .groups import Option, grouped
from .output import QUIET
from .parameters import File
from .parameters import FileStem as FileStem
from .parameters import Folder as Folder
from .parameters import LayerRates as LayerRates
from .parameters import Names as Names
from .parameters import Several as Several

if TYPE_CHECKING:
    from metaact.runs import RunStore

F = TypeVar("F", bound=Callable[..., Any])

STOPPED = "stopped; the same command continues where it was."

MOST_SEEDS = 10_000

TYPED = "metaact.typed"
"""Where a command keeps the words that it was given."""


class Failure(click.ClickException):
    """An expected failure: one line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        setattr(self, "exit_code", exit_code)  # noqa: B010 - a class variable in click's types


class Command(click.Command):
    """A command whose errors are one line that names what was typed, not Python fields."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, and keep in mind by which of its names an option was given."""
        ctx.meta[TYPED] = {word.partition("=")[0] for word in args}
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param else None
            if ctx.get_parameter_source(name or "") is ParameterSource.DEFAULT_MAP:
                said = f"{error.message.rstrip('.')} (in {ctx.meta[FILE]})."
                raise click.BadParameter(said, ctx, error.param, error.param_hint) from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under their headings."""
        for heading, params in grouped(self, ctx).items():
            rows = [record for param in params if (record := param.get_help_record(ctx))]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn an expected error into a `Failure`."""
        with self.in_one_line(ctx):
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt as error:
                raise Failure(STOPPED, 130) from error

    @contextmanager
    def in_one_line(self, ctx: click.Context) -> Iterator[None]:
        """Turn an expected error from inside into a `Failure` that names what was typed."""
        try:
            yield
        except MetaactError as error:
            # What a run records is called as in its files, whatever options are called.
            said = str(error) if isinstance(error, RunError) else self._as_typed(str(error), ctx)
            raise Failure(said, error.exit_code) from error

    def _as_typed(self, message: str, ctx: click.Context) -> str:
        """The message with `field` as the option, argument or key of a file that sets it."""
        typed, words = {}, ctx.meta[TYPED]
        for param in self.params:
            name = param.human_readable_name.strip("[].")
            if isinstance(param, click.Option):
                name = next((opt for opt in param.opts if opt in words), param.opts[0])
            if ctx.get_parameter_source(param.name or "") is ParameterSource.DEFAULT_MAP:
                name = f"{ctx.meta[KEYS][param.name]} in {ctx.meta[FILE]}"
            typed[param.name] = name
            # Some are called otherwise in Python, as `json`: both names are known.
            typed.setdefault(param.opts[0].lstrip("-").replace("-", "_"), name)
        if "out" in typed:
            typed.setdefault("store", typed["out"])  # as functions call it
        return re.sub(r"`(\w+)`", lambda m: typed.get(m[1], m[0]), message)


def refuse_together(*options: str) -> None:
    """Refuse a command that was given more than one of several options.

    Raises:
        Failure: If it was.
    """
    ctx = click.get_current_context(silent=True)
    words = ctx.meta[TYPED] if ctx else ()
    given = [option for option in options if option in words]
    if len(given) > 1:
        raise Failure(f"{given[0]} must be given without {given[1]} (one excludes the other).", 2)


def common_options() -> list[click.Option]:
    """Options of every verb that runs experiments."""
    return [
        Option(
            ["--seeds"],
            group="Experiment",
            type=int,
            default=1,
            show_default=True,
            help="Number of training seeds (0, 1, ...).",
        ),
        Option(
            ["--seed"],
            group="Experiment",
            type=Several(int),
            help="Just these training seeds, in place of --seeds.",
        ),
        Option(
            ["--device"],
            group="Computation",
            default="auto",
            show_default=True,
            help="auto, cpu or cuda.",
        ),
        data_root_option(),
        Option(
            ["--out"],
            group="Output",
            type=Folder(),
            default=Path("runs"),
            show_default=True,
            help="Folder of the run store; a run that is complete there is not run again.",
        ),
        Option(
            ["--quiet", "-q"],
            group="Output",
            is_flag=True,
            expose_value=False,
            callback=_be_quiet,
            help="No progress and no notes: the result, and what went wrong.",
        ),
        Option(
            ["--verbose", "-v"],
            group="Output",
            is_flag=True,
            help="Before the runs begin, name each with its directory, and what carries them out.",
        ),
        Option(
            ["as_json", "--json"],
            group="Output",
            is_flag=True,
            help="Print one JSON document to stdout.",
        ),
        Option(
            ["--config"],
            group="Experiment",
            type=File(),
            callback=read_config,
            is_eager=True,
            expose_value=False,
            help="TOML file with values for these options; the command line wins.",
        ),
    ]


def _be_quiet(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[QUIET] = value


def data_root_option() -> click.Option:
    """Where the data sets are."""
    return Option(
        ["--data-root"],
        group="Data",
        type=Folder(),
        envvar="METAACT_DATA",
        show_envvar=True,
        help="Folder of the data sets. [default: the user's cache folder]",
    )


def pick_device(name: str) -> str:
    """Return the device to use: cpu or cuda[:n]; auto takes CUDA where there is one.

    Raises:
        UsageError: If the device is unknown or not there.
    """
    import torch

    cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if cuda else "cpu"
    if name == "cpu" or (cuda and re.fullmatch(r"cuda(:\d+)?", name)):
        return name
    seen = "CUDA is not available here" if name.startswith("cuda") else "unknown device"
    raise UsageError(f"`device` must be auto, cpu or cuda ({seen}); got {name!r}.")


def check_seeds(name: str, count: int) -> int:
    """Return a number of training seeds if there may be so many.

    Raises:
        UsageError: If not.
    """
    return check_int(name, count, minimum=1, maximum=MOST_SEEDS, why="each is a run of its own")


def seeds_of(given: Mapping[str, Any]) -> tuple[int, ...]:
    """The training seeds that were asked for: those of --seed, or 0 to --seeds - 1.

    Raises:
        UsageError: If a number is out of its range.
    """
    refuse_together("--seed", "--seeds")
    if given["seed"] is not None:
        return tuple(check_int("seed", seed, minimum=0) for seed in given["seed"])
    return tuple(range(check_seeds("seeds", given["seeds"])))


def open_store(out: Path) -> RunStore:
    """The run store of `--out`.

    Raises:
        UsageError: If the folder cannot be one.
    """
    from metaact.runs import RunStore

    with renamed(path="out"):
        return RunStore(out)
