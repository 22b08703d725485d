"""Volumes of patients in memory: slices, their masks, and whose they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaact.display import brief
from metaact.errors import DataError
from metaact.tasks._images import Provenance

EVENNESS = 0.1
"""Of the weight by which slices of a patient are drawn, what all of them share alike."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volumes:
    """Slices with masks, each of one patient, resident in memory as bytes.

    Attributes:
        pixels: uint8 [slices, channels, height, width].
        masks: uint8 [slices, 1, height, width], 1 in the object and 0 elsewhere.
        patient: int64 [slices], rising: whose each slice is. A patient is what must not be shared
            between parts: all volumes of a person, one image, or a block of one volume.
        patients: The name of each.
        parts: "train", "validation" or "test" of each, where the data come so; else ().
        blocks: Whether patients are blocks of one volume, in their order: neighbours are alike.
        one_object: Whether there is one object in a patient: a lesion, not cells.
        provenance: Where they come from.
    """

    pixels: Tensor
    masks: Tensor
    patient: Tensor
    patients: tuple[str, ...]
    parts: tuple[str, ...] = ()
    blocks: bool = False
    one_object: bool = True
    provenance: Provenance

    def __post_init__(self) -> None:
        counts = torch.bincount(self.patient, minlength=len(self.patients))
        if bool((self.patient.diff() < 0).any()) or len(counts) != len(self.patients):
            raise DataError("`patient` must number the patients of the slices, rising.")
        if int(counts.min()) == 0:
            raise DataError(f"{self.patients[int(counts.argmin())]} must have slices; got none.")
        same = self.masks.shape == (len(self.pixels), 1, *self.pixels.shape[2:])
        if not same or len(self.patient) != len(self.pixels) or int(self.masks.max()) > 1:
            raise DataError(
                f"`masks` must be 0 or 1 [{len(self.pixels)}, 1, height, width], as the images; "
                f"got {list(self.masks.shape)} up to {int(self.masks.max())}."
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        return brief(
            self,
            self.provenance.dataset,
            slices=list(self.pixels.shape),
            patients=len(self.patients),
        )

    @property
    def labels(self) -> Tensor:
        """The masks: what a network is trained to give."""
        return self.masks

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.pixels.shape[2]), int(self.pixels.shape[3])

    def sha256(self) -> str:
        """Hash of slices, masks and patients: the identity of the data in a result."""
        digest = hashlib.sha256(repr(tuple(self.pixels.shape)).encode())
        for tensor in (self.pixels, self.masks, self.patient):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        digest.update("\n".join((*self.patients, *self.parts)).encode())
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> Volumes:
        """The same on `device`."""
        moved = {n: getattr(self, n).to(device) for n in ("pixels", "masks", "patient")}
        return replace(self, **moved)

    def slices_of(self, patient: int) -> Tensor:
        """Which slices are a patient's, in order: int64 [slices]."""
        return (self.patient == patient).nonzero().flatten()

    def take(self, patients: Sequence[int]) -> Volumes:
        """The slices of some patients, who are numbered anew in their order."""
        chosen = sorted(patients)
        rows = torch.cat([self.slices_of(number) for number in chosen])
        _, numbered = torch.unique(self.patient[rows], return_inverse=True)
        return replace(
            self,
            pixels=self.pixels[rows],
            masks=self.masks[rows],
            patient=numbered,
            patients=tuple(self.patients[number] for number in chosen),
            parts=tuple(self.parts[number] for number in chosen) if self.parts else (),
        )

    def weights(self, patients: Sequence[int] | None = None) -> Tensor:
        """How likely each slice is to be drawn: float64 [slices], of sum 1.

        Formula: every patient alike; of a patient's n slices, slice i by (a_i + 0.1·Σa/n)/(1.1·Σa)
        for mask areas a; each alike where a patient has no mask.

        Args:
            patients: Those that train: the slices of others have no weight. None for all.

        References:
            The PyTorch port of Buda and others, 2019 (which divides by zero for such a patient).
        """
        areas = self.masks.sum(dim=(1, 2, 3)).double()
        size = torch.bincount(self.patient).double()
        total = torch.zeros_like(size).index_add_(0, self.patient, areas)
        mine = total[self.patient]
        each = 1 / size[self.patient]
        by_area = (areas / mine.clamp(min=1) + EVENNESS * each) / (1 + EVENNESS)
        drawn = torch.where(mine > 0, by_area, each)
        if patients is None:
            return drawn / len(size)
        chosen = torch.isin(self.patient, torch.tensor(patients, device=self.patient.device))
        return torch.where(chosen, drawn, 0) / len(patients)

    def all_marked(self) -> tuple[float, ...]:
        """Dice of each patient for a network that marks every pixel: 2a/(a + n) of a in n."""
        areas = torch.bincount(self.patient, weights=self.masks.sum(dim=(1, 2, 3)).double())
        pixels = torch.bincount(self.patient) * self.masks[0].numel()
        return tuple((2 * areas / (areas + pixels)).tolist())
