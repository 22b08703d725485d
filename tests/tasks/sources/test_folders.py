from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaact.errors import DataError, UsageError
from metaact.tasks import read_folder
from metaact.tasks.forms.fitting import fitted
from metaact.tasks.sources import gathering

MakeFolder = Callable[..., Path]


def test_classes_are_sorted_folders_and_images_keep_their_size(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=3, images=4)
    images = read_folder(folder)
    assert images.pixels.shape == (12, 1, 9, 9)
    assert images.pixels.dtype == torch.uint8
    assert images.provenance.form == ""
    assert images.class_names == ("class00", "class01", "class02")
    assert images.class_groups == ()
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert images.pixels.float().mean(dim=(1, 2, 3)).tolist() == list(range(12))
    assert images.provenance.dataset == "own"
    assert not images.provenance.official
    small = read_folder(folder, size=5, channels=3)
    assert small.pixels.shape == (12, 3, 5, 5)
    assert small.provenance.form == "resized from 9x9 to 5x5, made RGB"


def test_two_levels_are_groups_and_classes(tmp_path: Path) -> None:
    for name in ("latin/a", "latin/b", "greek/a"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("L", (5, 5)).save(tmp_path / name / "1.png")
    images = read_folder(tmp_path)
    assert images.class_names == ("greek/a", "latin/a", "latin/b")
    assert images.class_groups == ("greek", "latin", "latin")


def test_other_files_are_left_alone(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    (folder / "README.txt").write_text("hello", encoding="utf-8")
    (folder / "class00" / "Thumbs.db").write_bytes(b"x")
    (folder / "class00" / "._0.png").write_bytes(b"x")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.png").write_bytes(b"x")
    (folder / "empty").mkdir()
    Image.new("RGB", (9, 9), "red").save(folder / "class01" / "PHOTO.JPEG")
    images = read_folder(folder)
    assert len(images) == 5
    assert images.classes == 2


def _one(tmp_path: Path, image: Image.Image, *, ending: str = "png") -> np.ndarray:
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / f"1.{ending}")
    pixels: np.ndarray = read_folder(tmp_path).pixels[0].numpy()
    return pixels


RED, GREY = (10, 100, 200), (70, 70, 70)


@pytest.mark.parametrize(
    ("mode", "ending", "expected"),
    [
        ("1", "png", [255]),
        ("L", "png", [70]),
        ("LA", "png", [70]),
        ("RGB", "png", [10, 100, 200]),
        ("RGBA", "png", [10, 100, 200]),
        ("P", "png", [10, 100, 200]),
        ("P", "gif", [10, 100, 200]),
        ("CMYK", "tif", [10, 100, 200]),
    ],
)
def test_grey_stays_grey_and_colour_stays_colour(
    mode: str, ending: str, expected: list[int], tmp_path: Path
) -> None:
    grey = mode in ("1", "L", "LA")
    image = Image.new("RGB", (8, 6), (255,) * 3 if mode == "1" else GREY if grey else RED)
    if mode == "P":
        image = image.quantize(4)
    image = image if mode == "P" else image.convert("L" if grey else mode).convert(mode)
    pixels = _one(tmp_path, image, ending=ending)
    assert pixels.shape == (len(expected), 6, 8)
    assert pixels[:, 5, 7].tolist() == expected


def test_sixteen_bits_of_colour_are_read_as_eight(tmp_path: Path) -> None:
    """Pillow writes no such file: a PNG of one pixel row, by hand."""
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    rows = b"".join(b"\0" + struct.pack(">6H", *[v * 257 for v in (*RED, *RED)]) for _ in range(2))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    assert read_folder(tmp_path).pixels[0, :, 1, 1].tolist() == list(RED)


def test_grey_among_colour_is_repeated(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    Image.new("RGB", (9, 9), RED).save(folder / "class01" / "9.png")
    images = read_folder(folder)
    assert images.pixels[:, :, 0, 0].tolist() == [[n] * 3 for n in range(4)] + [list(RED)]
    assert images.provenance.form == "made RGB where grey"


def test_colours_that_pillow_cannot_change_are_refused(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of LAB with earlier versions of Pillow."""
    folder = make_folder(classes=1, images=1)

    def refuse(image: Image.Image, mode: str) -> None:
        raise ValueError(f"conversion from LAB to {mode} not supported")

    monkeypatch.setattr(Image.Image, "convert", refuse)
    with pytest.raises(DataError, match=r"class00/0\.png must hold colours that can be made RGB"):
        read_folder(folder)


def test_images_of_several_sizes_are_refused_or_brought_to_one(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    Image.new("L", (12, 10), 200).save(folder / "class01" / "9.png")
    with pytest.raises(DataError) as caught:
        read_folder(folder)
    told = str(caught.value)
    assert "own must have one size, or be told which to get (`size`; --size 9)" in told
    assert "class00/0.png is 9x9, class01/9.png is 10x12." in told
    images = read_folder(folder, size=7)
    assert images.pixels[:, 0, 3, 3].tolist() == [0, 1, 2, 3, 200]
    assert images.provenance.form == "resized from 2 sizes to 7x7"


@pytest.mark.parametrize("size", [7, 28, 29, 32, 33, 40])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("colour", [False, True])
def test_what_is_done_in_reading_is_what_is_done_to_images_in_memory(
    size: int, channels: int | None, colour: bool, tmp_path: Path
) -> None:
    draw = np.random.default_rng(size)
    (tmp_path / "a").mkdir()
    for number in range(3):
        pixels = draw.integers(0, 256, (32, 32, 3) if colour else (32, 32)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "a" / f"{number}.png")
    read = read_folder(tmp_path, size=size, channels=channels)
    later = fitted(read_folder(tmp_path), size=size, channels=channels)
    assert torch.equal(read.pixels, later.pixels)
    assert read.provenance == later.provenance


def test_more_than_memory_holds_is_refused(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(classes=2, images=2)
    monkeypatch.setattr(gathering, "MAX_BYTES", 4 * 81 - 1)
    with pytest.raises(DataError, match=r"4 of 9x9 pixels do not: `size` \(--size 84\)"):
        read_folder(folder)
    assert len(read_folder(folder, size=8)) == 4


def test_transparent_parts_become_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    pixels = _one(tmp_path, image)
    assert pixels[0, 4].tolist() == [0] * 4 + [255] * 4


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 16).astype(np.uint16).reshape(4, 4)
    pixels = _one(tmp_path, Image.fromarray(ramp))
    assert pixels.reshape(-1).tolist() == (ramp >> 8).reshape(-1).tolist()


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("L", (8, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # the upper half is white
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "1.jpg", exif=exif, quality=100)
    pixels = read_folder(tmp_path, size=8).pixels[0, 0]
    assert int(pixels[1, 4]) < 20
    assert int(pixels[6, 4]) > 235


@pytest.mark.parametrize("kind", ["no image at all", "truncated", "empty"])
def test_one_broken_image_is_named(make_folder: MakeFolder, kind: str) -> None:
    folder = make_folder(classes=2, images=3, side=40)
    broken = folder / "class01" / "1.png"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(noise).save(broken)
    content = broken.read_bytes()
    broken.write_bytes(
        {"no image at all": b"hello", "truncated": content[: len(content) // 2], "empty": b""}[kind]
    )
    with pytest.raises(DataError, match=r"class01/1\.png cannot be read as an image") as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_refused(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(classes=2, images=1, side=40)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image"):
        read_folder(folder)


def test_folders_without_images_or_missing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(tmp_path / "none")
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="is not a folder"):
        read_folder(file)
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    with pytest.raises(
        DataError, match=r"no images in class folders; .*empty/<class>/<image>\.png"
    ):
        read_folder(empty)
    Image.new("L", (4, 4)).save(empty / "loose.png")
    with pytest.raises(DataError, match="holds no images"):
        read_folder(empty)


def test_size_and_channels_are_checked(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=1)
    with pytest.raises(UsageError, match="`size` must be an int in"):
        read_folder(folder, size=0)
    with pytest.raises(UsageError, match="`channels` must be 1"):
        read_folder(folder, channels=4)


@pytest.mark.parametrize(
    "ending", ["bmp", "BMP", "webp", "tif", "TIFF", "gif", "PNG", "Jpeg", "ppm"]
)
def test_what_pillow_reads_is_read(ending: str, make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    Image.new("RGB", (9, 9), "red").save(folder / "class01" / f"9.{ending}")
    assert len(read_folder(folder)) == 5


def test_an_image_is_known_by_how_it_begins_where_its_ending_is_not(
    make_folder: MakeFolder,
) -> None:
    folder = make_folder(classes=2, images=2)
    Image.new("L", (9, 9), 9).save(folder / "class01" / "9.png")
    (folder / "class01" / "9.png").rename(folder / "class01" / "photo")
    assert len(read_folder(folder)) == 5


def test_what_is_left_out_is_named(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    (folder / "empty" / "within").mkdir(parents=True)
    (folder / "class00" / "notes.txt").write_text("Python", encoding="utf-8")
    (folder / "class01" / "\x1b[31m.txt").write_text("x", encoding="utf-8")
    Image.new("L", (5, 5)).save(folder / "stray.png")
    note = read_folder(folder).provenance.note
    assert "1 image outside of class folders (stray.png)" in note
    assert r"2 files that are no images (class00/notes.txt, class01/\x1b[31m.txt)" in note
    assert "2 folders without images (empty/within, empty)" in note


def test_what_was_done_to_the_images_is_told(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    Image.new("RGB", (5, 7), "red").save(folder / "class01" / "9.png")
    frames = [Image.new("L", (9, 9), grey) for grey in (1, 2)]
    frames[0].save(folder / "class01" / "10.gif", save_all=True, append_images=frames[1:])
    origin = read_folder(folder, size=9, channels=1).provenance
    assert origin.form == "resized from 2 sizes to 9x9, made grey"
    assert "the first frame of 1 file with several" in origin.note
    assert read_folder(folder, size=9).provenance.form.endswith("made RGB where grey")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sixteen_bit_files_are_scaled_from_the_bits_that_they_use(
    bits: int, tmp_path: Path
) -> None:
    """By all files of a folder alike: one that is darker stays so."""
    ramp = (np.arange(64).reshape(8, 8) * 2 ** (bits - 6)).astype(np.uint16)
    (tmp_path / "a").mkdir()
    Image.fromarray(ramp).save(tmp_path / "a" / "1.png")
    Image.fromarray(ramp // 4).save(tmp_path / "a" / "2.tif")
    images = read_folder(tmp_path, size=8)
    assert images.pixels[0, 0].tolist() == (np.arange(64).reshape(8, 8) * 4).tolist()
    assert images.pixels[1, 0].tolist() == (np.arange(64).reshape(8, 8)).tolist()
    assert f"scaled from {bits} bits" in images.provenance.note


def test_numbers_without_a_white_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a" / "1.tif")
    with pytest.raises(DataError, match=r"1\.tif must hold whole numbers"):
        read_folder(tmp_path)


def test_a_name_that_is_no_utf8_and_a_loop_are_refused(make_folder: MakeFolder) -> None:
    folder = make_folder(classes=2, images=2)
    (folder / "loop").symlink_to(folder)
    with pytest.raises(DataError, match="levels deep"):
        read_folder(folder)
    (folder / "loop").unlink()
    (folder / "class01").rename(folder / "caf\udce9")
    with pytest.raises(DataError, match=r"names in UTF-8 .*got 'caf\\udce9'"):
        read_folder(folder)
