"""Raw files, downloads and packs, with a stand-in for the network."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
from PIL import Image

from metaact import tasks
from metaact.errors import DataError, UsageError
from metaact.tasks.sources.idx import read_idx
from metaact.tasks.sources.loading import is_here, load
from metaact.tasks.sources.roots import data_root, is_writable


def idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def kmnist_raw() -> Callable[..., None]:
    """Writes both parts of a small KMNIST in torchvision's layout."""

    def write(root: Path, *, packed: bool = False) -> None:
        folder = root / "KMNIST" / "raw"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for prefix, count in (("train", 60), ("t10k", 30)):
            images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count) % 10)):
                file = folder / f"{prefix}-{kind}-ubyte"
                if packed:
                    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(idx(array)))
                else:
                    file.write_bytes(idx(array))

    return write


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.mark.parametrize("packed", [False, True])
def test_raw_files_are_read_and_packed_once(
    kmnist_raw: Callable[..., None], tmp_path: Path, packed: bool
) -> None:
    kmnist_raw(tmp_path, packed=packed)
    first = load("kmnist", "train", root=tmp_path)
    assert first.pixels.shape == (60, 1, 28, 28)
    assert first.provenance.official
    assert (tmp_path / "kmnist-train.npz").exists()
    for file in (tmp_path / "KMNIST" / "raw").iterdir():
        file.unlink()
    again = load("kmnist", "train", root=tmp_path)
    assert again.sha256() == first.sha256()
    assert again.provenance == first.provenance


def test_a_read_only_root_with_raw_files_works(
    kmnist_raw: Callable[..., None], tmp_path: Path
) -> None:
    root = tmp_path / "closed"
    kmnist_raw(root)
    root.chmod(0o555)
    try:
        assert not is_writable(root)
        assert len(load("kmnist", "test", root=root)) == 30
        assert not (root / "kmnist-test.npz").exists()
    finally:
        root.chmod(0o755)


def test_no_network_says_what_to_do_and_leaves_nothing(tmp_path: Path, no_network: None) -> None:
    root = tmp_path / "data"
    for name, part in (("kmnist", "train"), ("svhn", "test"), ("omniglot", "background")):
        with pytest.raises(DataError) as caught:
            load(name, part, root=root)
        message = str(caught.value)
        assert "\n" not in message
        for needed in (str(root), f"{name}-{part}.npz", "Name or service not known", "http"):
            assert needed in message
        assert "--data-root or METAACT_DATA" in message
        assert "With nothing to download: metaact maml --dataset glyphs" in message
        assert not root.exists()


def test_a_failed_download_leaves_what_was_there(tmp_path: Path, no_network: None) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="is not here"):
        load("usps", "train", root=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_read_only_root_without_files_is_not_written_to(tmp_path: Path, no_network: None) -> None:
    root = tmp_path / "closed"
    root.mkdir()
    root.chmod(0o555)
    with pytest.raises(DataError, match="that folder is read-only"):
        load("usps", "train", root=root)
    assert list(root.iterdir()) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match="must be a folder; it is a file"):
        load("mnist", "train", root=file)


def test_a_download_is_packed_and_keeps_stdout_clean(
    kmnist_raw: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "data"

    class Fake:
        def __init__(self, folder: Path, *, download: bool, train: bool) -> None:
            assert download
            sys.stdout.write("Extracting ...")  # as older versions of torchvision do
            kmnist_raw(folder)

    monkeypatch.setattr("torchvision.datasets.KMNIST", Fake)
    images = load("kmnist", "train", root=root)
    assert len(images) == 60
    assert (root / "kmnist-train.npz").exists()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Extracting" in captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(np.zeros((60, 28, 28)))[:-7], r"bytes long for its shape \[60, 28, 28\]"),
        (b"", "is not an IDX file"),
        (b"\0\0\x0d\x03" + b"\0" * 12, "is not an IDX file"),
        (idx(np.zeros((60, 28))), "do not fit together"),
    ],
)
def test_damaged_raw_files_are_named(
    kmnist_raw: Callable[..., None], tmp_path: Path, content: bytes, message: str
) -> None:
    kmnist_raw(tmp_path)
    (tmp_path / "KMNIST" / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load("kmnist", "train", root=tmp_path)
    assert not (tmp_path / "kmnist-train.npz").exists()


def test_idx_files_are_checked_by_hash(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(idx(np.arange(6).reshape(2, 3)))
    assert read_idx(file).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(DataError, match="does not have the published MD5"):
        read_idx(file, md5="0" * 32)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "none")


def test_forged_mnist_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((10, 28, 28))))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(10)))
    with pytest.raises(DataError, match="does not have the published MD5"):
        load("mnist", "train", root=tmp_path)


def test_omniglot_is_read_out_of_its_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for name in ("B/character01/2", "A/character02/1", "A/character01/1"):
            picture = Image.new("1", (105, 105), 1)
            picture.paste(0, (0, 0, 105, 52))  # ink on the upper half
            content = io.BytesIO()
            picture.save(content, "PNG")
            files.writestr(f"images_background/{name}.png", content.getvalue())
    folder = tmp_path / "omniglot-py"
    folder.mkdir()
    (folder / "images_background.zip").write_bytes(archive.getvalue())
    with pytest.raises(DataError, match="published MD5"):
        load("omniglot", "background", root=tmp_path)
    md5 = hashlib.md5(archive.getvalue(), usedforsecurity=False).hexdigest()
    monkeypatch.setitem(_torchvision().Omniglot.zips_md5, "images_background", md5)
    images = load("omniglot", "background", root=tmp_path)
    assert images.pixels.shape == (3, 1, 28, 28)
    assert images.class_names[0] == "images_background/A/character01"
    assert images.class_groups == ("images_background/A",) * 2 + ("images_background/B",)
    assert int(images.pixels[0, 0, 5, 5]) == 255
    assert int(images.pixels[0, 0, 25, 5]) == 0


def test_svhn_maps_label_ten_to_digit_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((32, 32, 3, 10), dtype=np.uint8)
    pixels[..., 1, :] = np.arange(10)
    labels = np.array([[10], *([d] for d in range(1, 10))], dtype=np.uint8)
    scipy.io.savemat(tmp_path / "test_32x32.mat", {"X": pixels, "y": labels})
    content = (tmp_path / "test_32x32.mat").read_bytes()
    entry = _torchvision().SVHN.split_list["test"]
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setitem(_torchvision().SVHN.split_list, "test", [*entry[:2], md5])
    images = load("svhn", "test", root=tmp_path)
    assert images.pixels.shape == (10, 3, 32, 32)
    assert images.labels.tolist() == list(range(10))
    assert images.pixels[:, :, 3, 3].tolist() == [[0, d, 0] for d in range(10)]


def test_usps_is_checked_and_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grey = {0: -1.0, 1: 1.0}
    lines = [
        f"{d + 1} " + " ".join(f"{i + 1}:{grey[d % 2]}" for i in range(256)) for d in range(10)
    ]
    file = tmp_path / "usps.t.bz2"
    file.write_bytes(bz2.compress("\n".join(lines).encode()))
    with pytest.raises(DataError, match="published MD5"):
        load("usps", "test", root=tmp_path)
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    entry = _torchvision().USPS.split_list["test"]
    monkeypatch.setitem(_torchvision().USPS.split_list, "test", [*entry[:2], md5])
    images = load("usps", "test", root=tmp_path)
    assert images.size == (16, 16)
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 255] * 5
    assert images.labels.tolist() == list(range(10))


@pytest.mark.parametrize(("name", "kind"), [("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_cifar_is_checked_and_keeps_its_colours(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches of ten images in the published form: red, then green, then blue planes."""
    theirs = getattr(_torchvision(), kind)
    folder = tmp_path / theirs.base_folder
    folder.mkdir()
    fine = name == "cifar100"
    names = [f"kind {n}" for n in range(10)]
    entries: dict[str, list[list[str]]] = {"train_list": [], "test_list": []}
    for offset, part in ((0, "train_list"), (100, "test_list")):
        data = np.zeros((10, 3, 32, 32), dtype=np.uint8)
        data[:, 0], data[:, 1, 2, 3], data[:, 2] = 255, np.arange(10) + offset, 7
        content = {
            "data": data.reshape(10, -1),
            ("fine_labels" if fine else "labels"): [*range(10)],
        }
        file = getattr(theirs, part)[0][0]
        entries[part] = [[file, _pickled(folder / file, content)]]
    meta = {
        **theirs.meta,
        "md5": _pickled(folder / theirs.meta["filename"], {theirs.meta["key"]: names}),
    }
    if name == "cifar10":
        for file, _ in theirs.train_list[1:]:
            (folder / file).touch()  # must be there; the stand-in has one batch
    with pytest.raises(DataError, match=r"cannot be read \(Dataset not found or corrupted"):
        load(name, "test", root=tmp_path)
    for attribute, value in {**entries, "meta": meta}.items():
        monkeypatch.setattr(theirs, attribute, value)
    test = load(name, "test", root=tmp_path)
    assert test.pixels[:, :, 2, 3].tolist() == [[255, 100 + n, 7] for n in range(10)]
    assert test.class_names == tuple(names)
    assert test.provenance.official
    assert test.provenance.dataset == {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[name]
    split = tasks.split(name, root=tmp_path, validation=0)
    assert split.train.pixels[:, 1, 2, 3].tolist() == list(range(10))
    assert is_here(name, root=tmp_path)


def _pickled(path: Path, content: object) -> str:
    """Write a pickle; its MD5."""
    path.write_bytes(pickle.dumps(content))
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_the_root_is_argument_then_variable_then_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METAACT_DATA", str(tmp_path / "variable"))
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root() == tmp_path / "variable"
    monkeypatch.setenv("METAACT_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_root().parts[-2:] == ("metaact", "data")


def test_what_is_here(kmnist_raw: Callable[..., None], tmp_path: Path) -> None:
    assert is_here("glyphs", root=tmp_path)
    assert not is_here("kmnist", root=tmp_path)
    kmnist_raw(tmp_path)
    assert is_here("kmnist", root=tmp_path)
    assert not is_here("omniglot-rotated", root=tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'mnist'"):
        is_here("mnits", root=tmp_path)


@pytest.mark.data
def test_real_mnist_from_raw_files(data_root: Path) -> None:
    images = tasks.load("mnist", "test", root=data_root)
    assert images.pixels.shape == (10_000, 1, 28, 28)
    assert images.labels[:5].tolist() == [7, 2, 1, 0, 4]  # as on every picture of MNIST's test set


def _torchvision() -> Any:
    from torchvision import datasets

    return datasets
