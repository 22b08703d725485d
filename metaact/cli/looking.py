"""What `gradcam` and `featuremaps` share: which runs and images, and how they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from metaact.errors import MetaactError, check_int, check_rate

from .base import Failure, Folder, Names, data_root_option, refuse_together
from .groups import Option
from .output import complain, echo, echo_json
from .parameters import Runs
from .reading_options import STORE, by_option, check_begun, name_left_out, reading_options

if TYPE_CHECKING:
    from metaact.focus import Seen
    from metaact.reports import Evidence

READ = ("reference", "over", "level", "margin")
"""The options of readers that are used here."""


def looking_options(own: Sequence[click.Parameter], *, compared: bool) -> list[click.Parameter]:
    """RUNS, the command's own options, and those that both commands have.

    Args:
        own: The command's own.
        compared: Whether arms are compared.
    """
    readers = [one for one in reading_options() if one.name in READ] if compared else []
    return [
        click.Argument(["runs"], nargs=-1, type=Runs(), metavar="[RUNS]..."),
        Option(
            ["--images"],
            group="Data",
            type=Folder(),
            help="Folder of your own images, with or without class folders. [default: the images "
            "that the runs were tested on]",
        ),
        *own,
        Option(
            ["--seed"],
            group="Data",
            type=int,
            default=0,
            show_default=True,
            help="Seed by which images are drawn.",
        ),
        Option(
            ["arms", "--activation"],
            group="Fairness",
            type=Names(),
            help="Only these arms. [default: all that are there]",
        ),
        by_option("The setting whose values are the arms: --by model compares networks."),
        *readers,
        Option(
            ["--device"],
            group="Computation",
            default="auto",
            show_default=True,
            help="auto, cpu or cuda.",
        ),
        data_root_option(),
        Option(
            ["form", "--json"], group="Output", flag_value="json", help="Print one JSON document."
        ),
        Option(
            ["form", "--csv"], group="Output", flag_value="csv", help="Print a table of numbers."
        ),
    ]


def looking_reading(given: Mapping[str, Any]) -> dict[str, Any]:
    """How arms are compared, as `metaact.focus.attended` takes it.

    Raises:
        UsageError: If a number is out of its range.
    """
    margin = given["margin"]
    if margin is not None:
        check_rate("margin", margin, maximum=100, why="points")
    return {
        **{name: given[name] for name in READ},
        "margin": None if margin is None else margin / 100,
    }


def evidence_of(runs: tuple[Path, ...], given: Mapping[str, Any]) -> Evidence:
    """The runs; what was left out is named on stderr.

    Raises:
        Failure: If there are none.
        RunError: If a path holds no runs or names one that cannot be used.
        UsageError: If an option is not allowed.
    """
    refuse_together("--json", "--csv")
    check_int("seed", given["seed"], minimum=0)
    places = runs or (STORE,)
    check_begun(places)

    from metaact import reports

    evidence = reports.gather(places, arms=given["arms"] or (), by=given["by"])
    name_left_out(evidence)
    if not evidence.studies:
        raise Failure("no complete run is left to look at; see what was left out above.", 1)
    return evidence


def conclude(seen: Seen, out: Path, *, form: str | None) -> None:
    """Write the picture, and print what was found.

    Args:
        seen: What was found.
        out: Where the picture goes, without suffix.
        form: "json", "csv" or None for a table.

    Raises:
        Exit: With code 1, if the picture cannot be written; what was found is printed before.
    """
    from metaact import analysis
    from metaact.focus import render

    written: list[Path] = []
    complaints = []
    try:
        written = analysis.save_figure(seen.draw(), out)
    except MetaactError as error:
        complaints.append(f"no picture: {error}")
    for path in written:
        echo(f"wrote {path}", err=True)
    if form == "json":
        echo_json(render.as_json(seen, [str(path) for path in written]))
    else:
        echo(render.comma_separated(seen) if form == "csv" else render.plain(seen))
    complain(complaints)
