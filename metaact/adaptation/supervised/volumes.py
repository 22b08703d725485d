"""How well a network finds the object in volumes: Dice of each patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metaact.display import brief
from metaact.tasks.dense.volumes import Volumes

from .objectives import Dice, soft_dice_loss, soft_sums
from .trainer import Normalisation, batch

SLICES = 16
"""Slices of a patient in one forward pass of an evaluation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VolumeScore:
    """How well a network does on volumes.

    Attributes:
        loss: Mean over patients of the Dice loss of a patient's whole volume. In training it is of
            a batch, which holds slices of several.
        dice: Dice of each patient, float64 [patients].
    """

    loss: float
    dice: NDArray[np.float64]

    def __repr__(self) -> str:
        return brief(self, loss=self.loss, dice=float(self.dice.mean()), patients=len(self.dice))


def evaluate_volumes(
    model: nn.Module,
    volumes: Volumes,
    *,
    patients: Sequence[int] | None = None,
    normalisation: Normalisation | None = None,
    largest: bool = True,
) -> VolumeScore:
    """Dice and loss of patients, with random layers in their evaluation mode.

    Args:
        model: Left in the mode it came in.
        volumes: On the model's device.
        patients: Which, by number; None for all.
        normalisation: That which it was trained with.
        largest: Whether only the largest component of what a network marks in a patient counts.
    """
    losses, scores = [], []
    for patient in range(len(volumes.patients)) if patients is None else patients:
        logits, truth = predicted(model, volumes, patient, normalisation=normalisation)
        losses.append(float(soft_dice_loss(*soft_sums(logits.double(), truth))))
        marked = (logits > 0)[:, 0].cpu().numpy()
        scores.append(dice(largest_component(marked) if largest else marked, truth[:, 0].cpu()))
    return VolumeScore(loss=float(np.mean(losses)), dice=np.array(scores))


def predicted(
    model: nn.Module,
    volumes: Volumes,
    patient: int,
    *,
    normalisation: Normalisation | None = None,
) -> tuple[Tensor, Tensor]:
    """What a network makes of a patient: logits and masks [slices, 1, height, width].

    The object is where a logit is above 0, of a probability above one half.
    """
    was_training, found, truth = model.training, [], []
    model.eval()
    with torch.no_grad():
        for part in torch.split(volumes.slices_of(patient), SLICES):
            images, masks = batch(
                volumes, part, like=next(model.parameters()), normalisation=normalisation
            )
            found.append(Dice().outputs(model(images), images))
            truth.append(masks)
    model.train(was_training)
    return torch.cat(found), torch.cat(truth)


def dice(marked: object, truth: object) -> float:
    """Dice of two masks of one shape: 2·|both|/(|marked| + |truth|).

    Where neither has a pixel it is 1: nothing was to be found and nothing was marked. Where only
    the truth has none it is 0, whatever was marked.

    Examples:
        >>> dice([1, 1, 0, 0], [0, 1, 1, 0]), dice([0, 0], [0, 0]), dice([1, 0], [0, 0])
        (0.5, 1.0, 0.0)
    """
    one, other = np.asarray(marked, dtype=bool), np.asarray(truth, dtype=bool)
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def largest_component(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest set of marked voxels that hang together by their faces; of equals the first.

    Args:
        marked: bool [slices, height, width], or of any other dimension.

    Examples:
        >>> largest_component(np.array([True, False, True, True])).tolist()
        [False, False, True, True]
    """
    from scipy import ndimage

    labelled, number = ndimage.label(marked)
    if number < 2:
        return marked
    sizes = np.bincount(labelled.ravel())[1:]
    kept: NDArray[np.bool_] = labelled == int(sizes.argmax()) + 1
    return kept
