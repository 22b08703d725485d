"""The settings of one run of `metaact segment`; every default is written here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from metaact.adaptation.choices import AUGMENTATIONS, OPTIMIZERS
from metaact.errors import UsageError
from metaact.experiments import declared
from metaact.models.dense import DENSE, dense_network_of
from metaact.settings import check, count, counted, fill, setting

COMPONENTS = ("largest", "all")
"""What of the pixels that a network marks in a patient counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig(declared.AloneConfig):
    """One activation, one learning rate, one seed: a network for each fold of the patients.

    The defaults are sized for two cores. Those of the paper's source (Buda and others) are
    `features=32, lr=1e-4, epochs=100`, 256x256 slices and `protocol="paper"`. What other ways of
    training share stands in `TrainingConfig`.

    Attributes:
        dataset: "synthetic-patients", or a folder of images with masks; see
            `metaact.tasks.load_volumes`.
        size: Height and width that slices are brought to; None for the data's own.
        channels: Channels that slices are brought to, 1 or 3; None for theirs.
        blocks: Into how many contiguous blocks the images of one volume are cut, each of which
            counts as a patient; None for data with patients.
        model: "unet", or the user's own module:factory.
        batch_norm: One of `metaact.models.BATCH_NORM`; None is "running".
        features: Channels of the first stage of the U-Net.
        optimizer: "adam" or "sgd".
        lr: Learning rate.
        batch_size: Slices per update.
        normalisation: "fitted": by mean and deviation of each channel of the training slices of
            each fold; "none": pixels in 0..1.
        augmentation: What is done to training slices and their masks.
        epochs: Passes of as many slices as the training part has, drawn by mask area.
        folds: Parts of the patients; each is tested by a network that was trained without it. None
            is three; one where the data come in parts, and in the paper's protocol.
        protocol: "held-out": cross-validation over patients, the epoch chosen on others. "paper":
            an eleventh of the patients held out, the best epoch on them reported by that name.
        components: "largest": of what is marked in a patient the largest component counts. "all".
            None is "all" for a folder with `images/` and `masks/`, else "largest".
    """

    dataset: str = setting(
        "synthetic-patients",
        "synthetic-patients (drawn, no download), or a folder: with images/ and masks/; in the "
        "layout of Kaggle's LGG data; or with train/ and test/ of these.",
        role="data",
        path=True,
    )
    size: int | None = count(
        None,
        "Height and width that slices are brought to.",
        role="data",
        unset="64 for synthetic-patients, 256 for Kaggle's layout, else theirs",
        words=lambda size: f"slices {size}x{size}",
    )
    channels: int | None = count(
        None,
        "Channels that slices are brought to: 1 (their mean) or 3 (one repeated).",
        role="data",
        unset="as they are",
        words={1: "in grey", 3: "in 3 channels"},
    )
    blocks: int | None = count(
        None,
        "Cut the images of one volume, in the order of their names, into so many contiguous "
        "blocks, each of which counts as a patient.",
        role="data",
        least=2,
        unset="none: data with patients, or every image its own",
        words="{} blocks of one volume",
    )
    model: str = setting(
        "unet",
        "Network: unet; or your own module:factory, called with classes, channels and "
        "size=(height, width), which gives one logit a pixel.",
        group="Network",
        role="training",
        known=dense_network_of,
        words="{}",
        always=True,
    )
    batch_norm: str | None = declared.batch_norm("running", networks=DENSE)
    features: int = count(
        8,
        "Channels of the first stage of the U-Net; the paper's source has 32.",
        role="training",
        most=1024,
        why_most="16 times as many are at the bottom",
        words="{} features",
        always=True,
    )
    optimizer: str = setting(
        "adam",
        "Optimizer: adam or sgd (with momentum).",
        role="training",
        choices=OPTIMIZERS,
        words={"sgd": "by SGD", "adam": "by Adam"},
        always=True,
    )
    lr: float = declared.rate(3e-3, "Learning rate; the paper's source has 1e-4.")
    batch_size: int = count(16, "Slices per update.", role="training")
    normalisation: str = setting(
        "fitted",
        "What pixels in 0..1 are normalised by: none; fitted: mean and deviation of each channel "
        "over the training slices of a fold.",
        role="data",
        choices=("fitted", "none"),
        words="{} normalisation",
    )
    augmentation: str = setting(
        "scale-turn-flip",
        declared.AUGMENTED,
        role="training",
        choices=AUGMENTATIONS,
        words=declared.CHANGES,
    )
    epochs: int = declared.length(
        20,
        "Training epochs; the paper's source has 100.",
        words=counted("epoch"),
        always=True,
        contains=True,
    )
    folds: int | None = count(
        None,
        "Cross-validation over patients: so many parts, each tested by a network that was trained "
        "without it.",
        role="data",
        least=2,
        unset="3; 1 where data come in parts, and in the paper's protocol",
        words=counted("fold"),
    )
    protocol: str = declared.protocol(
        declared.PROTOCOLS,
        "held-out: cross-validation over patients, the best epoch chosen on others. paper: an "
        "eleventh of the patients held out, the best epoch on them reported by that name, and "
        "gelu, maxout, pau and slaf take the authors' forms.",
    )
    components: str | None = setting(
        None,
        "Of the pixels that are marked in a patient, count the largest component or all.",
        role="data",
        choices=COMPONENTS,
        unset="all for a folder with images/ and masks/, else largest",
        words={"largest": "largest component", "all": "all components"},
    )

    def __post_init__(self) -> None:
        check(self)
        fill(self, "batch_norm", "running")
        declared.fill_decay(self)
        declared.check_recipe(self, (self.epochs,))
        if self.protocol == "paper" and self.folds is not None:
            raise UsageError(
                "`folds` must be left out in the paper's protocol (its held-out patients are "
                f"fixed); got {self.folds}."
            )
