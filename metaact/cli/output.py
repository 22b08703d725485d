"""How the verbs that run experiments end: result on stdout, the rest on stderr, exit code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from metaact.errors import MetaactError, visible

if TYPE_CHECKING:
    from metaact.reports import Document


def echo(message: object, *, err: bool = False) -> None:
    """Print a line; what in a stranger's names and notes a terminal would obey is shown, not done.

    Args:
        message: The text.
        err: Whether it goes to stderr.
    """
    click.echo(visible(str(message)), err=err)


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
        echo(f"wrote {path}", err=True)
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
