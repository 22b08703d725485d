"""`metaact adapt`: a meta-learned run and folders of images; what it refuses and leaves."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import metaact
from metaact import experiments, tasks
from metaact.experiments import ConvergeConfig, MamlConfig
from metaact.runs import RunStore

Cli = Callable[..., object]
WAYS = 3


@pytest.fixture(scope="module")
def config(pack: Path) -> MamlConfig:
    return MamlConfig(
        dataset=str(pack),
        tasks=8,
        iterations=25,
        inner_lr=0.05,
        queries=2,
        test_queries=5,
        test_episodes=4,
        validation_episodes=4,
        ways=WAYS,
    )


@pytest.fixture(scope="module")
def store(config: MamlConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store")
    experiments.run(experiments.MAML, [config], path)
    return path


@pytest.fixture(scope="module")
def run(store: Path) -> Path:
    return RunStore(store).runs()[0].directory


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def images(pack: Path) -> tasks.Images:
    return tasks.split(pack).test


@pytest.fixture
def folder(images: tasks.Images, tmp_path: Path) -> Path:
    """Three classes that the run never saw, with two, three and four images."""
    for way in range(WAYS):
        chosen = (images.labels == way).nonzero().flatten()[: way + 2]
        for number, index in enumerate(chosen.tolist()):
            _save(tmp_path / "mine" / f"c{way}" / f"{number}.png", images.pixels[index, 0].numpy())
    return tmp_path / "mine"


@pytest.fixture
def others(images: tasks.Images, tmp_path: Path) -> Path:
    """Ten further images of each class, five of them in a folder of their own."""
    for way in range(WAYS):
        chosen = (images.labels == way).nonzero().flatten()[10:]
        for number, index in enumerate(chosen.tolist()):
            place = tmp_path / "others" / ("deep" if number % 2 else "")
            _save(place / f"{way}-{number}.png", images.pixels[index, 0].numpy())
    return tmp_path / "others"


def _rows(out: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out)))


def _content(store: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}


def test_others_are_classified_by_what_the_folder_shows(
    cli: Cli, run: Path, folder: Path, others: Path, store: Path
) -> None:
    before = _content(store)
    ended = cli("adapt", run, folder, "--predict", others)
    assert ended.code == 0, ended.err
    rows = _rows(ended.out)
    assert sorted(row["file"] for row in rows) == sorted(
        path.relative_to(others).as_posix() for path in others.rglob("*.png")
    )
    right = [row["class"] == f"c{Path(row['file']).name[0]}" for row in rows]
    assert len(right) == 30
    assert np.mean(right) > 0.6  # chance is a third: 18 of 30 would happen once in 500
    assert _content(store) == before
    # The same by hand.
    own, theirs = tasks.read_folder(folder), tasks.read_images(others)
    learner = metaact.load(run).adapt(own.pixels, own.labels, class_names=own.class_names)
    chances = learner(theirs[0]).softmax(dim=1)
    assert tuple(row["file"] for row in rows) == theirs[1]
    assert [row["class"] for row in rows] == [
        own.class_names[label] for label in chances.argmax(dim=1).tolist()
    ]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        chances.amax(dim=1).tolist(), rel=1e-5
    )


def test_a_run_is_named_as_elsewhere(cli: Cli, run: Path, folder: Path, store: Path) -> None:
    by_path = cli("adapt", run, folder)
    by_name = cli("adapt", run.name[:12], folder, "--out", store)
    assert by_path.code == by_name.code == 0
    assert by_path.out == by_name.out


def test_without_others_each_image_is_held_out(cli: Cli, run: Path, folder: Path) -> None:
    ended = cli("adapt", run, folder)
    rows = _rows(ended.out)
    assert [row["file"] for row in rows] == [
        "c0/0.png", "c0/1.png", "c1/0.png", "c1/1.png", "c1/2.png",
        *(f"c2/{number}.png" for number in range(4)),
    ]  # fmt: skip
    right = sum(row["class"] == row["file"][:2] for row in rows)
    assert f"{right} of 9 images right" in ended.err
    # c1/2.png is asked for together with c2/2.png, of a network that saw the other seven.
    own = tasks.read_folder(folder)
    seen = torch.tensor([not f.endswith("/2.png") for f in own.files])
    learner = metaact.load(run).adapt(own.pixels[seen], own.labels[seen])
    chances = learner(own.pixels[~seen]).softmax(dim=1).amax(dim=1)
    told = [float(row["probability"]) for row in rows if row["file"].endswith("/2.png")]
    assert told == pytest.approx(chances.tolist(), rel=1e-4)


def test_size_and_channels_are_those_of_the_run(
    cli: Cli, run: Path, folder: Path, others: Path
) -> None:
    for path in [*folder.rglob("*.png"), *others.rglob("*.png")]:
        Image.open(path).resize((56, 56), Image.Resampling.NEAREST).convert("RGB").save(path)
    ended = cli("adapt", run, folder, "--predict", others)
    assert ended.code == 0
    assert "resized from 56x56 to 28x28, made grey" in ended.err
    assert np.mean([r["class"] == f"c{Path(r['file']).name[0]}" for r in _rows(ended.out)]) > 0.6


def test_negatives_are_noticed_and_inverted(cli: Cli, folder: Path, tmp_path: Path) -> None:
    dark = tmp_path / "dark.npz"
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(12), 12)
    np.savez(dark, images=draw.integers(0, 60, (144, 28, 28)).astype(np.uint8), labels=labels)
    small = {"tasks": 2, "iterations": 1, "test_episodes": 2, "validation_episodes": 2}
    config = MamlConfig(dataset=str(dark), ways=2, queries=2, test_queries=2, **small)  # type: ignore[arg-type]
    experiments.run(experiments.MAML, [config], tmp_path / "runs")
    for way in "ab":
        for number in range(2):
            _save(tmp_path / "white" / way / f"{number}.png", np.full((28, 28), 240, np.uint8))
    plain = cli("adapt", "dark", tmp_path / "white")
    assert "94% bright" in plain.err
    assert "--invert" in plain.err
    inverted = cli("adapt", "dark", tmp_path / "white", "--invert")
    assert inverted.code == 0
    assert "bright" not in inverted.err


def test_names_are_no_formulas(cli: Cli, run: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "c0").rename(folder / "=1+1")
    _save(tmp_path / "asked" / "@SUM(A1).png", np.zeros((28, 28), np.uint8))
    _save(tmp_path / "asked" / "a\x1b[31m,b.png", np.zeros((28, 28), np.uint8))
    ended = cli("adapt", run, folder, "--predict", tmp_path / "asked")
    assert "'@SUM(A1).png," in ended.out
    assert '"a\\x1b[31m,b.png",' in ended.out
    assert "\n=" not in cli("adapt", run, folder).out
    assert "\n'=1+1/0.png," in cli("adapt", run, folder).out
    assert ",'=1+1," in cli("adapt", run, folder, "--predict", folder / "=1+1").out


def test_batch_norm_is_told(cli: Cli, config: MamlConfig, folder: Path, tmp_path: Path) -> None:
    short = replace(config, model="conv4", batch_norm=None, iterations=1)
    experiments.run(experiments.MAML, [short], tmp_path / "runs")
    ended = cli("adapt", "blobs", folder)
    assert "answers depend on what else is in the folder" in ended.err


def test_bad_folders_are_refused(
    cli: Cli, run: Path, folder: Path, tmp_path: Path, store: Path
) -> None:
    before = _content(store)
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    two, one = tmp_path / "two", tmp_path / "one"
    for way in "ab":
        _save(two / way / "0.png", np.zeros((28, 28), np.uint8))
    _save(one / "a" / "0.png", np.zeros((28, 28), np.uint8))
    for words, code, message in (
        ((run, empty), 1, "holds no images in class folders"),
        ((run, tmp_path / "nowhere"), 1, "is not a folder"),
        ((run, two), 2, "FOLDER must hold 3 classes (the run learned tasks of 3 ways); got 2."),
        ((run, one), 2, "FOLDER must hold 3 classes (the run learned tasks of 3 ways); got 1."),
        ((run, folder, "--predict", empty), 1, "holds no images"),
        ((run, folder, "--predict", tmp_path / "nowhere"), 1, "is not a folder of images"),
    ):
        ended = cli("adapt", *words)
        assert (ended.code, ended.out) == (code, "")
        assert message in ended.err
        assert ended.err.count("\n") == 1
    for path in list((folder / "c1").iterdir())[1:]:
        path.unlink()
    ended = cli("adapt", run, folder)
    assert (ended.code, ended.out) == (2, "")
    assert "--predict must be given where a class has one image" in ended.err
    assert cli("adapt", run, folder, "--predict", folder).code == 0
    assert _content(store) == before


def test_bad_runs_are_refused(
    cli: Cli, config: MamlConfig, folder: Path, pack: Path, tmp_path: Path
) -> None:
    trained = ConvergeConfig(dataset=str(pack), epochs=1, batch_size=200)
    experiments.run(experiments.CONVERGE, [trained], tmp_path / "runs")
    ended = cli("adapt", "blobs-sgd", folder)
    assert (ended.code, ended.out) == (2, "")
    assert "must be of `metaact maml` to be adapted" in ended.err
    experiments.run(experiments.MAML, [replace(config, iterations=1)], tmp_path / "runs")
    (run,) = RunStore(tmp_path / "runs").runs("maml")
    (run.directory / "weights.pt").write_bytes(b"PK")
    ended = cli("adapt", run.directory, folder)
    assert (ended.code, ended.out) == (1, "")
    assert "weights.pt` is damaged (it was changed after the end of the run)" in ended.err
    (run.directory / "result.json").unlink()
    ended = cli("adapt", run.directory, folder)
    assert (ended.code, ended.out) == (1, "")
    assert "the run is not complete" in ended.err
    assert ended.err.count("\n") == 1
