"""`metaact report`: one self-contained page from run directories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from metaact.errors import check_int

from .base import Command
from .groups import Option
from .output import echo
from .parameters import Runs
from .reading_options import read_and_compare, store_params

SUFFIXES = (".html", ".htm")


class PageFile(Runs):
    """Where to write the page: a file named as HTML, so that no other is overwritten by mistake."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse a folder, and what is not named as a page."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() not in SUFFIXES:
            self.fail(f"expected a file that ends in .html; got {str(value)!r}.", param, ctx)
        if path.is_dir():
            self.fail(f"expected a file; got {str(value)!r}, which is a folder.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"its folder must be there; got {str(value)!r}.", param, ctx)
        return path


@click.command(cls=Command, short_help="Write one HTML page about the arms of runs.")
@click.option(
    "-o",
    "--output",
    cls=Option,
    group="Output",
    type=PageFile(),
    default=Path("report.html"),
    show_default=True,
    help="The page; an older one is replaced.",
)
@click.option(
    "--title", cls=Option, group="Output", help="Heading of the page. [default: what was studied]"
)
@click.option(
    "--pictures",
    cls=Option,
    group="Output",
    type=int,
    default=4,
    show_default=True,
    help="Draw the pictures of at most so many studies, those with most runs first.",
)
def report(
    runs: tuple[Path, ...], output: Path, title: str | None, pictures: int, **options: Any
) -> None:
    """Write one HTML page about the arms in RUNS, which needs no other file and no network.

    RUNS are run directories, or folders of them (default: runs), as for `metaact compare`. The
    page has the questions and verdicts first, then for every study its tables, curves, activations
    as learned, data, settings, and the command that makes it again. The path of the page goes to
    stdout.

    \b
        metaact report runs -o report.html
        metaact report runs/maml --margin 1 -o maml.html
    """  # noqa: D301
    check_int("pictures", pictures, minimum=0)
    document = read_and_compare(runs, **options)

    from metaact.reports import page
    from metaact.runs.atomic import write_atomically

    content = page(document, title=title, pictures=pictures)
    write_atomically(output, content.encode("utf-8", "replace"))
    echo(output)


report.params = [*store_params(), *report.params]
