"""The group of all commands, and how an error leaves the program."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

import click

import metaact
from metaact.analysis import tables
from metaact.cores import launched
from metaact.errors import one_line_warnings
from metaact.experiments.table import EXPERIMENTS, find

from .activations import activations
from .adapt import adapt
from .base import STOPPED
from .compare import compare
from .data import data
from .featuremaps import featuremaps
from .figure import figure
from .gradcam import gradcam
from .output import echo, note
from .overlays import overlays
from .report import report
from .runs import runs
from .table import table
from .verb import verb


class Commands(click.Group):
    """All commands: one for each experiment, made when it is called, and the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The experiments in their order, then the others."""
        return [*EXPERIMENTS, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in EXPERIMENTS:
            return verb(find(cmd_name))
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with; of an unknown one the nearest is named."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(metaact.__version__, prog_name="metaact")
def cli() -> None:
    """Does this activation function make networks adapt better?

    Compares activation functions in meta-learning, in transfer, in training at small learning
    rates, in segmentation and over a stream of tasks. Results go to stdout, progress and warnings
    to stderr. Start with

    \b
        metaact maml --activation arelu,relu,arelu-frozen
    """  # noqa: D301


for command in (
    *(table, figure, compare, report, gradcam, featuremaps, overlays),
    *(adapt, runs, activations, data),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; every expected failure is one line on stderr.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
    """
    with contextlib.suppress(OSError):  # the working folder may be gone
        sys.path.append(str(Path.cwd()))  # the user's own activation, module:factory, may lie here
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: "α" is not in every encoding
    # A notebook leaves its own backend here, which matplotlib refuses outside; all drawing is to
    # files.
    os.environ.pop("MPLBACKEND", None)
    if sys.stdout.isatty():
        tables.WIDTH.set(shutil.get_terminal_size().columns)
    with warnings.catch_warnings():
        warnings.showwarning = one_line_warnings(partial(echo, err=True))
        code = _run() if launched() == 1 else _run_with_others()
    sys.exit(code)


def _run_with_others() -> int:
    """Run the command in rank 0 of the processes that `torchrun` started; the others help it."""
    from metaact.adaptation import ranks

    with ranks.joined() as leads:
        if not leads:
            return 0
        code = _run()
        if not ranks.handed():
            note(
                f"note: {launched() - 1} of torchrun's {launched()} processes had nothing to do; "
                "they share meta-batches that are worked on in several shares, and nothing else."
            )
    return code


def _give_up_output() -> None:
    """Forget what could not be written, of which Python would complain when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run() -> int:
    """Run the command; the exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        echo(f"metaact: {STOPPED}", err=True)
        code = 130
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message(), err=True)
        code = error.exit_code
    except click.ClickException as error:
        folded = re.sub(r"\s*\n\s*", " ", error.format_message())
        echo(f"metaact: {folded}", err=True)
        code = error.exit_code
    except MemoryError as error:
        reason = f" ({error})" if str(error) else ""
        echo(f"metaact: out of memory{reason}; ask for less at a time.", err=True)
        code = 1
    except OSError as error:  # what no layer below could say better
        where = f"{error.filename}: " if error.filename else ""
        echo(f"metaact: {where}{error.strerror or error}.", err=True)
        code = 1
    _give_up_output()
    return code if isinstance(code, int) else 0
