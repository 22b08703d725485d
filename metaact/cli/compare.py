"""`metaact compare`: intervals, paired comparisons and verdicts from run directories."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .base import Command, Failure, refuse_together
from .groups import Option
from .next_step import suggest
from .output import echo, echo_json, note
from .parameters import Runs
from .reading_options import STORE, read_and_compare, store_params

if TYPE_CHECKING:
    from metaact.reports import Document


@click.command(cls=Command, short_help="Compare the arms of runs: tables, intervals, verdicts.")
@click.option(
    "--json", "form", cls=Option, group="Output", flag_value="json", help="Print one JSON document."
)
@click.option(
    "--csv", "form", cls=Option, group="Output", flag_value="csv", help="Print one row per arm."
)
@click.option(
    "--latex",
    "form",
    cls=Option,
    group="Output",
    flag_value="latex",
    help="Print tables for a paper (booktabs).",
)
@click.option(
    "--markdown",
    "form",
    cls=Option,
    group="Output",
    flag_value="markdown",
    help="Print tables in Markdown.",
)
@click.option(
    "--picture",
    cls=Option,
    group="Output",
    type=Runs(),
    help="Also draw the differences of all studies in one picture: as FILE.png and FILE.svg.",
    metavar="FILE",
)
def compare(runs: tuple[Path, ...], form: str | None, picture: Path | None, **options: Any) -> None:
    """Compare the arms in RUNS: run directories, or folders of them (default: runs).

    Runs are compared only with runs that share every setting but the one that is asked about (--by,
    activation), seed and learning rates: same data, same frozen test. Each such study gets its
    tables and a verdict for every arm: better, worse, no difference shown, or equivalent within
    --margin. Directories that are damaged, unfinished or something else are named and left out.

    \b
        metaact compare runs
        metaact compare runs --reference relu --margin 1
        metaact compare runs/maml --activation arelu,arelu-frozen --over units --markdown
        metaact compare runs --picture differences
    """  # noqa: D301
    refuse_together("--json", "--csv", "--latex", "--markdown")
    document = read_and_compare(runs, **options)
    if picture is not None:
        _draw(document, picture)
    if form == "json":
        echo_json(document.as_json())
        return

    from metaact.reports import text

    render = {
        "csv": text.comma_separated,
        "latex": text.latex,
        "markdown": text.markdown,
        None: text.plain,
    }[form]
    echo(render(document))
    if form is None:
        places = shlex.join(map(str, runs or (STORE,)))
        suggest(f"metaact report {places}", "puts all of it on one page, with pictures.")


def _draw(document: Document, target: Path) -> None:
    """Write the forest of all studies and name its files on stderr.

    Raises:
        Failure: If nothing is compared.
        RunError: If a file cannot be written.
    """
    from metaact import analysis
    from metaact.reports import summary

    drawn = summary.forest(document)
    if drawn is None:
        raise Failure(
            "`--picture` needs two arms that can be compared; there is nothing to draw.", 1
        )
    stem = target.with_suffix("") if target.suffix in (".png", ".svg") else target
    for path in analysis.save_figure(drawn.figure, stem):
        note(f"wrote {path}")


compare.params = [*store_params(), *compare.params]
