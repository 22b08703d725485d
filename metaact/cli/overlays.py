"""`metaact overlays`: what the networks of `metaact segment` mark in patients they never saw."""

from __future__ import annotations

from pathlib import Path

import click

from .base import Command, Folder, pick_device
from .output import echo
from .parameters import Names, Place
from .run_choice import find_runs


@click.command(
    "overlays", cls=Command, short_help="Draw what segmentations mark: truth and prediction."
)
@click.argument("run", type=Place(), nargs=-1, required=True)
@click.option(
    "--patient",
    type=Names(),
    help="Tested patients by name. [default: those with the least, the median and the greatest "
    "mean Dice over the runs]",
)
@click.option(
    "--dataset",
    type=Folder(),
    help="Folder that the runs were trained on. [default: built-in data need none]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--out",
    type=Folder(),
    default=Path("runs"),
    show_default=True,
    help="Folder of the run store in which names are looked up; the picture lies in its figures/.",
)
def overlays(
    run: tuple[str, ...],
    patient: tuple[str, ...] | None,
    dataset: Path | None,
    device: str,
    out: Path,
) -> None:
    """Draw what each RUN of `metaact segment` marks: the truth green, the prediction red.

    RUN is a directory, or the beginning of one run's name or identity in the store. One row a
    patient, one column a run; each patient is marked by the network that was trained without it,
    and shown in the slice with the most of the object. Above it stands Dice of the whole volume.

    \b
        metaact overlays synthetic-patients-adam-lr0.003-arelu-seed0 \\
            synthetic-patients-adam-lr0.003-relu-seed0
        metaact overlays kaggle_3m-adam-lr0.0001-arelu-seed0 --dataset kaggle_3m/ \\
            --patient TCGA_CS_4941
    """  # noqa: D301
    found = [entry.directory for entry in find_runs(run, out)]
    device = pick_device(device)

    from metaact import analysis
    from metaact.experiments.segment.overlays import draw, read_marked, typical
    from metaact.runs import read_run

    marked = read_marked(
        [read_run(place) for place in found],
        dataset=None if dataset is None else str(dataset),
        device=device,
    )
    patients = list(patient) if patient else typical(marked)
    stem = analysis.file_name(f"overlays-{Path(marked[0].config.dataset).stem}")
    name = f"{stem}-{analysis.short_hash([*(p.name for p in found), *patients])}"
    for path in analysis.save_figure(draw(marked, patients), out / "figures" / name):
        echo(path)
