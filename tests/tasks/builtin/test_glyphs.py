from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metaact.errors import UsageError
from metaact.tasks import Images
from metaact.tasks.builtin.glyph_table import CHARACTERS, GLYPH_SPLIT

# The package exports a function of the same name as the module.
module = importlib.import_module("metaact.tasks.builtin.glyphs")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    made: Images = module.glyphs(root=tmp_path_factory.mktemp("root"))
    return made


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four letters of two scripts: the same way, in a moment."""
    monkeypatch.setattr(module, "CHARACTERS", {"latin": "AB", "nko": "\u07ca\u07cb"})


def test_there_are_many_hundred_classes_of_twenty_drawings(images: Images) -> None:
    assert images.classes == 1019
    assert torch.bincount(images.labels).tolist() == [20] * 1019
    assert images.pixels.shape == (20380, 1, 28, 28)
    assert len(set(images.class_groups)) == 15


def test_every_drawing_has_ink_that_stays_in_the_picture(images: Images) -> None:
    strong = (images.pixels > 127).flatten(1).sum(dim=1)
    assert strong.min() >= 10
    assert strong.max() <= 28 * 28 * 0.75
    border = images.pixels.clone()
    border[:, :, 1:-1, 1:-1] = 0
    assert (border > 127).flatten(1).any(dim=1).float().mean() < 0.08


def test_no_two_drawings_are_the_same(images: Images) -> None:
    assert len(torch.unique(images.pixels.flatten(1), dim=0)) == len(images)


def test_the_split_is_by_whole_scripts_and_takes_all_of_them() -> None:
    parts = [set(groups) for groups in GLYPH_SPLIT.values()]
    assert sum(len(part) for part in parts) == len(set().union(*parts)) == len(CHARACTERS)
    sizes = {part: sum(len(CHARACTERS[g]) for g in groups) for part, groups in GLYPH_SPLIT.items()}
    assert sizes == {"train": 613, "validation": 146, "test": 260}
    assert len(GLYPH_SPLIT["test"]) >= 5


def test_a_letter_can_be_recognised_from_one_drawing_but_not_trivially(images: Images) -> None:
    """Nearest neighbour of pixels, 5-way 1-shot: 47.5 % on Omniglot's evaluation part."""
    test = [c for c, g in enumerate(images.class_groups) if g in GLYPH_SPLIT["test"]]
    pixels = images.take_classes(test).pixels.flatten(1).float()
    pixels = torch.nn.functional.normalize(pixels - pixels.mean(dim=1, keepdim=True), dim=1)
    accuracy = _nearest_neighbour(pixels.view(len(test), 20, -1), episodes=400)
    assert 0.40 < accuracy < 0.65


def _nearest_neighbour(drawings: Tensor, episodes: int) -> float:
    generator = torch.Generator().manual_seed(0)
    hits = []
    for _ in range(episodes):
        classes = torch.randperm(len(drawings), generator=generator)[:5]
        chosen = drawings[classes][:, torch.randperm(20, generator=generator)[:4]]
        nearest = (chosen[:, 1:].flatten(0, 1) @ chosen[:, 0].T).argmax(dim=1)
        hits.append((nearest == torch.arange(5).repeat_interleave(3)).float().mean())
    return float(torch.stack(hits).mean())


@pytest.mark.usefixtures("few")
def test_the_seed_decides_the_pixels_and_nothing_else(tmp_path: Path) -> None:
    first = module.glyphs(seed=1, root=tmp_path / "a")
    again = module.glyphs(seed=1, root=tmp_path / "b")
    other = module.glyphs(seed=2, root=tmp_path / "a")
    assert first.sha256() == again.sha256() != other.sha256()
    assert first.class_names == other.class_names
    assert first.class_names[0] == "latin/U+0041 latin capital letter a"


@pytest.mark.usefixtures("few")
def test_the_second_time_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = module.glyphs(root=tmp_path)
    monkeypatch.setattr(module, "_draw", _never)
    read = module.glyphs(root=tmp_path)
    assert read.sha256() == drawn.sha256()
    assert read.class_groups == drawn.class_groups
    assert read.provenance == drawn.provenance


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("damage", ["cut", "empty", "altered"])
def test_a_damaged_cache_is_drawn_anew_and_replaced(tmp_path: Path, damage: str) -> None:
    drawn = module.glyphs(root=tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    if damage == "altered":
        _alter(path)
    else:
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    assert module.glyphs(root=tmp_path).sha256() == drawn.sha256()
    assert zipfile.is_zipfile(path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [path.name]


@pytest.mark.usefixtures("few")
def test_a_root_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    drawn = module.glyphs(root=tmp_path / "a")
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    file = tmp_path / "file"
    file.write_text("not a folder")
    assert module.glyphs(root=closed).sha256() == drawn.sha256()
    assert module.glyphs(root=file).sha256() == drawn.sha256()
    assert list(closed.iterdir()) == []


@pytest.mark.usefixtures("few")
def test_the_root_is_the_environments_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "named"))
    module.glyphs()
    assert len(list((tmp_path / "named").rglob("*.npz"))) == 1


@pytest.mark.usefixtures("few")
def test_a_letter_is_drawn_from_all_faces_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    draw = module.drawing.bitmaps
    monkeypatch.setattr(module.drawing, "bitmaps", lambda pairs: seen.extend(pairs) or draw(pairs))
    module._draw(0)
    faces = [font for font, code in seen if code == ord("A")]
    assert len(faces) == len(set(faces)) >= 12
    assert {font for font, code in seen if code == 0x07CA} == {"DejaVuSans", "DejaVuSans-Bold"}


@pytest.mark.parametrize("seed", [-1, 1.5, True])
def test_a_wrong_seed_is_refused(seed: object) -> None:
    with pytest.raises(UsageError, match="`seed` must be an int >= 0"):
        module.glyphs(seed=seed)


def _never(seed: int) -> Images:
    raise AssertionError("drawn, though the cache holds them")


def _alter(path: Path) -> None:
    """One pixel changed, in a pack that is whole otherwise."""
    with np.load(path) as pack:
        arrays = dict(pack)
    arrays["images"][0, 14, 14] ^= 1
    np.savez_compressed(path, **arrays)
