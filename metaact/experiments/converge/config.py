"""The settings of one run of `metaact converge`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.experiments import declared
from metaact.settings import count, counted, fill

SMALL_RATE = 1e-3
"""At this rate and below, training is also watched within the first epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergeConfig(declared.TrainingConfig):
    """One activation, one learning rate, one optimizer, one seed, trained from scratch.

    The defaults are the paper's where the paper has one (section 4.2 and its authors' code). What
    other ways of training share stands in `TrainingConfig`.

    Attributes:
        dataset: Built-in or downloadable name, folder of class folders, or `.npz` pack.
        images: Most images of each part, in equal shares of the classes; 0 takes all.
        epochs: Passes over the training part.
        first_epoch_points: Evaluations within the first epoch; None is 4 at a rate of 1e-3 or
            below and 0 above it.
        protocol: "held-out": a validation part is taken out of training, and the best epoch is
            chosen there. "paper": all training images train, the best test accuracy over epochs
            is reported by that name, and contested activations take the authors' form.
    """

    dataset: str = declared.dataset("printed-digits")
    images: int = count(
        0,
        "Only so many images of each part, every class with its share; 0: all.",
        role="data",
        least=0,
        words=counted("image", "at most {} of each part"),
        added=True,
    )
    epochs: int = declared.length(
        20,
        "Training epochs.",
        words=counted("epoch"),
        always=True,
        contains=True,
    )
    first_epoch_points: int | None = count(
        None,
        "Evaluations within the first epoch.",
        role="observation",
        least=0,
        unset="4 at rates of 1e-3 or below, else 0",
    )
    protocol: str = declared.protocol(
        declared.PROTOCOLS,
        "held-out: a validation part is taken out of training and the best epoch chosen there. "
        "paper: all training images train, the best test accuracy over epochs is reported by that "
        "name, and gelu, maxout, pau and slaf take the authors' forms.",
    )

    def __post_init__(self) -> None:
        declared.TrainingConfig.__post_init__(self)
        declared.check_recipe(self, (self.epochs,))
        fill(self, "first_epoch_points", 4 if self.lr <= SMALL_RATE else 0)
