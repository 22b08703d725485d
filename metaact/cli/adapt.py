"""`metaact adapt`: what a meta-learned run makes of a few labelled images of the user's own."""

from __future__ import annotations

from pathlib import Path

import click

from .base import Command, Folder
from .output import echo
from .parameters import Place
from .run_choice import find_runs


@click.command("adapt", cls=Command, short_help="Adapt a meta-learned run to your images.")
@click.argument("run", type=Place())
@click.argument("folder", type=Folder())
@click.option(
    "--predict",
    type=Folder(),
    help="Folder of the images to classify, with or without folders in it. [default: FOLDER "
    "itself, each image by a network that has not seen it]",
)
@click.option("--invert", is_flag=True, help="Make light images dark and dark ones light first.")
@click.option(
    "--out",
    type=Folder(),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run store in which names are looked up.",
)
def adapt(run: str, folder: Path, predict: Path | None, invert: bool, out: Path) -> None:
    """Adapt the meta-learned RUN to the images in FOLDER, and classify others.

    RUN is a run of `metaact maml`: a directory, or the beginning of one run's name or identity in
    the store. FOLDER holds a folder for each class, as many as the run's ways, with any number of
    images in it; they get the size and the channels of the images that the run learned from. The
    result is CSV on stdout: file, class, probability. Nothing is written into the run.

    \b
        metaact adapt glyphs-5way-1shot-arelu-seed0 my-letters/ --predict scans/ > answers.csv
        metaact adapt glyphs-5way-1shot-arelu-seed0 my-letters/
    """  # noqa: D301
    (entry,) = find_runs([run], out)

    from .adapting import answers

    table, notes = answers(entry.directory, folder, predict, invert=invert)
    for note in notes:
        echo(f"note: {note}", err=True)
    echo(table)
