"""The options of the commands that read runs back: what is compared with what, and how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaact.errors import check_int, check_rate

from .base import F, Failure
from .parameters import Names, Numbers

if TYPE_CHECKING:
    from metaact.reports import Evidence


def analysis_options(command: F) -> F:
    """RUNS and the options of `metaact compare` and `metaact report`."""
    decorators: list[Callable[[F], F]] = [
        click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path)),
        click.option(
            "--activation", type=Names(), help="Only these arms. [default: all that are there]"
        ),
        click.option(
            "--reference",
            help="The activation that the others are compared with. [default: relu, if it is "
            "there; else the first]",
        ),
        click.option(
            "--over",
            type=click.Choice(["both", "seeds", "units"]),
            default="both",
            show_default=True,
            help="What a repetition would draw anew: training seeds, test episodes or images "
            "(units), or both.",
        ),
        click.option(
            "--interval",
            "method",
            type=click.Choice(["auto", "t", "bca", "wilson"]),
            default="auto",
            show_default=True,
            help="Kind of interval of each arm; auto chooses by the rules in the documentation.",
        ),
        click.option(
            "--level", type=float, default=0.95, show_default=True, help="Confidence level."
        ),
        click.option(
            "--margin",
            type=float,
            help="Differences below this many points do not matter: within it, arms can be "
            "called equivalent.",
        ),
        click.option(
            "--at",
            type=int,
            help="Epoch at which supervised runs are read; then runs of any length compare. "
            "[default: their end]",
        ),
        click.option(
            "--to",
            type=Numbers(float),
            default="50,90",
            show_default=True,
            help="Accuracies in percent whose first reaching is timed.",
        ),
        click.option(
            "--seed", type=int, default=0, show_default=True, help="Seed of bootstrap intervals."
        ),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def read_and_compare(
    runs: tuple[Path, ...],
    *,
    activation: tuple[str, ...] | None,
    at: int | None,
    margin: float | None,
    to: tuple[float, ...],
    **options: Any,
) -> dict[str, Any]:
    """The document of `metaact compare`; what was left out is named on stderr.

    Raises:
        Failure: If nothing is left to compare.
        RunError: If a path holds no runs or names one that cannot be used.
        UsageError: If an option is not allowed.
    """
    if margin is not None:
        check_rate("margin", margin, maximum=100, why="points")
    for percent in to:
        check_rate("to", percent, maximum=100, why="percent")
    if at is not None:
        check_int("at", at, minimum=0)

    from metaact import reports

    evidence = reports.gather(runs, activations=activation or (), at=at)
    name_left_out(evidence)
    if not evidence.studies:
        raise Failure("no complete run is left to compare; see what was left out above.", 1)
    return reports.compare(
        evidence,
        margin=None if margin is None else margin / 100,
        thresholds=[percent / 100 for percent in to],
        **options,
    )


def name_left_out(evidence: Evidence) -> None:
    """One line on stderr for each directory that is not averaged in."""
    for item in evidence.left_out:
        click.echo(f"metaact: left out {item.directory}: {item.why}", err=True)
