"""How the verbs that run experiments end: result on stdout, the rest on stderr, exit code."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from metaact.display import unmoved
from metaact.errors import MetaactError, visible

if TYPE_CHECKING:
    from rich.console import Console

    from metaact.reports import Document

QUIET = "metaact.quiet"
"""Where a command keeps that it was asked for its result alone."""

VERDICTS = (
    r"(?P<good>\bis better than\b|\bbetter(?=\s*$))",
    r"(?P<bad>\bis worse than\b|\bworse(?=\s*$)|^metaact: )",
    r"(?P<dim>^(next|note|wrote)\b)",
)
"""What has a colour on a terminal: verdicts, at the end of a row or in a sentence, and errors."""


def echo(message: object, *, err: bool = False) -> None:
    """Print a line; what in a stranger's names and notes a terminal would obey is shown, not done.

    On a terminal verdicts have colours, unless NO_COLOR is set.

    Args:
        message: The text.
        err: Whether it goes to stderr.
    """
    text = visible(str(message))
    if (sys.stderr if err else sys.stdout).isatty():
        with unmoved():
            _console(err=err).print(text, soft_wrap=True, markup=False, emoji=False)
    else:
        click.echo(text, err=err)


def _console(*, err: bool) -> Console:
    """A terminal that colours what `VERDICTS` name, and nothing else."""
    from rich.console import Console
    from rich.highlighter import RegexHighlighter
    from rich.theme import Theme

    class Verdicts(RegexHighlighter):
        highlights: ClassVar[list[str]] = [f"(?m){pattern}" for pattern in VERDICTS]

    theme = Theme({"good": "green", "bad": "red", "dim": "dim"})
    return Console(stderr=err, theme=theme, highlighter=Verdicts())


def note(message: object) -> None:
    """Print a line on stderr that is neither a result nor a fault; nothing with --quiet."""
    if not is_quiet():
        echo(message, err=True)


def is_quiet() -> bool:
    """Whether the command was asked for its result alone."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(QUIET))


def conclude(document: Document, folder: Path, *, as_json: bool) -> None:
    """Draw the pictures, print the result, and name every run that is missing.

    Pictures that cannot be written fail the command, but not before the result is printed.

    Args:
        document: The result.
        folder: Where pictures go.
        as_json: Whether the result is printed as a JSON document.

    Raises:
        Exit: With code 1, if a run that was asked for or a picture is missing.
    """
    from metaact.reports import pictures, text

    complaints = list(document.missing)
    written: list[Path] = []
    try:
        written = pictures.save(document, folder)
    except MetaactError as error:
        complaints.append(f"no pictures: {error}")
    for path in written:
        note(f"wrote {path}")
    if as_json:
        echo_json(replace(document, figures=[str(path) for path in written]).as_json())
    elif document.studies:
        echo(text.plain(document))
    complain(complaints)


def echo_json(document: object) -> None:
    """Print one strict JSON document: what is not finite is null."""
    from metaact.runs import finite

    echo(json.dumps(finite(document), indent=2, allow_nan=False))


def complain(lines: list[str]) -> None:
    """Name on stderr what failed or was left; nothing if nothing was.

    Raises:
        Exit: With code 1, if there is a line about anything but runs that were not asked for.
    """
    from metaact.experiments.sweep import LIMITED

    for line in lines:
        echo(f"metaact: {' '.join(line.split())}", err=True)
    if any(not line.startswith(LIMITED) for line in lines):
        raise click.exceptions.Exit(1)
