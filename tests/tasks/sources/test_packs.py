from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaact.errors import DataError
from metaact.tasks import Images, read_pack, write_pack

MakeImages = Callable[..., Images]


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """A pack of 6 images of 3 classes, with members replaced, or left out where None."""

    def make(**changes: Any) -> Path:
        pixels = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
        arrays = {"images": pixels, "labels": np.array([0, 0, 1, 1, 2, 2])} | changes
        path = tmp_path / "pack.npz"
        np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
        return path

    return make


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("groups", [(), ("latin", "latin", "greek")])
def test_what_is_written_is_read(
    make_images: MakeImages, tmp_path: Path, channels: int, groups: tuple[str, ...]
) -> None:
    images = make_images([3, 4, 5], channels=channels, groups=groups, names=["å", "b/c", "d"])
    again = read_pack(write_pack(tmp_path / "x.npz", images))
    assert torch.equal(again.pixels, images.pixels)
    assert torch.equal(again.labels, images.labels)
    assert again.class_names == images.class_names
    assert again.class_groups == groups
    assert again.provenance == images.provenance
    assert again.sha256() == images.sha256()
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_a_bare_pack_of_ones_own(save: Callable[..., Path]) -> None:
    images = read_pack(save())
    assert images.pixels.shape == (6, 1, 4, 5)
    assert images.class_names == ("0", "1", "2")
    assert images.provenance.dataset == "pack"
    assert not images.provenance.official
    assert images.provenance.note == "a pack without provenance"


def test_numbered_groups_and_unknown_members(save: Callable[..., Path]) -> None:
    path = save(
        class_groups=np.array([1, 0, 1]),
        group_names=np.array(["latin", "greek"]),
        drawer=np.zeros(6, dtype=np.int16),
    )
    assert read_pack(path).class_groups == ("greek", "latin", "greek")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": None}, "holds no `images`"),
        ({"labels": None}, "holds no `labels`"),
        ({"images": np.zeros((6, 4, 5))}, "`images` must be uint8 .* got float64"),
        ({"images": np.zeros((6, 4), np.uint8)}, r"`images` must be .* got \[6, 4\]"),
        ({"images": np.zeros((6, 4, 5, 2), np.uint8)}, r"got \[6, 4, 5, 2\]"),
        ({"images": np.zeros((0, 4, 5), np.uint8)}, "not empty"),
        ({"labels": np.zeros(6)}, "`labels` must be integers .* got float64"),
        ({"labels": np.full(6, np.nan)}, "`labels` must be integers"),
        ({"labels": np.zeros(5, np.int64)}, r"`labels` must be integers \[6\].* got int64 \[5\]"),
        ({"labels": np.array([0, 0, 1, 1, 3, 3])}, "without gaps; got 3 values .* and no 2"),
        ({"labels": np.array([1, 1, 2, 2, 3, 3])}, "without gaps.* from 1 to 3, and no 0"),
        ({"labels": np.array([-1, 0, 0, 1, 1, 2])}, "without gaps.* from -1 to 2"),
        ({"class_names": np.array(["a", "b"])}, r"`class_names` must be texts \[3\]"),
        ({"class_names": np.array(["a", "b", "b"])}, "`class_names` must be unique"),
        ({"class_groups": np.array([0.5, 1, 2])}, "`class_groups` must be texts or integers"),
        (
            {"class_groups": np.array([0, 1, 2]), "group_names": np.array(["a", "b"])},
            r"`class_groups` must lie in 0..1",
        ),
        ({"provenance": np.array("{")}, "`provenance` must be a JSON text"),
        ({"provenance": np.array("[1]")}, "`provenance` must be a JSON object; got list"),
        ({"provenance": np.array("[" * 9999)}, "`provenance` must be a JSON text; maximum rec"),
        (
            {"provenance": np.array(json.dumps({"sha256": "0" * 64}))},
            "does not hold what it was packed with",
        ),
    ],
)
def test_what_is_no_pack_is_refused(
    save: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_pack(save(**changes))
    assert "\n" not in str(caught.value)


def test_a_truncated_pack_is_refused_wherever_it_ends(
    make_images: MakeImages, tmp_path: Path
) -> None:
    whole = write_pack(tmp_path / "x.npz", make_images([30, 30])).read_bytes()
    for end in (0, 10, len(whole) // 2, len(whole) - 5):
        path = tmp_path / "cut.npz"
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="is not a readable pack"):
            read_pack(path)


@pytest.mark.parametrize("header", [b"{'descr': '|u1', 'shape': (24, 4", b"(" * 3000, b"-" * 5000])
def test_an_odd_header_gets_a_reason_in_words(header: bytes, tmp_path: Path) -> None:
    """Not the arguments of whatever NumPy's reader of headers raises."""
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("images.npy", start + header)
        archive.writestr("labels.npy", start + header)
    with pytest.raises(DataError, match=r"damaged\?\): \w.*[^)]\.$") as caught:
        read_pack(tmp_path / "odd.npz")
    assert "\n" not in str(caught.value)


def test_a_pack_with_flipped_bits_is_refused(make_images: MakeImages, tmp_path: Path) -> None:
    path = write_pack(tmp_path / "x.npz", make_images([30, 30]))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("images.npy").header_offset + 60
    content[start + 8] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a readable pack"):
        read_pack(path)


def test_content_changed_after_packing_is_noticed(make_images: MakeImages, tmp_path: Path) -> None:
    path = write_pack(tmp_path / "x.npz", make_images([3, 3]))
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["images"][0, 0, 0] ^= 1
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="delete it and fetch or make it again"):
        read_pack(path)


def test_a_pack_cannot_run_code(save: Callable[..., Path], tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "exploded",)

    bomb = np.array([Bomb()] * 3, dtype=object)
    for path in (save(images=bomb), save(class_names=bomb)):
        with pytest.raises(DataError, match="Python objects, which may run code"):
            read_pack(path)
    raw = save()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr("images.npy", pickle.dumps(Bomb()))
        archive.writestr("labels.npy", pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="is not a readable pack"):
        read_pack(raw)
    assert not (tmp_path / "exploded").exists()


def test_claims_beyond_memory_are_refused_unread(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**31, 28, 28)}
    )
    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + b"\0" * 100)
        archive.writestr("labels.npy", b"")
    with pytest.raises(DataError, match="not as long as its shape"):
        read_pack(path)


def test_a_pack_larger_than_the_limit_is_refused(
    save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaact.tasks.sources.packs.MAX_BYTES", 100)
    with pytest.raises(DataError, match="GiB of memory"):
        read_pack(save())


def test_no_file_a_folder_or_no_zip_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(DataError, match="is not a file"):
            read_pack(path)
    text = tmp_path / "text.npz"
    text.write_text("hello", encoding="utf-8")
    with pytest.raises(DataError, match="is not a readable pack"):
        read_pack(text)


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(
    make_images: MakeImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pack(tmp_path / "x.npz", make_images([3, 3]))
    before = path.read_bytes()

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", full)
    with pytest.raises(DataError, match=r"cannot write the pack .*: No space left on device"):
        write_pack(path, make_images([4, 4]))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="cannot write the pack"):
        write_pack(tmp_path / "missing" / "x.npz", make_images([4, 4]))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "classes", "official"),
    [
        ("omniglot-background", 19280, 964, True),
        ("omniglot-evaluation", 13180, 659, True),
        ("svhn-test", 3959, 10, False),
        ("cifar10-test", 2000, 10, False),
    ],
)
def test_real_packs(data_root: Path, name: str, count: int, classes: int, official: bool) -> None:
    images = read_pack(data_root / f"{name}.npz")
    assert len(images) == count
    assert images.classes == classes
    assert images.provenance.official is official


def _zip(path: Path, header: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        )
        archive.writestr("labels.npy", b"")


def _flagged(path: Path, *, local: int, central: int, value: int) -> None:
    """Set a byte of every header: the flags, or the method of compression."""
    content = bytearray(path.read_bytes())
    for at in range(len(content) - 30):
        if content[at : at + 4] == b"PK\x03\x04":
            content[at + local] = value
        elif content[at : at + 4] == b"PK\x01\x02":
            content[at + central] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: _flagged(path, local=6, central=8, value=1),  # encrypted: RuntimeError
        lambda path: _flagged(path, local=8, central=10, value=99),  # NotImplementedError
        lambda path: _flagged(path, local=8, central=10, value=14),  # LZMAError
        lambda path: _zip(path, b"{'descr': '|u1', 'shape': (1, 2"),  # TokenError
        lambda path: _zip(path, b"-" * 5000 + b"1"),  # RecursionError, MemoryError
        lambda path: _zip(path, b"\\N{x}"),
    ],
)
def test_whatever_a_damaged_pack_raises_is_one_sentence(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "damaged.npz"
    np.savez(path, images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4))
    damage(path)
    with pytest.raises(DataError, match=r"damaged\.npz is not a readable pack") as caught:
        read_pack(path)
    assert "\n" not in str(caught.value)
