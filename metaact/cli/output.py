"""How the verbs that run experiments end: result on stdout, the rest on stderr, exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaact.errors import MetaactError

if TYPE_CHECKING:
    from metaact.experiments.sweep import SweepReport


def conclude(
    summary: Mapping[str, Any],
    report: SweepReport,
    *,
    table: Callable[[Mapping[str, Any]], str],
    draw: Callable[[], list[Path]],
    as_json: bool,
) -> None:
    """Draw the figures, print the result, and name every run that is not there.

    Figures that cannot be written fail the command, but not before the result is printed.

    Args:
        summary: The result.
        report: How its runs ended.
        table: Renders the result for a reader.
        draw: Writes the figures; returns their paths.
        as_json: Whether the result is printed as a JSON document.

    Raises:
        Exit: With code 1, if a run or a figure is missing.
    """
    complaints = report.complaints()
    try:
        figures = draw()
    except MetaactError as error:
        figures = []
        complaints.append(f"no figures: {error}")
    for path in figures:
        click.echo(f"wrote {path}", err=True)
    if as_json:
        echo_json({**summary, "figures": [str(path) for path in figures]})
    else:
        click.echo(table(summary))
    complain(complaints)


def echo_json(document: object) -> None:
    """Print one strict JSON document: what is not finite is null."""
    from metaact.runs import finite

    click.echo(json.dumps(finite(document), indent=2, allow_nan=False))


def complain(lines: list[str]) -> None:
    """Name on stderr what failed; nothing if nothing did.

    Raises:
        Exit: With code 1, if there is a line.
    """
    for line in lines:
        click.echo(f"metaact: {' '.join(line.split())}", err=True)
    if lines:
        raise click.exceptions.Exit(1)
