"""Published files as torchvision stores them, read into images."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from metaact.errors import DataError
from metaact.tasks._images import Images, Provenance
from metaact.tasks.sources.idx import MNIST_MD5, read_idx

_FASHION: tuple[str, ...] = ("T-shirt/top", "trouser", "pullover", "dress", "coat")
_FASHION += ("sandal", "shirt", "sneaker", "bag", "ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """How one published set lies on disk in torchvision's layout.

    Attributes:
        title: Name of the data set in its provenance.
        torchvision: Name of the class in `torchvision.datasets` that downloads it.
        arguments: Arguments of that class, per part.
        files: What must lie in the data root, per part; of `a|b` one is enough.
        read: Reads one part from the data root.
    """

    title: str
    torchvision: str
    arguments: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, tuple[str, ...]]
    read: Callable[[Raw, Path, str], Images]

    def missing(self, root: Path, part: str) -> list[str]:
        """Files of `part` that do not lie in `root`."""
        return [
            wanted.partition("|")[0]
            for wanted in self.files[part]
            if not any((root / name).exists() for name in wanted.split("|"))
        ]


def _images(
    raw: Raw,
    part: str,
    pixels: NDArray[Any],
    labels: NDArray[Any],
    names: tuple[str, ...],
    *,
    groups: tuple[str, ...] = (),
    note: str = "",
) -> Images:
    shaped = pixels[:, None] if pixels.ndim == 3 else pixels
    return Images(
        pixels=torch.from_numpy(np.ascontiguousarray(shaped)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        class_names=names,
        class_groups=groups,
        provenance=Provenance(dataset=raw.title, split=part, official=True, note=note),
    )


def _digits(count: int = 10) -> tuple[str, ...]:
    return tuple(str(digit) for digit in range(count))


def _read_idx_set(names: tuple[str, ...], md5: Mapping[str, str]) -> Callable[..., Images]:
    def read(raw: Raw, root: Path, part: str) -> Images:
        folder = root / raw.torchvision / "raw"
        prefix = "train" if part == "train" else "t10k"
        arrays = []
        for file in (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"):
            arrays.append(read_idx(folder / file, md5=md5.get(file)))
        if arrays[0].ndim != 3 or arrays[1].shape != arrays[0].shape[:1]:
            shapes = f"{list(arrays[0].shape)} and {list(arrays[1].shape)}"
            raise DataError(f"images and labels in {folder} do not fit together: {shapes}.")
        return _images(raw, part, arrays[0], arrays[1], names)

    return read


def _read_omniglot(raw: Raw, root: Path, part: str) -> Images:
    """Read all PNGs out of the published zip: `images_<part>/<alphabet>/<character>/*.png`."""
    path = root / "omniglot-py" / f"images_{part}.zip"
    _check_md5(path, _torchvision_class(raw).zips_md5[f"images_{part}"])
    with zipfile.ZipFile(path) as archive:
        files = sorted(name for name in archive.namelist() if name.endswith(".png"))
        pixels = np.stack([_read_character(archive.read(name)) for name in files])
    characters = [name.rpartition("/")[0] for name in files]
    names = sorted(set(characters))
    position = {name: label for label, name in enumerate(names)}
    return _images(
        raw,
        part,
        pixels,
        np.array([position[character] for character in characters]),
        tuple(names),
        groups=tuple(name.rpartition("/")[0] for name in names),
        note="resized from 105x105 to 28x28 (Lanczos), inverted so that ink is 255",
    )


def _read_character(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content)) as stored:
        small = stored.convert("L").resize((28, 28), Image.Resampling.LANCZOS)
    return 255 - np.asarray(small, dtype=np.uint8)


def _read_svhn(raw: Raw, root: Path, part: str) -> Images:
    loaded = _torchvision_class(raw)(root, **raw.arguments[part])
    return _images(raw, part, loaded.data, loaded.labels, _digits())


def _read_usps(raw: Raw, root: Path, part: str) -> Images:
    kind = _torchvision_class(raw)
    _, file, md5 = kind.split_list[part]
    _check_md5(root / file, md5)
    loaded = kind(root, **raw.arguments[part])
    return _images(raw, part, loaded.data, np.array(loaded.targets), _digits())


def _read_cifar(raw: Raw, root: Path, part: str) -> Images:
    loaded = _torchvision_class(raw)(root, **raw.arguments[part])
    pixels = loaded.data.transpose(0, 3, 1, 2)
    return _images(raw, part, pixels, np.array(loaded.targets), tuple(loaded.classes))


def _torchvision_class(raw: Raw) -> Any:
    # Imported here: torchvision takes a second to load, and packs do not need it.
    from torchvision import datasets

    return getattr(datasets, raw.torchvision)


def _check_md5(path: Path, md5: str) -> None:
    from torchvision.datasets.utils import check_md5

    if not check_md5(path, md5):
        raise DataError(f"{path} does not have the published MD5 {md5}; delete it to fetch again.")


_CIFAR10 = (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch")
# torchvision checks the MD5 of every file of CIFAR whichever part is read.
_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}


def _idx_set(title: str, kind: str, names: tuple[str, ...], md5: Mapping[str, str]) -> Raw:
    def files(prefix: str) -> tuple[str, ...]:
        stems = (f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte")
        return tuple(f"{kind}/raw/{stem}|{kind}/raw/{stem}.gz" for stem in stems)

    return Raw(
        title=title,
        torchvision=kind,
        arguments=_TRAIN_TEST,
        files={"train": files("train"), "test": files("t10k")},
        read=_read_idx_set(names, md5),
    )


RAW: dict[str, Raw] = {
    "mnist": _idx_set("MNIST", "MNIST", _digits(), MNIST_MD5),
    "kmnist": _idx_set("Kuzushiji-MNIST", "KMNIST", _KANA, {}),
    "fashion-mnist": _idx_set("Fashion-MNIST", "FashionMNIST", _FASHION, {}),
    "omniglot": Raw(
        title="Omniglot",
        torchvision="Omniglot",
        arguments={"background": {"background": True}, "evaluation": {"background": False}},
        files={
            "background": ("omniglot-py/images_background.zip",),
            "evaluation": ("omniglot-py/images_evaluation.zip",),
        },
        read=_read_omniglot,
    ),
    "svhn": Raw(
        title="SVHN",
        torchvision="SVHN",
        arguments={"train": {"split": "train"}, "test": {"split": "test"}},
        files={"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)},
        read=_read_svhn,
    ),
    "usps": Raw(
        title="USPS",
        torchvision="USPS",
        arguments=_TRAIN_TEST,
        files={"train": ("usps.bz2",), "test": ("usps.t.bz2",)},
        read=_read_usps,
    ),
    "cifar10": Raw(
        title="CIFAR-10",
        torchvision="CIFAR10",
        arguments=_TRAIN_TEST,
        files={
            part: tuple(f"cifar-10-batches-py/{file}" for file in (*_CIFAR10, "batches.meta"))
            for part in ("train", "test")
        },
        read=_read_cifar,
    ),
    "cifar100": Raw(
        title="CIFAR-100",
        torchvision="CIFAR100",
        arguments=_TRAIN_TEST,
        files={
            part: tuple(f"cifar-100-python/{file}" for file in ("train", "test", "meta"))
            for part in ("train", "test")
        },
        read=_read_cifar,
    ),
}
"""One row per downloadable set."""
