"""Size and channels of images: one rule for all experiments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from metaact import experiments
from metaact.errors import DataError, UsageError
from metaact.experiments import (
    CONVERGE,
    MAML,
    TRANSFER,
    ConvergeConfig,
    MamlConfig,
    TransferConfig,
)
from metaact.experiments import study as comparison
from metaact.tasks import Images

EXPERIMENTS = {"maml": MAML, "converge": CONVERGE, "transfer": TRANSFER}


@pytest.fixture
def colour(tmp_path: Path) -> Path:
    """A folder of 6 classes of 10 colour images, 32x32."""
    draw = np.random.default_rng(0)
    for label in range(6):
        folder = tmp_path / "colour" / f"class{label}"
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "colour"


def config_of(name: str, data: Path, **settings: Any) -> Any:
    if name == "maml":
        few: dict[str, Any] = {
            "ways": 3,
            "queries": 1,
            "test_queries": 1,
            "test_episodes": 2,
            "tasks": 1,
            "hold_out": "images",
        }
        return MamlConfig(dataset=str(data), **few, **settings)
    if name == "converge":
        return ConvergeConfig(dataset=str(data), batch_size=16, epochs=1, **settings)
    return TransferConfig(
        source=str(data),
        target=str(data),
        batch_size=16,
        epochs=(1,),
        pretrain_epochs=1,
        **settings,
    )


def parts(name: str, shared: Any) -> tuple[Images, Images]:
    """What is trained and what is tested on."""
    if name == "maml":
        return shared.split.train, shared.split.test
    if name == "converge":
        return shared.train, shared.test
    return shared.target.train, shared.target.test


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({"model": "mnist-conv"}, (3, 28, 28)),
        ({"model": "mnist-conv", "channels": 1}, (1, 28, 28)),
        ({"model": "conv4"}, (3, 32, 32)),
        ({"model": "conv4", "size": 20}, (3, 20, 20)),
        ({"model": "conv4", "size": 28, "channels": 1}, (1, 28, 28)),
    ],
)
def test_all_experiments_give_networks_the_same_images(
    settings: dict[str, Any], form: tuple[int, ...], colour: Path
) -> None:
    found = {}
    for name, experiment in EXPERIMENTS.items():
        config = config_of(name, colour, **settings)
        shared = experiment.computes().prepare([config], root=None, device="cpu")
        found[name] = parts(name, shared)
        assert [tuple(images.pixels.shape[1:]) for images in found[name]] == [form, form]
    for name, (train, test) in found.items():
        assert torch.equal(train.pixels, found["converge"][0].pixels), name
        assert torch.equal(test.pixels, found["converge"][1].pixels), name
        changed = form != (3, 32, 32)
        assert bool(train.provenance.form) == changed
        assert ("made grey" in train.provenance.form) == (form[0] == 1)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_result_says_what_was_done(name: str, colour: Path, tmp_path: Path) -> None:
    config = config_of(name, colour, channels=1)
    ready = comparison.prepare(EXPERIMENTS[name], [config], tmp_path / "runs")
    (shared,) = ready.shared
    told = " ".join(str(note) for note in shared.notes)
    for word in ("28", "ToChannels" if name == "transfer" else "made grey"):
        assert word in told
    records = [part for part in shared.data.values() if isinstance(part, dict)]
    assert records
    assert all("made grey" in part["form"] for part in records)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_another_size_than_the_network_takes_is_refused(
    name: str, colour: Path, tmp_path: Path
) -> None:
    config = config_of(name, colour, size=32)
    with pytest.raises(UsageError, match=r"`size` must be 28 or left out \(mnist-conv takes"):
        experiments.run(EXPERIMENTS[name], [config], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("channels", [0, 2, 4])
def test_channels_that_no_image_has_are_refused(
    name: str, channels: int, colour: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="`channels` must be"):
        experiments.run(
            EXPERIMENTS[name], [config_of(name, colour, channels=channels)], tmp_path / "runs"
        )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_images_of_one_pixel_are_refused(
    name: str, make_pack: Callable[..., Path], tmp_path: Path
) -> None:
    path = tmp_path / "dots.npz"
    draw = np.random.default_rng(0)
    pixels = draw.permutation(256)[:60].astype(np.uint8).reshape(60, 1, 1)
    np.savez(path, images=pixels, labels=np.arange(60) % 3)
    for model, error in (("mnist-conv", DataError), ("conv4", UsageError)):
        with pytest.raises(error, match=r"at least 2x2 pixels|>= 16 \(conv4 halves") as caught:
            experiments.run(
                EXPERIMENTS[name], [config_of(name, path, model=model)], tmp_path / "runs"
            )
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_networks_of_one_comparison_get_one_form(colour: Path) -> None:
    small = config_of("converge", colour)
    configs = [replace(small, model=model) for model in ("conv4", "mnist-conv")]
    shared = CONVERGE.computes().prepare(configs, root=None, device="cpu")
    assert shared.train.size == (28, 28)


def test_a_size_names_runs_only_where_it_is_given(colour: Path, tmp_path: Path) -> None:
    config = config_of("converge", colour, model="conv4")
    plain, sized = (
        comparison.prepare(CONVERGE, [one], tmp_path).jobs[0].planned.identity
        for one in (config, replace(config, size=28))
    )
    assert "size" not in plain
    assert sized["size"] == 28
    assert "channels" not in sized


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_images_of_several_sizes_are_refused_where_no_size_is_known(
    name: str, colour: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (40, 36), "red").save(colour / "class3" / "large.png")
    config = config_of(name, colour, model="conv4")
    with pytest.raises(DataError, match=r"must have one size.*--size 32.*large\.png is 36x40"):
        experiments.run(EXPERIMENTS[name], [config], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    for known in ({"model": "mnist-conv"}, {"model": "conv4", "size": 24}):
        (shared,) = comparison.prepare(
            EXPERIMENTS[name], [config_of(name, colour, **known)], tmp_path / "runs"
        ).shared
        assert "resized from 2 sizes" in str(shared.data)


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("odd", ["channels", "size", "classes"])
def test_parts_that_differ_are_refused(name: str, odd: str, tmp_path: Path) -> None:
    """Of a pack that holds its parts."""
    draw = np.random.default_rng(0)
    shapes = {"train": (40, 16, 16), "test": (40, 16, 16)}
    labels = {part: np.arange(40) % 4 for part in shapes}
    if odd == "classes":
        labels["test"] = labels["test"] + 1
    else:
        shapes["test"] = (40, 16, 16, 3) if odd == "channels" else (40, 17, 17)
    arrays = {
        f"{part}_images": draw.integers(0, 256, shape).astype(np.uint8)
        for part, shape in shapes.items()
    }
    path = tmp_path / "parts.npz"
    np.savez(path, **arrays, **{f"{part}_labels": found for part, found in labels.items()})
    with pytest.raises(DataError, match=r"one size, with as many channels|in test alone") as caught:
        experiments.run(
            EXPERIMENTS[name], [config_of(name, path, model="conv4")], tmp_path / "runs"
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()
