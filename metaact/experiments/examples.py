"""Small pictures of what a study is tested on, kept beside its runs for reports.

`<store>/examples/` holds contact sheets named by the start of the hash that a run's config holds:
`episodes-<12 hex>.png` by its test episodes, `images-<12 hex>.png` by its test images. A report
that is made later, elsewhere, without the data, finds the picture by the config alone.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from metaact import analysis
from metaact.runs.atomic import make_folder, write_atomically
from metaact.tasks import FrozenEpisodes, Images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from . import converge, maml, transfer

FOLDER = "examples"
HEX = 12

LARGEST = 60_000
"""Bytes: a report holds the picture within itself."""

QUALITIES = ((110, 64), (110, 32), (80, 32), (55, 32), (40, 16), (25, 8))
"""Dots per inch and colours, tried in this order until the picture is small enough."""

WAYS, QUERIES, SHOTS = 8, 5, 4
"""What is shown of an episode at most."""


def name(kind: str, sha256: str) -> str:
    """The file's name.

    Args:
        kind: "episodes" or "images".
        sha256: Hash of what is shown, as a run's config records it.

    Examples:
        >>> name("images", "0123456789abcdef")
        'images-0123456789ab.png'
    """
    return f"{kind}-{sha256[:HEX]}.png"


def keep_episode(study: maml.Study, store: Path) -> None:
    """Draw the first frozen test episode of a meta-learning study, unless it is there.

    Raises:
        RunError: If it cannot be written.
    """
    test = study.test
    path = store / FOLDER / name("episodes", test.sha256)
    _keep(path, lambda: _episode(test, study.split.test))


def keep_images(study: converge.Study, store: Path) -> None:
    """Draw some test images of a supervised study, unless they are there.

    Raises:
        RunError: If they cannot be written.
    """
    _keep_part(study.test, study.identity["test_sha256"], store)


def keep_domains(study: transfer.Study, store: Path) -> None:
    """Draw some test images of source and target, unless they are there.

    Raises:
        RunError: If they cannot be written.
    """
    pair = study.pair
    _keep_part(pair.source.test, study.source_identity["source_test_sha256"], store)
    _keep_part(pair.target.test, study.target_identity["target_test_sha256"], store)


def _keep_part(images: Images, sha256: str, store: Path) -> None:
    _keep(store / FOLDER / name("images", sha256), lambda: _sheet(images))


def _episode(test: FrozenEpisodes, images: Images) -> Figure:
    """The first episode, from the raw bytes: support images left, query images right."""
    episode = test.indices[0]
    ways, rows = len(episode), episode[:WAYS]
    cut = len(rows) < ways
    support = rows[:, : min(test.shots, SHOTS)]
    query = rows[:, test.shots :][:, :QUERIES]
    pixels, labels = images.pixels.cpu(), images.labels.cpu()
    return analysis.episode_sheet(
        pixels[support.reshape(-1)].numpy(),
        [way for way, row in enumerate(support) for _ in row],
        pixels[query.reshape(-1)].numpy(),
        [way for way, row in enumerate(query) for _ in row],
        class_names=[images.class_names[int(labels[row[0]])] for row in rows],
        title="the first test episode" + (f": {len(rows)} of {ways} classes" if cut else ""),
    )


def _sheet(images: Images) -> Figure:
    """A few images of each of at most ten classes."""
    return analysis.contact_sheet(
        images.pixels.cpu().numpy(),
        images.labels.cpu().numpy(),
        images.class_names,
        per_class=6,
        max_classes=10,
        title="test images",
    )


def _keep(path: Path, draw: Callable[[], Figure]) -> None:
    if not path.is_file():
        make_folder(path.parent)
        write_atomically(path, _small(draw()))


def _small(figure: Figure) -> bytes:
    """A PNG of at most `LARGEST` bytes, in the best quality that allows it."""
    content = b""
    for dpi, colours in QUALITIES:
        drawn, small = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png", dpi=dpi)
        picture = Image.open(drawn).convert("RGB")
        picture = picture.quantize(colours, dither=Image.Dither.NONE)
        picture.save(small, format="png", optimize=True)
        content = small.getvalue()
        if len(content) <= LARGEST:
            break
    return content
