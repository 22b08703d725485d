"""Folders of images with masks, Kaggle's layout, parts; and what is refused of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaact import tasks
from metaact.errors import DataError, MetaactError, UsageError
from metaact.tasks.dense.lgg import prepared


def save(place: Path, pixels: np.ndarray) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(place)


def pairs(folder: Path, names: list[str], *, size: int = 8) -> Path:
    """Images and masks of these names, each of its own."""
    for number, name in enumerate(names):
        mask = np.zeros((size, size), np.uint8)
        mask[number % size, :3] = 255
        save(folder / "images" / f"{name}.png", np.full((size, size), 20 + number, np.uint8))
        save(folder / "masks" / f"{name}.png", mask)
    return folder


def kaggle(folder: Path, patients: int = 3, *, slices: int = 5, size: int = 24) -> Path:
    """Volumes in the layout of Kaggle's LGG data: a bright head off the centre, a lesion in it."""
    draw = np.random.default_rng(0)
    for patient in range(patients):
        name = f"TCGA_XX_{4941 + patient}_19960909"
        for number in range(1, slices + 1):
            image = np.zeros((size, size + 4, 3), np.uint8)
            image[4:20, 2:14] = draw.integers(60, 120, (16, 12, 3))
            mask = np.zeros(image.shape[:2], np.uint8)
            mask[8:12, 5:9] = 255 * (1 < number < slices)
            image[mask > 0, 1] = 220
            save(folder / name / f"{name}_{number}.tif", image)
            save(folder / name / f"{name}_{number}_mask.tif", mask)
    (folder / "README.md").write_text("a file that is no volume")
    return folder


def test_an_image_alone_is_a_patient_of_its_own(tmp_path: Path) -> None:
    volumes = tasks.load_volumes(pairs(tmp_path, ["a", "b10", "b9"]))
    assert volumes.patients == ("a", "b9", "b10")  # numbers by their size
    assert volumes.pixels[:, 0, 0, 0].tolist() == [20, 22, 21]
    assert volumes.masks[0].sum() == 3
    assert not volumes.one_object


def test_folders_of_images_are_patients(tmp_path: Path) -> None:
    volumes = tasks.load_volumes(pairs(tmp_path, ["p/1", "p/2", "q/1"]))
    assert volumes.patients == ("p", "q")
    assert volumes.patient.tolist() == [0, 0, 1]


def test_blocks_of_one_volume(tmp_path: Path) -> None:
    folder = pairs(tmp_path, [str(number) for number in range(7)])
    volumes = tasks.load_volumes(folder, blocks=3)
    assert volumes.patients == ("block-1", "block-2", "block-3")
    assert volumes.patient.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert volumes.pixels[:, 0, 0, 0].tolist() == list(range(20, 27))
    with pytest.raises(UsageError, match=r"`blocks` must be an int in \[2, 7\]"):
        tasks.load_volumes(folder, blocks=8)
    with pytest.raises(UsageError, match="`blocks` must be left out for synthetic-patients"):
        tasks.load_volumes("synthetic-patients", blocks=2)


def test_sizes_and_channels(tmp_path: Path) -> None:
    folder = pairs(tmp_path, ["a", "b"])
    volumes = tasks.load_volumes(folder, size=16, channels=3)
    assert volumes.pixels.shape == (2, 3, 16, 16)
    assert volumes.masks[0].sum() == 12  # each pixel became four
    save(folder / "images" / "c.png", np.arange(160, dtype=np.uint8).reshape(16, 10))
    save(folder / "masks" / "c.png", np.ones((16, 10), np.uint8))
    with pytest.raises(DataError, match="give --size"):
        tasks.load_volumes(folder)
    assert tasks.load_volumes(folder, size=16).pixels.shape == (3, 1, 16, 16)


def test_deep_images_are_scaled_by_their_largest_value(tmp_path: Path) -> None:
    folder = pairs(tmp_path, ["a", "b"])
    save(folder / "images" / "a.png", np.full((8, 8), 1020, np.uint16))
    save(folder / "images" / "b.png", np.full((8, 8), 510, np.uint16))
    assert tasks.load_volumes(folder).pixels[:, 0, 0, 0].tolist() == [255, 127]


def test_kaggles_layout_with_its_preparation(tmp_path: Path) -> None:
    """Without first and last slice; cropped 16x12 to 16x16; stretched between percentiles."""
    volumes = tasks.load_volumes(kaggle(tmp_path), size=16)
    assert volumes.patients == ("TCGA_XX_4941", "TCGA_XX_4942", "TCGA_XX_4943")
    assert volumes.pixels.shape == (9, 3, 16, 16)
    assert volumes.one_object
    first = volumes.masks[0, 0]
    # Head rows 4 to 19 and columns 2 to 13, two columns of padding on each side.
    assert first.nonzero().amin(dim=0).tolist() == [4, 5]
    assert int(first.sum()) == 16
    assert int(volumes.pixels.min()) == 0
    assert int(volumes.pixels.max()) == 255
    assert bool((volumes.pixels[:, :, :, :2] == 0).all())
    assert tasks.load_volumes(tmp_path).size == (256, 256)


def test_the_stretch_in_closed_form() -> None:
    """A volume of values 0 to 99 and their percentiles by NumPy; below a tenth is black."""
    values = torch.arange(100, dtype=torch.uint8).view(1, 1, 10, 10).repeat(3, 1, 1, 1)
    pixels, _ = prepared(values, torch.zeros_like(values), 10, name="x")
    dark = values[1, 0].numpy().copy()
    dark[dark < 9.9] = 0
    kept = dark[1:]  # the first row is black
    padded = np.pad(kept, ((0, 1), (0, 0)))
    low, high = np.percentile(padded, (10, 99))
    expected = np.clip(np.round((padded - low) / (high - low) * 255), 0, 255)
    assert np.abs(pixels[0, 0].numpy() - expected).max() <= 1


def test_parts_that_are_given(tmp_path: Path) -> None:
    pairs(tmp_path / "train", ["p/1", "q/1"])
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    with pytest.raises(DataError, match="p is in train and in test"):
        tasks.load_volumes(tmp_path)
    shutil.rmtree(tmp_path / "test")
    pairs(tmp_path / "test", ["r/1", "r/2"], size=8)
    for place in (tmp_path / "test" / "images" / "r").iterdir():
        save(place, np.full((8, 8), 90 + int(place.stem), np.uint8))
    volumes = tasks.load_volumes(tmp_path)
    assert volumes.patients == ("p", "q", "r")
    assert volumes.parts == ("train", "train", "test")
    assert volumes.patient.tolist() == [0, 1, 2, 2]


def _no_mask(folder: Path) -> None:
    (folder / "masks" / "b.png").unlink()


def _no_image(folder: Path) -> None:
    (folder / "images" / "b.png").unlink()


def _other_size(folder: Path) -> None:
    save(folder / "masks" / "b.png", np.zeros((8, 9), np.uint8))


def _grey_mask(folder: Path) -> None:
    save(folder / "masks" / "b.png", np.arange(64, dtype=np.uint8).reshape(8, 8))


def _coloured_mask(folder: Path) -> None:
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[:, :, 0] = 255
    save(folder / "masks" / "b.png", mask)


def _same_images(folder: Path) -> None:
    shutil.copy(folder / "images" / "a.png", folder / "images" / "b.png")


def _twice(folder: Path) -> None:
    shutil.copy(folder / "images" / "a.png", folder / "images" / "a.bmp")


def _no_layout(folder: Path) -> None:
    (folder / "masks").rename(folder / "labels")


def _broken(folder: Path) -> None:
    (folder / "images" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nno")


def _empty(folder: Path) -> None:
    for kind in ("images", "masks"):
        shutil.rmtree(folder / kind)
        (folder / kind).mkdir()


BAD: list[tuple[Callable[[Path], None], str]] = [
    (_no_mask, "images/b.png has no mask"),
    (_no_image, "masks/b.png has no image"),
    (_other_size, r"must have the size of its image, 8x8; got 8x9"),
    (_grey_mask, r"must be a mask, 0 outside .* got values 1, 2, 3, 4, \.\.\."),
    (_coloured_mask, "must be a mask"),
    (_same_images, "a and b of .* hold the same images"),
    (_twice, "must hold one image of a name; got a.bmp and a.png"),
    (_no_layout, "it is of another layout"),
    (_broken, "cannot be read as an image"),
    (_empty, "must hold images; got none"),
]


@pytest.mark.parametrize(("damage", "said"), BAD, ids=[d.__name__[1:] for d, _ in BAD])
def test_a_bad_folder_is_one_sentence(
    tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    damage(pairs(tmp_path, ["a", "b"]))
    with pytest.raises(DataError, match=said) as error:
        tasks.load_volumes(tmp_path)
    assert "\n" not in str(error.value)


NAME = "TCGA_XX_4941_19960909"
BAD_VOLUMES: list[tuple[Callable[[Path], object], str]] = [
    (lambda f: (f / NAME / f"{NAME}_2_mask.tif").unlink(), f"{NAME}_2.tif has no mask"),
    (lambda f: (f / NAME / f"{NAME}_2.tif").unlink(), f"{NAME}_2_mask.tif has no image"),
    (
        lambda f: shutil.copy(f / NAME / f"{NAME}_2.tif", f / NAME / "TCGA_XX_4942_19960909_9.tif"),
        "got TCGA_XX_4942_19960909_9.tif",
    ),
    (
        lambda f: (f / "TCGA_XX_4942_19960909").rename(f / "TCGA_XX_4941_20001111"),
        "a patient must be in one part; TCGA_XX_4941 has two volumes",
    ),
    (
        lambda f: [p.unlink() for n in (3, 4, 5) for p in (f / NAME).glob(f"{NAME}_{n}*")],
        "must hold at least 3 slices",
    ),
    (
        lambda f: save(f / NAME / f"{NAME}_2.tif", np.zeros((24, 28), np.uint8)),
        "must have 3 channels of 24x28",
    ),
    (
        lambda f: [
            save(p, np.zeros((24, 28, 3), np.uint8))
            for p in (f / NAME).glob("*.tif")
            if "mask" not in p.name
        ],
        "must show something",
    ),
]


@pytest.mark.parametrize(("damage", "said"), BAD_VOLUMES, ids=range(len(BAD_VOLUMES)))
def test_a_bad_volume_is_one_sentence(
    tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(kaggle(tmp_path))
    with pytest.raises(DataError, match=said):
        tasks.load_volumes(tmp_path, size=16)


def test_a_name_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'synthetic-patients'"):
        tasks.load_volumes("sythetic-patients")
    (tmp_path / "file").write_text("x")
    with pytest.raises(MetaactError, match="must be a folder that holds images/ and masks/"):
        tasks.load_volumes(tmp_path / "file")


def test_the_membranes(data_root: Path) -> None:
    """30 real slices, of which 0 is membrane: four fifths lie inside of cells."""
    folder = data_root / "segmentation" / "membranes"
    if not folder.is_dir():
        pytest.skip(f"no membranes in {folder}")
    volumes = tasks.load_volumes(folder, size=64, blocks=6)
    assert volumes.pixels.shape == (30, 1, 64, 64)
    assert 0.7 < float(volumes.masks.float().mean()) < 0.9
