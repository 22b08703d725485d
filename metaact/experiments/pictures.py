"""Small pictures of what a study is tested on."""

from __future__ import annotations

from metaact import analysis
from metaact.tasks import Images

from .experiment import EXAMPLE_WIDTH, Example


def image_example(images: Images, caption: str) -> Example:
    """A few test images of each of at most six classes.

    Args:
        images: The test part.
        caption: What it shows.
    """
    return Example(
        kind="images",
        sha256=images.sha256(),
        caption=caption,
        draw=lambda: analysis.contact_sheet(
            images.pixels.cpu().numpy(),
            images.labels.cpu().numpy(),
            images.class_names,
            per_class=8,
            max_classes=6,
            title="test images",
            width=EXAMPLE_WIDTH,
        ),
    )
