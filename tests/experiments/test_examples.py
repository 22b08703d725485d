"""Example pictures: small, drawn once, named by what a run's config records, no runs themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from metaact import experiments, reports, tasks
from metaact.errors import RunError
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    MamlConfig,
    TransferConfig,
    study,
)
from metaact.experiments.maml import run as maml
from metaact.experiments.pictures import image_example
from metaact.runs import RunStore


@pytest.fixture(scope="module")
def config(pack: Path) -> MamlConfig:
    return MamlConfig(
        dataset=str(pack),
        ways=4,
        tasks=2,
        iterations=1,
        inner_steps=1,
        queries=2,
        test_queries=6,
        test_episodes=4,
        validation_episodes=2,
    )


def only_file(store: Path) -> Path:
    (path,) = (store / study.EXAMPLES).iterdir()
    return path


def test_an_episode_is_drawn_once_and_small(config: MamlConfig, tmp_path: Path) -> None:
    document = reports.answer(experiments.run(MAML, [config], tmp_path))
    path = only_file(tmp_path)
    recorded = document.studies[0].settings["test_episodes_sha256"]
    assert path.name == f"episodes-{recorded[:12]}.png"
    assert path.stat().st_size <= study.LARGEST
    with Image.open(path) as picture:
        assert picture.mode == "RGBA"  # in full colour, on no ground of its own
        assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]
        assert picture.format == "PNG"
        assert min(picture.size) > 150
    (found,) = document.studies[0].examples
    assert (found.path, found.caption) == (str(path), "The first frozen test episode.")
    path.write_bytes(b"kept")
    experiments.run(MAML, [config], tmp_path)
    assert only_file(tmp_path).read_bytes() == b"kept"


def test_it_shows_the_first_episode(config: MamlConfig) -> None:
    """The pictures in the sheet are the images of that episode, pixel for pixel."""
    shared = maml.prepare([config])
    figure = shared.examples[0].draw()
    drawn = [np.asarray(i.get_array(), dtype=float) for a in figure.axes for i in a.images]
    episode = next(shared.test.batches(1))
    mean, std = shared.mean[0], shared.std[0]
    for part in (episode.support[0], episode.query[0].unflatten(0, (4, 6))[:, :5].flatten(0, 1)):
        raw = (part[:, 0] * std + mean).numpy()
        for image in raw:
            near = [d for d in drawn if _within(d, image)]
            assert near, "an image of the episode is not in the sheet"


def _within(sheet: np.ndarray[Any, Any], image: np.ndarray[Any, Any]) -> bool:
    """Whether a sheet (of one image or of a grid) holds an image, whatever its scale of grey."""
    sheet = sheet[..., 0] if sheet.ndim == 3 else sheet
    sheet = sheet / 255 if sheet.max() > 1.5 else sheet
    height, width = image.shape
    if sheet.shape[0] < height or sheet.shape[1] < width:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (height, width))
    corner = np.abs(windows[:, :, 0, 0] - image[0, 0]) < 0.02
    return any(np.abs(windows[y, x] - image).max() < 0.02 for y, x in np.argwhere(corner))


def test_noise_in_colour_is_small_too(tmp_path: Path) -> None:
    noise = torch.randint(
        256, (400, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    images = tasks.Images(
        pixels=noise,
        labels=torch.arange(400) % 20,
        class_names=tuple(str(c) for c in range(20)),
        provenance=tasks.Provenance(dataset="noise", split="test", official=False, note=""),
    )
    study._keep(image_example(images, "noise"), tmp_path)
    assert only_file(tmp_path).stat().st_size <= study.LARGEST
    assert only_file(tmp_path).name == f"images-{images.sha256()[:12]}.png"


def test_supervised_studies_name_their_pictures_by_their_identity(
    transfer_config: TransferConfig, tmp_path: Path
) -> None:
    converge = ConvergeConfig(dataset=transfer_config.source, batch_size=16)
    (job,) = experiments.prepare(CONVERGE, [converge], tmp_path).jobs
    assert [example.file for example in job.shared.examples] == [
        f"images-{job.run.config['test_sha256'][:12]}.png"
    ]
    source, tuned, _ = experiments.prepare(TRANSFER, [transfer_config], tmp_path).jobs
    assert [example.file for example in tuned.shared.examples] == [
        f"images-{tuned.run.config['target_test_sha256'][:12]}.png",
        f"images-{source.run.config['source_test_sha256'][:12]}.png",
    ]


def test_a_place_that_cannot_be_written_is_fatal(config: MamlConfig, tmp_path: Path) -> None:
    (tmp_path / "examples").write_text("in the way")
    with pytest.raises(RunError, match="could not be written"):
        experiments.run(MAML, [config], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


def test_a_store_does_not_take_pictures_for_runs(config: MamlConfig, tmp_path: Path) -> None:
    outcome = experiments.run(MAML, [config], tmp_path)
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "maml-0123456789.png").write_bytes(b"picture")
    listing = RunStore(tmp_path).scan()
    assert [found.directory for found in listing.runs] == outcome.directories
    assert listing.damaged == ()
    assert RunStore(tmp_path).scan(study.EXAMPLES).runs == ()
    assert reports.gather([tmp_path]).left_out == ()
