"""The settings of one arm and seed of `metaact transfer`; every default is written here only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from metaact.errors import UsageError, check_choice, check_int, check_rate

from .config import BATCH_NORM, MODELS, check_length
from .converge_config import check_layers, check_training

PROTOCOLS = ("held-out", "paper", "paper-text")

TEXT_EPOCHS = 100
"""Epochs of fine-tuning in the paper's text (section 4.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferConfig:
    """One activation and one seed, pre-trained on a source and fine-tuned on a target.

    The defaults are the paper's where the paper has one (section 4.4 and its authors' code).

    Attributes:
        activation: Name of the arm, as `metaact.activations.resolve` understands it.
        seed: Seed of the weights, of the batch orders and of random layers.
        source: What to pre-train on: a data set's name or a path.
        target: What to fine-tune and test on, likewise.
        model: "mnist-conv" or "conv4".
        batch_norm: "off", or "batch": statistics of the batch at hand, also in evaluation.
        pretrain_lr: Learning rate of pre-training, by SGD with momentum.
        pretrain_epochs: Epochs of pre-training; under "paper-text" the greatest of `epochs`.
        lr: Learning rate of fine-tuning.
        optimizer: "sgd" or "adam", of fine-tuning.
        momentum: Of SGD, in both stages.
        weight_decay: L2 penalty of fine-tuning.
        decay: What the penalty applies to: "all", or "weights", which spares activations.
        batch_size: Images per update, in both stages.
        epochs: Numbers of fine-tuning epochs at which the target's test accuracy is reported;
            under "paper-text" numbers of pre-training epochs.
        text_epochs: Epochs of fine-tuning under "paper-text"; else without effect.
        train_layers: Layer names that fine-tuning trains.
        layer_lrs: Pairs (layer name, learning rate) that differ from `lr` in fine-tuning.
        freeze_activations: Keep α, β and all other parameters of activations in fine-tuning.
        protocol: "held-out": the caption's reading, and a validation part is taken out of the
            target's training images. "paper": the same reading on all training images, with the
            authors' form of contested activations. "paper-text": the text's reading.
    """

    activation: str = "arelu"
    seed: int = 0
    source: str = "printed-digits"
    target: str = "street-digits"
    model: str = "mnist-conv"
    batch_norm: str = "off"
    pretrain_lr: float = 1e-2
    pretrain_epochs: int = 20
    lr: float = 1e-5
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    decay: str = "all"
    batch_size: int = 128
    epochs: tuple[int, ...] = (5, 10, 20)
    text_epochs: int = TEXT_EPOCHS
    train_layers: tuple[str, ...] = ("all",)
    layer_lrs: tuple[tuple[str, float], ...] = ()
    freeze_activations: bool = False
    protocol: str = "held-out"

    def __post_init__(self) -> None:
        check_int("seed", self.seed, minimum=0)
        check_int("batch_size", self.batch_size, minimum=1)
        for name in ("pretrain_epochs", "text_epochs"):
            check_length(name, getattr(self, name))
        if not self.epochs:
            raise UsageError("`epochs` must hold at least one number; got none.")
        for number in self.epochs:
            check_length("epochs", number)
        check_rate("lr", self.lr)
        check_rate("pretrain_lr", self.pretrain_lr)
        check_choice("model", self.model, MODELS)
        check_choice("batch_norm", self.batch_norm, BATCH_NORM)
        check_choice("protocol", self.protocol, PROTOCOLS)
        check_training(self.optimizer, self.decay, self.momentum, self.weight_decay)
        check_layers(self.train_layers, self.layer_lrs)
        object.__setattr__(self, "epochs", tuple(sorted(set(self.epochs))))
        if self.protocol == "paper-text":
            object.__setattr__(self, "pretrain_epochs", max(self.epochs))

    @property
    def reading(self) -> str:
        """Which of the paper's two readings of table 2 this is, in words."""
        if self.protocol == "paper-text":
            return (
                f"text: pre-trained for {_numbers(self.epochs)} epochs, then fine-tuned for "
                f"{self.text_epochs}"
            )
        return (
            f"caption: pre-trained for {self.pretrain_epochs} epochs, then fine-tuned for "
            f"{_numbers(self.epochs)}"
        )

    @property
    def forms(self) -> str:
        """The protocol as `metaact.activations.resolve` knows it."""
        return "held-out" if self.protocol == "held-out" else "paper"

    def fields(self) -> dict[str, object]:
        """All settings by name, as JSON."""
        return {
            **asdict(self),
            "source": Path(self.source).name,
            "target": Path(self.target).name,
            "epochs": list(self.epochs),
            "train_layers": list(self.train_layers),
            "layer_lrs": [list(pair) for pair in self.layer_lrs],
        }


def _numbers(values: tuple[int, ...]) -> str:
    return ", ".join(str(value) for value in values)
