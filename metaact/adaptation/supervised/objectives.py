"""What a network is trained for: what its outputs must be, and the loss of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from metaact.adaptation.stateless import logits_of
from metaact.errors import UsageError


class Objective(Protocol):
    """What a network is trained for."""

    @property
    def separable(self) -> bool:
        """Whether the loss of a batch is the mean of the losses of its images."""

    def outputs(self, output: object, images: Tensor) -> Tensor:
        """What a network made of images [batch, ...], if it is of the right form.

        Raises:
            UsageError: If it is not.
        """

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a number.

        Args:
            outputs: Of the network.
            targets: What the training images are labelled with.
        """


@dataclass(frozen=True, slots=True)
class Classification:
    """Cross-entropy of logits [batch, classes] and labels int64 [batch]."""

    separable: bool = True

    def outputs(self, output: object, images: Tensor) -> Tensor:
        """Logits [batch, classes]."""
        logits = logits_of(output)
        if logits.ndim != 2 or len(logits) != len(images):
            raise UsageError(
                f"`model` must give logits [{len(images)}, classes] for {len(images)} images; got "
                f"{list(logits.shape)}."
            )
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy."""
        return functional.cross_entropy(outputs, targets)


@dataclass(frozen=True, slots=True)
class Dice:
    """Dice loss of logits [batch, 1, height, width] and masks of that shape, 0 or 1.

    Formula: 1 - (2·Σ p·t + s)/(Σ p + Σ t + s) for p = σ(logit) and masks t, the sums over all
    pixels of the batch. It is not the mean of the images' losses.

    Attributes:
        smoothing: s. With it a batch without masks is a loss, too.

    References:
        Milletari, Navab and Ahmadi, V-Net, 2016, https://arxiv.org/abs/1606.04797, section 3 (with
        squares); Buda and others, 2019, https://arxiv.org/abs/1906.03720, in its PyTorch port.
    """

    smoothing: float = 1.0
    separable: bool = False

    def outputs(self, output: object, images: Tensor) -> Tensor:
        """Logits [batch, 1, height, width]."""
        logits = logits_of(output)
        form = [len(images), 1, *images.shape[2:]]
        if list(logits.shape) != form:
            raise UsageError(
                f"`model` must give one logit a pixel, {form}, for {len(images)} images; got "
                f"{list(logits.shape)}."
            )
        return logits

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The Dice loss."""
        return soft_dice_loss(*soft_sums(outputs, targets), smoothing=self.smoothing)


def soft_sums(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Σ p·t and Σ p + Σ t over all pixels, for p = σ(logit) and masks t; in float32 at least."""
    likely = logits.float().sigmoid() if logits.itemsize < 4 else logits.sigmoid()
    masks = masks.to(likely.dtype)
    return (likely * masks).sum(), likely.sum() + masks.sum()


def soft_dice_loss(shared: Tensor, both: Tensor, *, smoothing: float = 1.0) -> Tensor:
    """1 - (2·shared + s)/(both + s), of sums as `soft_sums` gives them.

    Examples:
        >>> import torch
        >>> float(soft_dice_loss(torch.tensor(0.0), torch.tensor(0.0)))
        0.0
    """
    return 1 - (2 * shared + smoothing) / (both + smoothing)
