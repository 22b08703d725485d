"""`metaact featuremaps`: maps before and after an activation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .base import Command, FileStem, pick_device
from .groups import Option
from .looking import conclude, evidence_of, looking_options


@click.command("featuremaps", cls=Command, short_help="Draw maps before and after an activation.")
@click.option(
    "--layer",
    cls=Option,
    group="Network",
    default="first-stage",
    show_default=True,
    help="Path of an activation in the network, or first-stage.",
)
@click.option(
    "--count", cls=Option, group="Data", default=2, show_default=True, help="Images in the picture."
)
@click.option(
    "--channels",
    cls=Option,
    group="Network",
    default=3,
    show_default=True,
    help="Channels of each image, drawn by --seed.",
)
@click.option(
    "--out",
    cls=Option,
    group="Output",
    type=FileStem(),
    default=Path("featuremaps"),
    show_default=True,
    help="Where the picture goes, without suffix: OUT.png and OUT.svg.",
)
def featuremaps(
    runs: tuple[Path, ...],
    layer: str,
    count: int,
    channels: int,
    out: Path,
    **given: Any,
) -> None:
    """Draw the maps before and after an activation, of the arms in RUNS on the same images.

    RUNS are as for `metaact gradcam`. Images and channels are drawn by --seed, the same for all
    arms. Printed are each arm's answers, and what the activation does to the maps: how many are
    dead, how much of them is negative before and after, and how much larger they become.

    \b
        metaact featuremaps runs
        metaact featuremaps runs --activation arelu,relu --count 1 --channels 6
    """  # noqa: D301
    device = pick_device(given["device"])

    from metaact.focus import features_seen

    seen = features_seen(
        evidence_of(runs, given),
        layer=layer,
        channels=channels,
        count=count,
        seed=given["seed"],
        folder=given["images"],
        root=given["data_root"],
        device=device,
    )
    conclude(seen, out, form=given["form"])


featuremaps.params = looking_options(featuremaps.params, compared=False)
