"""Steps that change the form of images; a pipeline puts them one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from metaact.errors import UsageError, check_int


class Step(Protocol):
    """Anything that maps pixels and labels to pixels and labels; its `repr` is what is printed."""

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 [images, channels, height, width] and int64 [images] to the same kinds."""
        ...


@dataclass(frozen=True, slots=True)
class ToChannels:
    """Grey to colour by repetition, colour to grey by brightness (ITU-R BT.601).

    Raises:
        UsageError: If `channels` is not 1 or 3, or the images have another number.
    """

    channels: int

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"`channels` must be 1 (grey) or 3 (colour); got {self.channels!r}.")

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the channels."""
        seen = pixels.shape[1]
        if seen == self.channels:
            return pixels, labels
        if seen == 1:
            return pixels.expand(-1, 3, -1, -1).contiguous(), labels
        if seen != 3:
            raise UsageError(f"{self!r} takes images of 1 or 3 channels; got {seen}.")
        # Whole numbers: the result is the same on every device. The weights add up to 2^16.
        weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32, device=pixels.device)
        grey = (pixels.int() * weights.view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        return ((grey + 2**15) >> 16).to(torch.uint8), labels


@dataclass(frozen=True, slots=True)
class CentreCrop:
    """The middle `size` x `size` pixels.

    Raises:
        UsageError: If the images are smaller.
    """

    size: int

    def __post_init__(self) -> None:
        check_int("size", self.size, minimum=1)

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Cut the border off."""
        height, width = pixels.shape[2:]
        if min(height, width) < self.size:
            raise UsageError(
                f"{self!r} takes images of at least {self.size}x{self.size} pixels; "
                f"got {height}x{width}. Pad({self.size}) or Resize({self.size}) enlarges."
            )
        top, left = (height - self.size) // 2, (width - self.size) // 2
        cut = pixels[:, :, top : top + self.size, left : left + self.size]
        return cut.contiguous(), labels


@dataclass(frozen=True, slots=True)
class Resize:
    """Bilinear with antialiasing, to `size` x `size` pixels, rounded to whole grey levels."""

    size: int

    def __post_init__(self) -> None:
        check_int("size", self.size, minimum=1)

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Enlarge or shrink, chunk by chunk."""
        size = (self.size, self.size)
        if tuple(pixels.shape[2:]) == size:
            return pixels, labels
        parts = [_resized(part, size) for part in torch.split(pixels, 4096)]
        return torch.cat(parts), labels


@dataclass(frozen=True, slots=True)
class Pad:
    """A border of `value` around the images, up to `size` x `size` pixels.

    Raises:
        UsageError: If the images are larger.
    """

    size: int
    value: int = 0

    def __post_init__(self) -> None:
        check_int("size", self.size, minimum=1)
        check_int("value", self.value, minimum=0, maximum=255, why="a grey level")

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Put the border around."""
        height, width = pixels.shape[2:]
        if max(height, width) > self.size:
            raise UsageError(
                f"{self!r} takes images of at most {self.size}x{self.size} pixels; "
                f"got {height}x{width}. CentreCrop({self.size}) or Resize({self.size}) shrinks."
            )
        down, right = self.size - height, self.size - width
        border = (right // 2, right - right // 2, down // 2, down - down // 2)
        return F.pad(pixels, border, value=self.value), labels


@dataclass(frozen=True, slots=True)
class Invert:
    """Dark becomes light: 255 less the grey level."""

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Invert the pixels."""
        return 255 - pixels, labels


@dataclass(frozen=True, slots=True)
class RelabelDigitTen:
    """Label 10 becomes 0, as SVHN's published files call the digit 0."""

    def __call__(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Change the labels."""
        return pixels, torch.where(labels == 10, 0, labels)


def _resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    smooth = F.interpolate(
        pixels.float(), size=size, mode="bilinear", antialias=True, align_corners=False
    )
    return smooth.round().clamp(0, 255).to(torch.uint8)
