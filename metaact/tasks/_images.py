"""Labelled images in memory, and where they come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaact.display import brief, html_facts
from metaact.errors import DataError
from metaact.tasks._shown import first_images


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a set of images comes from; it travels into every result.

    Attributes:
        dataset: Name of the data set.
        split: Which published part of it ("train", "background", ...).
        official: Whether these are the published files, pixel for pixel but for `form`.
        note: What a reader of a result must know ("greyscale, cut from test pictures").
        form: What was done here to their size and channels ("cropped from 32x32 to 28x28, made
            grey"); "" if nothing was.
    """

    dataset: str
    split: str
    official: bool
    note: str = ""
    form: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Labelled images of one split, resident in memory as bytes.

    Attributes:
        pixels: uint8 [images, channels, height, width], contiguous.
        labels: int64 [images] in 0..classes-1. A class may be `absent` only from a part that is
            tested or chosen on, by whom it is checked: `Split`.
        class_names: One readable, unique name per class.
        class_groups: One group name (alphabet, script) per class, or ().
        files: Where each image was read, for messages, or ().
        numbered: Whether nobody named the classes, and their names are only numbers.
        provenance: Where they come from.
    """

    pixels: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    class_groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    numbered: bool = False
    provenance: Provenance

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise DataError(
                "`pixels` must be uint8 [images, channels, height, width]; "
                f"got {self.pixels.dtype} {list(self.pixels.shape)}."
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.pixels.shape[:1]:
            raise DataError(
                f"`labels` must be int64 [{len(self.pixels)}] (one per image); "
                f"got {self.labels.dtype} {list(self.labels.shape)}."
            )
        found = self.labels
        if not len(found) or int(found.min()) < 0 or int(found.max()) >= len(self.class_names):
            seen = f"{int(found.min())} to {int(found.max())}" if len(found) else "none"
            raise DataError(
                f"`labels` must lie in 0..{len(self.class_names) - 1} ({len(self.class_names)} "
                f"class names), at least one; got {seen}."
            )
        if len(set(self.class_names)) != len(self.class_names):
            raise DataError("`class_names` must be unique; got duplicates.")
        if self.class_groups and len(self.class_groups) != len(self.class_names):
            raise DataError(
                f"`class_groups` must hold {len(self.class_names)} names (one per class) "
                f"or none; got {len(self.class_groups)}."
            )
        if self.files and len(self.files) != len(self.pixels):
            raise DataError(
                f"`files` must hold {len(self.pixels)} names (one per image) or none; got "
                f"{len(self.files)}."
            )
        for name in (*self.class_names, *self.class_groups):
            if any("\ud800" <= letter <= "\udfff" for letter in name):
                raise DataError(
                    f"the classes of {self.provenance.dataset} must have names in UTF-8 (they are "
                    f"written into results); got {name!a}: rename it."
                )

    def __repr__(self) -> str:
        return brief(
            self,
            self.provenance.dataset,
            self.provenance.split,
            images=len(self),
            classes=self.classes,
            shape=tuple(self.pixels.shape[1:]),
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def _repr_html_(self) -> str:
        facts = {"note": self.provenance.note, "form": self.provenance.form}
        return html_facts(repr(self), facts, first_images(self.pixels))

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the classes of which there is no image."""
        sizes = torch.bincount(self.labels, minlength=self.classes).tolist()
        return tuple(n for n, size in zip(self.class_names, sizes, strict=True) if not size)

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    def sha256(self) -> str:
        """Hash of pixels, labels and class names: the identity of the data in a result."""
        digest = hashlib.sha256()
        digest.update(repr(tuple(self.pixels.shape)).encode())
        digest.update(self.pixels.cpu().numpy().tobytes())
        digest.update(self.labels.cpu().numpy().tobytes())
        digest.update("\n".join(self.class_names).encode())
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> Images:
        """The same images on `device`."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def take(self, indices: Tensor) -> Images:
        """The images at `indices` (int64 [n]); classes left empty are dropped, labels closed up."""
        labels = self.labels[indices]
        kept, closed = torch.unique(labels, return_inverse=True)
        classes = kept.tolist()
        return replace(
            self,
            pixels=self.pixels[indices].contiguous(),
            labels=closed,
            class_names=tuple(self.class_names[c] for c in classes),
            class_groups=tuple(self.class_groups[c] for c in classes) if self.class_groups else (),
            files=tuple(self.files[i] for i in indices.tolist()) if self.files else (),
        )

    def present(self) -> Images:
        """The same images without `absent` classes, labels closed up."""
        return self.take(torch.arange(len(self))) if self.absent else self

    def take_classes(self, classes: list[int]) -> Images:
        """All images of the given classes, labels renumbered in ascending class order."""
        wanted = torch.tensor(classes, dtype=torch.int64, device=self.labels.device)
        return self.take(torch.isin(self.labels, wanted).nonzero().squeeze(1))
