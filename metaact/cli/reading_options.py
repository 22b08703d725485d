"""How results are read: the options that verbs, `compare` and `report` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaact.errors import check_int, check_rate, one_line

from .base import Failure
from .groups import Option
from .output import echo
from .parameters import Names, Runs, Several

if TYPE_CHECKING:
    from metaact.reports import Document, Evidence

STORE = Path("runs")
"""Where runs are unless a command is told otherwise."""

BEGIN = "`metaact maml --activation arelu,relu,arelu-frozen`"


def by_option(help: str) -> click.Option:
    """The setting whose values are the arms, written with - or _.

    Args:
        help: What it does in the command.
    """
    return Option(
        ["--by"],
        group="Fairness",
        default="activation",
        show_default=True,
        callback=lambda ctx, param, value: value.replace("-", "_"),
        help=help,
    )


def reading_options() -> list[click.Option]:
    """What is compared with what, how, and at which level."""
    return [
        Option(
            ["--reference"],
            group="Fairness",
            help="The arm that the others are compared with. [default: the first arm of a verb; of "
            "a store relu, if it is there, else the first in the order of `activations list`]",
        ),
        Option(
            ["--over"],
            group="Output",
            type=click.Choice(["both", "seeds", "units"]),
            default="both",
            show_default=True,
            help="What intervals and p-values cover: new training seeds, new test episodes or "
            "images (units), or both.",
        ),
        Option(
            ["method", "--interval"],
            group="Output",
            type=click.Choice(["auto", "t", "bca", "wilson"]),
            default="auto",
            show_default=True,
            help="Kind of interval of each arm; auto chooses by the rules in the documentation.",
        ),
        Option(
            ["--level"],
            group="Output",
            type=float,
            default=0.95,
            show_default=True,
            help="Confidence level.",
        ),
        Option(
            ["--margin"],
            group="Fairness",
            type=float,
            help="Differences below this many points do not matter: within it, arms can be "
            "called equivalent.",
        ),
        Option(
            ["--to"],
            group="Output",
            type=Several(float),
            default="50,90",
            show_default=True,
            help="Scores in percent; for each the time until it is first reached is reported.",
        ),
        Option(
            ["--bootstrap-seed"],
            group="Output",
            type=int,
            default=0,
            show_default=True,
            help="Seed of bootstrap intervals.",
        ),
    ]


def reading_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as `metaact.reports.compare` takes them.

    Raises:
        UsageError: If a number is out of its range.
    """
    margin = given["margin"]
    if margin is not None:
        check_rate("margin", margin, maximum=100, why="points")
    for percent in given["to"]:
        check_rate("to", percent, maximum=100, why="percent")
    check_int("bootstrap_seed", given["bootstrap_seed"], minimum=0)
    return {
        "reference": given["reference"],
        "over": given["over"],
        "method": given["method"],
        "level": given["level"],
        "margin": None if margin is None else margin / 100,
        "thresholds": [percent / 100 for percent in given["to"]],
        "seed": given["bootstrap_seed"],
    }


def store_params() -> list[click.Parameter]:
    """RUNS and the options of `metaact compare` and `metaact report`."""
    return [
        click.Argument(["runs"], nargs=-1, type=Runs(), metavar="[RUNS]..."),
        Option(
            ["arms", "--activation"],
            group="Fairness",
            type=Names(),
            help="Only these arms. [default: all that are there]",
        ),
        by_option("The setting whose values are the arms: --by model compares networks."),
        *reading_options(),
        Option(
            ["--at"],
            group="Fairness",
            type=int,
            help="Epoch at which supervised runs are read; then runs of any length compare. "
            "[default: their end]",
        ),
    ]


def read_and_compare(
    runs: tuple[Path, ...], *, arms: tuple[str, ...] | None, by: str, at: int | None, **given: Any
) -> Document:
    """The document of `metaact compare`; what was left out is named on stderr.

    Raises:
        Failure: If nothing is left to compare.
        RunError: If a path holds no runs or names one that cannot be used.
        UsageError: If an option is not allowed.
    """
    runs = runs or (STORE,)
    check_begun(runs)
    reading = reading_of(given)
    if at is not None:
        check_int("at", at, minimum=0)

    from metaact import reports

    evidence = reports.gather(runs, arms=arms or (), by=by, at=at)
    name_left_out(evidence)
    if not evidence.studies:
        raise Failure("no complete run is left to compare; see what was left out above.", 1)
    document = reports.compare(evidence, **reading)
    name_looks(document)
    return document


def name_looks(document: Document) -> None:
    """Record reports that come before the planned seeds; one line on stderr where that fails."""
    from metaact import reports

    for line in reports.note_looks(document):
        echo(f"metaact: {line}", err=True)


def check_begun(places: Sequence[Path]) -> None:
    """Where nothing was run yet, say how to begin.

    Raises:
        Failure: If none of the places is there, or holds anything.
    """
    if any(place.is_file() or (place.is_dir() and any(place.iterdir())) for place in places):
        return
    where = ", ".join(str(place) for place in places)
    if all(place.is_dir() for place in places) or tuple(places) == (STORE,):
        raise Failure(f"no runs in {where} yet; begin with {BEGIN}, or name a folder of runs.", 2)


def name_left_out(evidence: Evidence) -> None:
    """One line on stderr for each directory that is not averaged in."""
    for item in evidence.left_out:
        echo(one_line(f"metaact: left out {item.said}"), err=True)
