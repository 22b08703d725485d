"""Example pictures: small, drawn once, named by what a run's config records, no runs themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from metaact.experiments.config import MamlConfig
from metaact.experiments.converge_config import ConvergeConfig
from metaact.experiments.transfer_config import TransferConfig
from PIL import Image

from metaact import tasks
from metaact.errors import RunError
from metaact.experiments import converge, examples, maml, transfer
from metaact.runs import RunStore


@pytest.fixture(scope="module")
def study(pack: Path) -> maml.Study:
    return maml.study(MamlConfig(dataset=str(pack), ways=4, test_queries=6, test_episodes=4))


def only_file(store: Path) -> Path:
    (path,) = (store / examples.FOLDER).iterdir()
    return path


def test_an_episode_is_drawn_once_and_small(study: maml.Study, tmp_path: Path) -> None:
    examples.keep_episode(study, tmp_path)
    path = only_file(tmp_path)
    assert path.name == f"episodes-{study.identity['test_episodes_sha256'][:12]}.png"
    assert path.stat().st_size <= examples.LARGEST
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 150
    path.write_bytes(b"kept")
    examples.keep_episode(study, tmp_path)
    assert only_file(tmp_path).read_bytes() == b"kept"


def test_it_shows_the_first_episode(study: maml.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}
    sheet = examples.analysis.episode_sheet

    def spy(*arrays: object, **options: object) -> object:
        seen["arrays"], seen["options"] = arrays, options
        return sheet(*arrays, **options)

    monkeypatch.setattr(examples.analysis, "episode_sheet", spy)
    examples._episode(study.test, study.split.test)
    episode = next(study.test.batches(1))
    support, support_labels, query, query_labels = seen["arrays"]
    assert list(support_labels) == episode.support_labels[0].tolist() == [0, 1, 2, 3]
    assert list(query_labels) == [way for way in range(4) for _ in range(5)]
    mean, std = study.mean[0], study.std[0]
    raw = (episode.support[0] * std + mean) * 255
    assert abs(raw.numpy() - support).max() < 0.01
    assert query.shape == (20, 1, 28, 28)


def test_noise_in_colour_is_small_too(tmp_path: Path) -> None:
    noise = torch.randint(
        256, (400, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    labels = torch.arange(400) % 20
    provenance = tasks.Provenance(dataset="noise", split="test", official=False, note="")
    images = tasks.Images(
        pixels=noise,
        labels=labels,
        class_names=tuple(str(c) for c in range(20)),
        provenance=provenance,
    )
    examples._keep_part(images, images.sha256(), tmp_path)
    assert only_file(tmp_path).stat().st_size <= examples.LARGEST


def test_supervised_studies_name_their_pictures_by_their_identity(
    pack: Path, tmp_path: Path
) -> None:
    study = converge.study([ConvergeConfig(dataset=str(pack))])
    examples.keep_images(study, tmp_path / "a")
    assert only_file(tmp_path / "a").name == f"images-{study.identity['test_sha256'][:12]}.png"
    both = transfer.study([TransferConfig(source=str(pack), target=str(pack))])
    examples.keep_domains(both, tmp_path / "b")
    assert {path.name for path in (tmp_path / "b" / "examples").iterdir()} == {
        f"images-{both.source_identity['source_test_sha256'][:12]}.png",
        f"images-{both.target_identity['target_test_sha256'][:12]}.png",
    }


def test_a_place_that_cannot_be_written_is_fatal(study: maml.Study, tmp_path: Path) -> None:
    (tmp_path / "examples").write_text("in the way")
    with pytest.raises(RunError, match="could not be written"):
        examples.keep_episode(study, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


def test_a_store_does_not_take_pictures_for_runs(study: maml.Study, tmp_path: Path) -> None:
    run = RunStore(tmp_path).open(kind="maml", name="arelu-seed0", config={"seed": 0})
    with run.lock():
        run.start({})
    examples.keep_episode(study, tmp_path)
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "maml-0123456789.png").write_bytes(b"picture")
    listing = RunStore(tmp_path).scan()
    assert [found.directory for found in listing.runs] == [run.directory]
    assert listing.damaged == ()
    assert RunStore(tmp_path).scan(examples.FOLDER).runs == ()
