"""`metaact gradcam`: where trained networks look, and how well-focused that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .base import Command, FileStem, Names, pick_device
from .groups import Option
from .looking import conclude, evidence_of, looking_options, looking_reading


@click.command(
    "gradcam", cls=Command, short_help="Draw where networks look, and measure how focused."
)
@click.option(
    "--layer",
    cls=Option,
    group="Network",
    type=Names(),
    default="first-stage,last-conv",
    show_default=True,
    help="Layers: paths in the network, or first-stage (as in the paper) and last-conv.",
)
@click.option(
    "--count", cls=Option, group="Data", default=6, show_default=True, help="Images in the picture."
)
@click.option(
    "--measured",
    cls=Option,
    group="Data",
    default=100,
    show_default=True,
    help="Images that focus is measured on; 0 draws the picture alone.",
)
@click.option(
    "--out",
    cls=Option,
    group="Output",
    type=FileStem(),
    default=Path("gradcam"),
    show_default=True,
    help="Where the picture goes, without suffix: OUT.png and OUT.svg.",
)
def gradcam(
    runs: tuple[Path, ...],
    layer: tuple[str, ...],
    count: int,
    measured: int,
    out: Path,
    **given: Any,
) -> None:
    """Draw Grad-CAM of the arms in RUNS on the same images, and measure how focused it is.

    RUNS are run directories, or folders of them (default: runs), of one study of converge, transfer
    or maml; a meta-learned network is adapted to the support images of a test episode first. Images
    are drawn by --seed, never chosen. Printed are the class explained, each arm's answer, and with
    intervals over images and seeds: the energy of the maps inside the object's box, where it is
    known, and the areas under the deletion and insertion curves; beside each the same of random
    weights and of a prior at the image's centre.

    \b
        metaact gradcam runs
        metaact gradcam runs --activation arelu,relu --layer first-stage --measured 0
        metaact gradcam runs --images my-photos/ --count 4
    """  # noqa: D301
    reading = looking_reading(given)
    device = pick_device(given["device"])

    from metaact.focus import attended

    seen = attended(
        evidence_of(runs, given),
        layers=layer,
        count=count,
        measured=measured,
        seed=given["seed"],
        folder=given["images"],
        root=given["data_root"],
        device=device,
        **reading,
    )
    conclude(seen, out, form=given["form"])


gradcam.params = looking_options(gradcam.params, compared=True)
